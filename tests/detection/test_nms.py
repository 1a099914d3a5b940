from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.detection.nms import IOU, areas, intersections, suppressed

BOXES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30), st.integers(1, 99)), min_size=1, max_size=25)


def as_arrays(rows: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.asarray(rows, np.float32)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4] / 100


@given(BOXES)
def test_every_box_that_goes_overlaps_a_better_one_that_stays(rows):
    xyxy, score = as_arrays(rows)
    kept = suppressed(xyxy, score)
    for index in set(range(len(rows))) - set(kept.tolist()):
        shared = intersections(xyxy[index], xyxy[kept])
        iou = shared / (areas(xyxy[kept]) + areas(xyxy[index : index + 1]) - shared)
        assert ((iou > IOU) & (score[kept] >= score[index])).any()


@given(BOXES)
def test_no_two_boxes_that_stay_overlap_much(rows):
    xyxy, score = as_arrays(rows)
    kept = xyxy[suppressed(xyxy, score)]
    for index, box in enumerate(kept):
        shared = intersections(box, kept)
        iou = shared / (areas(kept) + areas(kept[index : index + 1]) - shared)
        assert np.flatnonzero(iou > IOU + 1e-6).tolist() == [index]


@given(BOXES, st.floats(0.0, 1.0))
def test_boxes_below_a_threshold_never_change_those_above(rows, threshold):
    xyxy, score = as_arrays(rows)
    above = np.flatnonzero(score >= threshold)
    of_all = [index for index in suppressed(xyxy, score).tolist() if score[index] >= threshold]
    assert of_all == above[suppressed(xyxy[above], score[above])].tolist()


def test_nothing_in_nothing_out():
    assert suppressed(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)).tolist() == []
