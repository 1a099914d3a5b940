"""Networks whose classes are words: YOLO-World, YOLOE, and YOLOE's prompt-free form with a list of thousands.

They compare what they see with embeddings of words, and a text encoder makes those. None is run here: Ultralytics' text encoders
are programs in a file (TorchScript), and downloaded. A network that was told its words elsewhere holds the embeddings itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from anonymizer.errors import ModelError

_PLACEHOLDER_NORM = 5.0  # Embeddings of words have a length of 1; the noise that a YOLO-World is built with, one of 22.


def is_open(head: str) -> bool:
    """Whether a network whose head is a class of that name of Ultralytics' looks for words."""
    return head.startswith(("YOLOE", "World"))


def require_words(model: Any, name: str, labels: Sequence[str]) -> None:
    """ModelError for an open-vocabulary model that holds no embeddings of its class names: it would find nothing, or anything."""
    head = model.model[-1]
    if hasattr(head, "lrpc") or getattr(head, "is_fused", False):
        return  # The words are part of its weights.
    torch = importlib.import_module("torch")
    world = type(head).__name__.startswith("World")
    embeddings = getattr(model, "txt_feats" if world else "pe", None)
    if not isinstance(embeddings, torch.Tensor) or embeddings.ndim != 3 or not _are_words(embeddings.float(), world):
        raise ModelError(f"{name}: this network looks for words, and was not told any", hint=how_to_tell(name, labels))
    if embeddings.shape[1] != len(model.names):
        raise ModelError(f"{name}: this network has {len(model.names)} class names, and was told {embeddings.shape[1]} words", hint=how_to_tell(name, labels))


def how_to_tell(name: str, labels: Sequence[str]) -> str:
    """The hint that makes a network of that file look for the labels."""
    return (
        "tell it once, where Ultralytics may download its text encoder: "
        f'python -c "from ultralytics import YOLO; m = YOLO({name!r}); m.set_classes({list(labels)}); m.save({"told_" + name!r})"'
    )


def _are_words(embeddings: Any, world: bool) -> bool:
    lengths = embeddings.norm(dim=-1)
    return bool((lengths > 0).all()) and not (world and bool((lengths > _PLACEHOLDER_NORM).any()))
