"""When frames really came: by the last RTP packet of each, not by when a player's parser let go of it."""

from __future__ import annotations

import struct
import threading

_WRAP = 1 << 32


class Arrivals:
    """Of one connection. FFmpeg gives a frame out when the next one begins to come: behind a gap that is a gap too late."""

    def __init__(self) -> None:
        self._first: int | None = None  # FFmpeg counts presentation times from here
        self._came_s: dict[int, float] = {}
        self._lock = threading.Lock()

    def note(self, packet: bytes, now_s: float) -> None:
        """An RTP packet that passes now."""
        if len(packet) < 12:
            return
        marker, timestamp = packet[1] & 0x80, struct.unpack_from(">I", packet, 4)[0]
        with self._lock:
            self._first = timestamp if self._first is None else self._first
            if marker:
                self._came_s.setdefault((timestamp - self._first) % _WRAP, now_s)

    def of(self, pts: int | None) -> float | None:
        """When the last packet of the frame came, if it did."""
        with self._lock:
            return None if pts is None else self._came_s.get(pts % _WRAP)
