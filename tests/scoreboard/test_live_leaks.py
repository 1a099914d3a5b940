"""A recording is laid over its clip, also where covers hide the counter."""

from __future__ import annotations

import numpy as np
import pytest

from scoreboard.live_leaks import aligned, counter_of, is_curtain, painted_counter

LENGTH = 1500


def played(first: int, count: int) -> list[int | None]:
    """The counters of a clip that is played over and over."""
    return [(first + at) % LENGTH for at in range(count)]


@pytest.mark.parametrize("count", [0, 1, 777, 4095])
def test_counter_is_read_back(count: int) -> None:
    luma = np.full((90, 320), 120, np.uint8)
    painted_counter(luma, count)
    assert counter_of(luma) == count
    luma[:20, 30:60] = 120
    assert counter_of(luma) is None


def test_frames_whose_counter_is_hidden_are_told_by_their_neighbours() -> None:
    counts = played(1400, 400)
    hidden = list(counts)
    hidden[50:150] = [None] * 100
    assert aligned(hidden, LENGTH) == counts


def test_what_only_looks_like_a_counter_is_not_believed() -> None:
    counts = played(0, 300)
    mistaken = list(counts)
    mistaken[100], mistaken[200], mistaken[201] = 1277, 4095, None
    assert aligned(mistaken, LENGTH) == counts


def test_frames_between_neighbours_that_differ_are_nowhere() -> None:
    before, behind = played(0, 100), played(140, 100)
    placed = aligned([*before, *[None] * 20, *behind], LENGTH)
    assert placed == [*before, *[None] * 20, *behind]


def test_frames_before_the_first_and_behind_the_last_counter_are_nowhere() -> None:
    counts = played(10, 50)
    assert aligned([None, *counts, None], LENGTH) == [None, *counts, None]
    assert aligned([None] * 30, LENGTH) == [None] * 30


def test_curtain_is_told_from_a_picture() -> None:
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (90, 160), np.uint8)
    assert not is_curtain(picture)
    picture[:, :120] = 44
    assert is_curtain(picture)
