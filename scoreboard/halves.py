"""Thresholds set on one half of the sources and reported on the other, both ways round, so that every source is reported.

Scores of both halves are brought to one scale, on which the threshold that the other half set is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anonymizer.errors import ConfigError
from anonymizer.evaluation import LabelledPicture, LabelScores, Seen, score_label
from anonymizer.evaluation.figures import FALSE_BOX_RATES, thresholds_at
from anonymizer.evaluation.splits import split


@dataclass(frozen=True, slots=True)
class Halves:
    """One label's scores over all pictures, as they are and with each rate's thresholds at 1."""

    whole: LabelScores
    at_rate: Mapping[float, LabelScores]
    thresholds: Mapping[float, tuple[float, float]]  # of each rate, as the first and the second half set them


def halves_of(seen: Sequence[Seen], label: str) -> Halves:
    """Score both halves; ConfigError if one has no object-free pictures to set thresholds on."""
    # As if nothing else were marked: the halves are the same whatever else an entrant finds.
    alone = [replace(one, picture=_marked_for(one.picture, label)) for one in seen if label in one.picture.labelled]
    first, second = (score_label(half, label, matching=False) for half in split(alone, "source"))
    set_by_first, set_by_second = thresholds_at(first), thresholds_at(second)
    if not set_by_first or not set_by_second:
        raise ConfigError(f"{label}: a half of the data has no picture without one", hint="add object-free pictures to set thresholds on")
    return Halves(
        whole=joined(first, second),
        at_rate={rate: joined(scaled(first, set_by_second[rate]), scaled(second, set_by_first[rate])) for rate in FALSE_BOX_RATES},
        thresholds={rate: (set_by_first[rate], set_by_second[rate]) for rate in FALSE_BOX_RATES},
    )


def _marked_for(picture: LabelledPicture, label: str) -> LabelledPicture:
    return replace(picture, labelled=picture.labelled & {label}, free=picture.free & {label})


def scaled(scores: LabelScores, threshold: float) -> LabelScores:
    """The same with every score divided by the threshold; what reached it is at least 1, exactly."""
    return replace(scores, hidden=scores.hidden / threshold, false=scores.false / threshold, step_score=scores.step_score / threshold)


def joined(one: LabelScores, other: LabelScores) -> LabelScores:
    """Both over all their pictures."""
    areas = len(one.truth_px)
    return LabelScores(
        label=one.label,
        hidden=np.concatenate([one.hidden, other.hidden]),
        planned=np.concatenate([one.planned, other.planned]),
        picture=np.concatenate([one.picture, other.picture + one.pictures]),
        size_px=np.concatenate([one.size_px, other.size_px]),
        attributes=(*one.attributes, *other.attributes),
        ignored=one.ignored + other.ignored,
        pictures=one.pictures + other.pictures,
        free_pictures=one.free_pictures + other.free_pictures,
        false=np.concatenate([one.false, other.false]),
        false_picture=np.concatenate([one.false_picture, other.false_picture + one.free_pictures]),
        planned_false=np.concatenate([one.planned_false, other.planned_false]),
        truth_px=np.concatenate([one.truth_px, other.truth_px]),
        planned_px=np.concatenate([one.planned_px, other.planned_px]),
        step_score=np.concatenate([one.step_score, other.step_score]),
        step_px=np.concatenate([one.step_px, other.step_px]),
        step_picture=np.concatenate([one.step_picture, other.step_picture + areas]),
    )
