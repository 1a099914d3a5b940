"""Thresholds of one half, reported on the other."""

from __future__ import annotations

import pytest

from anonymizer.errors import ConfigError
from anonymizer.evaluation import Seen
from anonymizer.evaluation.figures import at_threshold
from scoreboard.halves import halves_of
from tests.evaluation.marked import seen_by_hand

BOX = (10.0, 10.0, 40.0, 50.0)


def two_sources() -> list[Seen]:
    """Source a finds false boxes at 0.6, source b at 0.2; the objects of c and d are found at 0.4."""
    free = [seen_by_hand(f"{source}_{at}.jpg", found=[(BOX, score)]) for source, score in (("a", 0.6), ("b", 0.2)) for at in range(4)]
    return free + [seen_by_hand(f"{source}_{at}.jpg", truth=[BOX], found=[(BOX, 0.4)]) for source in ("c", "d") for at in range(2)]


def test_each_half_is_reported_with_the_others_threshold() -> None:
    halves = halves_of(two_sources(), "face")
    set_by_a, set_by_b = halves.thresholds[0.25]
    assert (set_by_a > 0.6, 0.2 < set_by_b < 0.21) == (True, True)
    point = at_threshold(halves.at_rate[0.25], 1.0)
    # What stands in the half of a is told with b's low threshold: all found, all false boxes; and the other way round.
    assert (point["cover"]["right"], point["cover"]["objects"]) == (2, 4)
    assert point["false_boxes"]["value"] == pytest.approx(0.5)
    assert set(point["by_attribute"]["source"]) == {"c", "d"}
    assert point["area"]["value"] == pytest.approx(0.5)


def test_the_whole_is_all_pictures_with_their_own_scores() -> None:
    halves = halves_of(two_sources(), "face")
    assert (halves.whole.pictures, halves.whole.free_pictures, len(halves.whole.hidden)) == (4, 8, 4)
    assert at_threshold(halves.whole, 0.4)["cover"]["percent"] == 100
    assert at_threshold(halves.whole, 0.41)["cover"]["percent"] == 0
    assert at_threshold(halves.whole, 0.3)["false_boxes"]["value"] == pytest.approx(0.5)


def test_a_half_without_empty_pictures_sets_no_threshold() -> None:
    with pytest.raises(ConfigError, match="face: a half of the data has no picture without one"):
        halves_of([one for one in two_sources() if not one.picture.free] + two_sources()[:1], "face")
