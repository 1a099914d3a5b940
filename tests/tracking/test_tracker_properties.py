"""What holds for the tracker whatever it is shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.tracking import LabelPolicy, Tracker, TrackingPolicy
from anonymizer.types import Decision
from tests.tracking.clips import FPS, GEOMETRY, OTHER_SCENE, SCENE, WEAK, Found, at, covers, look, run

coordinates = st.tuples(st.floats(0, 300), st.floats(0, 160), st.floats(2, 60), st.floats(2, 60))
boxes = coordinates.map(lambda c: (c[0], c[1], min(c[0] + c[2], 320.0), min(c[1] + c[3], 180.0)))
finds = st.lists(st.tuples(boxes, st.floats(0, 1, width=32)), max_size=5)
clips = st.lists(finds, max_size=12)


@given(clips, st.sampled_from(["face", "plate", "person"]), st.sampled_from([0.0, 0.4, 1.0]))
def test_every_strong_detection_is_covered_in_its_frame(frames: list[list[Found]], label: str, lookahead_s: float) -> None:
    policy = TrackingPolicy(lookahead_s=lookahead_s)
    limit = policy.of(label).strong_score
    for found, decision in zip(frames, run(frames, policy, label=label), strict=True):
        for box, score in found:
            if np.float32(score) >= np.float32(limit):
                assert covers(decision, tuple(np.float32(v).item() for v in box))  # type: ignore[arg-type]


@given(clips)
def test_every_sure_detection_is_covered_however_little_its_track_is_believed(frames: list[list[Found]]) -> None:
    doubting = LabelPolicy(strong_score=0.2, weak_score=0.05, mean_share=4.0, sure_score=0.6)
    for found, decision in zip(frames, run(frames, TrackingPolicy(labels={"face": doubting})), strict=True):
        for box, score in found:
            if np.float32(score) >= np.float32(doubting.sure_score):
                assert covers(decision, tuple(np.float32(v).item() for v in box))  # type: ignore[arg-type]


@given(clips)
def test_same_input_gives_the_same_decisions(frames: list[list[Found]]) -> None:
    assert run(frames) == run(frames)


@given(clips, clips)
def test_weak_detections_never_uncover_a_strong_one(frames: list[list[Found]], more: list[list[Found]]) -> None:
    weak = [[(box, WEAK) for box, _ in found] for found in more] + [[] for _ in frames]
    decisions = run([found + extra for found, extra in zip(frames, weak, strict=False)])
    for found, decision in zip(frames, decisions, strict=True):
        assert all(covers(decision, tuple(np.float32(v).item() for v in box)) for box, score in found if score > 0.5)  # type: ignore[arg-type]


@given(clips)
def test_weak_detections_elsewhere_change_nothing(frames: list[list[Found]]) -> None:
    """Far from everything else (objects live in the left half here) they take no cover away."""
    left = [[((box[0] / 4, box[1], box[2] / 4, box[3]), score) for box, score in found] for found in frames]
    far = [[*found, at(300, 90, 6, WEAK)] for found in left]
    assert [decision.regions for decision in strip_ids(run(left))] == [decision.regions for decision in strip_ids(run(far))]


def strip_ids(decisions: list[Decision]) -> list[Decision]:
    return [replace(decision, regions=tuple(replace(region, track_id=None) for region in decision.regions)) for decision in decisions]


@settings(max_examples=30)
@given(clips, clips)
def test_decisions_before_a_cut_do_not_know_what_comes_after(first: list[list[Found]], second: list[list[Found]]) -> None:
    glimpses = [SCENE] * len(first) + [OTHER_SCENE] * len(second)
    together = strip_ids(run(first + second, glimpses=glimpses))
    alone = strip_ids(run(first)) + strip_ids(run(second, glimpses=[OTHER_SCENE] * len(second)))
    for one, other in zip(together, alone, strict=True):
        assert len(one.regions) == len(other.regions)
        for a, b in zip(one.regions, other.regions, strict=True):
            assert a.xyxy == pytest.approx(b.xyxy, abs=1e-6)


def test_memory_is_bounded_by_the_lookahead() -> None:
    tracker = Tracker(TrackingPolicy(lookahead_s=0.4), GEOMETRY, FPS)
    rng = np.random.default_rng(0)
    for index in range(600):
        found = [at(100, 90), *(at(*rng.uniform((10, 10), (310, 170))) for _ in range(3))]
        tracker.push(look(index, found), index / FPS, SCENE)
    assert len(tracker._pending) <= 0.4 * FPS + 1
    assert len(tracker._timeline.clock_s) <= 4 * FPS
    assert len(tracker._tracks) + len(tracker._resting) <= 4 * FPS * 4
    assert max(track.last - track.first for track in tracker._tracks) <= 8 * FPS
