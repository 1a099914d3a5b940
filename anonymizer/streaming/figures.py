"""What a sealer counts: how its frames left, how late, what was covered."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from anonymizer.streaming.window import Verdict

_KEPT = 1500  # latencies: a minute of a camera of 25 frames a second
_RATE_S = 5.0


@dataclass(slots=True)
class Figures:
    """Counts since the sealer began."""

    ways: Counter[str] = field(default_factory=Counter)
    whys: Counter[str] = field(default_factory=Counter)  # of frames that were not decided
    lost: int = 0  # frames that the ring lost before they were read
    absent: int = 0  # curtains that no frame stands behind
    packets: int = 0
    late_looks: int = 0
    covered_now: int = 0
    covered_total: int = 0
    looks: deque[float] = field(default_factory=lambda: deque(maxlen=400))
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _shown_s: deque[float] = field(default_factory=lambda: deque(maxlen=400))
    _last_way: str = "curtained"
    _newest_track: int = -1

    def count(self, verdict: Verdict, latency_s: float) -> None:
        """One frame has left."""
        self.ways[verdict.way] += 1
        if verdict.why:
            self.whys[verdict.why] += 1
        if verdict.way == "dropped":
            return
        self._last_way = verdict.way
        self.latencies_s.append(latency_s)
        self._shown_s.append(verdict.raw.arrival_s + latency_s)
        regions = verdict.decision.regions if verdict.decision is not None else ()
        self.covered_now = len(regions)
        tracks = [region.track_id for region in regions if region.track_id is not None]
        # Tracks are numbered in the order they began; a new epoch counts from 0 again.
        if tracks and max(tracks) < self._newest_track - 1000:
            self._newest_track = -1
        fresh = [track for track in tracks if track > self._newest_track]
        self.covered_total += len(set(fresh))
        self._newest_track = max([self._newest_track, *fresh])

    def told(self, now_s: float) -> dict[str, Any]:
        """All of it, for the supervisor."""
        late = sorted(self.latencies_s)
        shown = bool(self._shown_s) and now_s - self._shown_s[-1] < 2
        return {
            "state": self._last_way if shown else "gone",
            "counts": {way: self.ways[way] for way in ("decided", "carried", "curtained", "dropped")},
            "whys": dict(self.whys),
            "lost": self.lost,
            "absent": self.absent,
            "packets": self.packets,
            "late_looks": self.late_looks,
            "covered_now": self.covered_now if shown else 0,
            "covered_total": self.covered_total,
            "latency_ms": {"median": round(1000 * late[len(late) // 2]), "p99": round(1000 * late[len(late) * 99 // 100])} if late else None,
            "fps": round(sum(now_s - shown_s < _RATE_S for shown_s in self._shown_s) / _RATE_S, 1),
            "looks_per_s": round(sum(now_s - look_s < _RATE_S for look_s in self.looks) / _RATE_S, 1),
        }
