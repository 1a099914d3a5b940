"""Pictures made worse in known ways, to see what a detector loses by each: smaller, coarser, blurred, darker, tinted, lying on their side.

Each is one fixed amount, about what a poor camera or link does; sigmas and kernels are in pixels of the picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.truth import TrueBox
from anonymizer.geometry import Geometry
from anonymizer.media.recoding import recoded

Rgb = NDArray[np.uint8]

JPEG_QUALITY = 15
H264_CRF = 38
BLUR_SIGMA_PX = 2.0
NIGHT_GAIN, NIGHT_NOISE = 0.18, 6.0  # light left, and the standard deviation of the noise in grey levels
CAST_GAINS = (1.0, 0.72, 0.38)  # red, green, blue under sodium lamps
SMALL_SCALE = 0.33
TURNED = "turned"


def shrunk(rgb: Rgb, scale: float) -> Rgb:
    """The picture at a scale of its size, averaging areas; 1 leaves it as it is."""
    if scale == 1:
        return rgb
    size_wh = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(rgb: Rgb) -> Rgb:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def _h264(rgb: Rgb) -> Rgb:
    return recoded(rgb, H264_CRF)


def _blur(rgb: Rgb) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), BLUR_SIGMA_PX), np.uint8)


def _night(rgb: Rgb) -> Rgb:
    # Seeded by the picture itself: the same noise in every run, another in every picture.
    noise = np.random.default_rng(zlib.crc32(rgb.tobytes())).normal(0, NIGHT_NOISE, rgb.shape)
    return _as_levels(rgb.astype(np.float32) * NIGHT_GAIN + noise)


def _cast(rgb: Rgb) -> Rgb:
    return _as_levels(rgb.astype(np.float32) * CAST_GAINS)


def _small(rgb: Rgb) -> Rgb:
    return shrunk(rgb, SMALL_SCALE)


def _turned(rgb: Rgb) -> Rgb:
    return np.ascontiguousarray(_on_its_side((rgb.shape[1], rgb.shape[0])).upright(rgb))


def turned_truth(boxes: Sequence[TrueBox], size_wh: tuple[int, int]) -> tuple[tuple[TrueBox, ...], tuple[int, int]]:
    """The boxes of a picture of that size, and its size, after the shift `turned`, the one that moves them."""
    geometry = _on_its_side(size_wh)
    moved = geometry.to_displayed(np.array([box.xyxy for box in boxes], np.float32)).tolist()
    return tuple(replace(box, xyxy=tuple(xyxy)) for box, xyxy in zip(boxes, moved, strict=True)), geometry.displayed_wh


def _on_its_side(size_wh: tuple[int, int]) -> Geometry:
    return Geometry(size_wh, orientation=8)


def _as_levels(values: NDArray[Any]) -> Rgb:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


SHIFTS: Mapping[str, Callable[[Rgb], Rgb]] = {
    "jpeg": _jpeg,
    "h264": _h264,
    "blur": _blur,
    "night": _night,
    "cast": _cast,
    "small": _small,
    TURNED: _turned,
}
