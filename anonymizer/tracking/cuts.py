"""Scene cuts, seen on glimpses: nothing is back-filled, interpolated or held across one.

A flash or a jump of the exposure is no cut: the picture that follows is the one before it. So a shot that was left
is remembered for a moment, and what came between is given back to it. A false cut loses cover, a missed one only
adds some: the threshold leans to the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.tracking.camera import STILL, Move, is_flat, move_between

GLIMPSE_WH = (64, 36)
CUT_LIKENESS = 0.4  # two frames that correlate less, camera motion aside, show different scenes
KEY_LIKENESS = 0.9  # a key view this much alike still measures motion well
KEY_REACH = 0.12  # of the picture; beyond, too little of the key view is left in sight
KEY_S = 0.5
RETURN_S = 0.4  # a scene that comes back within this was interrupted by a flash, not cut


def glimpse_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture [H, W, 3] as 36 rows of 64 grey values: enough to know a cut and how the camera moved."""
    small = cv2.resize(rgb, GLIMPSE_WH, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a frame belongs: its shot, and the camera's move since frame `since` of that shot (None: a new shot).

    `undone` are shots that turned out to be flashes within `shot`.
    """

    shot: int
    move: Move = STILL
    since: int | None = None
    undone: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _View:
    """A telling glimpse of a shot."""

    shot: int
    number: int
    clock_s: float
    glimpse: NDArray[np.uint8]


class Shots:
    """Numbers the shots of a video, one glimpse at a time.

    Motion is measured against a key view half a second back at most, not from frame to frame: small errors of the
    same sign would sum up (measured on panning clips: 3 px after half a second, against 0.3 px).
    """

    def __init__(self) -> None:
        self._shot = 0
        self._count = 1
        self._key: _View | None = None
        self._last: _View | None = None
        self._left: list[_View] = []
        self._move = STILL

    def see(self, number: int, clock_s: float, glimpse: NDArray[np.uint8] | None) -> Step:
        """Place one frame; None is a frame without a trustworthy picture, which changes nothing."""
        before = number - 1 if number else None
        # Keep the last telling picture: after a fade through black it says whether the scene is the same.
        if glimpse is None or is_flat(glimpse):
            return Step(self._shot, since=before)
        view = _View(self._shot, number, clock_s, glimpse)
        if self._key is None or self._last is None:
            self._key = self._last = view
            return Step(self._shot, since=before)
        move, since = move_between(self._key.glimpse, glimpse, self._move), self._key
        if move.likeness < KEY_LIKENESS and self._last is not self._key:
            move, since = move_between(self._last.glimpse, glimpse), self._last
        if move.likeness >= CUT_LIKENESS:
            return self._stay(view, since, move)
        return self._come_back(view) or self._cut(view)

    def _stay(self, view: _View, reference: _View, move: Move) -> Step:
        self._last = view
        far = max(abs(move.scale - 1), *map(abs, move.shift)) > KEY_REACH
        if far or move.likeness < KEY_LIKENESS or reference is not self._key or view.clock_s - reference.clock_s > KEY_S:
            self._key, self._move = view, STILL
        else:
            self._move = move
        return Step(view.shot, move, reference.number)

    def _come_back(self, view: _View) -> Step | None:
        """The shot this frame returns to, if the picture before the last cut is seen again at once."""
        self._left = [left for left in self._left if view.clock_s - left.clock_s <= RETURN_S]
        for place, left in enumerate(self._left):
            move = move_between(left.glimpse, view.glimpse)
            if move.likeness >= CUT_LIKENESS:
                undone = frozenset(later.shot for later in self._left[place + 1 :]) | {self._shot}
                self._shot, self._left, self._move = left.shot, self._left[:place], STILL
                self._key = self._last = _View(left.shot, view.number, view.clock_s, view.glimpse)
                return Step(left.shot, move, left.number, undone - {left.shot})
        return None

    def _cut(self, view: _View) -> Step:
        if self._last is not None:
            self._left.append(self._last)
        self._shot = self._count
        self._count += 1
        self._key = self._last = _View(self._shot, view.number, view.clock_s, view.glimpse)
        self._move = STILL
        return Step(self._shot)
