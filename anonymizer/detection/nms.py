"""Boxes that mark the same thing: only the best stays (suppression), or all of them become one (fusion)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.types import Detections

# Fusion: a box lies in another if it shares so much of the smaller one and is not much smaller. Networks taught by faces
# and by whole heads give nested boxes; one mean box covers a third less area and leaks less than the best of them.
_NESTED_SHARE = 0.75
_NESTED_AREAS = 3.0
_OUTWEIGHED = 1.5  # A much larger box around one so many times surer is the same thing, badly measured.
_AGREEMENT = 0.3  # what each further box of a cluster adds of its score: many weak ones are a strong one
# Faces and cars come in groups: a box beside so many sure ones of its size is likelier to be right than one alone.
_COMPANY = 3
_COMPANY_SURE = 0.3
_COMPANY_SIZES = 2.0  # Alike is what is at most so many times higher or lower.
_ENCOURAGED = 1.6  # Its score counts so many times, but never as sure by that alone.
IOU = 0.6  # Ultralytics suppresses above 0.7; neighbours in a crowd overlap less than this, and a box too many only covers.


def areas(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Width times height of boxes [N, 4]."""
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]))


def intersections(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The areas that one box [4] shares with others [N, 4]."""
    width = np.minimum(one[2], others[:, 2]) - np.maximum(one[0], others[:, 0])
    height = np.minimum(one[3], others[:, 3]) - np.maximum(one[1], others[:, 1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))


def middles_in(xyxy: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes [N, 4] hold the middles of which others [M, 4], as [N, M]; right and lower edges are outside."""
    x, y = ((others[:, :2] + others[:, 2:]) / 2).T
    left, top, right, bottom = (edge[:, None] for edge in xyxy.T)
    return np.asarray((x >= left) & (x < right) & (y >= top) & (y < bottom), np.bool_)


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


def fused(found: Detections) -> Detections:
    """Nested boxes of one label as one: their mean, weighted by score, with a score that grows with their number.

    After weighted boxes fusion (Solovyev et al. 2021, arXiv 1910.13302), clustered by containment instead of IoU.

    >>> fused(Detections.of([[0, 0, 10, 10], [0, 0, 10, 12]], [0.5, 0.5], "face")).xyxy.tolist()
    [[0.0, 0.0, 10.0, 11.0]]
    """
    waiting = np.argsort(-found.score, kind="stable")
    area = areas(found.xyxy)
    boxes, scores, labels = [], [], []
    while len(waiting):
        best = waiting[0]
        smaller, larger = np.minimum(area[best], area[waiting]), np.maximum(area[best], area[waiting])
        inside = intersections(found.xyxy[best], found.xyxy[waiting]) > _NESTED_SHARE * smaller
        same = inside & (larger < _NESTED_AREAS * smaller) & (found.label[waiting] == found.label[best])
        same[0] = True
        around = inside & (area[waiting] >= _NESTED_AREAS * area[best]) & (found.label[waiting] == found.label[best])
        around &= found.score[best] > _OUTWEIGHED * found.score[waiting]
        group, waiting = waiting[same], waiting[~(same | around)]
        weight = np.maximum(found.score[group], np.float32(1e-6))
        # A box alone stays as it is, to the last bit.
        boxes.append(found.xyxy[best] if len(group) == 1 else (found.xyxy[group] * weight[:, None]).sum(axis=0) / weight.sum())
        scores.append(min(1.0, float(found.score[best] + _AGREEMENT * found.score[group[1:]].sum())))
        labels.append(found.label[best])
    return Detections.of(boxes, scores, labels) if boxes else found


def in_company(found: Detections) -> Detections:
    """The same boxes, with a higher score for unsure ones among several sure ones of their label and size.

    >>> crowd = Detections.of([[at, 0, at + 10, 10] for at in (0, 20, 40, 60)], [0.6, 0.5, 0.4, 0.1], "face")
    >>> [round(score, 2) for score in in_company(crowd).score.tolist()]
    [0.6, 0.5, 0.4, 0.16]
    """
    height, score = found.xyxy[:, 3] - found.xyxy[:, 1], found.score.copy()
    sure = found.score >= _COMPANY_SURE
    for index in np.flatnonzero(~sure):
        alike = (found.label == found.label[index]) & (height < _COMPANY_SIZES * height[index]) & (height > height[index] / _COMPANY_SIZES)
        if np.count_nonzero(sure & alike) >= _COMPANY:
            score[index] = min(_COMPANY_SURE, found.score[index] * _ENCOURAGED)
    return Detections(found.xyxy, score, found.label)
