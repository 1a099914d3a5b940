"""Zones: covered whatever anybody saw, in every frame that is on the screen at some moment of their time.

One place for all doors: fresh decisions and a plan's, videos, animations, pages and arrays pass through `ZoneCover`.
Zones only ever add; a decision that holds one already is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from anonymizer.config import Zone, parse_zone
from anonymizer.errors import ConfigError
from anonymizer.geometry import Geometry
from anonymizer.types import Decision, Frame, Region

_EDGE_S = 1e-6  # Clocks of different time bases round differently: a frame that begins on a zone's edge is covered.


class ZoneCover:
    """The zones over the frames of one stream.

    `start_s` is where their times count from (None: the first frame), `end_s` how long the last frame may stay on the
    screen at least. Zones that some frame was shown in are added to `met`. ConfigError for a zone that no pixel of the
    stream lies in: whoever asked for it would believe that it covers something.
    """

    def __init__(
        self,
        zones: Iterable[Zone],
        geometry: Geometry,
        frame_rate: Fraction | None = None,
        *,
        start_s: float | None = 0.0,
        end_s: float | None = None,
        name: str = "the picture",
        met: set[Zone] | None = None,
    ) -> None:
        self._zones = {zone: _region_of(zone, geometry, name) for zone in zones}
        self._step_s = float(1 / frame_rate) if frame_rate else 0.0
        self._start_s = start_s
        self._end_s = end_s
        self._met = set[Zone]() if met is None else met

    def over(self, decided: Iterable[tuple[Frame, Decision]]) -> Iterator[tuple[Frame, Decision]]:
        """Every frame and its decision with the zones in it; where zones have times, each waits for the frame after it."""
        if all(zone.span is None for zone in self._zones):
            for frame, decision in decided:
                yield frame, self._with(decision, list(self._zones))
            return
        before: tuple[Frame, Decision] | None = None
        gap_s = 0.0
        for frame, decision in decided:
            if self._start_s is None:
                self._start_s = frame.time_s
            if before is not None:
                gap_s = frame.time_s - before[0].time_s
                yield before[0], self._with(before[1], self._shown(before[0].time_s, frame.time_s))
            before = frame, decision
        if before is not None:
            yield before[0], self._with(before[1], self._shown(before[0].time_s, self._last_until_s(before[0], gap_s)))

    def _last_until_s(self, frame: Frame, gap_s: float) -> float:
        """Until when the last frame may be on the screen: nobody says for sure, so the latest of all that is said."""
        duration_s = max(float(frame.duration * frame.time_base), self._step_s, gap_s)
        return max(frame.time_s + duration_s, frame.time_s if self._end_s is None else self._end_s)

    def _shown(self, begin_s: float, until_s: float) -> list[Zone]:
        start_s = self._start_s or 0.0
        return [zone for zone in self._zones if is_shown(zone, begin_s - start_s, until_s - start_s)]

    def _with(self, decision: Decision, zones: list[Zone]) -> Decision:
        self._met.update(zones)
        if any(region.shape == "frame" for region in decision.regions):
            return decision
        # A dict, for the order and because two zones may name one place at overlapping times.
        new = [region for region in dict.fromkeys(self._zones[zone] for zone in zones) if region not in decision.regions]
        return Decision(decision.frame_index, (*decision.regions, *new)) if new else decision


def is_shown(zone: Zone, begin_s: float, until_s: float) -> bool:
    """Whether a frame that is on the screen from `begin_s` until `until_s` (excluded) of the zone's clock is there in its time.

    >>> is_shown(parse_zone("0,0,9,9@1-4"), 0.0, 3.0), is_shown(parse_zone("0,0,9,9@1-4"), 0.0, 1.0)
    (True, False)
    """
    if zone.span is None:
        return True
    first_s, end_s = zone.span
    return (until_s > first_s + _EDGE_S or begin_s >= first_s - _EDGE_S) and (end_s is None or begin_s < end_s + _EDGE_S)


def shown_s(frame: Frame, start_s: float, frame_rate: Fraction | None) -> tuple[float, float]:
    """From when to when a frame is on the screen as far as it can tell alone, on the clock of zones."""
    begin_s = frame.time_s - start_s
    return begin_s, begin_s + max(float(frame.duration * frame.time_base), float(1 / frame_rate) if frame_rate else 0.0)


def is_within(zone: Zone, begin_s: float, until_s: float) -> bool:
    """Whether a frame is on the screen in the zone's time alone: only then may anything be left uncovered for it.

    >>> is_within(parse_zone("0,0,9,9@1-4"), 1.0, 3.0), is_within(parse_zone("0,0,9,9@1-4"), 3.0, 5.0)
    (True, False)
    """
    if zone.span is None:
        return True
    first_s, end_s = zone.span
    return begin_s >= first_s - _EDGE_S and (end_s is None or until_s <= end_s + _EDGE_S)


def planned_zones(policy: Mapping[str, Any], name: str) -> tuple[Zone, ...]:
    """The zones that a plan of that policy was made with; ConfigError for what is none."""
    said = policy.get("zones", [])
    try:
        if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
            raise ValueError("they are not a list of texts")
        return tuple(parse_zone(text) for text in said)
    except ValueError as error:
        raise ConfigError(f"{name}: line 1: the zones of its policy are not readable ({str(error)[:200]})", hint="make the plan again") from error


def _region_of(zone: Zone, geometry: Geometry, name: str) -> Region:
    """A zone of the displayed picture as a region of the coded frame."""
    width, height = geometry.displayed_wh
    left, top, right, bottom = zone.xyxy
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise ConfigError(
            f"{name}: the zone {zone} lies outside the picture and would cover nothing",
            hint=f"a zone is x,y,w,h in pixels of the picture as displayed, which has {width}x{height}",
        )
    left, top, right, bottom = (float(edge) for edge in geometry.to_coded(np.array([zone.xyxy], np.float32))[0])
    return Region("zone", "box", (left, top, right, bottom), origin="zone")
