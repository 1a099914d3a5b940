"""Which detection belongs to which track: overlap where there is some, else distance in sizes of the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.tracking.motion import Floats, Motion, size_of

REACH_SIZES = 0.75  # a centre this many sizes off its prediction is still the same object
REACH_SIGMAS = 3.0  # plus so many standard deviations of the prediction
LEAST_IOU = 0.1
SIZE_RATIO = 2.5  # of two boxes of one object, the frame's edge and a turned head included


def likeliness(motion: Motion, tracks: NDArray[np.intp], boxes: Floats, patience: float = 1.0) -> Floats:
    """How well each of the tracks [T] fits each box cx, cy, w, h [N, 4]: above 0 possible, at most 2; [T, N].

    `patience` shrinks the reach: what is weakly seen has to lie nearer.
    """
    expected = motion.position[tracks]
    iou = overlaps(expected, boxes)
    size_t, size_d = size_of(expected)[:, None], size_of(boxes)[None]
    distance = np.hypot(expected[:, None, 0] - boxes[None, :, 0], expected[:, None, 1] - boxes[None, :, 1])
    doubt = np.sqrt(motion.variance[tracks, :2].mean(axis=1))[:, None]
    reach = patience * (REACH_SIZES * np.sqrt(size_t * size_d) + REACH_SIGMAS * doubt)
    ratio = np.maximum(size_t / size_d, size_d / size_t)
    near = np.maximum(0.0, 1 - distance / reach) * np.maximum(0.0, 1 - (ratio - 1) / (SIZE_RATIO - 1))
    return np.where((near > 0) | (iou >= LEAST_IOU), near + iou, 0.0)


def pairs(fit: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns paired best first; ties go to the older track, so that a run can be repeated."""
    rows, columns = np.nonzero(fit > 0)
    order = np.lexsort((columns, rows, -fit[rows, columns]))
    free_row, free_column = np.ones(fit.shape[0], bool), np.ones(fit.shape[1], bool)
    chosen: list[tuple[int, int]] = []
    for at in order:
        row, column = rows[at], columns[at]
        if free_row[row] and free_column[column]:
            free_row[row] = free_column[column] = False
            chosen.append((row, column))
    both = np.array(chosen, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes cx, cy, w, h [A, 4] and [B, 4]: [A, B], 0 to 1."""
    left_top = np.maximum((a[:, :2] - a[:, 2:] / 2)[:, None], (b[:, :2] - b[:, 2:] / 2)[None])
    right_bottom = np.minimum((a[:, :2] + a[:, 2:] / 2)[:, None], (b[:, :2] + b[:, 2:] / 2)[None])
    common = np.clip(right_bottom - left_top, 0, None).prod(axis=-1)
    return np.asarray(common / ((a[:, 2] * a[:, 3])[:, None] + (b[:, 2] * b[:, 3])[None] - common))
