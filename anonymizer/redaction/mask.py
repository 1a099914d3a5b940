"""Which pixels a decision covers: exact cores on the chroma grid, and the soft edge around them.

The frame is cut into *cells*, the smallest rectangles that hold whole samples of every plane (2x2 luma pixels for
4:2:0; twice as high for interlaced frames, so that a cell holds rows of both fields). A core is a set of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat
from anonymizer.types import Decision, Frame, Region

FEATHER_MIN_PX, FEATHER_MAX_PX = 2.0, 24.0
_TOUCH = 1 + 1e-9  # What touches within rounding is covered.


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of cells, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Window) -> bool:
        """Whether the two overlap or share an edge."""
        return self.left <= other.right and other.left <= self.right and self.top <= other.bottom and other.top <= self.bottom

    def joined(self, other: Window) -> Window:
        """The smallest window around both."""
        return Window(min(self.left, other.left), min(self.top, other.top), max(self.right, other.right), max(self.bottom, other.bottom))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array of cells."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True)
class Grid:
    """A frame of `size_wh` luma pixels in cells of `cell_wh`; the last column and row may stick out of the frame."""

    size_wh: tuple[int, int]
    cell_wh: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, pixels: PixelFormat) -> Grid:
        """The grid on which every plane of the frame has whole samples, of both fields where it is interlaced."""
        shift_w, shift_h = pixels.chroma_shift_wh
        return cls(frame.size_wh, (1 << shift_w, 1 << shift_h + frame.interlaced))

    @property
    def columns(self) -> int:
        return -(-self.size_wh[0] // self.cell_wh[0])

    @property
    def rows(self) -> int:
        return -(-self.size_wh[1] // self.cell_wh[1])

    def around(self, left: float, top: float, right: float, bottom: float) -> Window:
        """The cells touched by a box in luma pixels, inside the frame; may be empty."""
        # Floor and ceil, never round: half a pixel of a face is still a face.
        (width, height), columns, rows = self.cell_wh, self.columns, self.rows
        return Window(
            min(max(floor(left / width), 0), columns),
            min(max(floor(top / height), 0), rows),
            min(max(ceil(right / width), 0), columns),
            min(max(ceil(bottom / height), 0), rows),
        )


@dataclass(frozen=True, slots=True)
class Soft:
    """One region with its core grown by `grow_wh` (rounding to cells, spread) and faded over `feather_px` outside."""

    region: Region
    grow_wh: tuple[float, float]
    feather_px: float

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The box that the soft edge reaches."""
        left, top, right, bottom = self.region.xyxy
        grow_w, grow_h = self.grow_wh[0] + self.feather_px, self.grow_wh[1] + self.feather_px
        return left - grow_w, top - grow_h, right + grow_w, bottom + grow_h

    def strength(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much of the fill shows, 0..1, at columns `x` and rows `y` of luma pixels: 1 on the core, 0 outside `xyxy`."""
        left, top, right, bottom = self.region.xyxy
        if self.region.shape == "box":
            across = _past(x, left - self.grow_wh[0], right + self.grow_wh[0]) / np.float32(self.feather_px)
            down = _past(y, top - self.grow_wh[1], bottom + self.grow_wh[1]) / np.float32(self.feather_px)
            rest = np.add.outer(down * down, across * across)
            np.subtract(np.float32(1), rest, out=rest)
            np.maximum(rest, np.float32(0), out=rest)
            return np.multiply(rest, rest, out=rest)
        inner_w, inner_h = (right - left) / 2 + self.grow_wh[0], (bottom - top) / 2 + self.grow_wh[1]
        outer_w, outer_h = inner_w + self.feather_px, inner_h + self.feather_px
        # Fading starts at one radius in units of the outer ellipse, the larger of two: nowhere inside the inner ellipse.
        start = max(inner_w / outer_w, inner_h / outer_h) ** 2
        scale = (1 - start) ** -0.5
        across = (x - np.float32((left + right) / 2)) * np.float32(scale / outer_w)
        down = (y - np.float32((top + bottom) / 2)) * np.float32(scale / outer_h)
        fade = np.add.outer(down * down - np.float32(start * scale * scale), across * across)
        np.clip(fade, np.float32(0), np.float32(1), out=fade)
        return _smooth(fade)


@dataclass(frozen=True, slots=True)
class Patch:
    """Regions that touch each other, sealed as one: `window` holds their cores and soft edges."""

    soft: tuple[Soft, ...]
    window: Window

    @property
    def sides_px(self) -> list[float]:
        """The shorter side of each region."""
        return [min(right - left, bottom - top) for left, top, right, bottom in (each.region.xyxy for each in self.soft)]


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """All that one decision covers in one frame: `core` is 1 at covered cells, uint8 [rows, columns]."""

    grid: Grid
    core: NDArray[np.uint8]
    patches: tuple[Patch, ...]

    def core_at(self, window: Window, shift_wh: tuple[int, int], plane_wh: tuple[int, int]) -> NDArray[np.uint8]:
        """The core in the samples of a plane, 1 where covered, in the rectangle `plane_window` gives."""
        cells = self.core[window.slices]
        across, down = self.grid.cell_wh[0] >> shift_wh[0], self.grid.cell_wh[1] >> shift_wh[1]
        rows, columns = self.plane_window(window, shift_wh, plane_wh)
        if (across, down) != (1, 1):
            cells = np.asarray(cv2.resize(cells, None, fx=across, fy=down, interpolation=cv2.INTER_NEAREST), np.uint8)
        return cells[: rows.stop - rows.start, : columns.stop - columns.start]

    def plane_window(self, window: Window, shift_wh: tuple[int, int], plane_wh: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a plane that a window of cells spans."""
        across, down = self.grid.cell_wh[0] >> shift_wh[0], self.grid.cell_wh[1] >> shift_wh[1]
        return (
            slice(window.top * down, min(window.bottom * down, plane_wh[1])),
            slice(window.left * across, min(window.right * across, plane_wh[0])),
        )

    def strength_at(self, patch: Patch, shift_wh: tuple[int, int], plane_wh: tuple[int, int]) -> NDArray[np.float32]:
        """How much of the fill shows at each sample of a plane in the patch's window; exactly 1 on the core."""
        rows, columns = self.plane_window(patch.window, shift_wh, plane_wh)
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5)) * np.float32(1 << shift_wh[0])
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5)) * np.float32(1 << shift_wh[1])
        strength = patch.soft[0].strength(x, y)
        for soft in patch.soft[1:]:
            np.maximum(strength, soft.strength(x, y), out=strength)
        np.maximum(strength, self.core_at(patch.window, shift_wh, plane_wh), out=strength)
        return strength


