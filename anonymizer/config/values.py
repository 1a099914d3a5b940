"""Values that people write as text: times, spans and zones."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

_TIME = re.compile(r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d+)?)", re.ASCII)
_FARTHEST_PX = 1e6  # No picture is so large; arithmetic on pixels fails at some point behind it.


class Span(NamedTuple):
    """A stretch of a video's own clock, in seconds; without an end it reaches to the last frame."""

    start_s: float
    end_s: float | None = None

    def __str__(self) -> str:
        return f"{_said(self.start_s)}-" + ("" if self.end_s is None else _said(self.end_s))


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the picture as displayed, in pixels, always or for a span of time."""

    x: float
    y: float
    w: float
    h: float
    span: Span | None = None

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in the displayed picture."""
        return self.x, self.y, self.x + self.w, self.y + self.h

    def __str__(self) -> str:
        box = ",".join(_said(edge) for edge in (self.x, self.y, self.w, self.h))
        return box if self.span is None else f"{box}@{self.span}"


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5".

    >>> parse_time("1:30")
    90.0
    """
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a time like 90, 1:30 or 00:01:30.5")
    hours, minutes, seconds = int(found["hours"] or 0), int(found["minutes"] or 0), float(found["seconds"])
    if (found["hours"] and minutes > 59) or (found["minutes"] and seconds >= 60):
        raise ValueError(f"{text!r} is no time: minutes and seconds go up to 59")
    return hours * 3600 + minutes * 60 + seconds


def parse_span(text: str) -> Span:
    """A span from "00:01:00-00:02:00", "90-" (to the end) or "-90" (from the beginning).

    >>> parse_span("1:00-2:00")
    Span(start_s=60.0, end_s=120.0)
    """
    start, dash, end = text.strip().partition("-")
    if not dash or not (start.strip() or end.strip()):
        raise ValueError(f"{text!r} is not a span like 00:01:00-00:02:00, 90- or -90")
    span = Span(parse_time(start) if start.strip() else 0.0, parse_time(end) if end.strip() else None)
    if span.end_s is not None and span.end_s <= span.start_s:
        raise ValueError(f"{text!r} ends before it begins")
    return span


def parse_zone(text: str) -> Zone:
    """A zone from "x,y,w,h" or "x,y,w,h@start-end".

    >>> parse_zone("10,20,300,40@5-").xyxy
    (10.0, 20.0, 310.0, 60.0)
    """
    box, at, span = text.partition("@")
    try:
        x, y, w, h = (float(edge) for edge in box.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not a zone like x,y,w,h or x,y,w,h@start-end") from None
    if not (all(map(math.isfinite, (x, y, w, h))) and w > 0 and h > 0):
        raise ValueError(f"{text!r} is a zone without area")
    if max(map(abs, (x, y, w, h))) > _FARTHEST_PX:
        raise ValueError(f"{text!r} is a zone beyond every picture")
    return Zone(x, y, w, h, parse_span(span) if at else None)


def _said(number: float) -> str:
    return f"{number:.15g}"
