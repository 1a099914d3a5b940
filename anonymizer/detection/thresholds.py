"""From strictness to scores, through what was measured for each model.

A score means something else in every network. A model card therefore holds, for each label, the share of detections
that were right at each score; strictness chooses a share, and the card says which score that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from anonymizer.errors import ConfigError

STRICTNESS_WORDS = {"relaxed": 0.25, "normal": 0.5, "strict": 0.75, "paranoid": 1.0}
# strictness -> (share of right ones from which a detection is strong, and from which it may continue a track).
_PRECISION = {0.0: (0.97, 0.80), 0.5: (0.85, 0.50), 1.0: (0.50, 0.20)}
# Without a map: Ultralytics' customary 0.25 in the middle, and BYTE's second threshold (arXiv 2110.06864) below it.
_UNCALIBRATED = {0.0: (0.45, 0.20), 0.5: (0.25, 0.10), 1.0: (0.10, 0.04)}

ScoreMap = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores of one label: from `strong` on a thing is covered whatever else is known, from `weak` on it continues a track."""

    strong: float
    weak: float


def strictness_of(text: str | float) -> float:
    """A strictness in 0..1 from a number or a word.

    >>> strictness_of("strict"), strictness_of("0.6"), strictness_of(1)
    (0.75, 0.6, 1.0)
    """
    try:
        value = STRICTNESS_WORDS[text] if isinstance(text, str) and text in STRICTNESS_WORDS else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(f"strictness '{text}' is neither a number from 0 to 1 nor a known word", hint="say one of " + ", ".join(STRICTNESS_WORDS))
    return value


def thresholds_for(score_map: ScoreMap, strictness: float) -> Thresholds:
    """The two scores for one label of one model; `score_map` may be empty (a model nobody measured)."""
    strong, weak = _between(_PRECISION if score_map else _UNCALIBRATED, strictness)
    if not score_map:
        return Thresholds(strong, weak)
    strong = score_at(score_map, strong)
    return Thresholds(strong, min(strong, score_at(score_map, weak)))


def loosest(several: Iterable[Thresholds]) -> Thresholds:
    """The lowest of each, for a label that more than one detector gives."""
    known = list(several)
    return Thresholds(min(one.strong for one in known), min(one.weak for one in known))


def score_at(score_map: ScoreMap, precision: float) -> float:
    """The lowest score from which on at least that share is right, between the measured points and never beyond them.

    >>> round(score_at(((0.1, 0.2), (0.3, 0.6), (0.5, 0.9)), 0.4), 3)
    0.2
    """
    scores, shares = np.asarray(score_map, np.float64).T
    # From noisy counts a curve that never falls: the share at a score is the best one at or below it.
    rising = np.maximum.accumulate(shares)
    first = np.concatenate([[True], rising[1:] > rising[:-1]])
    return float(np.interp(precision, rising[first], scores[first]))


def _between(table: Mapping[float, tuple[float, float]], strictness: float) -> tuple[float, float]:
    """A table's row at a strictness, between its own rows in a straight line."""
    at = sorted(table)
    strong, weak = (float(np.interp(strictness, at, [table[key][column] for key in at])) for column in (0, 1))
    return strong, weak
