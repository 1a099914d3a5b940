"""The newest seconds of a camera as an HLS stream in memory, for phones and players."""

from __future__ import annotations

import time
from collections.abc import Sequence

from anonymizer.sinks.fragments import Fragments
from anonymizer.sinks.playlist import Playlist, Segment
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket

_SEGMENTS = 6
_KEPT_SEGMENTS = 9  # Players still fetch what left the playlist a moment ago.
_MOST_BYTES = 32 << 20
_SHORTEST_S = 0.95


class HlsWindow:
    """A few whole segments, each of one or more groups of pictures."""

    def __init__(self) -> None:
        # Numbers go on from the clock: none that a player may have seen before this process was restarted.
        self._playlist = Playlist(_SEGMENTS, least_target_s=1, next_number=int(time.time()))
        self._segments: dict[Segment, bytes] = {}  # oldest first
        self._ended_s: dict[Segment, float] = {}
        self._inits: dict[str, bytes] = {}
        self._fragments: Fragments | None = None
        self._init = ""
        self._waiting: list[EncodedPacket] = []
        self._is_break = False

    def add(self, fragments: Fragments, group: Sequence[EncodedPacket], end_pts: int) -> None:
        """Take a group of pictures; `end_pts` is where it ends."""
        if fragments is not self._fragments:
            self._fragments, self._waiting = fragments, []
            self._init = f"init_{self._playlist.next_number:08d}.mp4"
            self._inits[self._init] = fragments.init
            self.interrupt()
        self._waiting += group
        duration_s = float((end_pts - self._waiting[0].pts) * LIVE_TIME_BASE)
        if duration_s >= _SHORTEST_S:
            self._end_segment(fragments, end_pts, duration_s)

    def interrupt(self) -> None:
        """What comes next does not follow what came last."""
        self._waiting = []
        self._is_break = self._is_break or bool(self._segments)

    def playlist(self) -> str | None:
        """The playlist's text; None before the first segment."""
        self._forget_old()
        return self._playlist.text() if self._segments else None

    def file(self, name: str) -> bytes | None:
        """What the playlist names, or named a moment ago."""
        self._forget_old()
        return self._inits.get(name) or next((data for segment, data in self._segments.items() if segment.name == name), None)

    def _end_segment(self, fragments: Fragments, end_pts: int, duration_s: float) -> None:
        packets, self._waiting = self._waiting, []
        segment = Segment(self._playlist.next_number, duration_s, self._init, time.time() - duration_s, self._is_break)
        self._is_break = False
        self._segments[segment] = fragments.fragment(packets, end_pts)
        self._ended_s[segment] = time.monotonic()
        self._playlist.add(segment)
        # The longest so far: a live playlist's target must not change again (RFC 8216, section 6.2.1).
        self._playlist.least_target_s = max(self._playlist.least_target_s, -int(-duration_s // 1))
        while len(self._segments) > _KEPT_SEGMENTS or sum(map(len, self._segments.values())) > _MOST_BYTES:
            self._forget_oldest()
        used = {segment.init for segment in self._segments} | {self._init}
        self._inits = {name: data for name, data in self._inits.items() if name in used}

    def _forget_old(self) -> None:
        """After a pause, what was there before it is not given as live: a whole playlist later no player waits for it."""
        now_s, kept_s = time.monotonic(), 2 * _SEGMENTS * self._playlist.least_target_s
        while self._segments and now_s - self._ended_s[next(iter(self._segments))] > kept_s:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._segments))
        del self._segments[oldest], self._ended_s[oldest]
        if oldest in self._playlist.segments:
            self._playlist.segments.remove(oldest)
            self._playlist.breaks_gone += oldest.is_break
