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
    """The last telling glimpse of a shot."""

    shot: int
    number: int
    clock_s: float
    glimpse: NDArray[np.uint8]


class Shots:
    """Numbers the shots of a video, one glimpse at a time."""

    def __init__(self) -> None:
        self._count = 0
        self._now: _View | None = None
        self._left: list[_View] = []
        self._move = STILL

    def see(self, number: int, clock_s: float, glimpse: NDArray[np.uint8] | None) -> Step:
        """Place one frame; None is a frame without a trustworthy picture, which changes nothing."""
        now = self._now
        if glimpse is None or (now is not None and is_flat(glimpse)):
            # Keep the last telling picture: after a fade through black it says whether the scene is the same.
            return Step(now.shot if now else self._count, STILL, number - 1 if number else None)
        if now is None:
            self._now = _View(self._count, number, clock_s, glimpse)
            return Step(self._count, STILL, number - 1 if number else None)
        self._left = [view for view in self._left if clock_s - view.clock_s <= RETURN_S]
        move = move_between(now.glimpse, glimpse, self._move)
        if move.likeness >= CUT_LIKENESS or is_flat(now.glimpse):
            self._now, self._move = _View(now.shot, number, clock_s, glimpse), move
            return Step(now.shot, move, now.number)
        for place, view in enumerate(self._left):
            back = move_between(view.glimpse, glimpse)
            if back.likeness >= CUT_LIKENESS:
                undone = frozenset(later.shot for later in (*self._left[place + 1 :], now)) - {view.shot}
                self._now, self._left, self._move = _View(view.shot, number, clock_s, glimpse), self._left[:place], STILL
                return Step(view.shot, back, view.number, undone)
        self._left.append(now)
        self._count += 1
        self._now, self._move = _View(self._count, number, clock_s, glimpse), STILL
        return Step(self._count)
