"""How far a figure could be off by chance: 95 % intervals.

Objects of one picture, and frames of one clip, are no independent trials. So whole pictures (or clips) are drawn again,
with replacement, and the middle 95 % of a thousand such draws is the interval: the percentile bootstrap (Efron 1979).
Where every draw would give the same, 0 or 100 %, Wilson's interval (1927) for as many trials as there are pictures
stands instead; where all pictures have the same number of false boxes, Poisson's for their sum.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
SEED = 0
_Z = 1.959964  # the normal distribution's 97.5 % point
ABOUT = (
    f"95 %: percentile bootstrap over pictures (clips), {DRAWS} draws, seed {SEED}; Wilson over pictures where all or none are right, "
    "Poisson where each has the same number of false boxes"
)


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Wilson's interval for a share of independent trials.

    >>> [round(edge, 3) for edge in wilson(1.0, 10)]
    [0.722, 1.0]
    """
    middle = share + _Z**2 / (2 * trials)
    spread = _Z * np.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    low, high = (float((middle + sign * spread) / (1 + _Z**2 / trials)) for sign in (-1, 1))
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def ratio_interval(top: NDArray[Any], bottom: NDArray[Any]) -> tuple[float, float]:
    """The interval of sum(top) / sum(bottom), one entry a picture, `bottom` positive in sum."""
    drawn = _weights(len(top)) @ np.stack([top, bottom], axis=1).astype(np.float64)
    ratios = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(ratios[:, 0] / ratios[:, 1], [2.5, 97.5])
    point = float(np.sum(top) / np.sum(bottom))
    return min(float(low), point), max(float(high), point)


def share_interval(right: NDArray[Any], picture: NDArray[Any]) -> tuple[float, float]:
    """The interval of the share of right objects, which stand in the `picture` of the same place."""
    _, group = np.unique(picture, return_inverse=True)
    counts, hits = np.bincount(group), np.bincount(group, weights=np.asarray(right, np.float64))
    point = float(hits.sum() / counts.sum())
    if np.ptp(hits / counts) == 0:  # Pictures that are alike draw the same share each time: an interval of no width.
        return wilson(point, len(counts))
    low, high = ratio_interval(hits, counts)
    return max(0.0, low), min(1.0, high)


def rate_interval(counts: NDArray[Any]) -> tuple[float, float]:
    """The interval of the mean count of pictures.

    >>> [round(edge, 2) for edge in rate_interval(np.zeros(10))]
    [0.0, 0.37]
    """
    if np.any(counts != counts[0]):
        return ratio_interval(counts, np.ones(len(counts)))
    total = float(np.sum(counts))
    return (_poisson_edge(total, -_Z) if total else 0.0) / len(counts), _poisson_edge(total + 1, _Z) / len(counts)


def _poisson_edge(count: float, z: float) -> float:
    """Where a Poisson interval ends, by the approximation of Wilson and Hilferty (1931)."""
    return count * max(0.0, 1 - 1 / (9 * count) + z / (3 * math.sqrt(count))) ** 3


@lru_cache(maxsize=64)
def _weights(count: int) -> NDArray[np.float64]:
    """How often each of `count` pictures is drawn, [DRAWS, count]."""
    return np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
