"""Several boxes of one thing become one, and a coarse look adds what fills the picture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymizer.detection import LookPlan, observe
from anonymizer.detection.nms import fused
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture

CLUSTERS = [
    pytest.param([[0, 0, 10, 10], [1, 1, 9, 9]], ["face", "face"], 1, id="a-box-nested-in-another-is-the-same-thing"),
    pytest.param([[0, 0, 10, 10], [8, 0, 18, 10]], ["face", "face"], 2, id="neighbours-that-touch-are-two"),
    pytest.param([[0, 0, 10, 10], [1, 1, 9, 9]], ["face", "plate"], 2, id="a-plate-in-a-face-is-another-thing"),
    pytest.param([[0, 0, 30, 30], [10, 10, 20, 20]], ["face", "face"], 2, id="a-small-face-in-a-poster-of-one-stays-its-own"),
    pytest.param(np.zeros((0, 4)), [], 0, id="nothing-stays-nothing"),
]


@pytest.mark.parametrize(("boxes", "labels", "count"), CLUSTERS)
def test_nested_boxes_of_one_label_become_one(boxes: object, labels: list[str], count: int) -> None:
    found = Detections.of(boxes, [0.5] * len(labels), labels)
    assert len(fused(found)) == count


@pytest.mark.parametrize(("outer", "count"), [(0.4, 2), (0.3, 1)])
def test_large_box_around_a_much_surer_one_is_the_same_thing(outer: float, count: int) -> None:
    found = fused(Detections.of([[0, 0, 30, 30], [10, 10, 20, 20]], [outer, 0.5], "face"))
    assert len(found) == count
    assert found.xyxy[0].tolist() == [10, 10, 20, 20]


def test_small_box_in_a_surer_large_one_stays() -> None:
    assert len(fused(Detections.of([[0, 0, 30, 30], [10, 10, 20, 20]], [0.9, 0.1], "face"))) == 2


def test_fused_box_lies_between_its_parts_nearer_to_the_surer_one() -> None:
    one = fused(Detections.of([[0, 0, 10, 10], [0, 0, 10, 14]], [0.6, 0.2], "face"))
    assert one.xyxy.tolist() == [[0, 0, 10, 11]]
    assert one.score[0] == pytest.approx(0.6 + 0.3 * 0.2)


def test_fused_score_stays_a_score() -> None:
    assert fused(Detections.of([[0, 0, 10, 10]] * 9, [0.95] * 9, "face")).score.tolist() == [1.0]


class SizedEye:
    """Sees the bright square of a picture only while it is at most `most_px` wide: as networks do."""

    name = "sized eye"
    labels = ("face",)

    def __init__(self, most_px: int, score: float) -> None:
        self._most_px = most_px
        self._score = score

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: NDArray[np.uint8]) -> Detections:
        rows, columns = np.nonzero(picture[..., 0] > 127)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections.of([box], self._score, "face") if box[2] - box[0] <= self._most_px else Detections.none()


def square(side: int) -> Picture:
    rgb = np.zeros((480, 960, 3), np.uint8)
    rgb[20 : 20 + side, 40 : 40 + side] = 255
    return Picture(0, rgb, Geometry((960, 480), 1, Fraction(1)))


def test_object_too_large_for_the_fine_look_is_seen_by_the_coarse_one() -> None:
    eye, picture = SizedEye(most_px=230, score=0.2), square(440)
    assert observe(picture, [eye], LookPlan(960)).detections is not None
    assert len(observe(picture, [eye], LookPlan(960)).detections or ()) == 0
    seen = observe(picture, [eye], LookPlan(960, coarse_side=480)).detections
    assert seen is not None
    assert np.allclose(seen.xyxy, [[40, 20, 480, 460]], atol=2)


def test_small_object_comes_from_the_fine_look_alone() -> None:
    seen = observe(square(40), [SizedEye(960, 0.2)], LookPlan(960, coarse_side=480)).detections
    assert seen is not None
    assert seen.xyxy.tolist() == [[40, 20, 80, 60]]


def test_large_object_that_the_fine_look_is_sure_of_stays() -> None:
    class FineOnly(SizedEye):
        def _one(self, picture: NDArray[np.uint8]) -> Detections:
            return super()._one(picture) if picture.shape[1] == 960 else Detections.none()

    look = LookPlan(960, coarse_side=480)
    for score, expected in ((0.2, 0), (0.9, 1)):
        seen = observe(square(440), [FineOnly(960, score)], look).detections
        assert seen is not None
        assert len(seen) == expected
