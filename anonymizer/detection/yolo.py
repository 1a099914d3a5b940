"""Detectors of the YOLO family: letterbox, run, decode.

Three layouts of the raw output are read, as Ultralytics exports them: [N, 4 + classes, anchors] (v8, 11, 12, and 26
without its end-to-end head), [N, anchors, 5 + classes] with an objectness (the YOLOv5 repository), and
[N, boxes, 6] (10, 26: NMS-free, corners, score, class). Networks that also give masks or key points are read as far
as their boxes go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.nms import suppressed
from anonymizer.errors import ModelError
from anonymizer.types import Detections

SCORE_FLOOR = 0.01  # Below every threshold anyone sets: what is dropped here cannot even continue a track.
GREY = 114  # Ultralytics pads with it in training.
STRIDE = 32
BATCH = 1  # Measured on 2 cores at 960 x 544: batches of 2 and 4 take 10 to 30 % longer a picture, their layers leave the cache.
_SCORE_SLACK = 1e-3  # Half-precision exports round a sigmoid up.


class Network(Protocol):
    """Something that runs a YOLO network: a batch [N, 3, H, W] of RGB 0..1 in, its raw output out.

    `class_names` is empty where the file does not tell them. `more_channels` says that masks or key points follow
    the scores, `open_vocabulary` that its classes are words that somebody told it. `fixed_batch` and `fixed_wh` are
    None where the network takes any (sides then are multiples of 32).
    """

    name: str
    class_names: tuple[str, ...]
    more_channels: bool
    open_vocabulary: bool
    fixed_batch: int | None
    fixed_wh: tuple[int, int] | None

    def run(self, blob: NDArray[np.float32]) -> NDArray[Any]:
        """The raw output; ModelError if there is none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How boxes are written in a raw output. `classes` is 0 where an end-to-end network does not tell their number."""

    kind: Literal["anchors_last", "objectness", "end_to_end"]
    classes: int


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture lies in the network's input: scaled by `scale`, in the top left corner of `input_wh`."""

    picture_wh: tuple[int, int]
    input_wh: tuple[int, int]
    scale: float

    @classmethod
    def of(cls, picture_wh: tuple[int, int], fixed_wh: tuple[int, int] | None) -> Letterbox:
        """The picture as it is, its sides filled up to multiples of 32; shrunk (never enlarged) to fit a fixed input."""
        if fixed_wh is not None:
            return cls(picture_wh, fixed_wh, min(1.0, fixed_wh[0] / picture_wh[0], fixed_wh[1] / picture_wh[1]))
        return cls(picture_wh, (_filled(picture_wh[0]), _filled(picture_wh[1])), 1.0)

    def fill(self, blob: NDArray[np.float32], picture: NDArray[np.uint8]) -> None:
        """Write the picture into its place of a batch, [3, H, W]."""
        width, height = (max(1, round(side * self.scale)) for side in self.picture_wh)
        if self.scale < 1:
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for channel, plane in zip(blob, cv2.split(picture), strict=True):
            channel[:height, :width] = plane
        blob[:, :height, :width] *= np.float32(1 / 255)
        blob[:, height:] = GREY / 255
        blob[:, :height, width:] = GREY / 255

    def back(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes of the input as boxes of the picture."""
        return np.asarray(xyxy / np.float32(self.scale), np.float32)


class YoloDetector:
    """A YOLO network as a detector. `classes` says which of its classes count as which label; None: all of them."""

    def __init__(self, network: Network, classes: Mapping[str, Sequence[int] | None], *, score_floor: float = SCORE_FLOOR) -> None:
        self._network = network
        self._classes = {label: slice(None) if indices is None else list(indices) for label, indices in classes.items()}
        self._score_floor = score_floor
        # Twice as wide as high and no power of two, so that no count of boxes, classes or anchors looks like another.
        probe_wh = network.fixed_wh or (6 * STRIDE, 3 * STRIDE)
        blob = np.full((network.fixed_batch or 1, 3, probe_wh[1], probe_wh[0]), GREY / 255, np.float32)
        self._layout = layout_of(network.run(blob), blob.shape, network)

    @property
    def name(self) -> str:
        return self._network.name

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._classes)

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Look at RGB pictures [H, W, 3] of any sizes; neighbours of one size travel in one batch."""
        found: list[Detections] = []
        for _, alike in groupby(pictures, key=lambda picture: picture.shape):
            for batch in _batches(list(alike), self._network.fixed_batch or BATCH):
                found += self._detect_batch(batch)
        return found

    def _detect_batch(self, pictures: list[NDArray[np.uint8]]) -> list[Detections]:
        """Look at pictures of one size."""
        rows, columns = pictures[0].shape[:2]
        letterbox = Letterbox.of((columns, rows), self._network.fixed_wh)
        blob = np.empty((self._network.fixed_batch or len(pictures), 3, letterbox.input_wh[1], letterbox.input_wh[0]), np.float32)
        blob[len(pictures) :] = GREY / 255
        for picture, place in zip(pictures, blob, strict=False):
            letterbox.fill(place, picture)
        raw = self._network.run(blob)
        check_raw(raw, len(blob), self._layout, self.name)
        return [self._read(one, letterbox) for one in raw[: len(pictures)]]

    def _read(self, raw: NDArray[Any], letterbox: Letterbox) -> Detections:
        """One picture's raw output as detections of the picture."""
        xyxy, scores = decoded(raw, self._layout)
        parts = []
        for label, indices in self._classes.items():
            score = scores[:, indices].max(axis=1)
            likely = np.flatnonzero(score > self._score_floor)
            boxes = _with_area(letterbox.back(xyxy[likely]), letterbox.picture_wh)
            inside = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
            boxes, score = boxes[inside], score[likely][inside]
            best = suppressed(boxes, score)
            parts.append(Detections.of(boxes[best], np.minimum(score[best], 1), label))
        return Detections.joined(parts)


def layout_of(raw: NDArray[Any], blob_shape: tuple[int, ...], network: Network) -> Layout:
    """Which layout an output is, from its shape and the input's; ModelError when it is none of them."""
    anchors = sum((blob_shape[2] // stride) * (blob_shape[3] // stride) for stride in (8, 16, 32))
    named = len(network.class_names)
    if raw.ndim == 3 and raw.shape[0] == blob_shape[0]:
        _, rows, columns = raw.shape

        def told(channels: int) -> bool:
            return channels >= max(1, named) if network.more_channels or not named else channels == named

        # The first two by their number of anchors; then end to end; then other strides (P2 and P6 heads) by classes alone.
        if columns == anchors and told(rows - 4):
            return Layout("anchors_last", named or rows - 4)
        if rows == 3 * anchors and told(columns - 5):
            return Layout("objectness", named or columns - 5)
        if (columns == 6 or (columns > 6 and network.more_channels)) and rows <= max(300, anchors):
            return Layout("end_to_end", named)
        if named and rows == 4 + named:
            return Layout("anchors_last", named)
        if named and columns == 5 + named and rows % 3 == 0 and rows > columns:
            return Layout("objectness", named)
    raise ModelError(
        f"{network.name}: an output of shape {list(raw.shape)} is not that of a YOLO detector" + (f" with {named} classes" if named else ""),
        hint="detectors are Ultralytics YOLO networks of the task 'detect', exported to ONNX",
    )


def check_raw(raw: NDArray[Any], batch: int, layout: Layout, name: str) -> None:
    """ModelError for an output that cannot be read as boxes: a broken answer must never become "nothing found"."""
    first, last, axis = {"anchors_last": (4, 4 + layout.classes, 1), "objectness": (4, 5 + layout.classes, 2), "end_to_end": (4, 5, 2)}[layout.kind]
    if raw.ndim != 3 or raw.shape[0] != batch or raw.shape[axis] < max(last, 6 if layout.kind == "end_to_end" else 0):
        raise ModelError(f"{name}: the network answered with an output of shape {list(raw.shape)}", hint="the file may be damaged, get it again")
    if not np.isfinite(raw).all():
        raise ModelError(
            f"{name}: the network answered with NaN or infinity", hint="the file may be damaged, get it again; a half-precision export may overflow"
        )
    score = raw[:, first:last] if axis == 1 else raw[:, :, first:last]
    if score.size and (score.min() < -_SCORE_SLACK or score.max() > 1 + _SCORE_SLACK):
        raise ModelError(f"{name}: the network gives scores outside 0..1", hint="export it with its sigmoid, as Ultralytics does")
    if layout.kind == "end_to_end" and layout.classes:
        index = raw[:, :, 5][raw[:, :, 4] > SCORE_FLOOR]
        if (index != np.rint(index)).any():
            raise ModelError(f"{name}: the network gives class numbers that are none", hint="detectors are Ultralytics YOLO networks, RT-DETR is none")
        if index.size and (index.min() < 0 or index.max() >= layout.classes):
            raise ModelError(f"{name}: the network found a class that it has no name for", hint="export it again with its names")


def decoded(raw: NDArray[Any], layout: Layout) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [A, 4] in pixels of the network's input, and scores [A, classes], of one picture's raw output."""
    raw = np.asarray(raw, np.float32)
    if layout.kind == "end_to_end":
        index = np.clip(raw[:, 5].astype(np.intp), 0, max(layout.classes - 1, 0))
        scores = np.zeros((len(raw), max(layout.classes, 1)), np.float32)
        scores[np.arange(len(raw)), index] = raw[:, 4]
        return raw[:, :4], scores
    if layout.kind == "objectness":
        centre, half, scores = raw[:, :2], raw[:, 2:4] / 2, raw[:, 4:5] * raw[:, 5 : 5 + layout.classes]
    else:
        centre, half, scores = raw[:2].T, raw[2:4].T / 2, raw[4 : 4 + layout.classes].T
    return np.concatenate([centre - half, centre + half], axis=1), scores


def _with_area(xyxy: NDArray[np.float32], within_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes clipped to the picture, corners in order, at least a pixel wide and high.

    A network that answers with a crossed or flat box has still seen something there: it is kept, never dropped.
    """
    low, high = np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])
    grow = np.maximum(1 - (high - low), 0) / 2
    limits = np.asarray(within_wh, np.float32)
    return np.concatenate([np.clip(low - grow, 0, limits), np.clip(high + grow, 0, limits)], axis=1)


def _filled(side: int) -> int:
    """The next multiple of the stride."""
    return -(-side // STRIDE) * STRIDE


def _batches(pictures: list[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    for first in range(0, len(pictures), size):
        yield pictures[first : first + size]
