from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.detection.thresholds import STRICTNESS_WORDS, loosest, score_at, strictness_of, thresholds_for
from anonymizer.errors import ConfigError

MAP = ((0.05, 0.1), (0.1, 0.3), (0.2, 0.5), (0.3, 0.45), (0.5, 0.9), (0.7, 0.99))


@pytest.mark.parametrize("score_map", [(), MAP], ids=["nobody-measured", "measured"])
@given(one=st.floats(0, 1), two=st.floats(0, 1))
def test_stricter_never_wants_a_higher_score(score_map, one, two):
    loose, strict = thresholds_for(score_map, min(one, two)), thresholds_for(score_map, max(one, two))
    assert strict.strong <= loose.strong
    assert strict.weak <= loose.weak
    assert 0 < strict.weak <= strict.strong < 1


def test_card_that_is_right_only_at_high_scores_gives_higher_thresholds():
    assert thresholds_for(((0.1, 0.0), (0.9, 1.0)), 0.5).strong > thresholds_for(((0.1, 0.5), (0.2, 1.0)), 0.5).strong


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


def test_label_of_two_models_takes_the_lower_scores():
    one, two = thresholds_for(MAP, 0.5), thresholds_for((), 0.5)
    both = loosest([one, two])
    assert (both.strong, both.weak) == (min(one.strong, two.strong), min(one.weak, two.weak))
