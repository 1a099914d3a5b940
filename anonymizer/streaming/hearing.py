"""A camera's sound on its way through the sealer: it waits as long as the pictures do, and gets its time on their clock."""

from __future__ import annotations

import base64
import time
from collections import deque

from anonymizer.ipc.channel import Channel, ChannelClosedError, Message
from anonymizer.media.live_sound import CodedSound
from anonymizer.streaming.clock import SmoothClock
from anonymizer.types import LIVE_TIME_BASE, SoundFormat, SoundPacket

_MOST_WAITING = 1000  # frames: 20 s
_LEAST_APART = 960  # ticks, half a frame: muxers count in samples, and refuse two frames of one time


def sound_message(sound: SoundFormat, coded: CodedSound) -> Message:
    """A coded frame of sound as it travels from a reader to a sealer."""
    texts = (base64.b64encode(data).decode() for data in (sound.config, coded.data))
    return {"rate": sound.rate, "channels": sound.channels, "time_s": coded.time_s, **dict(zip(("config", "data"), texts, strict=True))}


class Hearing:
    """The sealer's end. Times that run backwards, or that are no time of the pictures, are those of the arrival."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._channel: Channel | None = None
        self._waiting: deque[tuple[float, float, bytes]] = deque(maxlen=_MOST_WAITING)  # arrival and camera's time
        self._last_pts = 0
        self.format: SoundFormat | None = None

    @property
    def fd(self) -> int | None:
        """What to watch for more."""
        return None if self._channel is None else self._channel.fileno()

    @property
    def next_s(self) -> float | None:
        """When the next packet is due."""
        return self._waiting[0][0] + self._delay_s if self._waiting else None

    def attach(self, channel: Channel) -> None:
        """A new reader speaks here."""
        self.detach()
        self._channel = channel

    def detach(self) -> None:
        """The reader is gone; what it said before is still given out."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def take(self) -> bool:
        """Take what has come; whether it is coded in another way than what came before."""
        before = self.format
        try:
            while self._channel is not None and (found := self._channel.receive(0)) is not None:
                message, _ = found
                self.format = SoundFormat(message["rate"], message["channels"], base64.b64decode(message["config"]))
                self._waiting.append((time.monotonic(), float(message["time_s"]), base64.b64decode(message["data"])))
        except ChannelClosedError:
            self.detach()
        return self.format != before

    def due(self, now_s: float, clock: SmoothClock) -> list[SoundPacket]:
        """The packets whose pictures are given out now."""
        ready = []
        while self._waiting and self._waiting[0][0] + self._delay_s <= now_s:
            arrival_s, time_s, data = self._waiting.popleft()
            pts = round(clock.beside(time_s, arrival_s) / LIVE_TIME_BASE)
            if pts >= self._last_pts + _LEAST_APART:
                self._last_pts = pts
                ready.append(SoundPacket(pts, data))
        return ready
