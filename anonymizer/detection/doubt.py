"""Scores that mean less than they say, of boxes that a network is not sure of: large ones, and plates that are taller than wide.

Networks are sure of what is large and real; of what they are not, most is false, and covers the most. All numbers were chosen
on panning clips: without those of faces, 86 % more picture than the truth is lost around plates in traffic, with them 50 %;
those of plates take a twentieth of what is lost in wide views, for 0.2 to 1.3 % of the plates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.tiling import FACES, longer_sides
from anonymizer.types import Detections

_FACE_SHARES, _FACE_DOUBT = (0.12, 0.30), 0.6  # of the picture's longer side: knees, bags and coats,
_FACE_DOUBT_LEFT = 0.8  # where a second look has not confirmed them already
# Of the picture's pixels, not its side: in a small picture a plate of the same share is a blur, and nobody is sure of it.
_PLATE_PX, _PLATE_DOUBT = (34.0, 60.0), 0.35  # signs, windows, posters
_TALL, _TALL_DOUBT = 1.2, 0.6  # so many times higher than wide: lamps and pillars
SURE = 0.6  # From this score on nothing is doubted.


def doubted(found: Detections, long_side: int, *, is_confirmed: bool = False) -> Detections:
    """The same boxes of a picture of that long side, with lower scores where they are doubtful.

    Of faces that a second look could confirm (`is_confirmed`) less doubt is left.

    >>> [round(score, 2) for score in doubted(Detections.of([[0, 0, 10, 10], [0, 0, 50, 50], [0, 0, 50, 50]], [0.2, 0.2, 0.7], "face"), 100).score.tolist()]
    [0.2, 0.12, 0.7]
    """
    side = longer_sides(found)
    width, height = (found.xyxy[:, 2:] - found.xyxy[:, :2]).T
    faces, plates = np.isin(found.label, FACES), found.label == "plate"
    factor = np.where(
        faces,
        _grown(side / long_side, _FACE_SHARES, _FACE_DOUBT_LEFT if is_confirmed else _FACE_DOUBT),
        np.where(plates, _grown(side, _PLATE_PX, _PLATE_DOUBT), 1.0),
    )
    factor = np.where(plates & (height > _TALL * width), factor * _TALL_DOUBT, factor)
    score = np.where(found.score < SURE, found.score * factor, found.score)
    return Detections(found.xyxy, score.astype(np.float32), found.label)


def _grown(size: NDArray[np.floating[Any]], between: tuple[float, float], most: float) -> NDArray[np.float64]:
    """The factor of doubt: none up to the first size, and in a straight line from there to the most at the second."""
    return np.asarray(np.interp(size, between, (1.0, most)))
