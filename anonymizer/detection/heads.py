"""Heads are covered for those whose face is not seen: from behind, turned away, bent over something.

Where a face is found it is covered as a face, closely; a head besides would only take more of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.detector import Detector
from anonymizer.detection.nms import middles_in
from anonymizer.types import Detections

LABEL = "head"
# The part of a person in which the head is, the lesser of: of who is seen to the chest, and of who stands.
_OF_HEIGHT, _OF_WIDTH = 0.6, 0.75


class HeadDetector:
    """Finds heads with a detector of whole people: the uppermost part of each, as wide as they are."""

    labels = (LABEL,)

    def __init__(self, people: Detector) -> None:
        self._people = people
        self.name = people.name

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Look at RGB pictures [H, W, 3]."""
        return [_heads_of(found) for found in self._people.detect(pictures)]


def _heads_of(people: Detections) -> Detections:
    xyxy = people.xyxy.copy()
    wide, high = (xyxy[:, 2:] - xyxy[:, :2]).T
    xyxy[:, 3] = xyxy[:, 1] + np.minimum(_OF_HEIGHT * high, _OF_WIDTH * wide)
    return Detections.of(xyxy, people.score, LABEL)


def without_known_heads(seen: Detections, face_from: float) -> Detections:
    """The same without heads in which the middle of a face of at least that score lies.

    >>> seen = Detections.of([[0, 0, 40, 40], [10, 10, 20, 24], [60, 0, 90, 30]], [0.9, 0.3, 0.8], ["head", "face", "head"])
    >>> [without_known_heads(seen, score).label.tolist() for score in (0.2, 0.4)]
    [['face', 'head'], ['head', 'face', 'head']]
    """
    faces = seen.where((seen.label == "face") & (seen.score >= face_from)).xyxy
    known = np.logical_or.reduce(middles_in(seen.xyxy, faces), axis=1)
    return seen.where(~((seen.label == LABEL) & known))
