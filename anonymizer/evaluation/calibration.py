"""What a score is worth: the share of right boxes among those of about that score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.looking import Seen

_EDGES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.17, 0.23, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01)
_SAME_IOU = 0.4  # with a true box; looser than AP's, for a cover that lies so is of use
_IGNORED_SHARE = 0.4  # of the smaller area, with an ignored box


def precision_map(seen: Sequence[Seen], label: str) -> list[dict[str, float]]:
    """(score, share of right boxes, their number), rising: neighbours that fall are pooled (isotonic regression).

    Boxes on ignored objects, and pictures in which some objects have no box, do not count.
    """
    scores: list[float] = []
    right: list[bool] = []
    for one in seen:
        if label not in one.picture.labelled or one.picture.misses_only:
            continue
        truth = _corners([box.xyxy for box in one.truth_of(label)])
        ignored = _corners([box.xyxy for box in one.truth_of(label, ignored=True)])
        mine = one.found.where(one.found.label == label)
        for box, score in zip(mine.xyxy.astype(np.float64), mine.score.tolist(), strict=True):
            shared, areas, area = _shared(box, truth), _areas(truth), float(_areas(box[None])[0])
            hit = bool((shared >= _SAME_IOU * (areas + area - shared)).any())
            if hit or not (_shared(box, ignored) > _IGNORED_SHARE * np.minimum(_areas(ignored), area)).any():
                scores.append(score)
                right.append(hit)
    return rising_shares(np.array(scores), np.array(right, np.float64))


def rising_shares(scores: NDArray[np.float64], right: NDArray[np.float64]) -> list[dict[str, float]]:
    """(score, share of right ones, their number) of scores of which 1 says right and 0 wrong, rising."""
    blocks: list[list[float]] = []
    for low, high in pairwise(_EDGES):
        inside = (scores >= low) & (scores < high)
        if not inside.any():
            continue
        blocks.append([float(scores[inside].sum()), float(right[inside].sum()), int(inside.sum())])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] > blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last, strict=True)]
    return [{"score": round(total / count, 3), "precision": round(hits / count, 3), "boxes": count} for total, hits, count in blocks]


def _corners(boxes: Sequence[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _shared(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None).prod(axis=1))
