"""What an operator should be told about a camera whose frames are not looked at in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WINDOW_S = 20.0
AGAIN_AFTER_S = 900.0
MOST_SHARE = 0.2  # of the frames: more that nobody decided are no hiccup
FEW_LOOKS = 5.0  # a second: with more it is not the detector that is slow


class KeepingUp:
    """Looks at the counts of one camera now and then."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._before: Mapping[str, int] = {}
        self._said_s: float | None = None

    def words(self, figures: Mapping[str, Any], preset: str, now_s: float) -> str | None:
        """What to say, if there is something; `figures` are those of the sealer's last beat."""
        counts: Mapping[str, int] = figures.get("counts") or {}
        fresh = {way: count - self._before.get(way, 0) for way, count in counts.items()}
        if self._since_s is None or not counts or min(fresh.values()) < 0:
            self._since_s, self._before = now_s, counts  # It has just begun, or was started anew.
            return None
        if now_s - self._since_s < WINDOW_S:
            return None
        self._since_s, self._before = now_s, counts
        looks, every = float(figures.get("looks_per_s") or 0), sum(fresh.values())
        share = (every - fresh.get("decided", 0)) / max(1, every)
        is_slow = 0 < looks < FEW_LOOKS and share > MOST_SHARE and (figures.get("fps") or 0) > looks
        if not is_slow or (self._said_s is not None and now_s - self._said_s < AGAIN_AFTER_S):
            return None
        self._said_s = now_s
        advice = f"use {'' if preset == 'fast' else 'preset fast, '}fewer cameras or more cores"
        return f"the detector is too slow: {looks:.1f} looks a second, {100 * share:.0f} % of the frames undecided; {advice}"
