"""Motion, association, paths and covers, each alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.geometry import Geometry
from anonymizer.tracking import DEFAULT_LABELS, WARY_LABELS, LabelPolicy, TrackingPolicy
from anonymizer.tracking.association import likeliness, pairs
from anonymizer.tracking.camera import Timeline
from anonymizer.tracking.covers import beyond_edges, centred, corners, grown_to_hold, padded
from anonymizer.tracking.motion import Motion
from anonymizer.tracking.tracks import AGE, SCORE, Track

# --- motion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps_s", [[0.04] * 20, [0.02, 0.1, 0.04, 0.2] * 5], ids=["constant-rate", "variable-rate"])
def test_filter_learns_a_constant_speed(steps_s: list[float]) -> None:
    motion, time_s = Motion((1280, 720)), 0.0
    motion.add(np.array([[100.0, 100.0, 30.0, 30.0]]))
    for step_s in steps_s:
        time_s += step_s
        motion.predict(step_s)
        motion.update(np.array([0]), np.array([[100 + 80 * time_s, 100 - 40 * time_s, 30.0, 30.0]]))
    motion.predict(0.2)
    np.testing.assert_allclose(motion.position[0, :2], [100 + 80 * (time_s + 0.2), 100 - 40 * (time_s + 0.2)], atol=2.0)


def test_doubt_grows_while_an_object_is_not_seen() -> None:
    motion = Motion((1280, 720))
    motion.add(np.array([[100.0, 100.0, 30.0, 30.0]]))
    doubts = []
    for _ in range(10):
        motion.predict(0.04)
        doubts.append(motion.variance[0, 0])
    assert doubts == sorted(doubts)
    assert (motion.position[0, 2:] >= 1).all()


def test_camera_carries_only_the_chosen_filters() -> None:
    motion = Motion((1280, 720))
    motion.add(np.array([[100.0, 100.0, 30.0, 30.0]] * 2))
    motion.follow_camera(np.array([True, False]), 1.1, np.array([5.0, -5.0]))
    np.testing.assert_allclose(motion.position, [[115, 105, 33, 33], [100, 100, 30, 30]])


# --- association -----------------------------------------------------------------------------------------------

FITS = [
    pytest.param([100, 100, 20, 20], True, id="the-same-box"),
    pytest.param([112, 100, 20, 20], True, id="half-a-box-away"),
    pytest.param([600, 100, 20, 20], False, id="at-the-other-side-of-the-picture"),
    pytest.param([100, 130, 70, 70], False, id="a-neighbour-three-times-as-large"),
]


@pytest.mark.parametrize(("box", "fits"), FITS)
def test_what_fits_a_settled_track(box: list[float], fits: bool) -> None:
    motion = Motion((1280, 720))
    motion.add(np.array([[100.0, 100.0, 20.0, 20.0]]))
    for _ in range(10):
        motion.predict(0.04)
        motion.update(np.array([0]), np.array([[100.0, 100.0, 20.0, 20.0]]))
    motion.predict(0.04)
    assert bool(likeliness(motion, np.array([0]), np.array([box], float))[0, 0] > 0) is fits


def test_small_fast_object_fits_its_track_without_any_overlap() -> None:
    motion = Motion((1280, 720))
    motion.add(np.array([[100.0, 100.0, 8.0, 8.0]]))
    motion.predict(0.04)
    assert likeliness(motion, np.array([0]), np.array([[120.0, 100.0, 8.0, 8.0]]))[0, 0] > 0


def test_pairs_are_best_first_and_ties_go_to_the_first() -> None:
    rows, columns = pairs(np.array([[1.0, 0.9, 0.0], [1.2, 0.2, 0.0], [0.0, 0.2, 0.0]]))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(1, 0), (0, 1)]
    rows, columns = pairs(np.ones((2, 2)))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [0, 1])
    assert pairs(np.zeros((0, 3)))[0].size == 0


# --- paths -----------------------------------------------------------------------------------------------------


def test_gap_in_a_path_is_filled_along_the_camera() -> None:
    timeline, track = Timeline(), Track(0, "face", 0, 0, trusted_after=4)
    for number in range(11):
        timeline.append(number / 10, 1.0, np.array([4.0, 0.0]), number - 1 if number else None)
    track.see(0, np.array([100.0, 50.0, 20.0, 20.0]), 0.9, True, timeline)
    track.see(10, np.array([140.0, 60.0, 30.0, 20.0]), 0.9, True, timeline)
    rows = track.rows(0, 11)
    np.testing.assert_allclose(rows[:, 0], 100 + 4.0 * np.arange(11))
    np.testing.assert_allclose(rows[:, 1], 50 + np.arange(11))
    np.testing.assert_allclose(rows[:, 2], 20 + np.arange(11))
    assert (rows[1:10, SCORE] == 0).all()
    assert rows[5, AGE] == pytest.approx(0.5)
    track.drop_before(7)
    assert track.first == 7
    assert track.rows(7, 11)[0, 0] == pytest.approx(128)
    track.drop_before(100)
    assert (track.first, track.last) == (10, 10)


def test_leap_is_told_from_a_walk() -> None:
    timeline, track = Timeline(), Track(0, "face", 0, 0, trusted_after=1, leap_overlap=0.5)
    for number in range(26):
        timeline.append(number / 10, 1.0, np.zeros(2), number - 1 if number else None)
    for number, x in ((0, 100.0), (8, 104.0), (12, 130.0), (13, 170.0), (25, 172.0)):
        track.see(number, np.array([x, 50.0, 20.0, 20.0]), 0.9, True, timeline)
    for number in (2, 19, 25):  # The walks from 100 to 104 and from 170 to 172 are none, and far from any.
        assert list(track.between_leaps(number, timeline, 0.5)) == []
    starts_at = {0: 100.0, 12: 130.0, 13: 170.0}
    for number, spans in ((4, [(0, 8)]), (8, [(0, 8)]), (10, [(0, 8), (12, 12)]), (12, [(12, 12)]), (13, [(13, 25)]), (17, [(13, 25)])):
        pieces = list(track.between_leaps(number, timeline, 0.5))
        assert [(piece.first, piece.last) for piece in pieces] == spans
        assert [piece.rows(piece.first, piece.first + 1)[0, 0] for piece in pieces] == [starts_at[first] for first, _ in spans]
        assert [list(piece.between_leaps(number, timeline, 0.5)) for piece in pieces] == [[] for _ in spans]
    track.drop_before(10)  # What stood here before is forgotten, what came is not.
    assert [(piece.first, piece.last) for piece in track.between_leaps(11, timeline, 0.5)] == [(12, 12)]
    timeline.drop_before(13)
    assert [(piece.first, piece.last) for piece in track.between_leaps(14, timeline, 0.5)] == [(13, 25)]


# --- covers ----------------------------------------------------------------------------------------------------

centres = st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 80), st.floats(1, 80))
ANGLES = np.linspace(0, 2 * np.pi, 73)


def rim(box: np.ndarray) -> np.ndarray:
    """Points on the ellipse inscribed in a box cx, cy, w, h."""
    return np.stack([box[0] + box[2] / 2 * np.cos(ANGLES), box[1] + box[3] / 2 * np.sin(ANGLES)], axis=1)


def in_ellipse(points: np.ndarray, box: np.ndarray) -> bool:
    return bool(((((points - box[:2]) / (box[2:] / 2)) ** 2).sum(axis=1) <= 1 + 1e-9).all())


@given(centres, centres)
def test_grown_cover_holds_the_inner_one_and_its_old_self(outer: tuple[float, ...], inner: tuple[float, ...]) -> None:
    a, b = np.array([outer, outer]), np.array([inner, inner])
    grown = grown_to_hold(a, b, np.array([True, False]))
    assert in_ellipse(rim(b[0]), grown[0])
    assert in_ellipse(rim(a[0]), grown[0])
    (left, top, right, bottom), (other, box) = corners(grown[1:])[0], corners(np.stack([a[1], b[1]]))
    assert left <= min(other[0], box[0]) + 1e-9
    assert top <= min(other[1], box[1]) + 1e-9
    assert right >= max(other[2], box[2]) - 1e-9
    assert bottom >= max(other[3], box[3]) - 1e-9


@given(st.floats(-10, 330), st.floats(-10, 190), st.floats(2, 150), st.floats(2, 150))
def test_ellipse_continued_beyond_the_edge_holds_the_one_before(cx: float, cy: float, width: float, height: float) -> None:
    box = np.array([[cx, cy, width, height]])
    assert in_ellipse(rim(box[0]), beyond_edges(box, np.array([True]), (320, 180))[0])
    np.testing.assert_array_equal(beyond_edges(box, np.array([False]), (320, 180)), box)


def test_margins_are_a_share_and_pixels_on_every_side() -> None:
    policies = [LabelPolicy(pad_share=0.1, pad_px=2), LabelPolicy(pad_share=0, pad_px=0)]
    boxes = centred(np.array([[100, 100, 140, 160], [0, 0, 10, 10]]))
    np.testing.assert_allclose(corners(padded(boxes, np.ones(2), policies, 1.5, Geometry((320, 180)))), [[93, 91, 147, 169], [0, 0, 10, 10]])


def test_small_things_get_a_smaller_share_but_never_none() -> None:
    boxes = centred(np.array([[0, 0, side, side] for side in (10, 40, 120, 200, 400)]))
    margins = padded(boxes, np.ones(5), [LabelPolicy(pad_share=0.1, pad_px=0)] * 5, 1.0, Geometry((1280, 720)))[:, 2] / boxes[:, 2] - 1
    np.testing.assert_allclose(margins[[0, 1, 3, 4]], [0.03, 0.03, 0.2, 0.2])
    assert 0.03 < margins[2] < 0.2


def test_margin_of_plates_is_widest_where_their_boxes_are_least_exact() -> None:
    boxes = centred(np.array([[0, 0, side, side / 4] for side in (20, 57.6, 108.8, 400)]))
    policy = replace(DEFAULT_LABELS["plate"], pad_px=0)
    grown = padded(boxes, np.full(4, 0.3), [policy] * 4, 1.0, Geometry((1280, 720)))
    np.testing.assert_allclose(grown[:, 2] / boxes[:, 2] - 1, [0, 0.1, 0.01, 0], atol=1e-9)
    np.testing.assert_allclose(grown[:, 3] / boxes[:, 3] - 1, [0, 0.035, 0.0035, 0], atol=1e-9)


def test_margin_is_the_wider_the_less_sure_the_sightings_are() -> None:
    score = np.array([0.05, 0.1, 0.3, 0.5, 0.9])
    boxes = np.repeat([[100.0, 100.0, 40.0, 40.0]], len(score), axis=0)
    policy = LabelPolicy(pad_share=0.1, pad_px=0, pad_by_size=((0.0, 1.0),), pad_by_score=((0.1, 2.0), (0.5, 1.0)))
    margins = padded(boxes, score, [policy] * len(score), 1.0, Geometry((1280, 720)))[:, 2] / 40 - 1
    np.testing.assert_allclose(margins, [0.4, 0.4, 0.3, 0.2, 0.2])


def test_extra_margin_is_added_on_every_side_whatever_the_size_or_score() -> None:
    policy = LabelPolicy(pad_share=0.1, pad_extra=0.25, pad_px=0, pad_by_score=((0.5, 0.0),))
    boxes = centred(np.array([[100, 100, 140, 160], [100, 100, 500, 500]]))
    grown = corners(padded(boxes, np.array([0.9, 0.9]), [policy] * 2, 1.0, Geometry((1280, 720))))
    np.testing.assert_allclose(grown, [[90, 85, 150, 175], [0, 0, 600, 600]])


@pytest.mark.parametrize("label", ["face", "plate"])
@given(side=st.floats(4, 1200), score=st.floats(0, 1))
def test_wary_covers_hold_the_usual_ones_and_more_is_believed(label: str, side: float, score: float) -> None:
    box, geometry = np.array([[600.0, 400.0, side, side]]), Geometry((1280, 720))
    usual, wary = DEFAULT_LABELS[label], WARY_LABELS[label]
    inner, outer = (corners(padded(box, np.array([score]), [policy], 1.0, geometry))[0] for policy in (usual, wary))
    assert (outer[:2] <= inner[:2] + 1e-9).all()
    assert (outer[2:] >= inner[2:] - 1e-9).all()
    assert wary.sure_score <= usual.sure_score
    assert wary.believed_from(side / 1280) <= usual.believed_from(side / 1280)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_margins_above_and_below_follow_the_viewer(orientation: int) -> None:
    geometry = Geometry((720, 1280), orientation)
    policy = LabelPolicy(pad_share=0.1, pad_px=0, pad_above=2.0, pad_below=0.5)
    seen = np.array([[200, 300, 400, 600]], np.float32)
    covered = corners(padded(centred(geometry.to_coded(seen)), np.ones(1), [policy], 1.0, geometry))
    np.testing.assert_allclose(geometry.to_displayed(covered.astype(np.float32)), [[180, 240, 420, 615]], atol=1e-3)


WRONG = [
    pytest.param(lambda: LabelPolicy(strong_score=0.2, weak_score=0.5), id="weak-above-strong"),
    pytest.param(lambda: LabelPolicy(strong_score=1.2), id="a-score-above-1"),
    pytest.param(lambda: LabelPolicy(pad_px=-1), id="a-negative-margin"),
    pytest.param(lambda: LabelPolicy(pad_by_size=((0.2, 1.0), (0.1, 0.5))), id="sizes-that-fall"),
    pytest.param(lambda: LabelPolicy(pad_by_size=((0.1, -0.5),)), id="a-factor-below-0"),
    pytest.param(lambda: LabelPolicy(pad_by_size=()), id="no-sizes"),
    pytest.param(lambda: TrackingPolicy(hold_s=-0.1), id="a-negative-time"),
    pytest.param(lambda: TrackingPolicy(lookahead_s=float("nan")), id="a-time-that-is-no-number"),
]


@pytest.mark.parametrize("make", WRONG)
def test_policy_refuses(make: object) -> None:
    with pytest.raises(ValueError, match=r"score|margin|time"):
        make()  # type: ignore[operator]
