"""Verdicts to packets: sealing and encoding one camera's frames, in a thread of its own beside the one that decides."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction

from anonymizer.cameras.settings import Camera
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.geometry import Geometry
from anonymizer.media.live_encoding import LiveEncoder
from anonymizer.redaction import seal_frame
from anonymizer.streaming.curtain import Curtain
from anonymizer.streaming.ring import RawFrame
from anonymizer.streaming.window import Verdict
from anonymizer.types import LIVE_TIME_BASE, Color, EncodedPacket, SealedFrame, StreamFormat
from anonymizer.zones import ZoneCover

DEFAULT_WH = (1280, 720)  # of the curtain before a camera's first frame
OUTSIDE = "a zone lies outside the picture"
OTHER_SIZE = "the zones were drawn for another size"


@dataclass(frozen=True, slots=True)
class Coded:
    """What became of one frame: its packets and, where they begin a new stream, how they are coded."""

    verdict: Verdict | None  # None: a curtain behind which there is no frame
    packets: tuple[EncodedPacket, ...]
    stream: StreamFormat | None
    fault: str | None = None


class Coder:
    """Seals and encodes, a frame at a time. Not for two threads at once."""

    def __init__(self, camera: Camera, equipment: Equipment) -> None:
        self._camera, self._equipment = camera, equipment
        self._curtain = Curtain(camera.title or camera.name)
        self._encoder: LiveEncoder | None = None
        self._shape: tuple[Geometry, Color] = (Geometry(DEFAULT_WH), Color(range=1))
        self._rate = 25.0
        self._zones: ZoneCover | None = None
        self._misfit = OUTSIDE  # why there are no zones
        self.zones_for = camera.zones_for if camera.config.zones or camera.config.ignore_zones else ""  # None: the first size is the one
        self._index = 0

    def code(self, verdict: Verdict | None, why: str, time_s: float, key: bool) -> Coded:
        """The packets of a verdict's frame, or of a curtain, shown at that time of the monotonic clock."""
        fault = self._fit(verdict.raw) if verdict is not None else None
        if verdict is not None and verdict.decision is not None and self._zones is None:
            # Somebody relies on the zones: without them nothing of the picture may be seen.
            verdict = replace(verdict, way="curtained", decision=None, why=self._misfit)
        sealed = self._sealed(verdict, why)
        self._index += 1
        if self._encoder is None:
            wish = self._camera.config.encoding
            options = dict(wish.options)
            options |= {"crf": str(wish.crf)} if wish.crf is not None else {}
            options |= {"preset": wish.preset} if wish.preset is not None else {}
            self._encoder = LiveEncoder(*self._shape, self._rate, codec=wish.codec, options=options)
        before = self._encoder.format
        packets = tuple(self._encoder.encode(sealed, round(time_s / LIVE_TIME_BASE), key=key))
        return Coded(verdict, packets, self._encoder.format if before is None else None, fault)

    def _fit(self, raw: RawFrame) -> str | None:
        """Begin a new stream where size or colour changed; why its pictures cannot be shown, if so."""
        if self._zones is not None and self._shape == (raw.geometry, raw.color):
            return None
        if self._shape != (raw.geometry, raw.color):
            self._shape, self._rate, self._encoder = (raw.geometry, raw.color), raw.frame_rate, None
        # Elsewhere in the picture a zone covers what nobody meant, and an ignore zone bares it.
        size = "{}x{}".format(*raw.geometry.displayed_wh)
        self.zones_for = size if self.zones_for is None else self.zones_for
        if self.zones_for not in ("", size):
            self._zones, self._misfit = None, OTHER_SIZE
            return f"the zones are for pictures of {self.zones_for}, and these have {size}: draw them anew and set zones_for"
        try:
            self._zones = self._equipment.zones_for(raw.geometry, Fraction(raw.frame_rate).limit_denominator(1000), name=self._camera.name)
        except ConfigError as error:
            self._zones, self._misfit = None, OUTSIDE
            return error.problem
        return None

    def _sealed(self, verdict: Verdict | None, why: str) -> SealedFrame:
        if verdict is None or verdict.decision is None or self._zones is None:
            why = why if verdict is None else verdict.why
            return self._curtain.sealed(self._index, self._shape[0].coded_wh, why, time.time())
        frame = replace(verdict.raw.frame(), index=self._index)
        ((_, zoned),) = self._zones.over([(frame, replace(verdict.decision, frame_index=self._index))])
        return seal_frame(frame, zoned, self._equipment.effect_for(verdict.raw.geometry))


class CodingThread:
    """A coder in a thread; results come in the order in which frames were given."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="coding")
        self._under_way: deque[Future[Coded]] = deque()
        self._given_s: deque[float] = deque()
        self.done_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __len__(self) -> int:
        """How many frames are under way."""
        return len(self._under_way)

    @property
    def zones_for(self) -> str | None:
        """The size that the zones are for, "1280x720"; None: that of a picture yet to come, empty: there are none."""
        return self._coder.zones_for

    def waits_s(self, now_s: float) -> float:
        """How long the oldest frame has been under way; an encoder that hangs lets it grow."""
        return now_s - self._given_s[0] if self._given_s else 0.0

    def give(self, verdict: Verdict | None, why: str, time_s: float, *, key: bool) -> None:
        """Have a frame coded."""
        future = self._pool.submit(self._coder.code, verdict, why, time_s, key)
        self._under_way.append(future)
        self._given_s.append(time.monotonic())
        future.add_done_callback(lambda _: os.eventfd_write(self.done_fd, 1))

    def done(self) -> list[Coded]:
        """What is ready, in order; raises what went wrong in the thread."""
        ready = []
        while self._under_way and self._under_way[0].done():
            self._given_s.popleft()
            ready.append(self._under_way.popleft().result())
        return ready

    def close(self) -> None:
        """Finish what is under way."""
        self._pool.shutdown()
        os.close(self.done_fd)
