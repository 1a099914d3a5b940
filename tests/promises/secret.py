"""A clip that carries a secret, a detector that sees exactly it, and a scanner that finds any trace of it.

The secret is a block of random black and white cells that walks over a smooth picture. The oracle finds it by
matching; it lives here alone, no release can select it. The scanner decodes whatever it is given and matches again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.types import Detections
from tests.conftest import write_clip

SIZE_WH = (160, 120)
SIDE = 32
FRAMES = 24
CELLS = np.kron(np.random.default_rng(7).integers(0, 2, (8, 8), dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))
READABLE = 0.5  # correlation of a decoded block with the secret; its blurred surroundings reach 0.3


def secret_xy(index: int) -> tuple[int, int]:
    """Where the secret's left upper corner is in a frame."""
    return 8 + 4 * (index % 28), 40 + index % 5


def draw_secret(index: int, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """One picture, RGB, with the secret in it."""
    columns, rows = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    rgb = np.stack([80 + columns // 3, 90 + rows // 3, np.full_like(rows, 110)], axis=-1).astype(np.uint8)
    left, top = secret_xy(index)
    rgb[top : top + SIDE, left : left + SIDE] = CELLS[..., None]
    return rgb


def secret_clip(path: Path, **wishes: object) -> Path:
    """Write the clip."""
    return write_clip(path, **{"frames": FRAMES, "size_wh": SIZE_WH, "draw": draw_secret, "options": {"crf": "12", "g": "8"}, **wishes})  # type: ignore[arg-type]


def match(gray: NDArray[np.uint8]) -> tuple[float, tuple[int, int]]:
    """How well the secret can be read in a picture, -1..1, and where."""
    if min(gray.shape) < SIDE:
        return 0.0, (0, 0)
    found = cv2.matchTemplate(np.ascontiguousarray(gray), CELLS, cv2.TM_CCOEFF_NORMED)
    # An inverted secret is a secret.
    found = np.abs(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0))
    _, best, _, at = cv2.minMaxLoc(found)
    return float(best), (int(at[0]), int(at[1]))


def readable_frames(path: Path) -> int | None:
    """Frames of a file in which the secret can be read; None if nothing in it can be decoded."""
    decoded = readable = 0
    try:
        with av.open(str(path)) as container:
            for stream in container.streams.video:
                stream.codec_context.thread_count = 1
            for packet in container.demux(video=0):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in frames:
                    decoded += 1
                    readable += match(frame.to_ndarray(format="gray"))[0] > READABLE
    except (av.FFmpegError, IndexError, OSError):
        pass
    return readable if decoded else None


def leaks_in(folders: Iterable[Path], known: Iterable[Path]) -> dict[str, str]:
    """What under these folders, apart from the known inputs, shows the secret: decoded as video or as raw samples."""
    ours = {(path.stat().st_dev, path.stat().st_ino) for path in known if path.exists()}
    leaks: dict[str, str] = {}
    for path in (found for folder in folders for found in sorted(folder.rglob("*"))):
        if not path.is_file() or (path.stat().st_dev, path.stat().st_ino) in ours:
            continue
        if count := readable_frames(path):
            leaks[path.name] = f"readable in {count} frames"
        # A row of the secret as it lies in memory: raw planes in a scratch file would hold it.
        data = path.read_bytes()
        if any(CELLS[row].tobytes() in data for row in range(0, SIDE, 4) if len(set(CELLS[row].tolist())) > 1):
            leaks[path.name] = "holds raw samples"
    return leaks


class Oracle:
    """Finds the secret, as a plate; `trouble` may change its answer to the n-th picture, or raise, or hang."""

    name = "oracle"
    labels: tuple[str, ...] = ("plate",)

    def __init__(self, trouble: Callable[[int, Detections], object] | None = None) -> None:
        self._trouble = trouble
        self.looks = 0
        self._counting = threading.Lock()

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: NDArray[np.uint8]) -> Detections:
        with self._counting:
            self.looks += 1
            look = self.looks
        score, (x, y) = match(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        found = Detections.of([[x, y, x + SIDE, y + SIDE]], [0.99], "plate") if score > READABLE else Detections.none()
        return found if self._trouble is None else self._trouble(look, found)  # type: ignore[return-value]  # that is the trouble
