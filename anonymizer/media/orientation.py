"""Display matrices: how a container says that a picture is turned or mirrored, as an Exif orientation.

A display matrix is nine int32 (libavutil/display.h): columns (a c / b d) in 16.16 fixed point map coded points to
displayed ones. Phones write the eight matrices of quarter turns and mirrors; anything else counts as the nearest.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_ONE = 1 << 16
# Exif orientation -> (a, b, c, d): displayed x = a * x + c * y, displayed y = b * x + d * y.
_ABCD = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


# The same as H.264's display orientation SEI: degrees anticlockwise, then a flip (FFmpeg's h264_metadata filter).
_SEI = {2: (0, "horizontal"), 3: (180, ""), 4: (0, "vertical"), 5: (90, "horizontal"), 6: (270, ""), 7: (90, "vertical"), 8: (90, "")}


def sei_filter(orientation: int) -> str:
    """The bit stream filter that writes an orientation other than 1 into an H.264 stream."""
    degrees, flip = _SEI[orientation]
    return f"h264_metadata=display_orientation=insert:rotate={degrees}" + (f":flip={flip}" if flip else "")


def orientation_of(matrix: Sequence[int]) -> int:
    """The Exif orientation nearest to a display matrix.

    >>> orientation_of(display_matrix(6))
    6
    """
    a, b, c, d = (matrix[i] / _ONE for i in (0, 1, 3, 4))
    return max(_ABCD, key=lambda o: sum(x * y for x, y in zip(_ABCD[o], (a, b, c, d), strict=True)))


def display_matrix(orientation: int) -> tuple[int, ...]:
    """The display matrix of an Exif orientation, without translation."""
    a, b, c, d = (_ONE * value for value in _ABCD[orientation])
    return (a, b, 0, c, d, 0, 0, 0, 1 << 30)


def parse_display_matrix(data: bytes) -> tuple[int, ...]:
    """The nine numbers of FFmpeg's DISPLAYMATRIX side data."""
    return struct.unpack("=9i", data[:36])
