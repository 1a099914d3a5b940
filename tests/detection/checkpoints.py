"""Ultralytics checkpoints (`.pt`) with random weights that answer what a test wants; they need the extra `ultralytics`."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonymizer.detection.ultralytics_engine import ready_ultralytics

_DISTANCE = 3  # strides from an anchor to each side of its box: boxes of 48, 96 and 192 px


def save(path: Path, model: Any) -> Path:
    """As Ultralytics writes it at the end of a training."""
    importlib.import_module("torch").save({"epoch": -1, "model": model.eval(), "ema": None, "train_args": {}}, path)
    return path


def build(config: str, kind: str = "DetectionModel", classes: int | None = None) -> Any:
    """A network of one of Ultralytics' own builds, with the same weights every time."""
    tasks = ready_ultralytics("tests")
    importlib.import_module("torch").manual_seed(0)
    return getattr(tasks, kind)(config, nc=classes, verbose=False).eval()


def scoring(config: str, scores: Mapping[str, float], kind: str = "DetectionModel") -> Any:
    """A network that gives its classes these scores everywhere, in boxes of three sizes."""
    model = build(config, kind, len(scores))
    model.names = dict(enumerate(scores))
    head = model.model[-1]
    _square_boxes(head)
    for branches in (head.cv3, getattr(head, "one2one_cv3", None) or []):
        for branch in branches:
            branch[-1].weight.data.zero_()
            for at, score in enumerate(scores.values()):
                branch[-1].bias.data[at] = math.log(score / (1 - score))
    return model


def looking_for(config: str, kind: str, told: Mapping[str, float]) -> Any:
    """A YOLOE whose every place looks like one word; `told` says how much each of its words is like it, from -1 to 1."""
    torch = importlib.import_module("torch")
    model = build(config, kind)
    head = model.model[-1]
    _square_boxes(head)
    seen, other = torch.eye(512)[:2]
    for branch, contrast in zip(head.cv3, head.cv4, strict=True):
        branch[-1].weight.data.zero_()
        branch[-1].bias.data.copy_(seen)
        contrast.bias.data.zero_()
        contrast.logit_scale.data.fill_(math.log(8.0))
    if told:
        model.set_classes(list(told), torch.stack([like * seen + math.sqrt(1 - like**2) * other for like in told.values()])[None])
    return model


def prompt_free(config: str, kind: str, told: Mapping[str, float]) -> Any:
    """The same with the words made part of its weights; only the places of the coarsest level are proposed."""
    torch = importlib.import_module("torch")
    donor = looking_for(config, kind, told)
    donor.model[-1].fuse(donor.pe)
    model = looking_for(config, kind, {})
    model.args = {"imgsz": 64}
    model.set_vocab(torch.nn.ModuleList(branch[-1] for branch in donor.model[-1].cv3), list(told))
    for proposing in model.model[-1].lrpc:
        proposing.pf.bias.data.fill_(-20.0)
    return model


def _square_boxes(head: Any) -> None:
    for branches in (head.cv2, getattr(head, "one2one_cv2", None) or []):
        for branch in branches:
            branch[-1].weight.data.zero_()
            if head.reg_max > 1:
                branch[-1].bias.data.zero_()
                branch[-1].bias.data.view(4, head.reg_max)[:, _DISTANCE] = 20.0
            else:
                branch[-1].bias.data.fill_(_DISTANCE)
