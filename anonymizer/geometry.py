"""Where a point of the coded frame appears in the picture as displayed, and back.

A coded frame is what the decoder gives; the displayed picture is what a viewer sees after the pixels were made
square and the picture was turned. Detectors and people work on the displayed picture, seals on the coded frame.
Orientation is counted as Exif does (tag 0x0112, CIPA DC-008): 1 upright, 2 mirrored, 3 half a turn, 4 flipped,
5 transposed, 6 to be turned 90 degrees clockwise, 7 transversed, 8 to be turned 90 degrees anticlockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# Exif orientation -> (transpose first, then mirror left-right, then flip top-bottom) that makes the picture upright.
_UPRIGHT = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """How one stream's coded frames become the picture on the screen."""

    coded_wh: tuple[int, int]
    orientation: int = 1
    sample_aspect_ratio: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if min(self.coded_wh) < 1:
            raise ValueError(f"a frame of {self.coded_wh} has no pixels")
        if self.orientation not in _UPRIGHT:
            raise ValueError(f"Exif orientation {self.orientation} is not one of 1 to 8")
        if self.sample_aspect_ratio <= 0:
            raise ValueError("the sample aspect ratio must be positive")

    @property
    def displayed_wh(self) -> tuple[int, int]:
        """Width and height of the displayed picture in square pixels."""
        width = max(1, round(self.coded_wh[0] * self.sample_aspect_ratio))
        return (self.coded_wh[1], width) if _UPRIGHT[self.orientation][0] else (width, self.coded_wh[1])

    @property
    def up_xy(self) -> tuple[int, int]:
        """The direction in the coded frame that a viewer sees as up: (0, -1) where nothing is turned.

        >>> Geometry((9, 5)).up_xy, Geometry((9, 5), orientation=6).up_xy
        ((0, -1), (-1, 0))
        """
        transpose, _, flip = _UPRIGHT[self.orientation]
        up = 1 if flip else -1
        return (up, 0) if transpose else (0, up)

    def to_displayed(self, xyxy: NDArray[np.float32], within_wh: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Coded boxes [N, 4] as boxes of the displayed picture scaled to `within_wh` (default: full size)."""
        transpose, mirror, flip = _UPRIGHT[self.orientation]
        width, height = within_wh or self.displayed_wh
        unit = np.asarray(xyxy, np.float64).reshape(-1, 2, 2) / self.coded_wh
        if transpose:
            unit = unit[..., ::-1]
        unit = _mirrored(unit, mirror, flip)
        return np.asarray((unit * (width, height)).reshape(-1, 4), np.float32)

    def to_coded(self, xyxy: NDArray[np.float32], within_wh: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Boxes [N, 4] of the displayed picture scaled to `within_wh` (default: full size) as coded boxes."""
        transpose, mirror, flip = _UPRIGHT[self.orientation]
        unit = np.asarray(xyxy, np.float64).reshape(-1, 2, 2) / (within_wh or self.displayed_wh)
        unit = _mirrored(unit, mirror, flip)
        if transpose:
            unit = unit[..., ::-1]
        return np.asarray((unit * self.coded_wh).reshape(-1, 4), np.float32)

    def upright(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A coded picture [H, W, ...] turned and mirrored as a viewer sees it; pixels are not made square here."""
        transpose, mirror, flip = _UPRIGHT[self.orientation]
        if transpose:
            image = image.swapaxes(0, 1)
        if mirror:
            image = image[:, ::-1]
        if flip:
            image = image[::-1]
        return np.ascontiguousarray(image)


def _mirrored(unit: NDArray[np.float64], mirror: bool, flip: bool) -> NDArray[np.float64]:
    """Corners [N, 2, 2] in 0..1, mirrored, with the smaller coordinate first again."""
    if mirror:
        unit = np.stack([1 - unit[:, ::-1, 0], unit[..., 1]], axis=-1)
    if flip:
        unit = np.stack([unit[..., 0], 1 - unit[:, ::-1, 1]], axis=-1)
    return unit
