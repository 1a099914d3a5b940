"""A frame cut into cells, the smallest rectangles that hold whole samples of every plane.

A cell of 4:2:0 is 2x2 luma pixels; in an interlaced frame it is twice as high, so that it holds rows of both fields.
Covers are sets of cells: so luma and chroma are covered alike, whatever the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from anonymizer.pixels import PixelFormat
from anonymizer.types import Frame


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of cells, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def is_empty(self) -> bool:
        return self.left >= self.right or self.top >= self.bottom

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array of cells."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meets(self, other: Window) -> bool:
        """Whether the two overlap or share an edge."""
        return self.left <= other.right and other.left <= self.right and self.top <= other.bottom and other.top <= self.bottom

    def joined(self, other: Window) -> Window:
        """The smallest window around both."""
        return Window(min(self.left, other.left), min(self.top, other.top), max(self.right, other.right), max(self.bottom, other.bottom))

    def strips(self, cells: int) -> list[Window]:
        """The window in strips of whole rows with about so many cells each."""
        step = max(8, cells // max(1, self.right - self.left))
        return [Window(self.left, top, self.right, min(top + step, self.bottom)) for top in range(self.top, self.bottom, step)]


@dataclass(frozen=True, slots=True)
class Grid:
    """A frame of `size_wh` luma pixels in cells of `cell_wh`; the last column and row may stick out of the frame."""

    size_wh: tuple[int, int]
    cell_wh: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, pixels: PixelFormat) -> Grid:
        """The finest grid on which a cell has whole samples of every plane, and of both fields of an interlaced frame."""
        shift_w, shift_h = pixels.chroma_shift_wh
        return cls(frame.size_wh, (1 << shift_w, 1 << shift_h + frame.interlaced))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return -(-self.size_wh[1] // self.cell_wh[1]), -(-self.size_wh[0] // self.cell_wh[0])

    def around(self, left: float, top: float, right: float, bottom: float) -> Window:
        """The cells touched by a box in luma pixels, inside the frame; may be empty."""
        # Floor and ceil, never round: half a pixel of a face is still a face.
        (width, height), (rows, columns) = self.cell_wh, self.shape
        return Window(
            min(max(floor(left / width), 0), columns),
            min(max(floor(top / height), 0), rows),
            min(max(ceil(right / width), 0), columns),
            min(max(ceil(bottom / height), 0), rows),
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """How one plane lies on the grid, and which of a pixel's samples it holds.

    `samples` selects from a pixel's samples in plane order, alpha left out: a plane of alpha alone selects none.
    """

    index: int
    role: str  # "y", "u", "rgba", ...: one letter for every sample of the plane
    shift_wh: tuple[int, int]
    cell_wh: tuple[int, int]  # columns and rows of this plane in a cell
    size_wh: tuple[int, int]
    samples: slice

    def spanned_by(self, window: Window) -> tuple[slice, slice]:
        """Rows and columns of this plane in a window of cells; a cell that sticks out of the frame is cut."""
        width, height = self.cell_wh
        return (
            slice(window.top * height, min(window.bottom * height, self.size_wh[1])),
            slice(window.left * width, min(window.right * width, self.size_wh[0])),
        )


def sheets_of(grid: Grid, pixels: PixelFormat) -> tuple[Sheet, ...]:
    """One sheet for every plane of the format."""
    sheets, first = [], 0
    for index, role in enumerate(pixels.planes):
        shift_w, shift_h = pixels.shift_wh(index)
        count = len(role.replace("a", ""))
        cell_wh = (grid.cell_wh[0] >> shift_w, grid.cell_wh[1] >> shift_h)
        sheets.append(Sheet(index, role, (shift_w, shift_h), cell_wh, pixels.plane_wh(index, grid.size_wh), slice(first, first + count)))
        first += count
    return tuple(sheets)
