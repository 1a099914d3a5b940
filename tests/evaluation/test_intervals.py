"""Intervals hold the figure they belong to, come out the same every time, and narrow with the number of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anonymizer.evaluation.intervals import rate_interval, ratio_interval, share_interval, wilson


@example([(False, 0), (True, 0), (False, 1), (True, 1)])  # pictures that are alike
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=60))
def test_interval_of_a_share_holds_it(objects: list[tuple[bool, int]]) -> None:
    right, picture = (np.array(column) for column in zip(*objects, strict=True))
    low, high = share_interval(right, picture)
    assert 0 <= low <= right.mean() <= high <= 1
    assert high > low


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_interval_of_a_rate_holds_it(counts: list[int]) -> None:
    low, high = rate_interval(np.array(counts))
    assert 0 <= low <= np.mean(counts) + 1e-9
    assert high >= np.mean(counts) - 1e-9


def test_same_figures_give_the_same_interval() -> None:
    top, bottom = np.arange(20), np.full(20, 30)
    assert ratio_interval(top, bottom) == ratio_interval(top, bottom)


def test_same_count_in_every_picture_is_no_certainty() -> None:
    assert rate_interval(np.zeros(10)) == pytest.approx((0, 0.369), abs=3e-3)  # exact: 3.689 / 10
    assert rate_interval(np.ones(10)) == pytest.approx((0.4795, 1.839), abs=5e-3)  # exact, for a sum of 10


def test_more_pictures_narrow_the_interval() -> None:
    few, many = (share_interval(np.arange(count) % 4 > 0, np.arange(count)) for count in (40, 4000))
    assert few[1] - few[0] == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 40), rel=0.2)
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 4000), rel=0.2)


def test_objects_of_one_picture_are_no_independent_trials() -> None:
    right = np.repeat([True, False, True, True, False, True, True, True, False, True], 50)
    together = share_interval(right, np.repeat(np.arange(10), 50))
    alone = share_interval(right, np.arange(500))
    assert together[1] - together[0] > 4 * (alone[1] - alone[0])


def test_none_missed_is_no_certainty() -> None:
    assert share_interval(np.ones(500, bool), np.repeat(np.arange(10), 50)) == wilson(1.0, 10)
    assert wilson(0.0, 10)[1] == pytest.approx(0.278, abs=1e-3)
