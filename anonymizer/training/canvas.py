"""Training pictures, composed on the fly: grids of crops across a wide range of object sizes.

A canvas is cut into 1x1 to 6x6 uneven cells. Each cell shows a random crop of a random picture,
scaled, slightly rotated, mirrored, with its own light. So faces from 5 px and plates from 7 px wide
up to the whole canvas occur, at the price of one 640 px step.
"""

from __future__ import annotations

import math
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.training.arrays import Array, Image, for_warping
from anonymizer.training.light import photometric, spoil
from anonymizer.training.occlusions import occlude_faces, occlude_plates
from anonymizer.training.plates import replace_plates
from anonymizer.training.recipe import Augmentation
from anonymizer.training.signs import add_signs

GRIDS = (1, 2, 3, 4, 6)
GRID_SHARE = (0.26, 0.36, 0.22, 0.11, 0.05)
LATE_SHARE = (0.55, 0.35, 0.10, 0.0, 0.0)
FILL = 114
MOST_TURN_DEG = 135
SOFTEST = 0.35  # of the pixels along a side; with fewer a plate that is drawn is no plate any more


class Source(Protocol):
    """Where pictures come from (`pictures.Pictures`): the names of their classes, how often each is shown, and each of them."""

    labels: tuple[str, ...]
    share: NDArray[np.float64]

    def __len__(self) -> int: ...

    def share_room(self, processes: int) -> None:
        """Keep so much less in memory."""

    def at(self, index: int) -> tuple[Image, Array, Array]:
        """The picture, its rows class x1 y1 x2 y2, and rows of hard places."""


def _matrix(rng: np.random.Generator, scale: float, turned: bool) -> Array:
    """A 2x2 map: scale, small aspect change, rotation (far only if turned), shear, mirror."""
    stretch = math.exp(rng.uniform(-0.12, 0.12))
    matrix = np.diag([scale * stretch, scale / stretch]).astype(np.float32)
    if turned or rng.random() < 0.4:
        degrees = rng.choice((-1, 1)) * (9 + (MOST_TURN_DEG - 9) * rng.random() ** 1.5) if turned else rng.uniform(-9, 9)
        turn, shear = math.radians(degrees), rng.uniform(-0.12, 0.12)
        cos, sin = math.cos(turn), math.sin(turn)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]]) @ matrix
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0])
    return np.asarray(matrix, np.float32)


def _bounds(box: Array, matrix: Array, shift: Array, round_: bool) -> tuple[Array, Array]:
    """The lowest and the highest corner of the box around a mapped box, or around the ellipse in it: a turned head is no wider at its corners."""
    middle, half = (box[:2] + box[2:]) / 2 @ matrix.T + shift, (box[2:] - box[:2]) / 2
    reach = np.linalg.norm(matrix * half, axis=1) if round_ else np.abs(matrix) @ half
    return np.asarray(middle - reach, np.float32), np.asarray(middle + reach, np.float32)


