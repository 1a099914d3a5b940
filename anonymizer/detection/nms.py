"""Non-maximum suppression: of boxes that mark the same thing, the one with the best score stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IOU = 0.6  # Ultralytics suppresses above 0.7; neighbours in a crowd overlap less than this, and a box too many only covers.


def areas(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width times height of boxes [N, 4]."""
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))


def intersections(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The areas that one box [4] shares with others [N, 4]."""
    width = np.minimum(one[2], others[:, 2]) - np.maximum(one[0], others[:, 0])
    height = np.minimum(one[3], others[:, 3]) - np.maximum(one[1], others[:, 1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))


def suppressed(xyxy: NDArray[np.float32], score: NDArray[np.float32], iou: float = IOU) -> NDArray[np.intp]:
    """Indices of the boxes [N, 4] that stay, best first.

    Which stay above some score does not depend on the boxes below it, so a low floor costs time and nothing else.

    >>> suppressed(np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], np.float32), np.array([0.5, 0.9, 0.7], np.float32)).tolist()
    [1, 2]
    """
    waiting = np.argsort(-score, kind="stable")  # stable: equal scores keep the network's order on every machine
    boxes = xyxy[waiting]
    area = areas(boxes)
    kept: list[int] = []
    while len(waiting):
        kept.append(int(waiting[0]))
        shared = intersections(boxes[0], boxes[1:])
        stays = shared <= iou * (area[0] + area[1:] - shared)
        waiting, boxes, area = waiting[1:][stays], boxes[1:][stays], area[1:][stays]
    return np.asarray(kept, np.intp)
