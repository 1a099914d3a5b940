"""One viewer who plays: a bounded queue of coded frames, and the task that sends them as RTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.rtp import RtpSource

_CHUNK = 64 << 10  # bytes handed to the transport at once: what a viewer that does not read holds of a large key frame
_LINGER_S = 1.0  # for what is in the transport when a viewer is sent away


@dataclass(frozen=True, slots=True)
class Unit:
    """One coded frame, cut once for all viewers."""

    pts: int
    is_key: bool
    payloads: tuple[bytes, ...]
    size: int
    is_sound: bool = False
    received_s: float = field(default_factory=time.monotonic)


class Viewer:
    """Takes every unit at once, and forgets whole groups of pictures if it cannot send them in time."""

    def __init__(self, writer: asyncio.StreamWriter, source: RtpSource, codec: str, limits: Limits) -> None:
        self._writer, self.source, self.codec, self._limits = writer, source, codec, limits
        self.sound: RtpSource | None = None  # once he has set it up
        self._queue: deque[tuple[float, Unit]] = deque()  # and when it came
        self._queued = 0
        self._wake = asyncio.Event()
        self._needs_key = True
        self._report_s = 0.0  # when the next report is due
        self._waits_since_s: float | None = None
        self.ended: str | None = None  # why
        self.packets = self.bytes = self.lost = 0

    def offer(self, unit: Unit) -> None:
        """Queue a unit, or leave it out. Never waits."""
        if unit.is_sound and (self.sound is None or self._needs_key):
            return
        if self._needs_key and not unit.is_key:
            self.lost += 1
            return
        now_s = time.monotonic()
        self._needs_key = False
        self._queue.append((now_s, unit))
        self._queued += unit.size
        if self._queued > self._limits.queued_bytes or now_s - self._queue[0][0] > self._limits.queued_s:
            self.lost += sum(not waiting.is_sound for _, waiting in self._queue)
            self._queue.clear()
            self._queued, self._needs_key = 0, True
        self._wake.set()

    async def send_all(self) -> None:
        """Send what is offered until the viewer is ended or gone."""
        try:
            while self.ended is None:
                while self._queue:
                    await self._send(self._take())
                self._wake.clear()
                await self._wake.wait()
        except (OSError, RuntimeError):  # RuntimeError: asyncio's, for a connection over TLS that was closed meanwhile.
            self.end("the connection was lost")
        finally:
            self.end("it can be sent nothing more")

    def tick(self) -> None:
        """Now and then: report, and end a viewer that takes nothing any more."""
        now_s = time.monotonic()
        if self._waits_since_s is None:
            if self._report_s and now_s >= self._report_s:
                self._report(now_s)
        elif now_s - self._waits_since_s > self._limits.stall_s:
            self.end("it does not read")
            self._writer.transport.abort()

    def end(self, why: str) -> None:
        """Say goodbye and close the connection; a session that waits for requests reads its end."""
        if self.ended is not None:
            return
        self.ended = why
        self._queue.clear()
        self._wake.set()
        if not self._writer.is_closing():
            self._write_reports(is_last=True)
        close_soon(self._writer)

    def _take(self) -> Unit:
        _, unit = self._queue.popleft()
        self._queued -= unit.size
        return unit

    async def _send(self, unit: Unit) -> None:
        if not self._report_s:
            self._report(time.monotonic())  # Before the first picture, so that a player knows its time from the start.
        held: list[bytes] = []
        size = 0
        source = self.sound if unit.is_sound and self.sound is not None else self.source
        for frame in source.frames(unit.payloads, unit.pts):
            held.append(frame)
            size += len(frame)
            if size >= _CHUNK:
                await self._write(b"".join(held))
                held, size = [], 0
        await self._write(b"".join(held))
        self.packets += not unit.is_sound

    async def _write(self, data: bytes) -> None:
        if self.ended is not None:
            return
        self._writer.write(data)
        self.bytes += len(data)
        self._waits_since_s = time.monotonic()
        await self._writer.drain()
        self._waits_since_s = None

    def _report(self, now_s: float) -> None:
        self._report_s = now_s + self._limits.report_s
        self._write_reports(is_last=False)

    def _write_reports(self, *, is_last: bool) -> None:
        for source in (self.source, self.sound):
            if source is not None:
                self._writer.write(source.report(is_last=is_last))


def close_soon(writer: asyncio.StreamWriter) -> None:
    """Close a connection once what was written is sent, but wait for nobody who does not read it."""
    writer.close()
    asyncio.get_running_loop().call_later(_LINGER_S, writer.transport.abort)
