"""Which pixels a decision covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anonymizer.types import Region


def cover_mask(regions: Sequence[Region], size_wh: tuple[int, int]) -> np.ndarray:
    """Which pixels the regions cover at full strength, bool [H, W]."""
    mask = np.zeros(size_wh[::-1], bool)
    for region in regions:
        left, top, right, bottom = region.xyxy
        window = slice(max(0, int(top)), int(bottom) + 1), slice(max(0, int(left)), int(right) + 1)
        rows, columns = np.ogrid[window[0].start : min(window[0].stop, size_wh[1]), window[1].start : min(window[1].stop, size_wh[0])]
        across, down = (columns + 0.5 - (left + right) / 2) / (right - left) * 2, (rows + 0.5 - (top + bottom) / 2) / (bottom - top) * 2
        mask[window] |= across**2 + down**2 <= 1 if region.shape == "ellipse" else np.maximum(abs(across), abs(down)) <= 1
    return mask
