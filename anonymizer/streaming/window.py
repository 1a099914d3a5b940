"""Which way a frame leaves: decided, carried, curtained or dropped. Arithmetic only: the clock is handed in.

Frames wait here for their deadline. The detector looks at the newest frame whenever it is free; the tracker carries what it
found over the frames between two looks, forwards and backwards. A frame that no look has reached by its deadline is carried from
the last one if that is near and nothing has changed beside what is known; else the whole picture is covered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.streaming.clock import LEAP_S
from anonymizer.streaming.ring import RawFrame
from anonymizer.tracking import GLIMPSE_WH, Tracker
from anonymizer.types import Decision, Detections, Observation, Region

Way = Literal["decided", "carried", "curtained", "dropped"]

WORK_S = 0.1  # beyond the look-ahead: what decoding, looking and waking take
LOOKS_APART_S = 0.5  # a frame between two looks farther apart is not decided by them: somebody may have come and gone
SURE_APART_S = 0.22  # of looks that are closer, nothing that is in sight for a fifth of a second escapes both
GROWTH_PER_FRAME = 0.04  # of its size, for each frame that a cover is carried on
CHANGED_GREY = 8.0  # of 255: a cell of a glimpse that differs by more has changed; noise and coding stay below
CHANGED_CELLS = 2  # so many changed cells of 64 x 36 are motion
_ROWS, _COLUMNS = np.mgrid[: GLIMPSE_WH[1], : GLIMPSE_WH[0]] + 0.5  # the cells' middles


@dataclass(frozen=True, slots=True)
class Verdict:
    """A frame and how it leaves; a decision only where its picture is shown."""

    raw: RawFrame
    way: Way
    decision: Decision | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    raw: RawFrame
    number: int  # the tracker's own count: it wants one without holes, and the ring may have lost frames
    glimpse: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Looked:
    """The newest frame that was looked at and has been decided."""

    raw: RawFrame
    shot: int | None
    glimpse: NDArray[np.uint8]


class Window:
    """The frames of one epoch, from arrival to verdict, in order, each once."""

    def __init__(self, tracker_for: Callable[[Geometry, float], Tracker], *, lookahead_s: float, carry_frames: int, stale_s: float) -> None:
        self._tracker_for = tracker_for
        self._deadline_s = lookahead_s + WORK_S
        self._carry_frames = carry_frames
        self._stale_s = max(stale_s, 2 * self._deadline_s)  # A look-ahead longer than what is stale was asked for.
        self._epoch = -1
        self._begin()

    def _begin(self) -> None:
        self._tracker: Tracker | None = None
        self._waiting: deque[_Waiting] = deque()
        self._arrived = 0
        self._pushed = -1  # up to this number the tracker knows all it will ever be told
        self._looks: deque[_Waiting] = deque()  # frames that the tracker was told a look of, and that still wait
        self._last: _Looked | None = None
        self._known: tuple[Region, ...] = ()

    def next_deadline_s(self) -> float | None:
        """When the oldest frame has to leave, on the clock of arrivals."""
        return self._waiting[0].raw.arrival_s + self._deadline_s if self._waiting else None

    def arrive(self, raw: RawFrame) -> list[Verdict]:
        """Take a frame. What still waited from an epoch before is curtained: nothing can be said of it any more."""
        verdicts: list[Verdict] = []
        if raw.epoch != self._epoch:
            verdicts = [Verdict(frame.raw, "curtained", why="the stream began anew") for frame in self._waiting]
            self._begin()
            self._epoch = raw.epoch
            self._tracker = self._tracker_for(raw.geometry, raw.frame_rate)
        self._waiting.append(_Waiting(raw, self._arrived, glimpse_of_luma(raw)))
        self._arrived += 1
        return verdicts

    def looked(self, epoch: int, observation: Observation) -> bool:
        """Take the detector's answer for one frame; False if it came too late or belongs to another epoch."""
        frame = next((one for one in self._waiting if one.raw.index == observation.frame_index), None)
        if epoch != self._epoch or frame is None or frame.number <= self._pushed or observation.detections is None:
            return False
        if frame.raw.damaged:
            return False  # Who sees a damaged picture has not seen who came into sight before it.
        self._push_up_to(frame.number, observation)
        self._looks.append(frame)
        return True

    def due(self, now_s: float) -> list[Verdict]:
        """The verdicts of all frames whose deadline has come."""
        verdicts = []
        while self._waiting and now_s >= self._waiting[0].raw.arrival_s + self._deadline_s:
            verdicts.append(self._verdict(self._waiting[0], now_s))
            self._waiting.popleft()
        return verdicts

    def forget(self) -> list[Verdict]:
        """Curtain all that waits, and know nothing any more: the detector failed, or the camera is gone."""
        verdicts = [Verdict(frame.raw, "curtained", why="the detector failed") for frame in self._waiting]
        self._begin()
        self._epoch = -1
        return verdicts

    def _verdict(self, frame: _Waiting, now_s: float) -> Verdict:
        raw, known = frame.raw, frame.number <= self._pushed
        carried = not known and self._may_be_carried(frame, self._known)
        if not known:
            self._push_up_to(frame.number, None, followed=carried)
        looked = bool(self._looks) and self._looks[0] is frame
        shot = self._shot_of(frame)
        decision = self._decide(frame)
        unsure = self._unsure(frame, shot, decision.regions) if known else ""
        if looked:
            self._looks.popleft()
            self._last = _Looked(raw, shot, frame.glimpse)
        if now_s - raw.arrival_s + max(raw.late_s, self._late_since_s()) > self._stale_s:
            return Verdict(raw, "dropped", why="too old to be shown as live")
        if raw.damaged:
            self._last = None  # Nothing is carried over damage: what comes after it has to be looked at.
            return Verdict(raw, "curtained", why="the picture is damaged")
        if known and not unsure:
            self._known = decision.regions
            return Verdict(raw, "decided", decision)
        if carried and self._last is not None:
            regions = grown_regions(decision.regions, raw.index - self._last.raw.index)
            if self._may_be_carried(frame, regions):
                return Verdict(raw, "carried", replace(decision, regions=regions))
        return Verdict(raw, "curtained", why=unsure or "nobody has looked in time")

    def _late_since_s(self) -> float:
        """How long the oldest frame had waited on the way, as those behind it tell: a server that keeps its last pictures gives them all to who comes."""
        before = first = self._waiting[0].raw
        least_s = first.arrival_s - first.source_s
        for frame in self._waiting:
            if not 0 <= frame.raw.source_s - before.source_s <= LEAP_S:
                break
            before = frame.raw
            least_s = min(least_s, before.arrival_s - before.source_s)
        return first.arrival_s - first.source_s - least_s

    def _unsure(self, frame: _Waiting, shot: int | None, covered: tuple[Region, ...]) -> str:
        """Why the looks before and after a frame do not decide it, or nothing."""
        before, after = self._last, self._looks[0]
        if after is frame:
            return ""
        if before is None:
            return "nobody had looked yet"
        apart_s = _apart_s(before.raw, after.raw)
        if apart_s > LOOKS_APART_S:
            return "the looks around it are too far apart"
        if apart_s > SURE_APART_S and has_changed((before.glimpse, after.glimpse), frame.glimpse, covered, frame.raw.geometry):
            return "somebody may have come and gone between two looks"
        # A scene that ends before the later look is known by what was seen before alone: who came in since then, nobody has seen.
        if shot == self._shot_of(after) or (shot == before.shot and self._may_be_carried(frame, covered)):
            return ""
        return "nobody has looked at this scene"

    def _may_be_carried(self, frame: _Waiting, covered: tuple[Region, ...]) -> bool:
        """Whether the last look still speaks for a frame that none has reached: it is near, and nothing moved outside the covers."""
        last = self._last
        if last is None or frame.raw.index - last.raw.index > self._carry_frames:
            return False
        return not has_changed((last.glimpse,), frame.glimpse, covered, frame.raw.geometry)

    def _push_up_to(self, number: int, look: Observation | None, *, followed: bool = True) -> None:
        """Tell the tracker of the frames up to this one; of those that nobody looked at, that time has passed.

        Not `followed` is a frame that is curtained: how the camera moved in it is not worth the time of a machine that has too little.
        """
        assert self._tracker is not None
        for frame in self._waiting:
            if self._pushed < frame.number <= number:
                seen = Observation(frame.number, Detections.none(), how="evidence")
                if look is not None and frame.number == number:
                    seen = replace(look, frame_index=frame.number)
                self._tracker.push(seen, frame.raw.source_s, frame.glimpse, damaged=frame.raw.damaged or not followed)
                self._pushed = frame.number

    def _decide(self, frame: _Waiting) -> Decision:
        """The tracker's word on the oldest frame, with what is known now."""
        assert self._tracker is not None
        (decision,) = self._tracker.decide_until(frame.number)
        return replace(decision, frame_index=frame.raw.index)

    def _shot_of(self, frame: _Waiting) -> int | None:
        return self._tracker.shot_of(frame.number) if self._tracker is not None else None


