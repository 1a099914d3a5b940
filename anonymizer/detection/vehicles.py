"""Unsure plates are believed by what is around them: more in a vehicle, less beside the road.

A plate in a dark recess between tail lamps, or of the colour of its lorry, has the score of a lamp or a sign. But a vehicle has a plate, and lamps and
signs stand outside of it. Vehicles are found whole, by the network that finds people for `heads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.doubt import SURE
from anonymizer.detection.nms import middles_in
from anonymizer.detection.tiling import longer_sides
from anonymizer.types import Detections

LABEL = "vehicle"
_PLATE = "plate"
_BELOW = 0.3  # of a vehicle's height, from its top: a plate is no higher, a window is
_WIDTHS = (0.08, 0.4)  # of a vehicle's: of lorries, of motorcycles
_CUT_WITHIN = 0.5  # of a plate's longer side

Factors = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class VehicleTrust:
    """How far vehicles speak for plates; factors go by the plate's longer side as a share of the picture's, in straight lines between those named."""

    vehicle_score: float  # from which one counts
    inside: Factors  # of the score, before any doubt, of an unsure plate in a vehicle
    outside: Factors  # of an unsure one's that is no vehicle's
    rivals_below: float = 0.0  # a vehicle speaks for its likeliest plate; for all of them where none reaches this score

    @property
    def most(self) -> float:
        """The most that a score can grow."""
        return max(factor for _, factor in self.inside)


# Chosen on panning clips for what is left to be read at the same area. Smaller plates are not helped: wide views are full of small vehicles, and what
# passes for their plates takes more picture than there are plates. Larger ones are hardly ever missed, and those that fill a tenth of the picture hide
# the vehicle that they are on.
_USUAL = VehicleTrust(0.35, inside=((0.031, 1.0), (0.036, 4.0), (0.0435, 4.0), (0.048, 1.0)), outside=((0.024, 0.96), (0.031, 0.45), (0.06, 0.45), (0.1, 1.0)))
_WARY = VehicleTrust(0.3, inside=((0.015, 5.0), (0.05, 5.0), (0.1, 1.0)), outside=((0.0, 1.0),), rivals_below=0.5)


def vehicle_trust(strictness: float, *, is_wary: bool = False) -> VehicleTrust:
    """How far vehicles speak for plates at a strictness of 0..1: from the middle on they speak less and less against any, at 1 not at all.

    >>> [vehicle_trust(strictness).outside[1][1] for strictness in (0.0, 0.5, 1.0)]
    [0.45, 0.45, 1.0]
    """
    trust, ease = _WARY if is_wary else _USUAL, max(0.0, 2 * strictness - 1)
    return replace(trust, outside=tuple((at, factor + (1 - factor) * ease) for at, factor in trust.outside))


def unsure_plates(seen: Detections) -> NDArray[np.bool_]:
    """Which boxes are plates whose score leaves something to ask."""
    return np.asarray((seen.label == _PLATE) & (seen.score < SURE), np.bool_)


def weighed(seen: Detections, doubted: NDArray[np.float32], vehicles: Detections, size_wh: tuple[int, int], trust: VehicleTrust) -> Detections:
    """The same boxes of a picture of that size, with `doubted` scores [N], but for unsure plates, which `vehicles` speak for or against.

    >>> seen = Detections.of([[50, 60, 60, 64], [50, 8, 60, 12]], [0.1, 0.3], "plate")
    >>> [round(score, 2) for score in weighed(seen, seen.score, Detections.of([[20, 20, 90, 80]], [0.9], LABEL), (250, 150), vehicle_trust(0.5)).score.tolist()]
    [0.4, 0.14]
    """
    own = own_plates(vehicles.xyxy[vehicles.score >= trust.vehicle_score], seen)
    likeliest = np.where(own, seen.score, 0).max(axis=1, initial=0)[:, None]
    spoken_for = (own & ((seen.score >= likeliest) | (likeliest < trust.rivals_below))).any(axis=0)
    share, unsure = longer_sides(seen) / max(size_wh), unsure_plates(seen)
    gain = _at(share, trust.inside)
    gained = np.maximum(doubted, np.minimum(seen.score * gain, SURE))
    less = doubted * _at(share, trust.outside)
    outside = ~own.any(axis=0) & ~_at_the_edge(seen, size_wh)
    score = np.where(unsure & spoken_for & (gain > 1), gained, np.where(unsure & outside, less, doubted))
    return Detections(seen.xyxy, score.astype(np.float32), seen.label)


def own_plates(vehicles: NDArray[np.float32], seen: Detections) -> NDArray[np.bool_]:
    """Which plates may be those of which vehicles [V, 4], by place and width: [V, N]."""
    lower = vehicles.copy()
    lower[:, 1] += _BELOW * (vehicles[:, 3] - vehicles[:, 1])
    width = (seen.xyxy[:, 2] - seen.xyxy[:, 0])[None] / np.maximum(vehicles[:, 2] - vehicles[:, 0], 1e-6)[:, None]
    return np.asarray(middles_in(lower, seen.xyxy) & (width > _WIDTHS[0]) & (width < _WIDTHS[1]) & (seen.label == _PLATE), np.bool_)


def _at_the_edge(seen: Detections, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Which boxes are so near the picture's edge that it may have cut the vehicle which would speak for them."""
    room = np.concatenate([seen.xyxy[:, :2], np.asarray(size_wh, np.float32) - seen.xyxy[:, 2:]], axis=1).min(axis=1)
    return np.asarray(room < _CUT_WITHIN * longer_sides(seen), np.bool_)


def _at(share: NDArray[np.floating[Any]], factors: Factors) -> NDArray[np.float64]:
    named, values = zip(*factors, strict=True)
    return np.asarray(np.interp(share, named, values), np.float64)
