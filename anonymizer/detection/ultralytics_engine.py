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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.session import available_cores, first_line
from anonymizer.errors import ConfigError, ModelError

_EXTRA = 'pip install "video-anonymizer[ultralytics]"'


class TorchNetwork:
    """A YOLO network of the task detect, segment or pose, on the CPU.

    It has no clock of its own: its deadline is the one of whoever calls it (`observe`, the canary).
    """

    fixed_batch: int | None = None
    fixed_wh: tuple[int, int] | None = None

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.name = path.name
        model = load_checkpoint(path)
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(threads or available_cores())
        names, task = model.names, model.task
        self.class_names = tuple(str(names[index]) for index in range(len(names)))
        if task not in ("detect", "segment", "pose"):
            raise ModelError(f"{path.name}: a network of the task '{task}' does not give upright boxes", hint="use a network of the task 'detect'")
        self.more_channels = task != "detect"
        self._model = model.fuse(verbose=False)

    def run(self, blob: NDArray[np.float32]) -> NDArray[Any]:
        """The network's first output."""
        try:
            with self._torch.inference_mode():
                output = self._model(self._torch.from_numpy(blob))
        except Exception as error:
            raise ModelError(f"{self.name}: the network failed while running ({first_line(error)})", hint="check that the file is whole") from error
        while isinstance(output, (tuple, list)):
            output = output[0]
        return np.asarray(output.numpy())


def load_checkpoint(path: Path) -> Any:
    """The model of a checkpoint, float32, not fused, with its `task` and `names`; ModelError if it holds none."""
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"  # A pipe would hang whoever opens it.
        raise ModelError(f"{path.name}: {what}", hint="say --weights LABEL=FILE with an existing .onnx or .pt file")
    tasks = ready_ultralytics(path.name)
    try:
        # Under a name of no meaning: a file called like one of Ultralytics' own would be looked for on the network.
        with tempfile.TemporaryDirectory(prefix="anonymizer-") as folder:
            (Path(folder) / "weights.pt").symlink_to(path.resolve())
            checkpoint, _ = tasks.torch_safe_load(f"{folder}/weights.pt", safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
        model = model.float().eval()
        model.task = getattr(model, "task", None) or tasks.guess_model_task(model)
        if not len(model.names):
            raise ValueError("no classes")
    except Exception as error:  # a file from anywhere, read by two libraries
        raise ModelError(
            f"{path.name}: Ultralytics cannot load this checkpoint ({type(error).__name__})",
            hint="export it where it was trained: yolo export model=FILE.pt format=onnx dynamic=True",
        ) from error
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
