"""An Ultralytics ONNX export: the session, and what the exporter wrote about it."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.open_vocabulary import is_open
from anonymizer.detection.session import TIMEOUT_S, OnnxSession
from anonymizer.errors import ModelError

_TASKS = {"detect": False, "segment": True, "pose": True}  # task -> whether other channels follow the scores


class OnnxNetwork:
    """A YOLO network in an ONNX file's bytes; ModelError when it is something else."""

    def __init__(self, model: bytes, name: str, *, threads: int | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self._session = OnnxSession(model, name, threads=threads, timeout_s=timeout_s)
        batch, channels, height, width = self._session.input_shape
        if channels not in (3, None):
            raise ModelError(f"{name}: the network takes pictures of {channels} channels, not RGB", hint="export a network that was trained on colour pictures")
        task = self._session.metadata.get("task", "detect")
        if task not in _TASKS:
            raise ModelError(f"{name}: a network of the task '{task}' does not give upright boxes", hint="use a network of the task 'detect'")
        head = self._session.metadata.get("head", "")
        if head == "RTDETRDecoder":  # Its boxes would be read as corners and be a pixel large.
            raise ModelError(f"{name}: RT-DETR networks are not supported", hint="detectors are Ultralytics YOLO networks exported to ONNX")
        self.more_channels = _TASKS[task]
        self.open_vocabulary = is_open(head)
        self.fixed_batch = batch
        self.fixed_wh = (width, height) if width and height else None
        self.metadata = self._session.metadata
        self.class_names = _names(self._session.metadata.get("names", ""), name)

    def run(self, blob: NDArray[np.float32]) -> NDArray[Any]:
        """The network's first output; ModelError if there is none in time."""
        return self._session.run(blob)


def _names(text: str, name: str) -> tuple[str, ...]:
    """Class names in the order of their numbers, as Ultralytics writes them: a Python dict or list.

    >>> _names("{0: 'face', 1: 'plate'}", "model.onnx")
    ('face', 'plate')
    """
    if not text:
        return ()
    try:
        read = ast.literal_eval(text)
        names = [read[index] for index in range(len(read))]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise ModelError(f"{name}: its class names cannot be read", hint="export it again with Ultralytics") from error
    return tuple(str(entry) for entry in names)