def glimpse_of_luma(raw: RawFrame) -> NDArray[np.uint8]:
    """A frame as 36 rows of 64 grey values, upright: what the tracker knows cuts and the camera's motion by."""
    small = cv2.resize(raw.planes[0], GLIMPSE_WH if raw.geometry.orientation <= 4 else GLIMPSE_WH[::-1], interpolation=cv2.INTER_AREA)
    return raw.geometry.upright(np.asarray(small, np.uint8))


def _apart_s(before: RawFrame, after: RawFrame) -> float:
    """Time between two frames, the longer of what the arrivals and the camera's clock say: frames that waited on the way come together.

    A clock that went back cannot say how long they waited. One that jumped ahead is believed: it looks as a stall of so long does.
    """
    by_camera_s = after.source_s - before.source_s
    return inf if by_camera_s < 0 else max(after.arrival_s - before.arrival_s, by_camera_s)


def has_changed(looked: Sequence[NDArray[np.uint8]], glimpse: NDArray[np.uint8], covered: tuple[Region, ...], geometry: Geometry) -> bool:
    """Whether a glimpse differs from all that were looked at, outside the covers: somebody may have come whom nobody has looked for.

    Whom a body hides is no exception: who steps out from behind somebody is nearest to him.
    """
    change = np.min([_difference(one, glimpse) for one in looked], axis=0)
    open_cells = np.ones(change.shape, bool)
    boxes = np.asarray([region.xyxy for region in covered], np.float32).reshape(-1, 4)
    for region, (left, top, right, bottom) in zip(covered, geometry.to_displayed(boxes, GLIMPSE_WH), strict=True):
        # Half a cell more: one that a cover touches changes with what is under it.
        across = np.abs(_COLUMNS - (left + right) / 2) / ((right - left) / 2 + 0.5)
        down = np.abs(_ROWS - (top + bottom) / 2) / ((bottom - top) / 2 + 0.5)
        open_cells &= (across**2 + down**2 > 1) if region.shape == "ellipse" else (np.maximum(across, down) > 1)
    return int(np.count_nonzero(change[open_cells] > CHANGED_GREY)) >= CHANGED_CELLS


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey levels between two glimpses, less what differs everywhere: an exposure that moves on."""
    change = np.abs(other.astype(np.float32) - one)
    return np.asarray(change - np.median(change), np.float32)


def grown_regions(regions: tuple[Region, ...], frames: int) -> tuple[Region, ...]:
    """Regions carried on for some frames: larger with every one."""
    grown = []
    for region in regions:
        left, top, right, bottom = region.xyxy
        by_x, by_y = (GROWTH_PER_FRAME * frames * (far - near) for near, far in ((left, right), (top, bottom)))
        grown.append(replace(region, xyxy=(left - by_x, top - by_y, right + by_x, bottom + by_y)))
    return tuple(grown)
