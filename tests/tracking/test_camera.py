"""The camera's motion, measured on glimpses with a known one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.tracking.camera import STILL, Timeline, is_flat, move_between
from anonymizer.tracking.cuts import glimpse_of


def world() -> NDArray[np.uint8]:
    """A smooth, textured picture larger than any view of it, 20 pixels a glimpse cell."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (40, 60)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (2400, 1600), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


WORLD = world()


def view(zoom: float, x: float, y: float) -> NDArray[np.uint8]:
    """1280x720 of the world as a glimpse; x' = zoom * x + (x, y) against view(1, 0, 0)."""
    matrix = np.array([[zoom, 0, x - 500 * zoom], [0, zoom, y - 400 * zoom]], float)
    return glimpse_of(np.repeat(cv2.warpAffine(WORLD, matrix, (1280, 720))[..., None], 3, axis=2))


MOVES = [
    pytest.param(1.0, 0.0, 0.0, id="still"),
    pytest.param(1.0, 3.0, -2.0, id="a-shake-of-less-than-a-cell"),
    pytest.param(1.0, 130.0, 40.0, id="a-pan-of-a-tenth-of-the-picture"),
    pytest.param(1.0, -350.0, 0.0, id="a-whip-pan-of-a-quarter-of-the-picture"),
    pytest.param(1.06, -30.0, -20.0, id="zooming-in"),
    pytest.param(0.95, 40.0, 10.0, id="zooming-out-and-panning"),
]


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0), (0.6, 30)], ids=["same-exposure", "other-exposure"])
@pytest.mark.parametrize(("zoom", "x", "y"), MOVES)
def test_motion_is_found_to_a_pixel(zoom: float, x: float, y: float, gain: float, offset: int) -> None:
    after = (view(zoom, x, y) * gain + offset).astype(np.uint8)
    move = move_between(view(1, 0, 0), after)
    scale, shift = move.in_coded(Geometry((1280, 720)))
    corners = np.array([[100, 100], [1180, 100], [100, 620], [1180, 620]], float)
    assert np.abs(scale * corners + shift - (zoom * corners + (x, y))).max() < 1.5
    assert move.likeness > 0.95


def test_walker_before_a_still_camera_is_not_camera_motion() -> None:
    before, after = view(1, 0, 0), view(1, 0, 0)
    before[8:30, 10:22], after[8:30, 13:25] = 250, 250
    _, shift = move_between(before, after).in_coded(Geometry((1280, 720)))
    assert np.abs(shift).max() < 1.5


@pytest.mark.parametrize("level", [0, 128, 255])
def test_even_pictures_are_flat_and_do_not_move(level: int) -> None:
    even = np.full((36, 64), level, np.uint8)
    assert is_flat(even)
    assert move_between(even, even).shift == STILL.shift


@pytest.mark.parametrize("orientation", range(1, 9))
def test_motion_of_the_displayed_picture_is_turned_into_the_coded_frame(orientation: int) -> None:
    geometry = Geometry((1280, 720), orientation)
    width, height = geometry.displayed_wh
    zoom, x, y = 1.1, 30.0, -12.0
    move = type(STILL)(zoom, (x / width, y / height))
    scale, shift = move.in_coded(geometry)
    coded = np.array([[100, 50, 300, 200]], np.float32)
    moved = geometry.to_displayed(coded) * zoom + np.array([x, y, x, y], np.float32)
    np.testing.assert_allclose(coded * scale + np.tile(shift, 2), geometry.to_coded(moved), atol=0.01)


def test_timeline_carries_boxes_both_ways_and_after_forgetting() -> None:
    timeline = Timeline()
    timeline.append(0.0, 1.0, np.zeros(2), None)
    rng = np.random.default_rng(0)
    at = [np.array([100.0, 50.0])]
    for number in range(1, 40):
        scale, shift = rng.uniform(0.98, 1.02), rng.uniform(-5, 5, 2)
        since = number - 1 - number % 2
        timeline.append(number / 25, scale, shift, since)
        at.append(scale * at[since] + shift)
    for drop in (0, 10):
        timeline.drop_before(drop)
        for target in (10, 25, 39):
            scale, shift = timeline.carried_to(target)
            for source in range(timeline.first, 40):
                np.testing.assert_allclose(scale[source - timeline.first] * at[source] + shift[source - timeline.first], at[target], atol=1e-6)
        assert timeline.clock_of(20) == 20 / 25


def test_timeline_survives_an_endless_zoom() -> None:
    timeline = Timeline()
    for number in range(30_000):
        timeline.append(number / 25, 1.05, np.array([1.0, -1.0]), number - 1 if number else None)
        timeline.drop_before(number - 20)
    scale, shift = timeline.carried_to(timeline.end - 1)
    assert np.isfinite(scale).all()
    assert np.isfinite(shift).all()
    assert scale[-2] == pytest.approx(1.05)
