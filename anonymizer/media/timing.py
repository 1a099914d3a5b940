"""Presentation times: made whole on the way in, fitted to what container and encoder can say on the way out."""

from __future__ import annotations

from fractions import Fraction

# A step back by more is a new programme glued on; by less, frames that were stamped carelessly.
NEW_TIMELINE_S = Fraction(1, 5)


class CleanTimeline:
    """Makes presentation times out of what a file says: never missing, never repeated, never backwards."""

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None, *, only_order: bool = False) -> None:
        """`only_order`: such files have decoding times alone, and lack no others (AVI)."""
        self.only_order = only_order
        self._time_base = time_base
        self._step = max(1, round(1 / ((frame_rate or 25) * time_base)))
        self._offset = 0
        self._last: int | None = None
        self._delay: int | None = None
        self._missing = self._repeated = self._jumps = 0

    def next_pts(self, pts: int | None, dts: int | None, first_dts: int | None = None) -> int:
        """The cleaned time of the next frame in presentation order.

        A frame without a time is given its decoding time, less the delay with which the decoder gave the first such
        frame: `first_dts` is the decoding time of the stream's first packet.
        """
        if self.only_order and (dts is not None or self._last is not None):
            pts = None  # What stands there of key frames is their decoding time.
        said = pts
        if pts is None:
            self._missing += not self.only_order
            if dts is not None:
                if self._delay is None:
                    self._delay = 0 if first_dts is None or self._last is not None else max(0, dts - first_dts)
                said = dts - self._delay
        if said is None:
            self._last = 0 if self._last is None else self._last + self._step
            return self._last
        said += self._offset
        if self._last is not None and said <= self._last:
            if (self._last - said) * self._time_base > NEW_TIMELINE_S:
                self._jumps += 1
                self._offset += self._last + self._step - said
                said = self._last + self._step
            elif pts is None:
                said = self._last + self._step
            else:
                self._repeated += 1
                said = self._last + 1
        self._last = said
        return said

    def warnings(self) -> list[str]:
        """What had to be changed, in sentences."""
        return [
            sentence.format(count=count)
            for count, sentence in (
                (self._missing, "{count} frames had no presentation time, it was worked out from their order"),
                (self._repeated, "{count} frames repeated or went back in time, each was moved to one tick after the one before"),
                (self._jumps, "the timestamps jump back {count} times, the video was continued there"),
            )
            if count
        ]


class OutputClock:
    """Places frames on the ticks of the output: the nearest one, and each frame its own."""

    def __init__(self, source_base: Fraction, output_base: Fraction, slot: int = 1) -> None:
        """A frame takes a place that is a whole number of `slot` ticks after the first one's."""
        self._ratio = source_base / output_base
        self._slot = slot
        self._first: int | None = None
        self._last: int | None = None
        self.moved = 0

    def place(self, pts: int) -> int:
        """The output tick of a frame at `pts` of the source's time base."""
        tick = round(pts * self._ratio)
        if self._first is None:
            self._first = tick
        tick = self._first + round(Fraction(tick - self._first, self._slot)) * self._slot
        if self._last is not None and tick <= self._last:
            tick = self._last + self._slot
            self.moved += 1
        self._last = tick
        return tick
