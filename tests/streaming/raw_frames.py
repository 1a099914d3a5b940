"""Raw frames for tests of the window and the ring."""

from __future__ import annotations

from typing import Any

import numpy as np

from anonymizer.geometry import Geometry
from anonymizer.streaming.ring import RawFrame
from anonymizer.types import Color

SIZE_WH = (128, 72)
STEP_S = 0.04


def raw_frame(index: int, *, size_wh: tuple[int, int] = SIZE_WH, grey: int = 100, **values: Any) -> RawFrame:
    """A frame of one texture that lies where `grey` moves it, come at its own time."""
    width, height = size_wh
    rows, columns = np.mgrid[0:height, 0:width]
    luma = (grey + 40 * np.sin(columns / 9) + 20 * np.sin(rows / 7)).clip(16, 235).astype(np.uint8)
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    made: dict[str, Any] = {
        "epoch": 1,
        "index": index,
        "arrival_s": index * STEP_S,
        "source_s": index * STEP_S,
        "late_s": 0.0,
        "damaged": False,
        "interlaced": False,
        "spread_px": 0,
        "geometry": Geometry(size_wh),
        "frame_rate": 1 / STEP_S,
        "color": Color(),
        "planes": (luma, chroma, chroma.copy()),
    }
    return RawFrame(**(made | values))
