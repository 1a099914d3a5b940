"""Halves that share no picture, and with `source` no source."""

from __future__ import annotations

from collections import Counter

import pytest

from anonymizer.evaluation import SPLITS, hold_out
from anonymizer.evaluation.splits import split
from tests.evaluation.marked import seen_by_hand

SEEN = [seen_by_hand(f"{source}_{at}.jpg", truth=[(0, 0, 9, 9)]) for source, count in (("gate", 6), ("yard", 4), ("bus", 2)) for at in range(count)]
SEEN += [seen_by_hand(f"empty_{at}.jpg") for at in range(8)]


@pytest.mark.parametrize("how", SPLITS)
def test_every_picture_is_on_one_side(how: str) -> None:
    first, second = split(SEEN, how)
    assert sorted(map(id, first + second)) == sorted(map(id, SEEN))
    assert [sum(one.picture.free == {"face"} for one in half) for half in (first, second)] == [4, 4]
    assert [len(half) for half in (first, second)] == [10, 10]


def test_half_cuts_every_source_in_two() -> None:
    first, second = (Counter(one.picture.source for one in half) for half in split(SEEN, "half"))
    assert first == second == {"gate": 3, "yard": 2, "bus": 1, "empty": 4}


def test_source_keeps_each_source_whole_but_an_only_one() -> None:
    first, second = ({one.picture.source for one in half} for half in split(SEEN, "source"))
    assert first & second == {"empty"}


def test_split_depends_on_names_alone() -> None:
    names = [[one.picture.path.name for one in half] for half in split(SEEN, "half")]
    again = [sorted(one.picture.path.name for one in half) for half in split(SEEN[::-1], "half")]
    assert [sorted(half) for half in names] == again


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_so_much_of_every_source_and_kind_is_held_out(share: float) -> None:
    pictures = [one.picture for one in SEEN]
    learned, held = hold_out(pictures, share)
    assert {one.path for one in learned} | {one.path for one in held} == {one.path for one in pictures}
    assert len(learned) + len(held) == len(pictures)
    for source, count in (("gate", 6), ("yard", 4), ("bus", 2), ("empty", 8)):
        assert sum(one.source == source for one in held) == int(count * share + 0.5)
    assert hold_out(pictures[::-1], share)[1] == held[::-1]
