from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.detection.thresholds import STRICTNESS_WORDS, Calibration, score_at, share_at, strictness_of, thresholds_for
from anonymizer.errors import ConfigError

MAP = ((0.05, 0.1), (0.1, 0.3), (0.2, 0.5), (0.3, 0.45), (0.5, 0.9), (0.7, 0.99))


CARD = Calibration(0.25, {640: MAP, 1280: ((0.1, 0.0), (0.9, 1.0))})


@pytest.mark.parametrize("calibration", [None, CARD], ids=["nobody-measured", "measured"])
@given(one=st.floats(0, 1), two=st.floats(0, 1), side=st.integers(100, 4000))
def test_stricter_never_wants_a_higher_score(calibration, one, two, side):
    loose, strict = thresholds_for(calibration, min(one, two), side), thresholds_for(calibration, max(one, two), side)
    assert strict.strong <= loose.strong
    assert strict.weak <= loose.weak
    assert 0 < strict.weak <= strict.strong < 1


@pytest.mark.parametrize("side", [640, 1280])
def test_normal_strictness_is_the_score_that_the_card_chose(side):
    assert thresholds_for(CARD, 0.5, side).strong == pytest.approx(0.25)


@pytest.mark.parametrize(("side", "measured_at"), [(320, 640), (640, 640), (900, 640), (910, 1280), (3840, 1280)])
def test_map_of_the_nearest_size_is_read(side, measured_at):
    assert CARD.map_for(side) == CARD.maps[measured_at]


@pytest.mark.parametrize(("known", "score"), [(0.07, 0.07), (None, 0.25)])
def test_pictures_alone_have_the_score_that_their_card_chose_for_them(known, score):
    """Also where the map does not rise yet: its share there is 0."""
    card = Calibration(0.25, {640: ((0.02, 0.0), (0.1, 0.0), (0.3, 0.4), (0.5, 0.9))}, known).for_pictures()
    assert thresholds_for(card, 0.5, 640).strong == pytest.approx(score)
    assert thresholds_for(card, 1.0, 640).strong < score < thresholds_for(card, 0.0, 640).strong


def test_map_that_says_nothing_leaves_the_score_where_it_is():
    flat = Calibration(0.25, {640: ((0.1, 0.0), (0.5, 0.0))})
    assert thresholds_for(flat, 1.0, 640).strong == thresholds_for(flat, 0.0, 640).strong == pytest.approx(0.25)


def test_share_and_score_are_each_others_inverse_where_the_map_rises():
    for share in (0.2, 0.4, 0.7):
        assert share_at(MAP[:3] + MAP[4:], score_at(MAP[:3] + MAP[4:], share)) == pytest.approx(share)


@pytest.mark.parametrize(("precision", "score"), [(0.0, 0.05), (0.3, 0.1), (0.7, 0.35), (1.0, 0.7)])
def test_score_at_a_precision_stays_within_what_was_measured(precision, score):
    assert score_at(MAP, precision) == pytest.approx(score)


def test_words_and_numbers_say_the_same():
    assert {word: strictness_of(word) for word in STRICTNESS_WORDS} == STRICTNESS_WORDS
    assert strictness_of("0.5") == strictness_of(0.5) == strictness_of("normal")


@pytest.mark.parametrize("text", ["very", "", "1.5", -0.1, "nan"])
def test_other_words_and_numbers_are_refused(text):
    with pytest.raises(ConfigError, match="strictness"):
        strictness_of(text)
