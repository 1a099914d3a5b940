"""What viewers see where nothing may be shown: a plain picture with the camera's name, a clock and why. No pixel of a camera is in it."""

from __future__ import annotations

import time

import cv2
import numpy as np

from anonymizer.redaction import Effect, seal_frame
from anonymizer.streaming.ring import PIXEL_FORMAT
from anonymizer.types import LIVE_TIME_BASE, Color, Decision, Frame, SealedFrame

_GROUND, _INK, _FAINT = 44, 200, 120  # luma, limited range
_LIMITED = Color(range=1)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Curtain:
    """Draws the curtain of one camera; drawn anew only when its words change."""

    def __init__(self, title: str) -> None:
        self._title = "".join(letter if " " <= letter <= "~" else "?" for letter in title)[:40]  # the font has no more letters
        self._drawn: tuple[object, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] | None = None

    def sealed(self, index: int, size_wh: tuple[int, int], why: str, wall_s: float) -> SealedFrame:
        """A frame of the curtain, at that place in its stream."""
        width, height = size_wh
        words = (size_wh, why, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_s)))
        if self._drawn is None or self._drawn[0] != words:
            self._drawn = (words, _drawn(size_wh, self._title, why, words[2]))
        chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        planes = (self._drawn[1], chroma, chroma.copy())
        for plane in planes:
            plane.flags.writeable = False
        frame = Frame(index, 0, LIVE_TIME_BASE, PIXEL_FORMAT, planes, color=_LIMITED)
        return seal_frame(frame, Decision(index), Effect())


def _drawn(size_wh: tuple[int, int], title: str, why: str, clock: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    width, height = size_wh
    luma = np.full((height, width), _GROUND, np.uint8)
    unit = min(width / 640, height / 360)
    for words, middle, size, ink in ((title, 0.42, 1.0, _INK), (clock, 0.55, 0.7, _INK), (why, 0.66, 0.5, _FAINT)):
        thickness = max(1, round(1.6 * size * unit))
        (wide, high), _ = cv2.getTextSize(words, _FONT, size * unit, thickness)
        fit = min(1.0, 0.94 * width / max(1, wide))
        at = (round((width - wide * fit) / 2), round(height * middle + high * fit / 2))
        cv2.putText(luma, words, at, _FONT, size * unit * fit, ink, thickness, cv2.LINE_AA)
    return luma
