"""Every shift changes a picture in the same way each time, and keeps its size unless that is what it is about."""

from __future__ import annotations

import numpy as np
import pytest

from anonymizer.evaluation.measured import measured_attributes
from anonymizer.evaluation.shifts import SHIFTS, SMALL_SCALE, shrunk
from anonymizer.media.recoding import recoded
from tests.conftest import draw_picture

PICTURE = draw_picture(3, (61, 47))


@pytest.mark.parametrize("name", SHIFTS)
def test_shift_changes_the_picture_the_same_way_each_time(name: str) -> None:
    before = PICTURE.copy()
    once, again = SHIFTS[name](PICTURE), SHIFTS[name](PICTURE)
    assert np.array_equal(once, again)
    assert np.array_equal(PICTURE, before)
    assert once.dtype == np.uint8
    scale = SMALL_SCALE if name == "small" else 1
    high, wide = round(47 * scale), round(61 * scale)
    assert once.shape == ((wide, high, 3) if name == "turned" else (high, wide, 3))
    assert name in ("small", "turned") or np.abs(once.astype(int) - PICTURE).mean() > 0.5


def test_night_is_dark_and_sodium_light_has_little_blue() -> None:
    assert SHIFTS["night"](PICTURE).mean() < PICTURE.mean() / 3
    assert SHIFTS["cast"](PICTURE)[..., 2].mean() < PICTURE[..., 2].mean() / 2
    assert np.array_equal(SHIFTS["cast"](PICTURE)[..., 0], PICTURE[..., 0])


def test_a_turned_picture_is_the_same_a_quarter_turn_to_the_left() -> None:
    assert np.array_equal(SHIFTS["turned"](PICTURE), np.rot90(PICTURE))


def test_fewer_bits_are_farther_from_the_picture() -> None:
    errors = [float(np.abs(recoded(PICTURE, crf).astype(int) - PICTURE).mean()) for crf in (10, 30, 45)]
    assert errors == sorted(errors)
    assert errors[0] < 5


def test_full_size_is_the_picture_itself() -> None:
    assert shrunk(PICTURE, 1.0) is PICTURE
    assert shrunk(PICTURE, 0.5).shape == (24, 30, 3)


def test_light_and_blur_are_measured() -> None:
    noise = np.random.default_rng(0).integers(0, 60, (40, 40)).astype(np.uint8)
    gradient = np.tile(np.arange(40, dtype=np.uint8) * 2 + 160, (40, 1))
    assert measured_attributes(noise, (0, 0, 40, 40)) == {"light": "dark", "blur": "sharp"}
    assert measured_attributes(gradient, (0, 0, 40, 40)) == {"light": "bright", "blur": "blurred"}
    assert measured_attributes(noise, (0, 0, 5, 5)) == {"light": "dark"}
