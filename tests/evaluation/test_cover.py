"""What counts as hidden, and how much is covered, against areas anybody can compute."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anonymizer.evaluation.cover import ALWAYS, covered_px, hidden_at, hidden_share_of, is_hidden, painted
from anonymizer.types import Region
from tests.evaluation.marked import Box

BOX: Box = (10, 10, 50, 30)


def region(shape: str, xyxy: Box, score: float | None = 0.6) -> Region:
    return Region("face", shape, xyxy, score=score)  # type: ignore[arg-type]


def grown(box: Box, factor: float) -> Box:
    """The box scaled about its centre."""
    left, top, right, bottom = box
    x, y, half_w, half_h = (left + right) / 2, (top + bottom) / 2, (right - left) / 2 * factor, (bottom - top) / 2 * factor
    return x - half_w, y - half_h, x + half_w, y + half_h


ELLIPSES = [
    pytest.param(1.0, 0.70, True, id="an-inscribed-ellipse-covers-78.5-percent-enough-for-a-face"),
    pytest.param(1.0, 0.80, False, id="and-bares-the-corners"),
    pytest.param(1.0, 0.90, False, id="too-much-of-a-plate"),
    pytest.param(1.20, 0.90, True, id="grown-by-a-fifth-it-covers-97-percent"),
    pytest.param(1.35, 1.00, False, id="below-root-2-the-corners-stay-bare"),
    pytest.param(math.sqrt(2), 1.00, True, id="at-root-2-it-holds-the-box"),
]


@pytest.mark.parametrize(("factor", "share", "hidden"), ELLIPSES)
def test_ellipse_counts_as_an_ellipse(factor: float, share: float, hidden: bool) -> None:
    assert is_hidden(BOX, [region("ellipse", grown(BOX, factor))], share) is hidden


BOXES = [
    pytest.param([(10, 10, 46, 30)], 0.9, True, id="nine-tenths"),
    pytest.param([(10, 10, 45, 30)], 0.9, False, id="seven-eighths"),
    pytest.param([(10, 10, 30, 30), (30, 10, 50, 30)], 1.0, True, id="two-halves"),
    pytest.param([(10, 10, 30, 30), (10, 10, 30, 30)], 0.6, False, id="one-half-twice"),
    pytest.param([(60, 10, 90, 30)], 0.01, False, id="elsewhere"),
    pytest.param([], 0.01, False, id="nothing"),
]


@pytest.mark.parametrize(("covers", "share", "hidden"), BOXES)
def test_boxes_count_together_and_once(covers: list[Box], share: float, hidden: bool) -> None:
    assert is_hidden(BOX, [region("box", cover) for cover in covers], share) is hidden


def test_object_is_hidden_from_the_score_that_completes_its_cover() -> None:
    halves = [region("box", (10, 10, 30, 30), 0.9), region("box", (30, 10, 50, 30), 0.3)]
    assert hidden_at(BOX, halves, 0.5) == 0.9
    assert hidden_at(BOX, halves, 0.7) == 0.3
    assert hidden_at(BOX, halves[:1], 0.7) == 0.0


def test_whole_frame_and_zone_hide_at_every_threshold() -> None:
    assert hidden_at(BOX, [region("frame", (0, 0, 1, 1), None)], 1.0) == ALWAYS
    assert hidden_at(BOX, [region("box", (0, 0, 60, 60), None)], 1.0) == ALWAYS


def test_shares_are_those_of_faces_and_of_everything_that_is_read() -> None:
    assert [hidden_share_of(label) for label in ("face", "head", "plate", "screen")] == [0.7, 0.7, 0.9, 0.9]


def test_pixels_are_counted_once_best_cover_first() -> None:
    steps = painted([region("box", (0, 0, 10, 10), 0.4), region("box", (5, 0, 15, 10), 0.8)], (100, 100))
    assert steps == [(0.8, 100), (0.4, 50)]


def test_what_is_left_out_or_outside_the_picture_is_not_counted() -> None:
    assert painted([region("box", (-5, -5, 10, 10))], (100, 100)) == [(0.6, 100)]
    assert painted([region("box", (0, 0, 10, 10))], (100, 100), [(0, 0, 5, 10)]) == [(0.6, 50)]
    assert painted([region("box", (200, 200, 210, 210))], (100, 100)) == [(0.6, 0)]
    assert painted([region("frame", (0, 0, 1, 1), None)], (20, 10)) == [(ALWAYS, 200)]


def test_an_ellipse_covers_its_own_area() -> None:
    ((_, px),) = painted([region("ellipse", (10, 10, 90, 50))], (100, 100))
    assert px == pytest.approx(np.pi * 40 * 20, rel=0.01)


def test_truth_that_overlaps_is_counted_once() -> None:
    assert covered_px([(0, 0, 10, 10), (5, 5, 15, 15)], (50, 50)) == 175
