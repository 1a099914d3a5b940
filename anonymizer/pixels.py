"""Pixel formats: which planes a frame has, how coarse their grid is, how deep their samples are.

Only formats in which every sample is a whole uint8 or little-endian uint16 of its own are *workable*: a seal can
write them exactly. The reader converts anything else (packed 4:2:2, palettes, bit streams, big-endian) before a
frame is made. Names are FFmpeg's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_PLANAR_YUV = re.compile(r"yuv(?P<alpha>a?)(?P<jpeg>j?)(?P<sub>444|440|422|420|411|410)p(?P<bits>9|10|12|14|16)?(?P<le>le)?")
_PLANAR_RGB = re.compile(r"gbr(?P<alpha>a?)p(?P<bits>9|10|12|14|16)?(?P<le>le)?")
_GRAY = re.compile(r"gray(?P<bits>9|10|12|14|16)?(?P<le>le)?")
_SHIFTS = {"444": (0, 0), "440": (0, 1), "422": (1, 0), "420": (1, 1), "411": (2, 0), "410": (2, 2)}
_PACKED = {"rgb24": ("rgb", 8), "bgr24": ("bgr", 8), "rgba": ("rgba", 8), "bgra": ("bgra", 8), "rgb48le": ("rgb", 16), "rgba64le": ("rgba", 16)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """One workable format.

    `planes` names the role of every sample of every plane: ("y", "u", "v") has one sample a cell in three planes,
    ("rgb",) three samples a cell in one plane. `chroma_shift_wh` is log2 of the luma samples a chroma sample spans.
    """

    name: str
    planes: tuple[str, ...]
    bits: int
    chroma_shift_wh: tuple[int, int] = (0, 0)

    @property
    def bytes_per_sample(self) -> int:
        return 1 if self.bits <= 8 else 2

    @property
    def has_alpha(self) -> bool:
        return self.planes[-1].endswith("a")

    def shift_wh(self, plane: int) -> tuple[int, int]:
        """log2 of the luma columns and rows that one sample of `plane` spans."""
        return self.chroma_shift_wh if self.planes[plane] in ("u", "v") else (0, 0)

    def plane_wh(self, plane: int, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Columns and rows of `plane` in a frame of `size_wh`; odd sizes are rounded up, as FFmpeg does."""
        shift_w, shift_h = self.shift_wh(plane)
        return -(-size_wh[0] >> shift_w), -(-size_wh[1] >> shift_h)


@cache
def pixel_format(name: str) -> PixelFormat | None:
    """The workable format of that FFmpeg name, or None: such a frame must be converted first."""
    if found := _PLANAR_YUV.fullmatch(name):
        if not _sample_size_fits(found):
            return None
        planes = ("y", "u", "v", "a") if found["alpha"] else ("y", "u", "v")
        return PixelFormat(name, planes, int(found["bits"] or 8), _SHIFTS[found["sub"]])
    if found := _PLANAR_RGB.fullmatch(name):
        planes = ("g", "b", "r", "a") if found["alpha"] else ("g", "b", "r")
        return PixelFormat(name, planes, int(found["bits"] or 8)) if _sample_size_fits(found) else None
    if found := _GRAY.fullmatch(name):
        return PixelFormat(name, ("y",), int(found["bits"] or 8)) if _sample_size_fits(found) else None
    if name in _PACKED:
        return PixelFormat(name, (_PACKED[name][0],), _PACKED[name][1])
    return None


def _sample_size_fits(found: re.Match[str]) -> bool:
    """Deep samples must say their byte order ("le"), 8-bit ones have none."""
    return bool(found["bits"]) == bool(found["le"])
