"""Drawn pictures with marked objects, detectors that see them as well as they are told to, and truths by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.evaluation import LabelledPicture, Seen, TrueBox
from anonymizer.types import Detections, Region

Box = tuple[float, float, float, float]
COLORS = {"face": (230, 30, 30), "plate": (30, 30, 230)}


def draw(size_wh: tuple[int, int], **objects: Iterable[Box]) -> NDArray[np.uint8]:
    """A grey picture RGB with a red rectangle for every face and a blue one for every plate."""
    rgb = np.full((size_wh[1], size_wh[0], 3), 120, np.uint8)
    for label, boxes in objects.items():
        for left, top, right, bottom in boxes:
            rgb[int(top) : int(bottom), int(left) : int(right)] = COLORS[label]
    return rgb


@dataclass
class ColorDetector:
    """Finds what `draw` drew, to the pixel. `blind` finds nothing, `score` is what it says of everything."""

    score: float = 0.9
    blind: bool = False
    name: str = "colours"
    labels: tuple[str, ...] = ("face", "plate")
    looks: list[int] = field(default_factory=list)  # how many pictures each call was shown

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.looks.append(len(pictures))
        return [Detections.none() if self.blind else self._found(rgb) for rgb in pictures]

    def _found(self, rgb: NDArray[np.uint8]) -> Detections:
        parts = []
        for label, color in COLORS.items():
            alike = (np.abs(rgb.astype(int) - color).max(axis=2) < 60).astype(np.uint8)
            _, _, stats, _ = cv2.connectedComponentsWithStats(alike)
            boxes = [(x, y, x + width, y + height) for x, y, width, height, area in stats[1:] if area >= 16]
            parts.append(Detections.of(boxes, [self.score] * len(boxes), label))
        return Detections.joined(parts)


def equipment_of(detector: ColorDetector, **values: object) -> Equipment:
    return Equipment.of(load_config({"preset": "fast", **values}).config, [detector])


def write_yolo(folder: Path, name: str, size_wh: tuple[int, int], **objects: Sequence[Box]) -> Path:
    """A picture as `draw` draws it, and its boxes as YOLO wants them."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    Image.fromarray(draw(size_wh, **objects)).save(folder / f"images/{name}.png")
    lines = [yolo_line(["face", "plate"].index(label), box, size_wh) for label, boxes in objects.items() for box in boxes]
    (folder / f"labels/{name}.txt").write_text("".join(lines))
    return folder / f"images/{name}.png"


def yolo_line(index: int, box: Box, size_wh: tuple[int, int]) -> str:
    left, top, right, bottom = box
    width, height = size_wh
    return f"{index} {(left + right) / 2 / width} {(top + bottom) / 2 / height} {(right - left) / width} {(bottom - top) / height}\n"


def seen_by_hand(
    name: str = "gate_1.jpg",
    *,
    truth: Sequence[Box] = (),
    ignored: Sequence[Box] = (),
    found: Sequence[tuple[Box, float]] = (),
    label: str = "face",
    shape: str = "box",
    planned_from: float = 0.5,
    misses_only: bool = False,
    size_wh: tuple[int, int] = (100, 100),
) -> Seen:
    """A picture looked at: what is marked, what was found, covered as found without a margin."""
    boxes = tuple(TrueBox(label, box, at >= len(truth)) for at, box in enumerate((*truth, *ignored)))
    free = frozenset({label}) if not boxes else frozenset()
    picture = LabelledPicture(Path(name), boxes, frozenset({label}), free, name.split("_")[0], misses_only=misses_only)
    covers = tuple(Region(label, shape, box, score=score) for box, score in found)  # type: ignore[arg-type]
    detections = Detections.of([box for box, _ in found], [score for _, score in found], label)
    return Seen(picture, size_wh, boxes, detections, covers, tuple(cover for cover in covers if (cover.score or 0) >= planned_from))
