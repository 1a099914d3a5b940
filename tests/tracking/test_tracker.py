"""The tracker's promises: every frame decided once and in order, strong detections always covered, nothing across a cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymizer.errors import ModelError, UndecidedFrameError
from anonymizer.tracking import DEFAULT_LABELS, LabelPolicy, Tracker, TrackingPolicy
from anonymizer.types import Observation, Part
from tests.tracking.clips import FPS, GEOMETRY, OTHER_SCENE, SCENE, STRONG, WEAK, Box, Found, at, covered_frames, covers, covers_point, look, run

# --- what a track adds -----------------------------------------------------------------------------------------

SEEN, WEAKLY, UNSEEN = [at(100, 90)], [at(100, 90, score=WEAK)], []

TRACKS = [
    pytest.param([UNSEEN] * 3 + [SEEN] * 5, [0, 1, 2, 3, 4, 5, 6, 7], id="an-object-is-covered-before-its-first-detection"),
    pytest.param([SEEN] * 5 + [UNSEEN] * 3, [0, 1, 2, 3, 4, 5, 6, 7], id="an-object-is-covered-after-its-last-detection"),
    pytest.param([SEEN] + [UNSEEN] * 6 + [SEEN], [0, 1, 2, 3, 4, 5, 6, 7], id="a-gap-between-two-detections-is-covered"),
    pytest.param([SEEN], [0], id="a-clip-of-one-frame-is-decided"),
    pytest.param([WEAKLY] * 8, [], id="weak-detections-alone-cover-nothing"),
    pytest.param([WEAKLY] * 6 + [SEEN], [0, 1, 2, 3, 4, 5, 6], id="weak-detections-are-covered-once-a-strong-one-joins"),
    pytest.param([SEEN] * 4 + [WEAKLY] * 60, list(range(64)), id="weak-detections-continue-a-track-for-as-long-as-they-come"),
    pytest.param([WEAKLY] * 40 + [SEEN] + [WEAKLY] * 40, list(range(15, 69)), id="one-strong-detection-speaks-for-the-second-around-it"),
    pytest.param([WEAKLY] * 40 + [SEEN] + [WEAKLY] * 40 + [UNSEEN] * 20, list(range(15, 69)), id="what-is-covered-no-more-is-not-held"),
    pytest.param([WEAKLY] * 2 + [SEEN] + [WEAKLY] * 25 + [UNSEEN] * 20, list(range(31)), id="hold-begins-where-the-second-around-a-strong-one-ends"),
    pytest.param([], [], id="an-empty-stream-has-no-decisions"),
]


@pytest.mark.parametrize(("frames", "covered"), TRACKS)
def test_track(frames: list[list[Found]], covered: list[int]) -> None:
    assert covered_frames(run(frames)) == covered


@pytest.mark.parametrize(("leap_overlap", "covered"), [(0.0, [False, False]), (0.5, [True, True])])
def test_what_may_be_two_things_is_covered_at_both_ends(leap_overlap: float, covered: list[bool]) -> None:
    """One vanishes, another appears beside it: linked, they would be covered on the way from one to the other alone."""
    policy = TrackingPolicy(trusted_after=1, leap_overlap=leap_overlap)
    found = run([[at(100, 90)], [], [], [], [at(124, 90)]], policy=policy)
    assert [covers(found[1], (90, 80, 110, 100)) and covers(found[2], (90, 80, 110, 100)), covers(found[3], (114, 80, 134, 100))] == covered


def test_what_may_be_another_thing_stays_where_it_is_seen() -> None:
    """How far it is from where something else was seen, and how long ago that was, says nothing about its motion."""
    policy, there = TrackingPolicy(trusted_after=1, leap_overlap=0.5), (130.0, 80.0, 150.0, 100.0)
    decisions = run([[at(100, 90)], *[[]] * 22, [at(140, 90)], *[[]] * 40], policy=policy)
    assert [covers(decision, there) for decision in decisions[15:32]] == [True] * 17


def test_hold_ends() -> None:
    covered = covered_frames(run([SEEN] * 10 + [UNSEEN] * 100))
    assert covered == list(range(len(covered)))
    assert (len(covered) - 10) / FPS == pytest.approx(TrackingPolicy().vanished_hold_s, abs=1 / FPS)


def test_object_that_left_through_the_edge_is_held_shorter_than_one_that_vanished() -> None:
    leaving = [[at(300 + step, 90)] for step in range(10)] + [UNSEEN] * 60
    vanishing = [[at(150 + step, 90)] for step in range(10)] + [UNSEEN] * 60
    assert len(covered_frames(run(leaving))) < len(covered_frames(run(vanishing)))


def test_single_find_reaches_less_far_than_a_lasting_one() -> None:
    once, often = ([UNSEEN] * 30 + [SEEN] * count + [UNSEEN] * 30 for count in (1, 8))
    assert 1 < len(covered_frames(run(once))) < len(covered_frames(run(often))) - 7


def test_no_object_is_too_short_and_no_crowd_too_large() -> None:
    crowd = [at(6 + 12 * column, 6 + 12 * row, side=8) for column in range(26) for row in range(14)]
    decision = run([UNSEEN, crowd, UNSEEN])[1]
    assert all(covers(decision, box) for box, _ in crowd)


def test_origins_say_where_a_cover_comes_from() -> None:
    decisions = run([UNSEEN, SEEN, SEEN, SEEN, SEEN, UNSEEN, SEEN, UNSEEN])
    assert [decision.regions[0].origin for decision in decisions] == ["backfilled", *["detected"] * 4, "interpolated", "detected", "held"]
    assert {decision.regions[0].track_id for decision in decisions} == {0}
    assert decisions[1].regions[0].score == pytest.approx(STRONG)
    assert decisions[5].regions[0].score is None


# --- motion ----------------------------------------------------------------------------------------------------


def walk(seed: int, frames: int, drop: float, side: float, speed_px: float, jitter_px: float, start_px: float = 20) -> tuple[list[list[Found]], list[Box]]:
    """A moving object and what a bad detector sees of it; both ends are seen."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-0.3, 0.3)
    truth, found = [], []
    for index in range(frames):
        cx, cy = start_px + speed_px * index * np.cos(angle), 90 + speed_px * index * np.sin(angle)
        truth.append(at(cx, cy, side)[0])
        seen = index in (0, frames - 1) or rng.random() >= drop
        noise = rng.normal(0, jitter_px, 2)
        found.append([at(cx + noise[0], cy + noise[1], side)] if seen else [])
    return found, truth


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("side", "speed_px"), [(8, 5.0), (8, 12.0), (24, 2.0), (24, 8.0), (60, 4.0)])
def test_moving_object_with_three_tenths_of_its_detections_lost_is_covered_in_every_frame(seed: int, side: float, speed_px: float) -> None:
    frames = min(40, int(270 / speed_px))
    found, truth = walk(seed, frames, 0.3, side, speed_px, 0.0)
    decisions = run(found)
    assert [index for index, box in enumerate(truth) if not covers(decisions[index], box)] == []
    assert len({region.track_id for decision in decisions for region in decision.regions}) == 1


