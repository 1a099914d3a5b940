"""A public YOLOv8 checkpoint as ONNX: `python -m scoreboard.exporting best.pt network.onnx`, in a Python with torch and Ultralytics.

Checkpoints are read without letting them run code. Where one also holds how it was trained, in classes of a package that
is not needed, those classes stand empty.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

_OMEGACONF = {"base": ("ContainerMetadata", "Metadata"), "dictconfig": ("DictConfig",), "nodes": ("AnyNode",)}


class _Empty:
    """Stands in for a class whose content does not matter."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _stand_in_for_omegaconf() -> list[type]:
    sys.modules["omegaconf"] = types.ModuleType("omegaconf")
    made = []
    for name, classes in _OMEGACONF.items():
        module = types.ModuleType(f"omegaconf.{name}")
        for one in classes:
            empty = type(one, (_Empty,), {"__module__": module.__name__})
            setattr(module, one, empty)
            made.append(empty)
        sys.modules[module.__name__] = module
    return made


def main(checkpoint: str, target: str) -> None:
    """Load, export: input `images` [N, 3, H, W], output `output0` [N, 4 + classes, anchors], all sides free."""
    from anonymizer.detection.ultralytics_engine import load_checkpoint, ready_ultralytics

    ready_ultralytics("exporting")
    import torch

    torch.serialization.add_safe_globals([*_stand_in_for_omegaconf(), Any, dict, defaultdict])
    model = load_checkpoint(Path(checkpoint)).fuse(verbose=False).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    head = model.model[-1]
    head.dynamic, head.export, head.format = True, True, "onnx"
    example = torch.zeros(1, 3, 640, 512)
    model(example)
    warnings.simplefilter("ignore")  # The tracer's, on sizes that are free by what `head.dynamic` does, and on its own age.
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    torch.onnx.export(model, (example,), target, opset_version=17, dynamo=False, input_names=["images"], output_names=["output0"], dynamic_axes=axes)


if __name__ == "__main__":
    main(*sys.argv[1:3])
