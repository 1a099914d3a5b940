"""A second, small look at what may be a large face: the real ones are seen in it, wheels and windows are not.

A face of an eighth of the picture and more is some 40 px high in a picture of 320 px, which networks are sure of (of thirty faces that fill
40 to 110 % of the height all but one had 0.36 and more); of what is taken for one in a larger picture hardly anything looks like one there.
On panning clips of traffic half as much picture more than the truth is lost as without.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.nms import areas, fused, intersections
from anonymizer.detection.tiling import FACES, SURE, View, coarse_scale, longer_sides
from anonymizer.types import Detections

_FROM = 0.12  # of the picture's longer side
_SMALL = 0.5  # of the coarse look
_SAME_IOU = 0.4
_SEEN = (0.05, 0.3)  # A score up to the first confirms nothing, one from the second on all.
_UNSEEN = 0.4  # what a score counts that nothing confirms

Look = Callable[[NDArray[np.uint8]], Detections]


def confirmed(seen: Detections, rgb: NDArray[np.uint8], coarse_side: int | None, look: Look) -> Detections:
    """The same boxes of a picture: large faces that are not sure have the small look's score if it is higher, and less if it does not see them.

    `look` finds boxes in a smaller picture, in its pixels; it is asked only where there is such a face.
    """
    long_side = max(rgb.shape[:2])
    faces = np.isin(seen.label, FACES)
    unsure = np.flatnonzero(faces & (longer_sides(seen) >= _FROM * long_side) & (seen.score < SURE))
    if not len(unsure):
        return seen
    view = View((0, 0, rgb.shape[1], rgb.shape[0]), coarse_scale((rgb.shape[1], rgb.shape[0]), coarse_side) * _SMALL)
    small = fused(view.placed(look(view.of(rgb))))
    score = seen.score.copy()
    for at in unsure:
        support = _score_of(seen.xyxy[at], small.where(small.label == seen.label[at]))
        score[at] = max(support, score[at] * np.interp(support, _SEEN, (_UNSEEN, 1.0)))
    return Detections(seen.xyxy, score, seen.label)


def _score_of(xyxy: NDArray[np.float32], found: Detections) -> float:
    """The best score among the boxes that mark the same as the box `xyxy` [4]; 0 if there are none."""
    shared = intersections(xyxy, found.xyxy)
    same = shared > _SAME_IOU * (areas(found.xyxy) + areas(xyxy[None]) - shared)
    return float(found.score[same].max(initial=0.0))
