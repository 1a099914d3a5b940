"""One object through time: where it was seen, and where it must have been between two sightings."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Self

import numpy as np

from anonymizer.tracking.association import overlaps
from anonymizer.tracking.camera import Timeline
from anonymizer.tracking.motion import Floats

CX, CY, W, H, SCORE, AGE = range(6)  # columns of a path; score 0: not seen, age: seconds to the nearest sighting
_LOOKS = 3  # at one size: the mean of fewer is the luck of one


class Track:
    """A path without holes from the first to the last sighting, in coded pixels of each frame."""

    __slots__ = ("_leap_overlap", "_leaps", "_path", "believed", "best", "first", "label", "last", "shot", "strong_s", "track_id", "trusted_after")

    def __init__(self, track_id: int, label: str, shot: int, number: int, trusted_after: int, leap_overlap: float = 0.0) -> None:
        self.track_id = track_id
        self.label = label
        self.shot = shot
        self.first = number
        self.last = number - 1
        self.trusted_after = trusted_after
        self._leap_overlap = leap_overlap
        self._leaps: list[tuple[int, int]] = []  # sightings, one after the other, that overlap by less: two things, perhaps
        self.best = 0.0  # score of any sighting
        self.believed = False  # for good, once it was: a cover that comes and goes is worse than either
        self.strong_s: list[float] = []  # clock times of the first `trusted_after` strong sightings
        self._path: Floats = np.zeros((8, 6))

    def see(self, number: int, box: Floats, score: float, strong: int, timeline: Timeline) -> None:
        """Add a sighting cx, cy, w, h in frame `number` that counts as so many strong ones; the frames since the last one are interpolated."""
        gap = number - self.last - 1 if self.last >= self.first else 0
        row = self.last + 1 - self.first
        while row + gap >= len(self._path):
            self._path = np.concatenate([self._path, np.zeros_like(self._path)])
        if row and (gap or self._leap_overlap):
            old = self._carried(number, timeline)
            self._path[row : row + gap] = self._between(number, old, box, timeline)
            if overlaps(old[None], box[None])[0, 0] < self._leap_overlap:
                self._leaps.append((self.last, number))
        self._path[row + gap] = (*box, score, 0.0)
        self.last = number
        self.best = max(self.best, score)
        self.strong_s += [timeline.clock_of(number)] * min(strong, self.trusted_after - len(self.strong_s))

    @property
    def trust(self) -> float:
        """How much of its reach in time a track has earned, 0 to 1."""
        return len(self.strong_s) / self.trusted_after

    def between_leaps(self, number: int, timeline: Timeline, sways_s: float) -> Iterator[Self]:
        """Nearer than `sways_s` to a leap, the piece of the track without it that this frame is in; in the gap of one, both beside it.

        If those are two things, each was where its own sightings say, and moved as they do.
        """
        if not self._leaps:
            return
        frame = min(max(number, self.first), self.last)
        clock_s = timeline.clock_of(max(frame, timeline.first))
        leaps_s = [[timeline.clock_of(max(end, timeline.first)) for end in leap] for leap in self._leaps]
        if any(before_s - sways_s <= clock_s <= after_s + sways_s for before_s, after_s in leaps_s):
            befores, afters = ([leap[side] for leap in self._leaps] for side in (0, 1))
            for start, end, left, reached in zip(
                [self.first, *afters], [*befores, self.last], [self.first - 1, *befores], [*afters, self.last + 1], strict=True
            ):
                if left < frame < reached and end >= max(self.first, timeline.first):
                    yield self._part(start, end)

    def _part(self, first: int, last: int) -> Self:
        part = copy.copy(self)
        part._path, part._leaps = self.rows(first, last + 1), []
        part.first, part.last = first, last
        return part

    def _carried(self, number: int, timeline: Timeline) -> Floats:
        """The box of the last sighting, carried by the camera to frame `number`."""
        scale, shift = timeline.carried_to(number)
        start = self.last - timeline.first
        old = self._path[self.last - self.first, :4] * scale[start]
        old[:2] += shift[start]
        return np.asarray(old)

    def _between(self, number: int, old: Floats, box: Floats, timeline: Timeline) -> Floats:
        """Rows of the frames between the last sighting and the new one, carried there by the camera from both."""
        scale, shift = timeline.carried_to(number)
        start, stop = self.last - timeline.first, number - timeline.first
        clock = timeline.clock_s[start : stop + 1]
        share = ((clock - clock[0]) / max(clock[-1] - clock[0], 1e-9))[1:-1, None]
        rows = np.zeros((stop - start - 1, 6))
        rows[:, :4] = old + share * (box - old)
        rows[:, :2] -= shift[start + 1 : stop]
        rows[:, :4] /= scale[start + 1 : stop, None]
        rows[:, AGE] = np.minimum(clock[1:-1] - clock[0], clock[-1] - clock[1:-1])
        return rows

    def rows(self, start: int, end: int) -> Floats:
        """The path's rows of frames start..end (excluded), which must lie on it."""
        return self._path[start - self.first : end - self.first]

    def mean_score(self, start: int, timeline: Timeline) -> float:
        """The mean score of the looks from frame `start` to the last sighting, those that did not see it counting as 0.

        Of the looks at one size alone if that is higher: what is small is seen at one of them only.
        """
        start = max(min(start, self.last), self.first, timeline.first)
        score = self.rows(start, self.last + 1)[:, SCORE]
        part = timeline.part[start - timeline.first : self.last + 1 - timeline.first]
        score, part = score[part >= 0], part[part >= 0]
        if not len(score):
            return self.best
        looks, total = np.bincount(part), np.bincount(part, score)
        often = looks >= _LOOKS
        return float(max([score.mean(), *(total[often] / looks[often])]))

    def drop_before(self, number: int) -> None:
        """Forget the rows before frame `number`, but never the last."""
        drop = min(number, self.last) - self.first
        if drop > 0:
            self._path = self._path[drop:].copy()
            self.first += drop
            self._leaps = [leap for leap in self._leaps if leap[1] >= self.first]
