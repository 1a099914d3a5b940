"""Ultralytics checkpoints (`.pt`) as networks, through the `ultralytics` extra.

The network is taken out of its file and run by itself: letterbox, decoding and suppression are the same as for ONNX,
and Ultralytics' own predictor, with its settings, downloads and statistics, is never entered. Files are read with
`torch.load(weights_only=True)` and Ultralytics' list of known classes, so a checkpoint cannot run code of its own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.open_vocabulary import is_open, require_words
from anonymizer.detection.pt_file import require_whole, why_refused
from anonymizer.detection.session import available_cores, first_line
from anonymizer.errors import ConfigError, ModelError

_EXTRA = 'pip install "video-anonymizer[ultralytics]"'


class TorchNetwork:
    """A YOLO network of the task detect, segment or pose, on the CPU; `labels` are what an open-vocabulary one is wanted for.

    It has no clock of its own: its deadline is the one of whoever calls it (`observe`, the canary).
    """

    more_channels = False  # Masks and key points are cut off here, where it is known how many there are.
    fixed_batch: int | None = None
    fixed_wh: tuple[int, int] | None = None

    def __init__(self, path: Path, *, threads: int | None = None, labels: Sequence[str] = ()) -> None:
        self.name = path.name
        model = load_checkpoint(path)
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(threads or available_cores())
        self.class_names = tuple(str(model.names[index]) for index in range(len(model.names)))
        head, heads = model.model[-1], importlib.import_module("ultralytics.nn.modules.head")
        # By the head, not by the task that the checkpoint tells: RT-DETR's is 'detect' too, and its boxes would be misread.
        if not isinstance(head, heads.Detect) or isinstance(head, heads.OBB):
            raise ModelError(
                f"{path.name}: a network with the head {type(head).__name__} does not give upright boxes as YOLO does",
                hint="use a network of the task 'detect'",
            )
        self.open_vocabulary = is_open(type(head).__name__)
        if self.open_vocabulary:
            require_words(model, path.name, labels)
        self._model = model.fuse(verbose=False)
        self._end_to_end = bool(head.end2end)
        self._surplus = int(getattr(head, "nm", 0) or getattr(head, "nk", 0))  # channels of masks or key points

    def run(self, blob: NDArray[np.float32]) -> NDArray[Any]:
        """The network's boxes and scores."""
        try:
            with self._torch.inference_mode():
                output = self._model(self._torch.from_numpy(blob))
                while isinstance(output, (tuple, list)):
                    output = output[0]
                raw = np.asarray(output.numpy())
        except Exception as error:  # torch's and Ultralytics', about a file from anywhere
            raise ModelError(f"{self.name}: the network failed while running ({first_line(error)})", hint="check that the file is whole") from error
        told = 6 if self._end_to_end else 4 + len(self.class_names)
        # Only where the count is right: of a network with more classes than names the first ones would be taken for all.
        if raw.ndim != 3 or raw.shape[2 if self._end_to_end else 1] != told + self._surplus:
            return raw
        return raw[:, :, :told] if self._end_to_end else raw[:, :told]


def load_checkpoint(path: Path) -> Any:
    """The model of a checkpoint, float32, not fused, with its `task` and `names`; ModelError if it holds none."""
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"  # A pipe would hang whoever opens it.
        raise ModelError(f"{path.name}: {what}", hint="say --weights LABEL=FILE with an existing .onnx or .pt file")
    tasks = ready_ultralytics(path.name)
    require_whole(path)
    # On an older torch Ultralytics reads checkpoints in a way that runs code in them.
    if not hasattr(importlib.import_module("torch").serialization, "get_unsafe_globals_in_checkpoint"):
        raise ConfigError(f"{path.name}: the installed torch is too old to read a checkpoint safely", hint="install torch 2.6 or newer, or give .onnx weights")
    try:
        # Under a name of no meaning: a file called like one of Ultralytics' own would be looked for on the network.
        with tempfile.TemporaryDirectory(prefix="anonymizer-") as folder:
            (Path(folder) / "weights.pt").symlink_to(path.resolve())
            checkpoint, _ = tasks.torch_safe_load(f"{folder}/weights.pt", safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
        model = model.float().eval()
        model.task = getattr(model, "task", None) or tasks.guess_model_task(model)
        if not [model.names[index] for index in range(len(model.names))]:
            raise ValueError("no classes")
    except Exception as error:  # a file from anywhere, read by two libraries
        raise why_refused(path.name, error) from error
    return model


def ready_ultralytics(name: str, *, needs: str = ".pt weights need") -> Any:
    """Ultralytics' module that loads checkpoints, importable without torchvision; ConfigError without the extra."""
    os.environ.setdefault("YOLO_OFFLINE", "true")  # No look at the network when it is imported,
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # no pip when a file asks for another package,
    os.environ.setdefault("YOLO_VERBOSE", "false")  # and no words between ours.
    try:
        importlib.metadata.version("ultralytics-opencv-headless")
        importlib.import_module("torch")
    except ImportError as error:  # PackageNotFoundError is one
        hint = f"{_EXTRA}, or export the weights to .onnx" if name.endswith(".pt") else _EXTRA
        raise ConfigError(f"{name}: {needs} the ultralytics extra", hint=hint) from error
    if not _torchvision_works():
        _stand_in_for_torchvision()
    try:
        return importlib.import_module("ultralytics.nn.tasks")
    except Exception as error:  # whatever its import meets
        raise ModelError(f"{name}: Ultralytics cannot be imported ({first_line(error)})", hint=f"reinstall it: {_EXTRA}") from error


def _torchvision_works() -> bool:
    """Whether there is a torchvision that fits the installed torch."""
    try:
        importlib.import_module("torchvision.ops")
    except Exception:  # its compiled part raises RuntimeError where it does not fit
        return False
    return True


def _stand_in_for_torchvision() -> None:
    """Let Ultralytics be imported on a torch that no torchvision fits: it needs one function of it, and a version.

    The function is taken from Ultralytics itself; nothing here ever calls it.
    """
    for broken in [module for module in sys.modules if module == "torchvision" or module.startswith("torchvision.")]:
        del sys.modules[broken]
    torch_version = importlib.metadata.version("torch").split("+")[0].split(".")
    version = f"0.{int(torch_version[1]) + 15}.0"  # torch 2.N goes with torchvision 0.(N + 15)
    real_version = importlib.metadata.version

    def version_of(distribution_name: str) -> str:
        return version if distribution_name == "torchvision" else real_version(distribution_name)

    def nms(*args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("ultralytics.utils.nms").TorchNMS.nms(*args, **kwargs)

    package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    for module in (package, ops):
        module.__spec__ = importlib.util.spec_from_loader(module.__name__, None)
    vars(package).update(__version__=version, ops=ops, __path__=[])
    vars(ops).update(nms=nms)
    sys.modules["torchvision"], sys.modules["torchvision.ops"] = package, ops
    importlib.metadata.version = version_of
