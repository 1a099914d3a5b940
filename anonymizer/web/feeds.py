"""One camera's sealed packets, for everybody who watches it on the page: made into fragments once, handed to each at his own pace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anonymizer.ipc.packets import PacketReceiver
from anonymizer.media.packet_muxing import jpeg_of
from anonymizer.sinks.fragments import Fragments
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, StreamFormat
from anonymizer.web.hls import HlsWindow

MOST_VIEWERS_OF_A_CAMERA = 32
MOST_VIEWERS = 128
MOST_QUEUED_BYTES = 4 << 20  # of one viewer
MOST_QUEUED_S = 2.0
LIVE_S = 2.0  # A picture that is older is not shown as live.
_MOST_GROUP_BYTES = 16 << 20
_HLS_VIEWER_S = 15.0  # Players ask for the playlist every few seconds; who has not for so long is gone.
_MOST_HLS_VIEWERS = 1024

_log = logging.getLogger(__name__)


class TooManyViewersError(Exception):
    """Every seat is taken."""


class Seats:
    """How many may watch at once, all cameras together."""

    def __init__(self, most: int = MOST_VIEWERS, most_of_a_camera: int = MOST_VIEWERS_OF_A_CAMERA) -> None:
        self.most = most
        self.most_of_a_camera = most_of_a_camera
        self.taken = 0


class Viewer:
    """What waits to be sent to one viewer. Who is too slow loses whole groups and gets the stream again from a key frame."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.lost = 0
        self.is_closed = False
        self._start: Fragments | None = None
        self._queue: deque[tuple[int, bytes]] = deque()
        self._queued = 0
        self._needs_key = True
        self._changed = asyncio.Event()

    def begin(self, fragments: Fragments) -> None:
        """What follows is of this format; what waits of an older one is not sent any more."""
        self._drop()
        self._start = fragments
        self._changed.set()

    def offer(self, pts: int, data: bytes, *, is_key: bool) -> None:
        """Queue a fragment, or leave it out."""
        if self._queue and (self._queued + len(data) > MOST_QUEUED_BYTES or (pts - self._queue[0][0]) * LIVE_TIME_BASE > MOST_QUEUED_S):
            self._drop()
        if self._needs_key and not is_key:
            self.lost += 1
            return
        self._needs_key = False
        self._queue.append((pts, data))
        self._queued += len(data)
        self._changed.set()

    def close(self) -> None:
        """Nothing will follow."""
        self.is_closed = True
        self._changed.set()

    async def next(self) -> Fragments | bytes | None:
        """A new format, all fragments that wait, or None at the end."""
        while not self.is_closed:
            if (start := self._start) is not None:
                self._start = None
                return start
            if self._queue:
                data = b"".join(piece for _, piece in self._queue)
                self._queue.clear()
                self._queued = 0
                return data
            self._changed.clear()
            await self._changed.wait()
        return None

    def _drop(self) -> None:
        self.lost += len(self._queue)
        self._queue.clear()
        self._queued = 0
        self._needs_key = True


