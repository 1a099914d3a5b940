"""From strictness to scores, through what was measured for each model.

A score means something else in every network and for every label. A model card therefore holds the score that is used
at normal strictness, chosen by measurement, and for some sizes of picture the share of right detections at each
score. Strictness multiplies the odds of being right that are asked for: the card says which score that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from anonymizer.errors import ConfigError

STRICTNESS_WORDS = {"relaxed": 0.25, "normal": 0.5, "strict": 0.75, "paranoid": 1.0}
# From strictness 0 to 1 the odds fall by this factor (with the first network from 0.1 to 1.5 false faces a picture), and
# from strong to weak by the other: weaker ones lie beside objects more often than on them, and would lead tracks astray.
_ODDS_RANGE = 8.0
_ODDS_OF_WEAK = 1 / 3
_WEAK_AT_MOST = 0.4  # of the strong score: where a map is steep, a third of the odds is hardly less of a score, and wide views' plates leak by 1 % more.
# Without a card: Ultralytics' customary 0.25 in the middle, and BYTE's second threshold (arXiv 2110.06864) below it.
_UNCALIBRATED = {0.0: (0.45, 0.20), 0.5: (0.25, 0.10), 1.0: (0.10, 0.04)}
_CERTAIN = 1e-3  # Shares of 0 and 1 are those of too few pictures; their odds would be none.

ScoreMap = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores of one label: from `strong` on a thing is covered whatever else is known, from `weak` on it continues a track."""

    strong: float
    weak: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a card says of one label.

    `normal_score` is used at normal strictness, `picture_score` in its place for pictures that stand alone, where no neighbour in time
    makes up for a miss (None: the same). `maps` are (score, share of right ones) by the picture's long side.
    """

    normal_score: float
    maps: Mapping[int, ScoreMap]
    picture_score: float | None = None

    def for_pictures(self) -> Calibration:
        """The same for pictures that stand alone."""
        return replace(self, normal_score=self.normal_score if self.picture_score is None else self.picture_score)

    def map_for(self, long_side: int) -> ScoreMap:
        """The map that was measured at the nearest size."""
        return self.maps[min(self.maps, key=lambda side: abs(math.log(side / long_side)))]


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


def thresholds_for(calibration: Calibration | None, strictness: float, long_side: int) -> Thresholds:
    """The two scores for one label of one model; None is a model nobody measured."""
    if calibration is None:
        at = sorted(_UNCALIBRATED)
        strong, weak = (float(np.interp(strictness, at, [_UNCALIBRATED[key][column] for key in at])) for column in (0, 1))
        return Thresholds(strong, weak)
    score_map = calibration.map_for(long_side)
    share = min(max(share_at(score_map, calibration.normal_score), _CERTAIN), 1 - _CERTAIN)
    odds = share / (1 - share) * _ODDS_RANGE ** (0.5 - strictness)
    # The shift between two points of the map, added to the chosen score: where the map is flat it moves nothing.
    centre = score_at(score_map, share)

    def moved(wanted: float) -> float:
        return float(np.clip(calibration.normal_score + score_at(score_map, wanted / (1 + wanted)) - centre, score_map[0][0], score_map[-1][0]))

    strong = moved(odds)
    return Thresholds(strong, min(_WEAK_AT_MOST * strong, moved(odds * _ODDS_OF_WEAK)))


def share_at(score_map: ScoreMap, score: float) -> float:
    """The share of right ones at a score, between the measured points and never beyond them."""
    scores, shares = np.asarray(score_map, np.float64).T
    return float(np.interp(score, scores, np.maximum.accumulate(shares)))


def score_at(score_map: ScoreMap, share: float) -> float:
    """The lowest score at which that share is right, between the measured points and never beyond them.

    >>> round(score_at(((0.1, 0.2), (0.3, 0.6), (0.5, 0.9)), 0.4), 3)
    0.2
    """
    scores, shares = np.asarray(score_map, np.float64).T
    # From noisy counts a curve that never falls, and of a flat stretch its first point.
    rising = np.maximum.accumulate(shares)
    first = np.concatenate([[True], rising[1:] > rising[:-1]])
    return float(np.interp(share, rising[first], scores[first]))