@pytest.mark.parametrize("seed", range(4))
def test_cover_moves_smoothly_where_detections_jitter(seed: int) -> None:
    found, _ = walk(seed, 40, 0.3, 40, 2.0, 1.0, start_px=60)
    boxes = np.array([decision.regions[0].xyxy for decision in run(found)])
    raw = np.array([found[index][0][0] for index in range(40) if found[index]])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert np.abs(np.diff(sides, axis=0)).max() < 6.0
    steps = np.diff(boxes[:, :2] + boxes[:, 2:], axis=0) / 2
    raw_steps = np.diff(raw[:, :2] + raw[:, 2:], axis=0) / 2
    assert steps.std(axis=0).max() < 0.75 * raw_steps.std(axis=0).max()


def test_cover_never_shrinks_below_its_neighbours_in_time() -> None:
    sides = [40, 40, 30, 40, 28, 40, 40, 20, 40, 40]
    decisions = run([[at(150, 90, side)] for side in sides])
    widths = [decision.regions[0].xyxy[2] - decision.regions[0].xyxy[0] for decision in decisions]
    assert min(widths) >= 40


def pan(shift_cells: float) -> list[NDArray[np.uint8]]:
    """Glimpses of a camera that pans over a wide scene, `shift_cells` of 1/64 picture a frame."""
    coarse = np.random.default_rng(5).integers(20, 236, (9, 60)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((4, 4), np.uint8)).astype(np.float32)
    glimpses = []
    for index in range(40):
        columns = np.arange(64) + shift_cells * index
        low = np.floor(columns).astype(int)
        glimpses.append((wide[:, low] * (1 - (columns - low)) + wide[:, low + 1] * (columns - low)).astype(np.uint8))
    return glimpses


def test_hold_follows_the_camera() -> None:
    """A pan of 2 px a frame: the object stands still in the scene and is seen in the first frames only."""
    truth = [at(250 - 2.0 * index, 90, 16) for index in range(28)]
    policy = TrackingPolicy(vanished_hold_s=1.0)
    decisions = run([[found] if index < 8 else [] for index, found in enumerate(truth)], policy, glimpses=pan(2.0 / 5.0))
    assert [index for index, (box, _) in enumerate(truth) if not covers(decisions[index], box)] == []


