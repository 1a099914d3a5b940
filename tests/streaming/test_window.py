"""Every frame leaves once, in order, in the way that the promise gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.geometry import Geometry
from anonymizer.streaming.sealer import live_policy
from anonymizer.streaming.window import WORK_S, Verdict, Window, grown_regions, has_changed
from anonymizer.tracking import LabelPolicy, Tracker, TrackingPolicy
from anonymizer.types import Detections, Observation, Region
from tests.streaming.raw_frames import SIZE_WH, STEP_S, raw_frame

LOOKAHEAD_S = 0.2
POLICY = live_policy(TrackingPolicy(labels={"face": LabelPolicy(strong_score=0.5, weak_score=0.2)}))
BOX = (40.0, 20.0, 60.0, 44.0)


def window(**wishes: float) -> Window:
    made = {"lookahead_s": LOOKAHEAD_S, "carry_frames": 5, "stale_s": 2.0} | wishes
    return Window(lambda geometry, rate: Tracker(POLICY, geometry, rate), **made)  # type: ignore[arg-type]


def look(index: int, *boxes: tuple[float, ...]) -> Observation:
    found = np.asarray(boxes, np.float32).reshape(-1, 4)
    return Observation(index, Detections.of(found, np.full(len(found), 0.9, np.float32), "face"))


def ways(verdicts: Iterable[Verdict]) -> list[str]:
    return [verdict.way for verdict in verdicts]


def test_frame_looked_at_in_time_is_decided_at_its_deadline() -> None:
    held = window()
    held.arrive(raw_frame(0))
    assert held.looked(1, look(0, BOX))
    assert held.due(LOOKAHEAD_S + WORK_S - 0.01) == []
    (verdict,) = held.due(LOOKAHEAD_S + WORK_S)
    assert verdict.way == "decided"
    assert verdict.decision is not None
    assert any(region.label == "face" for region in verdict.decision.regions)


def test_frames_between_two_looks_are_decided_and_covered() -> None:
    held = window()
    for index in range(6):
        held.arrive(raw_frame(index))
    assert held.looked(1, look(0, BOX))
    assert held.looked(1, look(5, BOX))
    verdicts = held.due(10 * STEP_S + LOOKAHEAD_S + WORK_S)
    assert ways(verdicts) == ["decided"] * 6
    assert all(verdict.decision is not None and verdict.decision.regions for verdict in verdicts)


def test_object_first_seen_by_the_later_look_is_covered_before_it() -> None:
    held = window()
    for index in range(5):
        held.arrive(raw_frame(index))
    held.looked(1, look(0))
    held.looked(1, look(4, BOX))
    verdicts = held.due(1.0)
    assert all(verdict.decision is not None and verdict.decision.regions for verdict in verdicts[1:])


def test_frames_before_the_first_look_are_curtained() -> None:
    held = window()
    for index in range(3):
        held.arrive(raw_frame(index))
    held.looked(1, look(2))
    verdicts = held.due(1.0)
    assert ways(verdicts) == ["curtained", "curtained", "decided"]
    assert verdicts[0].why == "nobody had looked yet"


def test_without_a_look_everything_is_curtained() -> None:
    held = window()
    for index in range(3):
        held.arrive(raw_frame(index))
    assert ways(held.due(1.0)) == ["curtained"] * 3


@pytest.mark.parametrize(("frames", "expected"), [(5, "carried"), (6, "curtained")])
def test_known_tracks_are_carried_for_a_few_frames_alone(frames: int, expected: str) -> None:
    held = window()
    for index in range(frames + 1):
        held.arrive(raw_frame(index))
        if index == 0:
            held.looked(1, look(0, BOX))
    verdicts = held.due(2.0)
    assert ways(verdicts)[-1] == expected
    assert all(verdict.decision is not None and verdict.decision.regions for verdict in verdicts if verdict.way == "carried")


def test_carried_covers_grow_with_every_frame() -> None:
    held = window()
    for index in range(4):
        held.arrive(raw_frame(index))
        if index == 0:
            held.looked(1, look(0, BOX))
    verdicts = held.due(1.0)
    widths = [v.decision.regions[0].xyxy[2] - v.decision.regions[0].xyxy[0] for v in verdicts if v.decision is not None]
    assert widths == sorted(widths)
    assert widths[-1] > widths[0]


def test_motion_beside_what_is_known_is_not_carried() -> None:
    held = window()
    held.arrive(raw_frame(0))
    held.looked(1, look(0, BOX))
    came = raw_frame(1)
    luma = np.array(came.planes[0])
    luma[30:60, 90:120] = 235  # somebody comes in
    held.arrive(replace(came, planes=(luma, *came.planes[1:])))
    assert ways(held.due(1.0)) == ["decided", "curtained"]


def test_looks_far_apart_do_not_decide_what_lies_between() -> None:
    held = window(lookahead_s=2.0)
    for index in range(20):
        held.arrive(raw_frame(index))
    held.looked(1, look(0, BOX))
    held.looked(1, look(19, BOX))
    verdicts = held.due(19 * STEP_S + 2.0 + WORK_S + 0.001)
    assert ways(verdicts) == ["decided", *["curtained"] * 18, "decided"]


def test_scene_that_nobody_looked_at_is_curtained() -> None:
    held = window()
    rng = np.random.default_rng(1)
    scenes = [rng.integers(16, 235, (72, 128)).astype(np.uint8).repeat(1, 0) for _ in range(3)]
    scenes = [np.kron(scene[::8, ::8], np.ones((8, 8), np.uint8)) for scene in scenes]
    for index, scene in enumerate((0, 1, 1, 2)):
        frame = raw_frame(index)
        held.arrive(replace(frame, planes=(scenes[scene], *frame.planes[1:])))
    held.looked(1, look(0, BOX))
    held.looked(1, look(3, BOX))
    verdicts = held.due(1.0)
    assert ways(verdicts) == ["decided", "curtained", "curtained", "decided"]
    assert verdicts[1].why == "nobody has looked at this scene"


def test_damaged_frame_is_curtained_though_it_was_looked_at() -> None:
    held = window()
    held.arrive(raw_frame(0, damaged=True))
    held.looked(1, look(0))
    assert ways(held.due(1.0)) == ["curtained"]


def test_look_at_a_damaged_frame_decides_nothing_before_it() -> None:
    held = window(carry_frames=0)
    for index in range(5):
        held.arrive(raw_frame(index, damaged=index == 4))
    assert held.looked(1, look(0))
    assert not held.looked(1, look(4, BOX)), "the tracker would not believe it, and who came in behind the first look would be bare"
    assert ways(held.due(1.0)) == ["decided", *["curtained"] * 4]


def test_frame_that_waited_on_the_way_is_dropped() -> None:
    held = window()
    held.arrive(raw_frame(0, late_s=2.5))
    held.looked(1, look(0))
    assert ways(held.due(LOOKAHEAD_S + WORK_S)) == ["dropped"]


def test_look_of_an_older_epoch_is_nobodys_word() -> None:
    held = window()
    held.arrive(raw_frame(0))
    verdicts = held.arrive(raw_frame(0, epoch=2, arrival_s=0.1))
    assert ways(verdicts) == ["curtained"]
    assert not held.looked(1, look(0, BOX))
    assert ways(held.due(1.0)) == ["curtained"]


def test_late_look_changes_nothing() -> None:
    held = window()
    for index in range(2):
        held.arrive(raw_frame(index))
    held.due(LOOKAHEAD_S + WORK_S)
    assert not held.looked(1, look(0, BOX))


def test_looking_failed_is_no_look() -> None:
    held = window()
    held.arrive(raw_frame(0))
    assert not held.looked(1, Observation(0, None, failure="the network is gone"))
    assert ways(held.due(1.0)) == ["curtained"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=60))
def test_every_frame_leaves_once_in_order_and_shown_only_when_somebody_looked(steps: list[tuple[bool, bool, int, int]]) -> None:
    """Whatever the camera and the detector do: lost frames, late, early and missing looks, new epochs."""
    held, given_out, arrived, now_s, index, epoch = window(), [], [], 0.0, 0, 1
    looked: set[tuple[int, int]] = set()
    for lost, anew, back, wait in steps:
        if anew and wait == 8:
            epoch, index = epoch + 1, 0
        index += 2 if lost else 1
        now_s += STEP_S * (1 + wait / 4)
        arrived.append((epoch, index))
        given_out += held.arrive(raw_frame(index, epoch=epoch, arrival_s=now_s, source_s=now_s))
        if wait % 2 and held.looked(epoch, look(index - back, BOX)):
            looked.add((epoch, index - back))
        given_out += held.due(now_s)
    given_out += held.due(now_s + 10)
    assert [(verdict.raw.epoch, verdict.raw.index) for verdict in given_out] == arrived
    for verdict in given_out:
        shown = verdict.way in ("decided", "carried")
        assert (verdict.decision is not None) == shown
        if shown:
            assert any(one == verdict.raw.epoch for one, _ in looked)
            assert verdict.decision is not None
            assert verdict.decision.frame_index == verdict.raw.index
            assert verdict.decision.regions, "every look saw somebody, and everybody is followed"


def test_change_under_a_cover_is_no_change() -> None:
    before = np.full((36, 64), 90, np.uint8)
    after = before.copy()
    after[10:20, 20:30] = 200
    cover = Region("face", "ellipse", (38.0, 18.0, 62.0, 42.0))
    geometry = Geometry(SIZE_WH)
    assert has_changed((before,), after, (), geometry)
    assert not has_changed((before,), after, (cover,), geometry)
    assert not has_changed((before,), before + 30, (), geometry), "an exposure that moves on is no motion"
    assert not has_changed((before, after), after, (), geometry), "one of the looks saw it"


def test_grown_region_holds_the_old_one() -> None:
    (grown,) = grown_regions((Region("face", "ellipse", BOX),), 3)
    assert grown.xyxy[0] < BOX[0]
    assert grown.xyxy[3] > BOX[3]


def test_nothing_is_carried_over_damage() -> None:
    held = window()
    for index in range(4):
        held.arrive(raw_frame(index, damaged=index == 1))
        if index == 0:
            held.looked(1, look(0, BOX))
    assert ways(held.due(1.0)) == ["decided", "curtained", "curtained", "curtained"]


def test_nothing_is_known_after_the_detector_failed() -> None:
    held = window()
    held.arrive(raw_frame(0))
    held.looked(1, look(0, BOX))
    held.due(LOOKAHEAD_S + WORK_S)
    held.arrive(raw_frame(1))
    assert ways(held.forget()) == ["curtained"]
    held.arrive(raw_frame(2))
    assert ways(held.due(1.0)) == ["curtained"]


def test_end_of_a_scene_is_shown_only_while_nothing_comes_in() -> None:
    """The look behind a cut says nothing of who came in before it."""
    rng = np.random.default_rng(2)
    scenes = [np.kron(rng.integers(16, 235, (9, 16)), np.ones((8, 8))).astype(np.uint8) for _ in range(2)]
    came = scenes[0].copy()
    came[40:60, 90:110] = 235 - came[40:60, 90:110]
    held = window()
    for index, luma in enumerate((scenes[0], scenes[0], came, scenes[1], scenes[1])):
        frame = raw_frame(index)
        held.arrive(replace(frame, planes=(luma, *frame.planes[1:])))
    held.looked(1, look(0, BOX))
    held.looked(1, look(4, BOX))
    assert ways(held.due(1.0)) == ["decided", "decided", "curtained", "decided", "decided"]


@pytest.mark.parametrize("where", [(90, 40), (42, 50)], ids=["apart", "before-the-body-of-whom-is-known"])
@pytest.mark.parametrize(("apart", "way"), [(5, "decided"), (7, "curtained")])
def test_who_comes_and_goes_between_two_looks_is_not_shown_where_they_are_far_apart(apart: int, way: str, where: tuple[int, int]) -> None:
    held = window(lookahead_s=0.4)
    left, top = where
    for index in range(apart + 1):
        frame = raw_frame(index)
        luma = frame.planes[0].copy()
        if index == 3:
            place = np.s_[top : top + 20, left : left + 20]
            luma[place] = 235 - luma[place]
        held.arrive(replace(frame, planes=(luma, *frame.planes[1:])))
    held.looked(1, look(0, BOX))
    held.looked(1, look(apart, BOX))
    found = ways(held.due(2.0))
    assert found[3] == way
    assert found[:3] + found[4:] == ["decided"] * apart


def test_frames_that_came_at_once_are_as_far_apart_as_the_camera_says() -> None:
    held = window(lookahead_s=0.4)
    for index in range(8):
        frame = raw_frame(index, arrival_s=0.01 * index)
        luma = 235 - frame.planes[0] if index == 3 else frame.planes[0]
        luma = np.where(np.arange(SIZE_WH[0]) < 30, luma, frame.planes[0]).astype(np.uint8)
        held.arrive(replace(frame, planes=(luma, *frame.planes[1:])))
    held.looked(1, look(0, BOX))
    held.looked(1, look(7, BOX))
    assert ways(held.due(1.0))[3] == "curtained"


@pytest.mark.parametrize("waited_s", [1.2, -2.0], ids=["stalled-for-longer-than-clocks-jitter", "the-clock-went-back"])
def test_who_came_and_went_while_the_way_stalled_is_not_shown(waited_s: float) -> None:
    """All frames of a stall come within one look, the last of them in time: nothing but the camera's clock tells how far apart they are."""
    held, frames = window(lookahead_s=0.4), 31
    for index in range(frames):
        source_s = index * waited_s / (frames - 1)
        held.arrive(raw_frame(index, arrival_s=0.004 * index, source_s=source_s, late_s=max(0.0, waited_s - source_s)))
    held.looked(1, look(0))
    held.looked(1, look(frames - 1))
    assert ways(held.due(0.7)) == ["decided", *["curtained"] * (frames - 2), "decided"]


def test_pictures_that_a_server_kept_for_who_comes_are_dropped() -> None:
    """A first frame is as late as any; that it was old is known by those behind it, before it is shown."""
    held = window(lookahead_s=0.4)
    for index in range(31):
        held.arrive(raw_frame(index, arrival_s=0.001 * index, source_s=0.1 * index))
        held.looked(1, look(index))
    verdicts = held.due(0.55)
    assert ways(verdicts[:15]) == ["dropped"] * 15, "1.5 s and more behind what is seen now, and half a second for the decision"
    assert ways(verdicts[-10:]) == ["decided"] * 10
