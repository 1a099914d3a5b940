"""What a picture itself tells of an object: how dark it is, and how blurred."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.truth import Box

# Mean luma, 0 to 255.
_DARK_BELOW, _BRIGHT_FROM = 60.0, 190.0
# The share of an object's contrast that a blur of 1/16 of its shorter side takes away. Half of 235 labelled faces have
# more than 0.17; blurred by a Gaussian of 1/24 of their side they have 0.06, by 1/12 of it 0.03.
_SHARP_FROM, _BLURRED_BELOW = 0.10, 0.04
_SIDE_PX = 32  # objects are looked at in this size at most: so large ones are not sharp for having more pixels
_FEW_PX = 8  # smaller ones cannot be told


def measured_attributes(gray: NDArray[np.uint8], box: Box) -> Mapping[str, str]:
    """`light` (dark, normal, bright) and `blur` (sharp, soft, blurred) of a box of a picture's luma."""
    left, top, right, bottom = (round(edge) for edge in box)
    cut = gray[max(top, 0) : max(bottom, top + 1), max(left, 0) : max(right, left + 1)].astype(np.float32)
    if not cut.size:
        return {}
    mean = float(cut.mean())
    found = {"light": "dark" if mean < _DARK_BELOW else "bright" if mean >= _BRIGHT_FROM else "normal"}
    if min(cut.shape) >= _FEW_PX:
        scale = min(1.0, _SIDE_PX / min(cut.shape))
        small = cv2.resize(cut, (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))), interpolation=cv2.INTER_AREA)
        detail = small - cv2.GaussianBlur(small, (0, 0), max(0.6, min(small.shape) / 16))
        share = float(detail.var() / max(small.var(), 1.0))
        found["blur"] = "sharp" if share >= _SHARP_FROM else "blurred" if share < _BLURRED_BELOW else "soft"
    return found