@pytest.mark.parametrize("speed_px", [0.0, 2.0, -2.0], ids=["followed-by-the-camera", "still-in-the-scene", "against-the-camera"])
def test_one_object_is_one_track_whatever_the_camera_does(speed_px: float) -> None:
    found = [[at(160 - speed_px * (index - 20), 90, 10)] if index % 3 else [] for index in range(40)]
    decisions = run(found, glimpses=pan(2.0 / 5.0))
    assert {region.track_id for decision in decisions for region in decision.regions} == {0}


# --- cuts ------------------------------------------------------------------------------------------------------


def test_nothing_crosses_a_cut() -> None:
    first, second = [at(80, 90)], [at(240, 90)]
    decisions = run([first] * 10 + [UNSEEN] * 5 + [UNSEEN] * 5 + [second] * 10, glimpses=[SCENE] * 15 + [OTHER_SCENE] * 15)
    assert [covers_point(decision, 80, 90) for decision in decisions] == [True] * 15 + [False] * 15
    assert [covers_point(decision, 240, 90) for decision in decisions] == [False] * 15 + [True] * 15


def bright(glimpse: NDArray[np.uint8], gain: float, offset: float) -> NDArray[np.uint8]:
    return np.clip(glimpse * gain + offset, 0, 255).astype(np.uint8)


NO_CUTS: list[tuple[str, Callable[[int], NDArray[np.uint8]]]] = [
    ("a-flash-of-two-frames", lambda index: bright(SCENE, 0.05, 245) if index in (10, 11) else SCENE),
    ("the-exposure-halves", lambda index: bright(SCENE, 0.5, 0) if index >= 10 else SCENE),
    ("the-picture-brightens", lambda index: bright(SCENE, 1.0, 60) if index >= 10 else SCENE),
    ("two-black-frames", lambda index: np.zeros_like(SCENE) if index in (10, 11) else SCENE),
    ("another-scene-flashes-up", lambda index: OTHER_SCENE if index in (10, 11) else SCENE),
    ("noise", lambda index: bright(SCENE + np.random.default_rng(index).normal(0, 6, SCENE.shape), 1, 0)),
]


@pytest.mark.parametrize("glimpse", [pytest.param(glimpse, id=name) for name, glimpse in NO_CUTS])
def test_what_is_no_cut(glimpse: Callable[[int], NDArray[np.uint8]]) -> None:
    """An object unseen from frame 8 to 13 is covered through all of it."""
    frames = [UNSEEN if 8 <= index < 14 else SEEN for index in range(24)]
    assert covered_frames(run(frames, glimpses=[glimpse(index) for index in range(24)])) == list(range(24))


# --- frames that are special ------------------------------------------------------------------------------------


def test_damaged_frame_is_covered_whole_and_tracks_cross_it() -> None:
    decisions = run([SEEN] * 4 + [UNSEEN] * 3 + [SEEN] * 4, damaged=frozenset({5}))
    assert [(region.shape, region.origin) for region in decisions[5].regions] == [("frame", "whole_frame")]
    assert [decision.regions[0].origin for decision in decisions[4:7:2]] == ["interpolated", "interpolated"]


def test_failed_look_raises_and_leaves_no_decision() -> None:
    tracker = Tracker(TrackingPolicy(lookahead_s=0), GEOMETRY, FPS)
    with pytest.raises(ModelError, match="face: no answer") as caught:
        tracker.push(Observation(0, None, failure="face: no answer"), 0.0, SCENE)
    assert caught.value.exit_code == 4
    assert tracker.flush() == []


@pytest.mark.parametrize("index", [0, 2, 1000])
def test_frame_out_of_order_is_undecided(index: int) -> None:
    tracker = Tracker(TrackingPolicy(), GEOMETRY, FPS)
    tracker.push(look(0, []), 0.0, SCENE)
    with pytest.raises(UndecidedFrameError):
        tracker.push(look(index, []), 0.04, SCENE)


