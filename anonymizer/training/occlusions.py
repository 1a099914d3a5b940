"""Things in front of faces and plates: hands, hats, scarves, glasses, other people's shoulders, the roof of the next car, drawn as patches.

What a detector misses among large faces is mostly covered by something, and so are many plates in dense traffic. A face's label
stays the whole face, because that is what has to be hidden; a plate's becomes what is left of it to read.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image

LEAST_SIDE = 12  # px, below which a face shows too little for a patch to matter
SHARE = (0.15, 0.45)  # of the face's box that a patch covers
PLATE_SHARE = (0.2, 0.6)  # of the plate's height or width that a patch covers
_PLATE_REACH = (0.7, 2.5)  # how far a patch reaches beyond the plate, in plate widths: cars are larger than plates
_FROM = (0.6, 0.17, 0.17, 0.06)  # how often from below, left, right and above


def _patch(rng: np.random.Generator, image: Image, width: int, height: int) -> Image:
    """A texture to paint with: a piece of the same picture from elsewhere, or one colour with a grain."""
    high, wide = image.shape[:2]
    if rng.random() < 0.5 and high > height and wide > width:
        top, left = int(rng.integers(high - height)), int(rng.integers(wide - width))
        return image[top : top + height, left : left + width].copy()
    tone = rng.integers(10, 230) + rng.normal(0, 22, 3)
    ramp = np.linspace(rng.uniform(0.7, 1.0), rng.uniform(0.7, 1.0), width)[None, :, None]
    grain = rng.normal(0, rng.uniform(1, 9), (height, width, 1))
    return np.clip(tone * ramp + grain, 0, 255).astype(np.uint8)


def _shape(rng: np.random.Generator, width: int, height: int) -> tuple[Array, tuple[int, int, int, int]]:
    """Where a patch lies inside a box of this size: an opacity mask, and its window x1 y1 x2 y2."""
    share, side = rng.uniform(*SHARE), int(rng.integers(5))
    mask = np.zeros((height, width), np.float32)
    if side == 4:  # a bar across, as glasses, a strap or an arm in front are
        thick = max(2, round(height * share * 0.6))
        level, turn = rng.uniform(0.2, 0.85) * height, math.radians(rng.uniform(-35, 35))
        right, down = math.cos(turn) * width, math.sin(turn) * width
        ends = ((int(width / 2 - right), int(level - down)), (int(width / 2 + right), int(level + down)))
        cv2.line(mask, *ends, 1.0, thick, cv2.LINE_AA)
    else:  # from above, below, left or right, with a round edge
        radii = (width * rng.uniform(0.6, 1.1), height * rng.uniform(0.6, 1.1))
        reach = (width * share, height * share)
        centre = (
            (width / 2, reach[1] - radii[1]),
            (width / 2, height - reach[1] + radii[1]),
            (reach[0] - radii[0], height / 2),
            (width - reach[0] + radii[0], height / 2),
        )[side]
        axes = (round(radii[0]), round(radii[1]))
        cv2.ellipse(mask, (round(centre[0]), round(centre[1])), axes, rng.uniform(-15, 15), 0, 360, 1.0, -1, cv2.LINE_AA)
    rows, columns = np.nonzero(mask.max(1))[0], np.nonzero(mask.max(0))[0]
    if not len(rows):
        return mask, (0, 0, 0, 0)
    return mask, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def occlude_faces(rng: np.random.Generator, image: Image, labels: Array, share: float = 0.35, face: int = 0) -> Image:
    """Cover a part of some faces (uint8 BGR in, a copy out); rows of ``labels`` are class x1 y1 x2 y2 in px, `face` is their class."""
    faces = [row[1:] for row in labels if row[0] == face and (row[3:] - row[1:3]).min() >= LEAST_SIDE]
    chosen = [box for box in faces if rng.random() < share]
    if not chosen:
        return image
    image = image.copy()
    for box in chosen:
        x1, y1 = np.maximum(np.floor(box[:2]), 0).astype(int)
        x2, y2 = np.minimum(np.ceil(box[2:]), image.shape[1::-1]).astype(int)
        mask, (left, top, right, bottom) = _shape(rng, int(x2 - x1), int(y2 - y1))
        if right - left < 2 or bottom - top < 2:
            continue
        alpha = mask[top:bottom, left:right, None]
        area = image[y1 + top : y1 + bottom, x1 + left : x1 + right]
        mixed = area * (1 - alpha) + _patch(rng, image, right - left, bottom - top) * alpha
        area[:] = mixed.astype(np.uint8)
    return image


def occlude_plates(rng: np.random.Generator, image: Image, labels: Array, share: float = 0.1, plate: int = 1) -> tuple[Image, Array]:
    """Cover a part of some plates (uint8 BGR and rows class x1 y1 x2 y2 in px in, copies out); `plate` is their class.

    Plates so near another object that the patch would reach into it stay as they are.
    """
    chosen = [at for at, row in enumerate(labels) if row[0] == plate and (row[3:] - row[1:3]).min() >= LEAST_SIDE and rng.random() < share]
    if not chosen:
        return image, labels
    image, labels = image.copy(), labels.copy()
    for at in chosen:
        left, patch = _before(rng, labels[at, 1:], image.shape[1::-1])
        x1, y1, x2, y2 = patch
        others = np.delete(labels[:, 1:], at, axis=0)
        meets = (others[:, 0] < x2) & (others[:, 2] > x1) & (others[:, 1] < y2) & (others[:, 3] > y1)
        if meets.any() or x2 - x1 < 2 or y2 - y1 < 2:
            continue
        image[y1:y2, x1:x2] = _patch(rng, image, x2 - x1, y2 - y1)
        labels[at, 1:] = left
    return image, labels


def _before(rng: np.random.Generator, box: Array, size_wh: tuple[int, int]) -> tuple[Array, tuple[int, int, int, int]]:
    """What a thing in front of a plate's box leaves of it, and where in a picture of that size the thing is."""
    x1, y1, x2, y2 = (float(v) for v in box)
    hidden, side = rng.uniform(*PLATE_SHARE), int(rng.choice(4, p=_FROM))
    reach = rng.uniform(*_PLATE_REACH, 4) * (x2 - x1)
    edge_x, edge_y = hidden * (x2 - x1), hidden * (y2 - y1)
    thing = [x1 - reach[0], y1 - reach[1], x2 + reach[2], y2 + reach[3]]
    left = [x1, y1, x2, y2]
    thing[(1, 2, 0, 3)[side]] = left[(3, 0, 2, 1)[side]] = (y2 - edge_y, x1 + edge_x, x2 - edge_x, y1 + edge_y)[side]
    limits = (*size_wh, *size_wh)
    px = tuple(int(np.clip(round(v), 0, limit)) for v, limit in zip(thing, limits, strict=True))
    return np.array(left, np.float32), (px[0], px[1], px[2], px[3])