def cover_of(frame: Frame, pixels: PixelFormat, decision: Decision, feather: float) -> Cover:
    """The cover of a frame; `feather` is the width of soft edges as a share of the region's shorter side."""
    grid = Grid.of(frame, pixels)
    core = np.zeros((grid.rows, grid.columns), np.uint8)
    patches: list[Patch] = []
    for region in decision.regions:
        if not _cover_core(core, grid, region, frame.spread_px):
            continue
        left, top, right, bottom = region.xyxy
        feather_px = min(max(feather * min(right - left, bottom - top), FEATHER_MIN_PX), FEATHER_MAX_PX)
        soft = Soft(region, (grid.cell_wh[0] + frame.spread_px, grid.cell_wh[1] + frame.spread_px), feather_px)
        patch = Patch((soft,), grid.around(*soft.xyxy))
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
    if window.left >= window.right or window.top >= window.bottom:
        return False
    if region.shape == "box":
        core[window.slices] = 1
        return True
    # A cell is touched if its point nearest to the centre lies in the ellipse; growing the cell grows the core.
    x = np.arange(window.left, window.right) * grid.cell_wh[0] - spread_px - (left + right) / 2
    y = np.arange(window.top, window.bottom) * grid.cell_wh[1] - spread_px - (top + bottom) / 2
    across = np.maximum(np.maximum(x, -x - (grid.cell_wh[0] + 2 * spread_px)), 0) / ((right - left) / 2)
    down = np.maximum(np.maximum(y, -y - (grid.cell_wh[1] + 2 * spread_px)), 0) / ((bottom - top) / 2)
    touched = np.add.outer(down * down, across * across) <= _TOUCH
    np.bitwise_or(core[window.slices], touched, out=core[window.slices])
    return bool(touched.any())


def _past(at: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """How far each value lies outside low..high; 0 inside."""
    outside: NDArray[np.float32] = np.maximum(np.maximum(np.float32(low) - at, at - np.float32(high)), np.float32(0))
    return outside


def _smooth(fade: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 at 0, 0 at 1, flat at both ends; in place."""
    rest = np.float32(1) - fade
    fade += fade
    fade += np.float32(1)
    fade *= rest
    fade *= rest
    return fade
