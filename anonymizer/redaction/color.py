"""A colour people name as RGB, as the sample values of a frame's own pixel format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat
from anonymizer.types import Color

NEUTRAL_RGB = (40, 40, 40)  # Dark, so that it neither glares nor looks like a broken picture.

# FFmpeg's matrix number -> (red's, blue's) share of luma: ITU-R BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020 twice.
_LUMA_SHARES = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG
_HD_ROWS = 720  # Untagged video is BT.601 below and BT.709 from here on, as players take it.


@dataclass(frozen=True, slots=True)
class Palette:
    """What a frame's sample values mean."""

    pixels: PixelFormat
    color: Color
    rows: int

    @property
    def opaque(self) -> int:
        """The largest sample value."""
        return (1 << self.pixels.bits) - 1

    def samples(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """RGB of 0..255 in the last axis as samples of a pixel in plane order, alpha left out."""
        order = "".join(self.pixels.planes).replace("a", "")
        unit = np.asarray(rgb, np.float32) / np.float32(255)
        if "y" not in order:
            return np.ascontiguousarray(unit[..., ["rgb".index(letter) for letter in order]] * np.float32(self.opaque))
        red, blue = _LUMA_SHARES.get(self.color.matrix, _LUMA_SHARES[1] if self.rows >= _HD_ROWS else _LUMA_SHARES[6])
        luma = unit[..., 0] * red + unit[..., 1] * (1 - red - blue) + unit[..., 2] * blue
        parts = (luma, (unit[..., 2] - luma) / (2 * (1 - blue)), (unit[..., 0] - luma) / (2 * (1 - red)))
        step = 2.0 ** (self.pixels.bits - 8)
        y_scale, uv_scale, black = (self.opaque, self.opaque, 0) if self._is_full_range else (219 * step, 224 * step, 16 * step)
        scaled = (parts[0] * y_scale + black, parts[1] * uv_scale + 128 * step, parts[2] * uv_scale + 128 * step)
        samples = np.stack(scaled[: len(order)], axis=-1)
        return samples.clip(0, self.opaque).astype(np.float32)

    @property
    def _is_full_range(self) -> bool:
        # As libswscale takes them: yuvj formats whatever the tag says, gray where there is none.
        name, tag = self.pixels.name, self.color.range
        return tag == _FULL_RANGE or name.startswith(("yuvj", "yuvaj")) or (tag == 0 and name.startswith("gray"))
