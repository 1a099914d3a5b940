"""From what was seen in labelled pictures to one label's raw scores, from which every figure follows.

For each true object the highest threshold at which it is hidden, for each object-free picture the scores of what was
found in it, for each picture how many pixels each cover adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.average_precision import Matching, matched
from anonymizer.evaluation.cover import covered_px, hidden_at, hidden_share_of, is_hidden, painted, score_of
from anonymizer.evaluation.looking import SCORE_FLOOR, Seen
from anonymizer.evaluation.truth import Box
from anonymizer.types import Region

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
# Where sizes are parted, in pixels of the picture looked at: heights, and widths of plates.
SIZE_EDGES_PX: Mapping[str, tuple[float, ...]] = {"plate": (0, 12, 24, 48, 96, 192, inf)}
SIZE_EDGES_OTHER_PX = (0, 12, 16, 24, 32, 64, inf)


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """One label over all pictures that are marked for it. Pictures are counted from 0, each kind for itself."""

    label: str
    hidden: Floats  # [objects]: the highest threshold at which the object is hidden, 0: none
    planned: NDArray[np.bool_]  # [objects]: hidden by what a run would seal
    picture: Counts  # [objects]: the picture it stands in
    size_px: Floats  # [objects]
    attributes: tuple[Mapping[str, str], ...]  # of each object
    ignored: int
    pictures: int  # with objects
    free_pictures: int
    false: Floats  # [boxes in object-free pictures]: their scores
    false_picture: Counts
    planned_false: Counts  # [object-free pictures]: covers that a run would seal
    truth_px: Counts  # [pictures whose areas count]
    planned_px: Counts
    step_score: Floats  # [covers in them]: score, pixels it adds, picture
    step_px: Counts
    step_picture: Counts
    matching: Matching | None = field(default=None)


def score_label(seen: Sequence[Seen], label: str, *, matching: bool = True) -> LabelScores:
    """One label's scores; `matching` also has pycocotools match boxes, for AP and recall."""
    marked = [one for one in seen if label in one.picture.labelled]
    holding = [one for one in marked if label not in one.picture.free and one.truth_of(label)]
    free = [one for one in marked if label in one.picture.free]
    share = hidden_share_of(label)
    hidden, planned, picture, size_px, attributes = [], [], [], [], []
    for number, one in enumerate(holding):
        covers = _of(one.covers, label)
        for box in one.truth_of(label):
            hidden.append(hidden_at(box.xyxy, covers, share))
            # A run seals what it seals: here any label's cover hides the object.
            planned.append(is_hidden(box.xyxy, one.planned, share))
            picture.append(number)
            size_px.append(size_of(label, box.xyxy))
            attributes.append({"source": one.picture.source, **box.attributes})
    false = [[score_of(cover) for cover in _of(one.covers, label)] for one in free]
    areas = [one for one in holding if not one.picture.misses_only]
    ignored = [[box.xyxy for box in one.truth_of(label, ignored=True)] for one in areas]
    steps = [painted(_of(one.covers, label), one.size_wh, out) for one, out in zip(areas, ignored, strict=True)]
    return LabelScores(
        label=label,
        hidden=np.array(hidden, np.float64),
        planned=np.array(planned, bool),
        picture=np.array(picture, np.int64),
        size_px=np.array(size_px, np.float64),
        attributes=tuple(attributes),
        ignored=sum(len(one.truth_of(label, ignored=True)) for one in marked),
        pictures=len(holding),
        free_pictures=len(free),
        false=np.array([score for scores in false for score in scores], np.float64),
        false_picture=np.array([number for number, scores in enumerate(false) for _ in scores], np.int64),
        planned_false=np.array([len(_of(one.planned, label)) for one in free], np.int64),
        truth_px=np.array([covered_px([box.xyxy for box in one.truth_of(label)], one.size_wh, out) for one, out in zip(areas, ignored, strict=True)], np.int64),
        planned_px=np.array(
            [sum(px for _, px in painted(_of(one.planned, label), one.size_wh, out)) for one, out in zip(areas, ignored, strict=True)], np.int64
        ),
        step_score=np.array([score for many in steps for score, _ in many], np.float64),
        step_px=np.array([px for many in steps for _, px in many], np.int64),
        step_picture=np.array([number for number, many in enumerate(steps) for _ in many], np.int64),
        # The order of objects is that of `hidden`: pictures without one add none.
        matching=matched(marked, label) if matching and holding else None,
    )


def threshold_for(false: Floats, pictures: int, rate: float, lowest: float = SCORE_FLOOR) -> float:
    """The lowest threshold, not below `lowest`, with at most `rate` false boxes in each of so many object-free pictures.

    >>> threshold_for(np.array([0.9, 0.5, 0.3]), 4, 0.25) > 0.5, threshold_for(np.array([0.9, 0.5, 0.3]), 4, 1.0)
    (True, 0.02)
    """
    allowed = int(rate * pictures + 1e-9)
    ordered = np.sort(false)[::-1]
    if len(ordered) <= allowed:
        return lowest
    return max(lowest, float(np.nextafter(ordered[allowed], inf)))


def size_of(label: str, box: Box) -> float:
    """The width of a plate, the height of everything else."""
    return box[2] - box[0] if label == "plate" else box[3] - box[1]


def size_edges_of(label: str) -> tuple[float, ...]:
    """Where the sizes of a label are parted."""
    return SIZE_EDGES_PX.get(label, SIZE_EDGES_OTHER_PX)


def _of(regions: Sequence[Region], label: str) -> list[Region]:
    return [region for region in regions if region.label == label]