class Feed:
    """A camera as the page knows it."""

    def __init__(self, name: str, title: str, seats: Seats) -> None:
        self.name = name
        self.title = title
        self.hls = HlsWindow()
        self.packets = 0
        self.bytes = 0
        self._seats = seats
        self._viewers: set[Viewer] = set()
        self._hls_viewers: dict[str, float] = {}
        self._lost_by_gone = 0
        self._reading: asyncio.Task[None] | None = None
        self._format: StreamFormat | None = None
        self._fragments: Fragments | None = None
        self._start_pts: int | None = None
        self._group: list[EncodedPacket] = []  # since the newest key frame, and all but the last were handed on
        self._group_bytes = 0
        self._key: tuple[EncodedPacket, StreamFormat] | None = None
        self._key_came = asyncio.Event()
        self._came_at_s: float | None = None
        self._jpeg: tuple[EncodedPacket, bytes] | None = None
        self._decoding = asyncio.Lock()

    def attach(self, receiver: PacketReceiver) -> None:
        """Read from here from now on: the sealer was started, or started again. Viewers stay."""
        self._stop_reading()
        self._reading = asyncio.create_task(self._read(receiver))

    def close(self) -> None:
        """The camera is gone, and its viewers are sent away."""
        self._stop_reading()
        for viewer in self._viewers:
            viewer.close()

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest packet came; None if none ever did."""
        return None if self._came_at_s is None else time.monotonic() - self._came_at_s

    @property
    def is_live(self) -> bool:
        """Whether what is shown of this camera is new."""
        return self.age_s is not None and self.age_s < LIVE_S

    @property
    def lost(self) -> int:
        """Fragments that viewers did not get."""
        return self._lost_by_gone + sum(viewer.lost for viewer in self._viewers)

    def figures(self) -> dict[str, Any]:
        """What the page has to know to play it."""
        codec = self._fragments.codec if self._fragments else None
        size_wh = self._format.size_wh if self._format else None
        return {"codec": codec, "size_wh": size_wh, "age_s": self.age_s, "viewers": self.viewers_by_way(), "lost": self.lost}

    def viewers_by_way(self) -> dict[str, int]:
        """How many watch, by how."""
        now_s = time.monotonic()
        self._hls_viewers = {who: seen_s for who, seen_s in self._hls_viewers.items() if now_s - seen_s < _HLS_VIEWER_S}
        counts = Counter(viewer.way for viewer in self._viewers)
        return {"websocket": counts["websocket"], "mjpeg": counts["mjpeg"], "hls": len(self._hls_viewers)}

    def saw_hls_viewer(self, address: str) -> None:
        """Somebody asked for the playlist."""
        if address in self._hls_viewers or len(self._hls_viewers) < _MOST_HLS_VIEWERS:
            self._hls_viewers[address] = time.monotonic()

    @contextmanager
    def watched_by(self, way: str) -> Iterator[Viewer]:
        """A seat for one more viewer; TooManyViewersError if there is none."""
        if len(self._viewers) >= self._seats.most_of_a_camera or self._seats.taken >= self._seats.most:
            raise TooManyViewersError
        viewer = Viewer(way)
        if self._fragments is not None:
            viewer.begin(self._fragments)
            if len(self._group) > 1 and self.is_live:  # The picture is there at once, not at the next key frame.
                viewer.offer(self._group[-2].pts, self._fragments.fragment(self._group[:-1], self._group[-1].pts), is_key=True)
        self._viewers.add(viewer)
        self._seats.taken += 1
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self._seats.taken -= 1
            self._lost_by_gone += viewer.lost

    async def jpeg(self, after: int | None = None) -> tuple[int, bytes]:
        """The newest key frame as JPEG, and its pts; waits for one that is live, and newer than `after`."""
        while (newest := self._key) is None or newest[0].pts == after or not self.is_live:
            await self._key_came.wait()
        key, stream = newest
        # One decode at a time, and one for all who ask for the same frame.
        async with self._decoding:
            if self._jpeg is None or self._jpeg[0] is not key:
                self._jpeg = (key, await asyncio.to_thread(jpeg_of, key, stream))
            return key.pts, self._jpeg[1]

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, receiver: PacketReceiver) -> None:
        try:
            async for item in receiver.items():
                if isinstance(item, StreamFormat):
                    self._begin(item)
                elif isinstance(item, EncodedPacket):  # The page is silent.
                    self._take(item)
        except (OSError, ValueError) as error:
            _log.warning("%s: the page waits for the next sealer: %s", self.name, error)
        except Exception:
            # A bug, and still one camera's alone: the others' viewers see no gap.
            _log.exception("%s: the page waits for the next sealer", self.name)
        finally:
            receiver.close()
            # Who comes while there is no sealer would be shown the past.
            self._interrupt()

    def _begin(self, stream: StreamFormat) -> None:
        """A format comes before the first packet, and again after packets were lost or the sealer was restarted."""
        self._interrupt()
        if stream == self._format:
            return
        self._format, self._key, self._jpeg = stream, None, None
        self._fragments = None

    def _take(self, packet: EncodedPacket) -> None:
        if self._format is None or (not packet.is_key and not self._group):
            return
        self.packets += 1
        self.bytes += len(packet.data)
        self._came_at_s = time.monotonic()
        if self._fragments is None:
            self._start_pts = packet.pts if self._start_pts is None else self._start_pts
            self._fragments = Fragments(self._format, start_pts=self._start_pts)
            for viewer in self._viewers:
                viewer.begin(self._fragments)
        if self._group:
            self._send(self._group[-1], packet.pts)
        if packet.is_key:
            self._finish_group(packet.pts)
            self._key = (packet, self._format)
            self._key_came.set()
            self._key_came.clear()
        self._group.append(packet)
        self._group_bytes += len(packet.data)
        if self._group_bytes > _MOST_GROUP_BYTES:
            self._drop_group()

    def _send(self, packet: EncodedPacket, end_pts: int) -> None:
        """Hand a picture on once it is known how long it lasts.

        A guess would leave holes: for a browser the stream then breaks off, and it drops everything up to the next key frame.
        """
        if self._fragments is None or not any(viewer.way == "websocket" for viewer in self._viewers):
            return
        data = self._fragments.fragment([packet], end_pts)
        for viewer in self._viewers:
            if viewer.way == "websocket":
                viewer.offer(packet.pts, data, is_key=packet.is_key)

    def _finish_group(self, end_pts: int) -> None:
        if self._group and self._fragments is not None:
            self.hls.add(self._fragments, self._group, end_pts)
        self._drop_group()

    def _interrupt(self) -> None:
        self._drop_group()
        self.hls.interrupt()

    def _drop_group(self) -> None:
        self._group, self._group_bytes = [], 0
