"""What the figures mean in words: only of groups that are real groups, and never better than the figures."""

from __future__ import annotations

from typing import Any

import pytest

from scoreboard.reading import Figures
from scoreboard.words import aims, weaknesses


def share(right: int, objects: int) -> dict[str, Any]:
    percent = 100 * right / objects
    return {"percent": percent, "interval": [percent - 5, min(100, percent + 5)], "right": right, "objects": objects}


def unit(right: int, **groups: dict[str, Any]) -> dict[str, Any]:
    """Of 200 plates so many covered; half of 10 px, nine of ten of 20 px, all of 40 px."""
    point = {"cover": share(right, 200), "by_size": {"12-24": share(30, 60), "24-48": share(140, 140)}, "by_attribute": groups, "area": {"value": 1.71}}
    return {"labels": {"plate": {"objects": 200, "at_false_boxes": {"0.25": point}, "fine_sizes": [[10, 25, 50], [20, 45, 50], [40, 100, 100]]}}}


def figures(**units: dict[str, Any]) -> Figures:
    as_is = unit(170, source={"egm": share(20, 50), "few": share(0, 29), "most": share(90, 120)}, light={"dark": share(50, 50)})
    return Figures({"balanced": {"units": {"as is": as_is, **units}}})


def test_weaknesses_are_the_worst_groups_the_smallest_sizes_and_the_worst_shift() -> None:
    # Not spoken of: a group of 29, one of more than half of all, one that is better than all.
    assert weaknesses(figures(night=unit(100), blur=unit(140))) == [
        "Of plates of source `egm` `balanced` misses 60 % (55 to 65, 50 objects).",
        "Of plates of 12-24 px `balanced` misses 50 % (45 to 55, 60 objects).",
        "Nine of ten plates are covered from 20 px wide on, every second from 10 px; smaller ones have to be counted as missed.",
        "What costs most plates is night: 35.0 points of cover.",
    ]


def test_without_shifts_and_without_the_default_preset_nothing_is_said_of_them() -> None:
    assert len(weaknesses(figures())) == 3
    assert weaknesses(Figures({})) == []


AIMS = [
    ("plates", ">= 90 %", "85.0 % (missed)"),
    ("plates of 24 px and more", ">= 94 %", "100.0 % (reached)"),
    ("plates of 12-24 px", ">= 60 %", "50.0 % (missed)"),
    ("motorcycles' plates (source egm)", ">= 90 %", "40.0 % (missed)"),
]


@pytest.mark.parametrize(("what", "aim", "reached"), AIMS)
def test_aims_are_told_as_reached_or_missed(what: str, aim: str, reached: str) -> None:
    assert (f"`balanced`, cover of {what}", aim, reached) in aims(figures())


def test_an_area_just_above_its_aim_is_missed_and_nothing_is_said_of_what_was_not_measured() -> None:
    told = aims(figures())
    assert ("`balanced`, area covered, plates", "<= 1.7 x the truth", "1.71 (missed)") in told
    assert len(told) == len(AIMS) + 1
