"""Times, spans and zones as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.config import Span, Zone, parse_span, parse_time, parse_zone

TIMES = [("90", 90), ("0", 0), ("1:30", 90), ("00:01:30.5", 90.5), ("100:00", 6000), ("2:00:00", 7200), (" 5.25 ", 5.25)]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_time(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1:60", "1:90:00", "-5", "1:2:3:4", "1e3", "nan", "inf", "1:", ":30", "\u0661"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [("00:01:00-00:02:00", Span(60, 120)), ("90-", Span(90)), ("-90", Span(0, 90)), ("1.5 - 2.5", Span(1.5, 2.5))],
)
def test_span(text: str, span: Span) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "-", "90", "2-1", "1-1", "1-2-3", "a-b"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|time|ends before"):
        parse_span(text)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1,2,nan,4", "1,2,inf,4", "1e9,0,5,5", "0,0,1e300,5", "1,2,3,4@", "1,2,3,4@5"]
)
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|span"):
        parse_zone(text)


def test_zone_gives_its_corners() -> None:
    assert parse_zone("1,2,3,4").xyxy == (1, 2, 4, 6)
    assert parse_zone("1,2,3,4@-5").span == Span(0, 5)


NUMBER = st.integers(-5000, 5000).map(lambda number: number / 4)
LENGTH = st.integers(1, 5000).map(lambda number: number / 4)
SPANS = st.none() | st.tuples(st.integers(0, 9000), st.integers(1, 9000)).map(lambda ends: Span(ends[0] / 8, (ends[0] + ends[1]) / 8))


@given(zone=st.builds(Zone, NUMBER, NUMBER, LENGTH, LENGTH, SPANS))
def test_zone_reads_back_as_it_is_written(zone: Zone) -> None:
    assert parse_zone(str(zone)) == zone
