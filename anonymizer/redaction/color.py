"""A colour people name as RGB, as the sample values of a frame's own pixel format."""

from __future__ import annotations

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
_FULL_RANGE = 2
_HD_ROWS = 720  # Untagged video is BT.601 below and BT.709 from here on, as players take it.


def color_samples(pixels: PixelFormat) -> str:
    """One letter for every sample of a pixel in plane order, alpha left out: "yuv", "gbr", "bgr", "y"."""
    return "".join(pixels.planes).replace("a", "")


def samples_of(rgb: NDArray[np.float32], pixels: PixelFormat, color: Color, rows: int) -> NDArray[np.float32]:
    """RGB of 0..255 in the last axis as the frame's samples, in the order of `color_samples`."""
    order = color_samples(pixels)
    peak = float((1 << pixels.bits) - 1)
    unit = np.asarray(rgb, np.float32) / np.float32(255)
    if "y" not in order:
        return np.ascontiguousarray(unit[..., ["rgb".index(letter) for letter in order]] * np.float32(peak))
    red, blue = _LUMA_SHARES.get(color.matrix, _LUMA_SHARES[1] if rows >= _HD_ROWS else _LUMA_SHARES[6])
    luma = unit[..., 0] * red + unit[..., 1] * (1 - red - blue) + unit[..., 2] * blue
    parts = [luma, (unit[..., 2] - luma) / (2 * (1 - blue)), (unit[..., 0] - luma) / (2 * (1 - red))]
    # Gray and yuvj formats are full range unless tagged otherwise, as libswscale takes them.
    untagged_full = order == "y" or "yuvj" in pixels.name
    if color.range == _FULL_RANGE or (color.range == 0 and untagged_full):
        scales, offsets = (peak, peak, peak), (0.0, (peak + 1) / 2, (peak + 1) / 2)
    else:
        step = float(1 << (pixels.bits - 8))
        scales, offsets = (219 * step, 224 * step, 224 * step), (16 * step, 128 * step, 128 * step)
    samples = [part * scale + offset for part, scale, offset in zip(parts, scales, offsets, strict=True)][: len(order)]
    return np.stack(samples, axis=-1).clip(0, peak).astype(np.float32)