TIMES = [
    pytest.param([0.0] * 30, id="every-frame-has-the-same-time"),
    pytest.param([5.0 - index for index in range(30)], id="times-run-backwards"),
    pytest.param([index * 3600.0 for index in range(30)], id="an-hour-lies-between-two-frames"),
    pytest.param([-10 + index / FPS for index in range(30)], id="times-are-negative"),
    pytest.param([index * 1e-6 for index in range(30)], id="a-million-frames-a-second"),
    pytest.param([float(index // 2) for index in range(30)], id="each-time-comes-twice"),
]


@pytest.mark.parametrize("times_s", TIMES)
@pytest.mark.parametrize("rate", [None, FPS, 1e6, 0.001])
def test_odd_times_still_decide_every_frame_once(times_s: list[float], rate: float | None) -> None:
    tracker = Tracker(TrackingPolicy(), GEOMETRY, rate)
    decisions = [decision for index in range(30) for decision in tracker.push(look(index, SEEN), times_s[index], SCENE)] + tracker.flush()
    assert [decision.frame_index for decision in decisions] == list(range(30))
    assert covered_frames(decisions) == list(range(30))


def test_face_cut_by_the_frame_edge_is_covered_to_its_corners() -> None:
    decision = run([[((0.0, 60.0, 20.0, 100.0), STRONG)]])[0]
    (region,) = decision.regions
    left, top, right, bottom = region.xyxy
    for y in (64, 96):
        assert ((0 - (left + right) / 2) / ((right - left) / 2)) ** 2 + ((y - (top + bottom) / 2) / ((bottom - top) / 2)) ** 2 <= 1


# --- what is believed --------------------------------------------------------------------------------------------

_DOUBTED = LabelPolicy(strong_score=0.2, weak_score=0.05, mean_share=0.8)
HINT, FAINT, CLEAR = ([at(100, 90, score=score)] for score in (0.25, 0.08, 0.45))

BELIEF = [
    pytest.param([HINT] * 10, 10, id="what-every-look-sees-is-believed"),
    pytest.param([UNSEEN] * 5 + [HINT] + [UNSEEN] * 5, 3, id="so-is-what-was-seen-once"),
    pytest.param([HINT, *[FAINT] * 4] * 5, 0, id="what-most-looks-hardly-see-is-not"),
    pytest.param([HINT, *[UNSEEN] * 5] * 5, 0, id="nor-what-they-do-not-see"),
    pytest.param([HINT, *[FAINT] * 4] * 5 + [CLEAR], 26, id="but-once-it-was-sure-all-of-it-is"),
    pytest.param([FAINT] * 12 + [HINT] * 12, 24, id="half-of-the-looks-near-a-frame-are-enough-for-good"),
]


@pytest.mark.parametrize(("frames", "covered"), BELIEF)
def test_what_is_believed(frames: list[list[Found]], covered: int) -> None:
    assert len(covered_frames(run(frames, TrackingPolicy(labels={"face": _DOUBTED})))) == covered


def test_a_sure_sighting_earns_as_much_trust_as_two() -> None:
    policy = TrackingPolicy(labels={"face": _DOUBTED})
    beyond = [len(covered_frames(run([UNSEEN] * 30 + seen + [UNSEEN] * 30, policy))) - len(seen) for seen in ([CLEAR] * 4, [HINT] * 8, [HINT] * 4)]
    assert beyond[0] == beyond[1] > beyond[2]


def test_what_one_size_of_look_sees_is_believed_whatever_the_others_see() -> None:
    """Two in three looks are too coarse for a small thing."""
    shown: tuple[Part, ...] = ("coarse", "fine", "coarse")
    for parts, covered in ((shown, 24), (("all",) * 3, 0)):
        tracker = Tracker(TrackingPolicy(labels={"face": _DOUBTED}), GEOMETRY, FPS)
        decisions = []
        for index in range(24):
            seen = replace(look(index, HINT if index % 3 == 1 else UNSEEN), part=parts[index % 3])
            decisions += tracker.push(seen, index / FPS, SCENE)
        assert len(covered_frames([*decisions, *tracker.flush()])) == covered


def test_frames_that_nobody_looked_at_speak_against_nothing() -> None:
    for how, covered in (("evidence", 21), ("full", 0)):
        tracker = Tracker(TrackingPolicy(labels={"face": _DOUBTED}), GEOMETRY, FPS)
        decisions = []
        for index in range(21):
            seen = replace(look(index, HINT if index % 4 == 0 else UNSEEN), how="full" if index % 4 == 0 else how)
            decisions += tracker.push(seen, index / FPS, SCENE)
        assert len(covered_frames([*decisions, *tracker.flush()])) == covered
    damaged = frozenset(index for index in range(21) if index % 4)
    frames = [HINT if index % 4 == 0 else UNSEEN for index in range(21)]
    decisions = run(frames, TrackingPolicy(labels={"face": _DOUBTED}), damaged=damaged)
    assert all(decision.regions for decision in decisions)


def test_scores_that_are_believed_follow_the_size() -> None:
    policy = LabelPolicy(strong_score=0.5, mean_share=0.8, mean_by_size=((0.1, 0.5), (0.3, 1.0)))
    assert [policy.believed_from(size) for size in (0.05, 0.1, 0.2, 0.9)] == pytest.approx([0.2, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("label", [*DEFAULT_LABELS, "other"])
def test_one_strong_look_alone_is_believed_at_every_size(label: str) -> None:
    """Whatever is in sight for a moment has but that one."""
    policy = TrackingPolicy().of(label)
    assert max(policy.believed_from(size) for size in np.linspace(0, 1, 101)) <= policy.strong_score
