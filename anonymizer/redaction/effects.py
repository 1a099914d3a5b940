"""The effects, in one table: what each paints over a patch, given nothing but its surroundings.

An effect cannot leak what it never saw: `Surroundings` are made from planes whose covered pixels are already erased.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.redaction.color import NEUTRAL_RGB
from anonymizer.redaction.fill import Surroundings, diffuse

FEATHER = 0.05  # Share of the region's shorter side; chosen by eye.
_BLOCK_NODES = 4  # Pixelate: 4 to 8 blocks across the shorter side of a region.
_INVERSE_ORIENTATION = {6: 8, 8: 6}  # All other Exif orientations undo themselves.


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """How covers look. Raises ValueError for what cannot be painted.

    `color` is RGB of 0..255: of "solid" (default: a dark neutral grey), and what lies under an "image" that is
    transparent or does not fill its region (default: the fill of "blur"). `image` is RGBA uint8 [rows, columns, 4].
    `feather` is the width of the soft edge around a region as a share of the region's shorter side.
    """

    kind: str = "blur"
    color: tuple[int, int, int] | None = None
    image: NDArray[np.uint8] | None = None
    feather: float = FEATHER
    drawable: tuple[NDArray[np.float32], ...] = field(init=False, repr=False, default=())  # the image, premultiplied, and its halves

    def __post_init__(self) -> None:
        if self.kind not in EFFECTS:
            raise ValueError(f"no effect {self.kind!r}; there are {', '.join(EFFECTS)}")
        if self.color is not None and (len(self.color) != 3 or not all(0 <= part <= 255 for part in self.color)):
            raise ValueError(f"a colour is red, green, blue of 0 to 255 each, not {self.color}")
        if not 0 <= self.feather <= 1:
            raise ValueError(f"feather is a share of 0 to 1, not {self.feather}")
        if (self.kind == "image") != (self.image is not None):
            raise ValueError('an image belongs to the effect "image", and to no other')
        if self.image is not None:
            if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 4 or 0 in self.image.shape:
                raise ValueError(f"an effect's image is RGBA uint8 [rows, columns, 4], not {self.image.dtype} {list(self.image.shape)}")
            kept = self.image.copy()
            kept.flags.writeable = False
            object.__setattr__(self, "image", kept)
            object.__setattr__(self, "drawable", _halved(kept))

    def turned_for(self, geometry: Geometry) -> Effect:
        """The effect for coded frames of that geometry: its image appears upright and undistorted on the screen."""
        if self.image is None:
            return self
        orientation = _INVERSE_ORIENTATION.get(geometry.orientation, geometry.orientation)
        image = Geometry((1, 1), orientation).upright(self.image)
        ratio = float(geometry.sample_aspect_ratio)
        if ratio != 1:
            # Shrink, never enlarge, the side that is too long.
            rows, columns = image.shape[:2]
            columns, rows = (max(1, round(columns / ratio)), rows) if ratio > 1 else (columns, max(1, round(rows * ratio)))
            image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        return replace(self, image=image)


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """What covers a patch: samples on a grid like that of its `Surroundings`, stretched smoothly or as blocks.

    `image` is drawn over it, fitted into every region.
    """

    samples: NDArray[np.float32]  # [rows, columns, samples of a pixel without alpha]; [1, 1, ...] is one colour
    origin_xy: tuple[int, int]
    node_wh: tuple[int, int]
    smooth: bool = True
    image: tuple[NDArray[np.float32], ...] | None = None  # as Effect.drawable


def _blur(around: Surroundings, effect: Effect) -> Painting:
    """The surroundings, diffused: looks like a strong blur."""
    samples = diffuse(around)
    if samples is None:
        return _solid(around, replace(effect, color=None))
    return Painting(samples, around.origin_xy, around.node_wh)


def _pixelate(around: Surroundings, effect: Effect) -> Painting:
    """The same fill in blocks that stand still in the frame; their size is a power of two."""
    fill = _blur(around, effect)
    rows, columns = fill.samples.shape[:2]
    if (rows, columns) == (1, 1):
        return fill
    # Windows start on whole blocks (fill.py aligns them), so that blocks do not wander with a box.
    missing = (-rows % _BLOCK_NODES, -columns % _BLOCK_NODES)
    padded = np.asarray(cv2.copyMakeBorder(fill.samples, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE), np.float32)
    shape = (padded.shape[0] // _BLOCK_NODES, padded.shape[1] // _BLOCK_NODES, fill.samples.shape[2])
    blocks = np.asarray(cv2.resize(padded, shape[1::-1], interpolation=cv2.INTER_AREA), np.float32).reshape(shape)
    return replace(fill, samples=blocks, node_wh=(fill.node_wh[0] * _BLOCK_NODES, fill.node_wh[1] * _BLOCK_NODES), smooth=False)


def _solid(around: Surroundings, effect: Effect) -> Painting:
    """One colour."""
    rgb = np.asarray(effect.color or NEUTRAL_RGB, np.float32).reshape(1, 1, 3)
    return Painting(around.palette.samples(rgb), around.origin_xy, around.node_wh)


def _image(around: Surroundings, effect: Effect) -> Painting:
    """A picture in every region, over a colour or the fill of "blur"."""
    under = _blur(around, effect) if effect.color is None else _solid(around, effect)
    return replace(under, image=effect.drawable)


def _halved(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """Premultiplied RGBA at full size, half, quarter, ...: a small face must not pay for a large picture."""
    level = image.astype(np.float32)
    level[..., :3] *= level[..., 3:] / np.float32(255)
    levels = [level]
    while min(level.shape[:2]) > 16:
        level = np.asarray(cv2.resize(level, (level.shape[1] // 2, level.shape[0] // 2), interpolation=cv2.INTER_AREA), np.float32)
        levels.append(level)
    return tuple(levels)


EFFECTS: dict[str, Callable[[Surroundings, Effect], Painting]] = {
    "blur": _blur,
    "pixelate": _pixelate,
    "solid": _solid,
    "image": _image,
}