class Composer:
    """Makes one canvas and its labels (rows class x1 y1 x2 y2 in pixels)."""

    def __init__(self, pictures: Source, side: int = 640, augmentation: Augmentation | None = None) -> None:
        self.pictures, self.side, self._wish = pictures, side, augmentation or Augmentation()
        # What is drawn for a label is not drawn where nobody trains it.
        self._face, self._plate = (pictures.labels.index(label) if label in pictures.labels else None for label in ("face", "plate"))

    def __call__(self, rng: np.random.Generator, late: bool = False) -> tuple[Image, Array]:
        """``late`` shows mostly whole pictures, for the last steps of the training."""
        count = int(rng.choice(GRIDS, p=LATE_SHARE if late else GRID_SHARE))
        canvas = np.full((self.side, self.side, 3), FILL, np.uint8)
        inner = np.linspace(0, self.side, count + 1)
        step = self.side / count
        cuts = [np.concatenate([[0], inner[1:-1] + rng.uniform(-0.25, 0.25, count - 1) * step, [self.side]]).astype(int) for _ in range(2)]
        rows: list[Array] = []
        for top, bottom in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            for left, right in zip(cuts[0][:-1], cuts[0][1:], strict=True):
                cell, boxes = self.cell(rng, right - left, bottom - top, count)
                canvas[top:bottom, left:right] = cell
                boxes[:, 1:] += np.array([left, top, left, top], np.float32)
                rows.append(boxes)
        return spoil(rng, canvas, strong=not late) if self._wish.camera else canvas, np.concatenate(rows)

    def cell(self, rng: np.random.Generator, width: int, height: int, count: int) -> tuple[Image, Array]:
        """One crop of one picture."""
        wish = self._wish
        image, labels, hard = self.pictures.at(int(rng.choice(len(self.pictures), p=self.pictures.share)))
        if self._face is not None:
            image = occlude_faces(rng, image, labels, wish.occluded_faces, self._face)
        if self._plate is not None:
            if rng.random() < wish.synthetic_plates:
                image, labels = replace_plates(rng, image, labels, self._plate)
            image, labels = occlude_plates(rng, image, labels, wish.occluded_plates, self._plate)
            if not (labels[:, 0] == self._plate).any() and rng.random() < wish.signs:
                image = add_signs(rng, image, labels)
        high, wide = image.shape[:2]
        fit = min(width / wide, height / high)
        zoom = rng.uniform(-0.45, 0.75) if count == 1 else rng.uniform(-0.25, 0.7)
        scale = fit * math.exp(zoom)
        matrix = _matrix(rng, scale, rng.random() < wish.turned)
        size = np.array([wide, high], np.float32)
        wanted = hard if len(hard) and rng.random() < wish.hard_places else labels if rng.random() < 0.8 else hard
        if len(wanted):
            box = wanted[rng.integers(len(wanted)), 1:]
            anchor, margin = (box[:2] + box[2:]) / 2, 0.15
        else:
            anchor, margin = size * rng.uniform(0.25, 0.75, 2), 0.35
        cell = np.array([width, height], np.float32)
        place = cell * rng.uniform(margin, 1 - margin, 2)
        shown = np.abs(matrix) @ size
        shift = np.asarray(place - matrix @ anchor, np.float32)
        if scale <= fit * 1.15:  # the whole picture fits more or less: keep it in the cell
            middle = matrix @ (size / 2) + shift
            room = np.abs(cell - shown) / 2 + 1e-3
            shift += np.clip(middle, cell / 2 - room, cell / 2 + room) - middle
        detail = rng.uniform(SOFTEST, 1) if rng.random() < wish.softened else 1.0
        image, factor = self._shrunk(image, scale * detail)
        full = for_warping(np.vstack([np.concatenate([matrix / factor, shift[:, None]], 1), [0, 0, 1]]))[:2]
        fill = (FILL,) * 3 if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(0, 255, 3))
        out = cv2.warpAffine(image, full, (int(width), int(height)), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
        cell_image: Image = np.asarray(out, np.uint8)
        return self._visible(photometric(rng, cell_image) if wish.light else cell_image, labels, matrix, shift, detail)

    @staticmethod
    def _shrunk(image: Image, scale: float) -> tuple[Image, Array]:
        """The picture, made smaller by area first where the warp would alias, or where it is to be shown without its details."""
        if scale > 0.75:
            return image, np.ones(2, np.float32)
        high, wide = image.shape[:2]
        size = (max(1, round(wide * scale * 1.25)), max(1, round(high * scale * 1.25)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), np.array([size[0] / wide, size[1] / high], np.float32)

    def _visible(self, image: Image, labels: Array, matrix: Array, shift: Array, detail: float) -> tuple[Image, Array]:
        """Labels still in sight; objects cut to a sliver are painted over."""
        height, width = image.shape[:2]
        kept = []
        for row in labels:
            low, high = _bounds(row[1:], matrix, shift, row[0] == self._face)
            inside_low = np.clip(low, 0, (width, height))
            inside_high = np.clip(high, 0, (width, height))
            seen = (inside_high - inside_low).prod() / max(float((high - low).prod()), 1e-3)
            if seen <= 0.02:
                continue
            wide, tall = inside_high - inside_low
            small = wide * detail < 7 or tall * detail < 3 if row[0] == self._plate else min(wide, tall) * detail < 4.5
            if seen >= 0.4 and not small:
                kept.append([row[0], *inside_low, *inside_high])
            elif seen < 0.4 or max(wide, tall) >= 4:
                x1, y1 = np.floor(inside_low).astype(int)
                x2, y2 = np.ceil(inside_high).astype(int)
                if x2 > x1 and y2 > y1:
                    image[y1:y2, x1:x2] = image[y1:y2, x1:x2].mean((0, 1)).astype(np.uint8)
        return image, np.array(kept, np.float32).reshape(-1, 5)
