"""AP50 and AR50 as COCO computes them, by pycocotools: what a detector's boxes are worth, whatever becomes of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.extras import require_extra
from anonymizer.evaluation.intervals import SEED
from anonymizer.evaluation.looking import Seen

IOU = 0.5
_MOST_BOXES = 1000  # a picture; COCO's 100 would cut crowds at a low floor
_DRAWS = 200  # of the intervals: each takes a whole accumulation


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Average precision and recall of one label in shares, with intervals, and for each true box the score that found it."""

    ap50: float
    ap50_interval: tuple[float, float]
    ar50: float
    ar50_interval: tuple[float, float]
    scores: NDArray[np.float64]  # in the order of pictures and of their counted boxes; 0: never found


def matched(seen: Sequence[Seen], label: str) -> Matching:
    """Match the boxes found to the true ones at IoU 0.5, best score first, one to one; boxes on ignored ones count for nothing."""
    evaluation = _evaluated(seen, label)
    results = evaluation.evalImgs
    scores = _scores(results, sum(len(one.truth_of(label)) for one in seen))
    judged = [None if one.picture.misses_only else result for one, result in zip(seen, results, strict=True)]
    ap50, ar50 = _accumulated(evaluation, judged)
    generator = np.random.default_rng(SEED)
    drawn = np.array([_accumulated(evaluation, [judged[at] for at in generator.integers(0, len(judged), len(judged))]) for _ in range(_DRAWS)])
    drawn = drawn[(drawn >= 0).all(axis=1)]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0) if len(drawn) else np.array([(ap50, ar50), (ap50, ar50)])
    return Matching(ap50, (min(float(low[0]), ap50), max(float(high[0]), ap50)), ar50, (min(float(low[1]), ar50), max(float(high[1]), ar50)), scores)


def _evaluated(seen: Sequence[Seen], label: str) -> Any:
    """pycocotools' evaluation of one label over all pictures, matched but not yet summed up."""
    coco = require_extra("pycocotools.cocoeval")
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, one in enumerate(seen, start=1):
        for box in (*one.truth_of(label), *one.truth_of(label, ignored=True)):
            truth.append(_annotation(len(truth) + 1, number, box.xyxy, crowd=box.ignored))
        mine = one.found.where(one.found.label == label)
        for xyxy, score in zip(mine.xyxy.tolist(), mine.score.tolist(), strict=True):
            found.append({**_annotation(len(found) + 1, number, xyxy), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):  # It tells how long it took.
        evaluation = coco.COCOeval(_data_set(len(seen), truth), _data_set(len(seen), found), "bbox")
        evaluation.params.iouThrs = np.array([IOU])
        evaluation.params.maxDets = [_MOST_BOXES]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e12]], ["all"]
        evaluation.evaluate()
    return evaluation


def _annotation(number: int, picture: int, xyxy: Sequence[float], *, crowd: bool = False) -> dict[str, Any]:
    left, top, right, bottom = xyxy
    width, height = right - left, bottom - top
    return {"id": number, "image_id": picture, "category_id": 1, "bbox": [left, top, width, height], "area": width * height, "iscrowd": int(crowd)}


def _data_set(pictures: int, annotations: list[dict[str, Any]]) -> Any:
    coco = require_extra("pycocotools.coco").COCO()
    coco.dataset = {"images": [{"id": number} for number in range(1, pictures + 1)], "annotations": annotations, "categories": [{"id": 1}]}
    coco.createIndex()
    return coco


def _scores(results: list[Any], count: int) -> NDArray[np.float64]:
    """For each counted true box the score of the box that was matched with it."""
    scores = np.zeros(count)
    first = 0
    for result in results:
        if result is None:  # Nothing marked and nothing found.
            continue
        score_of = dict(zip(result["dtIds"], result["dtScores"], strict=True))
        # Counted boxes come first, in the order they were given.
        counted = [match for match, ignored in zip(result["gtMatches"][0], result["gtIgnore"], strict=True) if not ignored]
        scores[first : first + len(counted)] = [score_of.get(int(match), 0.0) for match in counted]
        first += len(counted)
    return scores


def _accumulated(evaluation: Any, results: list[Any]) -> tuple[float, float]:
    """AP50 and AR50 over some pictures' matches; -1 where they hold no object."""
    evaluation.evalImgs = results
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    return float(evaluation.eval["precision"].mean()), float(evaluation.eval["recall"].mean())
