"""Verdicts to packets: what is sealed, and what is curtained because a zone cannot be trusted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anonymizer.cameras.settings import Camera
from anonymizer.config import Zone, load_config, parse_zone
from anonymizer.equipment import Equipment
from anonymizer.streaming.coding import OTHER_SIZE, OUTSIDE, Coder
from anonymizer.streaming.window import Verdict
from anonymizer.types import Decision
from tests.streaming.bench.live_filter import camera
from tests.streaming.raw_frames import SIZE_WH, raw_frame

TWICE_WH = (2 * SIZE_WH[0], 2 * SIZE_WH[1])
ZONE = parse_zone("0,0,40,30")


def coder(*zones: Zone, ignored: tuple[Zone, ...] = (), **values: str) -> Coder:
    config = load_config({"detect": "face"}, profile="live").config.model_copy(update={"zones": zones, "ignore_zones": ignored})
    made: Camera = camera("gate", "rtsp://127.0.0.1/x", **values).model_copy(update={"config": config})
    return Coder(made, Equipment.of(config, seeing=False))


def coded(by: Coder, size_wh: tuple[int, int]) -> tuple[str, str, str | None]:
    """The way that a decided frame of that size leaves, why, and what is wrong with the camera."""
    found = by.code(Verdict(raw_frame(0, size_wh=size_wh), "decided", Decision(0, ())), "", 0.0, key=True)
    assert found.verdict is not None
    assert (found.verdict.decision is None) == (found.verdict.way == "curtained")
    return found.verdict.way, found.verdict.why, found.fault


@pytest.mark.parametrize("as_ignored", [False, True], ids=["zone", "ignore-zone"])
def test_zones_are_for_the_size_they_were_drawn_in(as_ignored: bool) -> None:
    made = coder(ignored=(ZONE,)) if as_ignored else coder(ZONE)
    assert coded(made, SIZE_WH) == ("decided", "", None)
    fault = "the zones are for pictures of 128x72, and these have 256x144: draw them anew and set zones_for"
    assert coded(made, TWICE_WH) == ("curtained", OTHER_SIZE, fault), "a quarter of what was meant would be covered"
    assert coded(made, SIZE_WH) == ("decided", "", None), "the camera is as it was"


def test_said_size_holds_from_the_first_picture_on() -> None:
    made = coder(ZONE, zones_for="256x144")
    assert coded(made, SIZE_WH)[:2] == ("curtained", OTHER_SIZE)
    assert coded(made, TWICE_WH) == ("decided", "", None)


def test_without_zones_every_size_is_shown() -> None:
    made = coder()
    assert [coded(made, size_wh)[0] for size_wh in (SIZE_WH, TWICE_WH)] == ["decided"] * 2


def test_zone_outside_the_picture_is_counted_as_a_curtain() -> None:
    outside = replace(ZONE, x=4000)
    way, why, fault = coded(coder(outside), SIZE_WH)
    assert (way, why) == ("curtained", OUTSIDE)
    assert fault is not None
    assert "lies outside the picture" in fault
