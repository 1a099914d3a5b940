"""Which pixels a decision covers: exact cores made of whole cells, and the soft edge around them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.redaction.grid import Grid, Sheet, Window
from anonymizer.types import Decision, Region

# Narrower looks cut out, wider takes more picture than it gives; by eye. Around a plate of 10 px every tenth of a pixel is 3 % of it.
FEATHER_MIN_PX = {"ellipse": 2.0, "box": 1.5, "frame": 2.0}
FEATHER_MAX_PX = 12.0
# The fill follows its surroundings in nothing smaller than this share of the shorter side. Followed to the pixel, the dark frame around a plate went
# on in its cover: on 720p clips a third of the plates that a bench could read, and a quarter of the faces, was that. Of a plate a tenth of the
# detail is enough to be read, so little that only what is as large as half of it may go on.
_FINEST = {"ellipse": (1 / 6, 6.0), "box": (1 / 2, 16.0)}  # and not below so many pixels: letters of the smallest plates are as large
_TOUCH = 1 + 1e-9  # What touches within rounding is covered.


@dataclass(frozen=True, slots=True)
class Soft:
    """One region grown by `grow_wh` (as its core is, by spread and, in the mean, by half a cell) and faded over `feather_px` outside."""

    region: Region
    grow_wh: tuple[float, float]
    feather_px: float

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The box that the soft edge reaches."""
        left, top, right, bottom = self.region.xyxy
        grow_w, grow_h = self.grow_wh[0] + self.feather_px, self.grow_wh[1] + self.feather_px
        return left - grow_w, top - grow_h, right + grow_w, bottom + grow_h

    @property
    def side_px(self) -> float:
        """The region's shorter side."""
        left, top, right, bottom = self.region.xyxy
        return min(right - left, bottom - top)

    @property
    def finest_px(self) -> float:
        """The smallest that the fill may show."""
        share, least_px = _FINEST[self.region.shape]
        return max(share * self.side_px, least_px)

    def strength(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much of the fill shows at columns `x` and rows `y` of luma pixels: from 1 on the region to 0 outside `xyxy`."""
        left, top, right, bottom = self.region.xyxy
        (grow_w, grow_h), one = self.grow_wh, np.float32(1)
        if self.region.shape == "box":
            across = _past(x, left - grow_w, right + grow_w, self.feather_px)
            down = _past(y, top - grow_h, bottom + grow_h, self.feather_px)
            fade: NDArray[np.float32] = (down * down)[:, None] + across * across
            np.minimum(fade, one, out=fade)
            np.subtract(one, fade, out=fade)
            fade *= fade
            return fade
        inner_w, inner_h = (right - left) / 2 + grow_w, (bottom - top) / 2 + grow_h
        outer_w, outer_h = inner_w + self.feather_px, inner_h + self.feather_px
        # Fading starts at one radius in units of the outer ellipse, the larger of two: nowhere inside the inner ellipse.
        start = max(inner_w / outer_w, inner_h / outer_h) ** 2
        scale = (1 - start) ** -0.5
        across = (x - np.float32((left + right) / 2)) * np.float32(scale / outer_w)
        down = (y - np.float32((top + bottom) / 2)) * np.float32(scale / outer_h)
        fade = (down * down - np.float32(start * scale * scale))[:, None] + across * across
        np.maximum(fade, np.float32(0), out=fade)
        np.minimum(fade, one, out=fade)
        # (1 - fade)^2 (1 + 2 fade): flat at both ends, so that no rim shows.
        rest = one - fade
        fade += fade
        fade += one
        fade *= rest
        fade *= rest
        return fade


@dataclass(frozen=True, slots=True)
class Patch:
    """Regions that touch each other, sealed as one: `window` holds their cores and soft edges."""

    soft: tuple[Soft, ...]
    window: Window

    @property
    def finest_px(self) -> float:
        """The smallest that the fill may show: what the largest of the regions asks, or a small one that touches it would undo it."""
        return max(soft.finest_px for soft in self.soft)

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The box that the soft edges reach, in luma pixels."""
        lefts, tops, rights, bottoms = zip(*(soft.xyxy for soft in self.soft), strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)

    def strength(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much of the fill shows at columns `x` and rows `y` of luma pixels, whichever region it comes from."""
        if len(self.soft) == 1:
            return self.soft[0].strength(x, y)
        strength = np.zeros((len(y), len(x)), np.float32)
        for soft in self.soft:
            # Where it reaches alone: a crowd's covers form one patch, and each fills a small part of it.
            left, top, right, bottom = soft.xyxy
            rows, columns = slice(*np.searchsorted(y, (top, bottom))), slice(*np.searchsorted(x, (left, right)))
            here = strength[rows, columns]
            # 1 - (1 - a) (1 - b), not the larger: no notch shows where two edges meet.
            here += soft.strength(x[columns], y[rows]) * (np.float32(1) - here)
        return strength


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """All that one decision covers in one frame: `core` is 1 at covered cells, uint8 [rows, columns]."""

    grid: Grid
    core: NDArray[np.uint8]
    patches: tuple[Patch, ...]

    def core_in(self, window: Window, sheet: Sheet) -> NDArray[np.uint8]:
        """1 at the covered samples of a plane, in the rectangle `sheet.spanned_by(window)`."""
        cells, (width, height) = self.core[window.slices], sheet.cell_wh
        if (width, height) == (1, 1):
            return cells
        rows, columns = sheet.spanned_by(window)
        samples = cv2.resize(cells, (cells.shape[1] * width, cells.shape[0] * height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(samples, np.uint8)[: rows.stop - rows.start, : columns.stop - columns.start]

    def strength_in(self, window: Window, patch: Patch, sheet: Sheet) -> NDArray[np.float32]:
        """How much of the fill shows at each sample of a plane in a part of the patch's window; exactly 1 on every core."""
        rows, columns = sheet.spanned_by(window)
        strength = patch.strength(centers(columns, 1 << sheet.shift_wh[0]), centers(rows, 1 << sheet.shift_wh[1]))
        np.maximum(strength, self.core_in(window, sheet), out=strength)
        return strength


def centers(span: slice, step: int) -> NDArray[np.float32]:
    """The middles of `step` luma pixels each, for the span of samples or nodes of that size."""
    return (np.arange(span.start, span.stop, dtype=np.float32) + np.float32(0.5)) * np.float32(step)


def cover_of(decision: Decision, grid: Grid, spread_px: int, feather: float) -> Cover:
    """The cover of one frame; `feather` is the width of soft edges as a share of a region's shorter side."""
    core = np.zeros(grid.shape, np.uint8)
    patches: list[Patch] = []
    for region in decision.regions:
        if not _cover_core(core, grid, region, spread_px):
            continue
        left, top, right, bottom = region.xyxy
        feather_px = min(max(feather * min(right - left, bottom - top), FEATHER_MIN_PX[region.shape]), FEATHER_MAX_PX)
        # Half a cell: around a face of 20 px one more pixel on every side is a fifth more picture lost.
        soft = Soft(region, (grid.cell_wh[0] / 2 + spread_px, grid.cell_wh[1] / 2 + spread_px), feather_px)
        patch = Patch((soft,), grid.around(*soft.xyxy))
        # A patch that grows may meet others that it did not meet before.
        while met := [other for other in patches if other.window.meets(patch.window)]:
            patches = [other for other in patches if other not in met]
            for other in met:
                patch = Patch(other.soft + patch.soft, patch.window.joined(other.window))
        patches.append(patch)
    return Cover(grid, core, tuple(patches))


def _cover_core(core: NDArray[np.uint8], grid: Grid, region: Region, spread_px: int) -> bool:
    """Set the cells that the region touches once grown by `spread_px`; False if all of it lies outside the frame."""
    left, top, right, bottom = region.xyxy
    window = grid.around(left - spread_px, top - spread_px, right + spread_px, bottom + spread_px)
    if window.is_empty:
        return False
    if region.shape == "box":
        core[window.slices] = 1
        return True
    # A cell is touched if its point nearest to the centre lies in the ellipse. Growing the cells grows the core.
    cell_w, cell_h = grid.cell_wh
    x = np.arange(window.left, window.right) * cell_w - spread_px - (left + right) / 2
    y = np.arange(window.top, window.bottom) * cell_h - spread_px - (top + bottom) / 2
    across = np.maximum(np.maximum(x, -x - (cell_w + 2 * spread_px)), 0) / ((right - left) / 2)
    down = np.maximum(np.maximum(y, -y - (cell_h + 2 * spread_px)), 0) / ((bottom - top) / 2)
    touched = (down * down)[:, None] + across * across <= _TOUCH
    np.bitwise_or(core[window.slices], touched, out=core[window.slices])
    return bool(touched.any())


def faded(at: NDArray[np.float32], low: float, high: float, width: float) -> NDArray[np.float32]:
    """1 between low and high, falling smoothly to 0 at `width` outside."""
    rest = np.maximum(np.float32(1) - _past(at, low, high, width) ** 2, np.float32(0))
    return np.asarray(rest * rest, np.float32)


def _past(at: NDArray[np.float32], low: float, high: float, unit: float) -> NDArray[np.float32]:
    """How far each value lies outside low..high, in units; 0 inside."""
    outside: NDArray[np.float32] = np.maximum(np.maximum(np.float32(low) - at, at - np.float32(high)), np.float32(0))
    outside /= np.float32(unit)
    return outside
