"""The output's own clock: rises whatever the camera's does, follows arrivals, and is calm where they are not."""

from __future__ import annotations

FOLLOW = 0.05  # share of the difference to the arrivals that each frame makes good: jitter is halved in half a second
JUMP_S = 1.0  # a camera's clock that moved so far from the arrivals has jumped: begin with the arrivals again
LEAP_S = 5.0  # between two frames: a camera's clock that moves on by more has jumped
LEAST_STEP_S = 0.001


class SmoothClock:
    """Gives every frame a time on the machine's monotonic clock."""

    def __init__(self) -> None:
        self._time_s: float | None = None  # as followed, before it was made to rise
        self._source_s = 0.0
        self._given_s = 0.0

    def at(self, source_s: float, arrival_s: float) -> float:
        """The time of a frame that the camera says was taken at `source_s`, and that came at `arrival_s`."""
        if self._time_s is None:
            smooth_s = arrival_s
        else:
            smooth_s = self._time_s + (source_s - self._source_s)
            error_s = arrival_s - smooth_s
            smooth_s = arrival_s if abs(error_s) > JUMP_S else smooth_s + FOLLOW * error_s
        self._time_s, self._source_s = smooth_s, source_s
        return self._rising(smooth_s)

    def beside(self, source_s: float, arrival_s: float) -> float:
        """The time of something that the camera says was there at `source_s`, and that is no frame; it moves no clock."""
        if self._time_s is None:
            return arrival_s
        time_s = self._time_s + (source_s - self._source_s)
        return time_s if abs(time_s - arrival_s) <= JUMP_S else arrival_s

    def now(self, time_s: float) -> float:
        """The time of a picture that no camera gave."""
        self._time_s = None
        return self._rising(time_s)

    def _rising(self, time_s: float) -> float:
        self._given_s = max(time_s, self._given_s + LEAST_STEP_S)
        return self._given_s
