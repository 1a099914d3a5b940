"""How much of an object a plan hides, and how much of a picture: arithmetic on regions and boxes.

Regions count as they are decided: the ellipse or box itself, whose corners may stay bare. A seal only adds to that, up to
whole chroma samples and its soft edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.truth import Box
from anonymizer.types import Region

# An object is hidden when so much of its box is: a face is known by less than its box, a plate is read to its last sign.
HIDDEN_SHARE: Mapping[str, float] = {"face": 0.70, "head": 0.70}
HIDDEN_SHARE_OTHER = 0.90
_GRID = 40  # points each way at which a box is probed
_ROUNDING = 1e-9
ALWAYS = np.inf  # the score of a zone: no threshold leaves it out


def hidden_share_of(label: str) -> float:
    """The share of its box from which on an object of that label is hidden."""
    return HIDDEN_SHARE.get(label, HIDDEN_SHARE_OTHER)


def score_of(region: Region) -> float:
    """The score that a threshold compares."""
    return ALWAYS if region.score is None else region.score


def by_score(regions: Sequence[Region]) -> list[Region]:
    """The best first."""
    return sorted(regions, key=score_of, reverse=True)


def hidden_at(box: Box, regions: Sequence[Region], share: float) -> float:
    """The highest threshold at which `regions` hide that share of the box; 0 if none does.

    >>> face = Region("face", "ellipse", (0, 0, 10, 10), score=0.6)
    >>> hidden_at((0, 0, 10, 10), [face], 0.7), hidden_at((0, 0, 10, 10), [face], 0.9)
    (0.6, 0.0)
    """
    left, top, right, bottom = box
    x = left + (np.arange(_GRID) + 0.5) * (right - left) / _GRID
    y = top + (np.arange(_GRID) + 0.5) * (bottom - top) / _GRID
    seen = np.zeros((_GRID, _GRID), bool)
    for region in by_score(regions):
        if region.shape != "frame" and not _meet(region.xyxy, box):
            continue
        seen |= _inside(region, x, y)
        if seen.mean() >= share - _ROUNDING:
            return score_of(region)
    return 0.0


def is_hidden(box: Box, regions: Sequence[Region], share: float) -> bool:
    """Whether all of the regions together hide that share of the box."""
    return hidden_at(box, regions, share) > 0


def painted(regions: Sequence[Region], size_wh: tuple[int, int], left_out: Sequence[Box] = ()) -> list[tuple[float, int]]:
    """For each region, best first, its score and how many pixels it covers that no better one does.

    Pixels of the `left_out` boxes do not count. A pixel is covered if its middle is.
    """
    width, height = size_wh
    done = np.zeros((height, width), bool)
    for box in left_out:
        columns, rows = _pixels(box, size_wh)
        done[rows, columns] = True
    steps = []
    for region in by_score(regions):
        columns, rows = _pixels((0, 0, width, height) if region.shape == "frame" else region.xyxy, size_wh)
        x, y = (np.arange(span.start, span.stop) + 0.5 for span in (columns, rows))
        fresh = _inside(region, x, y) & ~done[rows, columns]
        done[rows, columns] |= fresh
        steps.append((score_of(region), int(np.count_nonzero(fresh))))
    return steps


def covered_px(boxes: Sequence[Box], size_wh: tuple[int, int], left_out: Sequence[Box] = ()) -> int:
    """How many pixels some boxes cover together."""
    return sum(count for _, count in painted([Region("truth", "box", box) for box in boxes], size_wh, left_out))


def _inside(region: Region, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a raster lie in the region, [rows, columns]."""
    if region.shape == "frame":
        return np.ones((len(y), len(x)), bool)
    left, top, right, bottom = region.xyxy
    if region.shape == "box":
        return np.logical_and.outer((y >= top) & (y <= bottom), (x >= left) & (x <= right))
    across = (x - (left + right) / 2) / ((right - left) / 2)
    down = (y - (top + bottom) / 2) / ((bottom - top) / 2)
    return np.asarray(np.add.outer(down * down, across * across) <= 1 + _ROUNDING)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _pixels(box: Box, size_wh: tuple[int, int]) -> tuple[slice, slice]:
    """Columns and rows of the pixels that a box touches."""
    left, top, right, bottom = box
    first_x, first_y = max(floor(left), 0), max(floor(top), 0)
    return slice(first_x, max(min(ceil(right), size_wh[0]), first_x)), slice(first_y, max(min(ceil(bottom), size_wh[1]), first_y))
