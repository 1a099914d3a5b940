"""Figures that can be worked out by hand: perfect and empty detectors, false boxes, ignored objects, areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from anonymizer.evaluation import Seen, precision_map, score_label
from anonymizer.evaluation.figures import FALSE_BOX_RATES, label_figures, thresholds_at
from anonymizer.evaluation.scores import threshold_for
from tests.evaluation.marked import Box, seen_by_hand

ONE: Box = (10, 10, 30, 40)
TWO: Box = (50, 50, 70, 80)
FAR: Box = (80, 5, 95, 20)


def figures(seen: Sequence[Seen], label: str = "face") -> Any:
    return label_figures(score_label(seen, label), 0.5)


def test_perfect_detector_scores_100() -> None:
    seen = [
        seen_by_hand(truth=[ONE, TWO], found=[(ONE, 0.9), (TWO, 0.8)]),
        seen_by_hand("gate_2.jpg", truth=[ONE], found=[(ONE, 0.7)]),
        seen_by_hand("x_1.jpg"),
    ]
    found = figures(seen)
    assert (found["pictures"], found["objects"], found["object_free_pictures"]) == (2, 3, 1)
    assert [found[name]["percent"] for name in ("ap50", "ar50")] == [100, 100]
    for point in (found["as_configured"], *found["at_false_boxes"].values()):
        assert [point[name]["percent"] for name in ("cover", "recall")] == [100, 100]
        assert point["false_boxes"]["value"] == 0
        assert point["area"]["value"] == 1
    assert list(found["at_false_boxes"]) == [f"{rate:g}" for rate in FALSE_BOX_RATES]


def test_detector_that_finds_nothing_scores_0() -> None:
    found = figures([seen_by_hand(truth=[ONE, TWO]), seen_by_hand("x_1.jpg")])
    assert [found[name]["percent"] for name in ("ap50", "ar50")] == [0, 0]
    assert [found["as_configured"][name]["percent"] for name in ("cover", "recall")] == [0, 0]
    assert found["as_configured"]["area"]["value"] == 0
    assert found["as_configured"]["cover"]["interval"][1] < 100


def test_false_boxes_are_counted_on_object_free_pictures_alone() -> None:
    beside = seen_by_hand(truth=[ONE], found=[(ONE, 0.9), (FAR, 0.8)])
    empty = [seen_by_hand("x_1.jpg", found=[(ONE, 0.6), (TWO, 0.3)]), seen_by_hand("x_2.jpg")]
    found = figures([beside, *empty])
    assert found["as_configured"]["false_boxes"]["value"] == 0.5
    # One false box in two pictures may stay at 0.5, none at 0.25, both at 1.
    assert [round(found["at_false_boxes"][rate]["threshold"], 2) for rate in ("0.25", "0.5", "1")] == [0.6, 0.3, 0.02]
    assert [found["at_false_boxes"][rate]["false_boxes"]["value"] for rate in ("0.25", "0.5", "1")] == [0, 0.5, 1]
    assert [found["at_false_boxes"][rate]["at_floor"] for rate in ("0.25", "0.5", "1")] == [False, False, True]


def test_without_object_free_pictures_nothing_is_said_about_false_boxes() -> None:
    found = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.9)])])
    assert found["at_false_boxes"] == {}
    assert found["curve"] == []
    assert found["as_configured"]["false_boxes"] is None
    assert found["as_configured"]["cover"]["percent"] == 100


def test_ignored_objects_are_neither_right_nor_wrong() -> None:
    without = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.6)])])
    missed = figures([seen_by_hand(truth=[ONE], ignored=[TWO], found=[(ONE, 0.6)])])
    caught = figures([seen_by_hand(truth=[ONE], ignored=[TWO], found=[(ONE, 0.6), (TWO, 0.9)])])
    only_ignored = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.6)]), seen_by_hand("x_1.jpg", ignored=[TWO], found=[(TWO, 0.9)])])
    for found in (missed, caught, only_ignored):
        assert found["ignored"] == 1
        assert found["object_free_pictures"] == 0
        assert {**found, "ignored": 0} == without


def test_a_false_box_beside_an_object_costs_precision_and_area_but_no_cover() -> None:
    found = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.6), (FAR, 0.9)])])
    assert found["ap50"]["percent"] == 50  # The right box is the second of two.
    assert found["ar50"]["percent"] == 100
    assert found["as_configured"]["cover"]["percent"] == 100
    assert found["as_configured"]["area"]["value"] == pytest.approx((600 + 225) / 600, abs=1e-3)


def test_pictures_that_only_tell_misses_count_for_cover_alone() -> None:
    found = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.6)]), seen_by_hand("gate_2.jpg", truth=[ONE], found=[(FAR, 0.9)], misses_only=True)])
    assert found["as_configured"]["cover"]["percent"] == 50
    assert found["ap50"]["percent"] == 100
    assert found["as_configured"]["area"]["value"] == 1


def test_an_ellipse_hides_a_face_and_bares_a_plate() -> None:
    face = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.9)], shape="ellipse")])
    plate = figures([seen_by_hand(truth=[ONE], found=[(ONE, 0.9)], shape="ellipse", label="plate")], "plate")
    assert [found["as_configured"]["cover"]["percent"] for found in (face, plate)] == [100, 0]
    assert [found["as_configured"]["recall"]["percent"] for found in (face, plate)] == [100, 100]
    assert face["as_configured"]["area"]["value"] == pytest.approx(np.pi / 4, abs=0.02)


def test_groups_are_by_height_by_width_of_plates_and_by_source() -> None:
    seen = [seen_by_hand(truth=[(0, 0, 40, 14)], found=[((0, 0, 40, 14), 0.9)]), seen_by_hand("yard_1.jpg", truth=[(0, 0, 40, 20)])]
    point = figures(seen)["as_configured"]
    assert {name: known["percent"] for name, known in point["by_size"].items()} == {"12-16": 100, "16-24": 0}
    assert {name: known["percent"] for name, known in point["by_attribute"]["source"].items()} == {"gate": 100, "yard": 0}
    plates = [seen_by_hand(truth=[(0, 0, 40, 14)], label="plate")]
    assert list(figures(plates, "plate")["as_configured"]["by_size"]) == ["24-48"]


def test_each_box_found_matches_one_object_only() -> None:
    near: Box = (12, 10, 32, 40)
    found = figures([seen_by_hand(truth=[ONE, near], found=[((11, 10, 31, 40), 0.9)])])
    assert found["as_configured"]["recall"]["percent"] == 50
    assert found["as_configured"]["cover"]["percent"] == 100


@pytest.mark.parametrize(
    ("scores", "pictures", "rate", "expected"),
    [([], 10, 0.1, 0.02), ([0.4], 10, 0.1, 0.02), ([0.4, 0.5], 10, 0.1, 0.4), ([0.4, 0.4, 0.5], 10, 0.2, 0.4), ([0.9] * 9, 1, 1, 0.9)],
)
def test_threshold_lets_through_no_more_than_the_rate(scores: list[float], pictures: int, rate: float, expected: float) -> None:
    threshold = threshold_for(np.array(scores), pictures, rate)
    assert threshold == pytest.approx(expected)
    assert (np.array(scores) >= threshold).sum() <= rate * pictures


def test_thresholds_of_other_pictures_are_applied_as_they_are() -> None:
    empty = [seen_by_hand(f"x_{at}.jpg", found=[(ONE, 0.2 + at / 10)]) for at in range(4)]
    chosen = thresholds_at(score_label(empty, "face"))
    found = label_figures(score_label([seen_by_hand(truth=[ONE], found=[(ONE, 0.45)])], "face"), 0.5, thresholds=chosen)
    assert {rate: point["cover"]["percent"] for rate, point in found["at_false_boxes"].items()} == {"0.1": 0, "0.25": 100, "0.5": 100, "1": 100}


def test_curve_rises_with_the_false_boxes() -> None:
    seen = [seen_by_hand(f"gate_{at}.jpg", truth=[ONE], found=[(ONE, at / 10)]) for at in range(1, 10)]
    seen += [seen_by_hand(f"x_{at}.jpg", found=[(ONE, at / 10)]) for at in range(1, 10)]
    points = figures(seen)["curve"]
    assert points[0]["false_boxes"] == 0
    assert points[-1]["percent"] == 100
    for name in ("false_boxes", "percent"):
        assert [point[name] for point in points] == sorted(point[name] for point in points)


def test_precision_map_rises_and_leaves_ignored_objects_out() -> None:
    seen = [seen_by_hand(truth=[ONE], ignored=[TWO], found=[(ONE, 0.9), (TWO, 0.9), (FAR, 0.1)]), seen_by_hand("x_1.jpg", found=[(ONE, 0.1)])]
    assert precision_map(seen, "face") == [{"score": 0.1, "precision": 0.0, "boxes": 2}, {"score": 0.9, "precision": 1.0, "boxes": 1}]


def test_precision_map_pools_what_falls() -> None:
    seen = [seen_by_hand(truth=[ONE, TWO], found=[(ONE, 0.35), (FAR, 0.45)])]
    assert precision_map(seen, "face") == [{"score": 0.4, "precision": 0.5, "boxes": 2}]
