"""The process that holds a camera's connection: decodes strangers' bytes, puts frames in the ring, and knows nothing else.

It may die at any time, by a broken stream or by the supervisor: the ring outlives it, and the next one begins a new epoch.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from anonymizer.cameras.settings import Camera
from anonymizer.errors import AnonymizerError
from anonymizer.geometry import Geometry
from anonymizer.ipc.channel import Channel, ChannelClosedError
from anonymizer.media.camera_source import CameraFrame, CameraSource
from anonymizer.media.live_sound import CodedSound
from anonymizer.streaming.clock import LEAP_S
from anonymizer.streaming.hearing import sound_message
from anonymizer.streaming.ring import LEAST_SIDE, MOST_PIXELS, MOST_SIDE, PIXEL_FORMAT, RawFrame, Ring
from anonymizer.types import SoundFormat

_BEAT_S = 0.5
_DRIFT_PER_S = 0.001  # how fast a camera's clock may fall behind ours before it counts as frames that wait on the way
_TOO_LATE_S = 3.0  # frames that have been too old for so long do not catch up: the way is too slow, or the camera's clock is


class Reader:
    """Reads one camera into a ring until the connection ends, and wakes whoever waits for frames."""

    def __init__(self, camera: Camera, ring: Ring, wakers: list[int], channel: Channel) -> None:
        self._camera, self._ring, self._wakers, self._channel = camera, ring, wakers, channel
        self._epoch = 0
        self._index = 0
        self._shape: tuple[Geometry, bool] | None = None
        self._waits = _Waits()
        self._in_time_s: float | None = None  # when a frame last came that is not too old to be shown
        self._beat_s = 0.0
        self._frames = self._damaged = 0
        self._sounds: Channel | None = None

    def read(self) -> None:
        """Returns when the camera is gone; SourceError says why."""
        camera = self._camera
        self._say(state="opening", within_s=camera.open_timeout_s + 5)
        with CameraSource(
            camera.url,
            pixel_format=PIXEL_FORMAT,
            transport=camera.transport,
            insecure=camera.insecure,
            open_timeout_s=camera.open_timeout_s,
            read_timeout_s=camera.read_timeout_s,
            sound=camera.config.audio,
            on_sound=self._say_sound,
        ) as source:
            self._epoch = self._ring.begin_epoch()
            for frame in source.frames():
                self._put(frame, time.monotonic())
                if time.monotonic() - self._beat_s > _BEAT_S:
                    self._say(state="reading", within_s=camera.read_timeout_s + 5)
                    if self._is_told_to_stop():
                        return

    def _is_told_to_stop(self) -> bool:
        while (found := self._channel.receive(0)) is not None:
            message, fds = found
            if message.get("do") == "stop":
                return True
            if message.get("do") == "sound":
                self._forget_sealer()
                self._sounds = Channel.inherited(fds[0])
        return False

    def _say_sound(self, sound: SoundFormat, coded: CodedSound) -> None:
        """Hand a coded frame of sound to the sealer; while there is none, or it is too slow, there is silence."""
        if self._sounds is None:
            return
        try:
            self._sounds.send(sound_message(sound, coded))
        except ChannelClosedError:
            self._forget_sealer()  # The next one brings a new way.

    def _forget_sealer(self) -> None:
        if self._sounds is not None:
            self._sounds.close()
            self._sounds = None

    def _put(self, frame: CameraFrame, now_s: float) -> None:
        width, height = frame.geometry.coded_wh
        # What no encoder takes would end the sealer, and with it the curtain.
        if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
            raise AnonymizerError(f"its pictures of {width}x{height} are too large", hint="let the camera send a smaller stream")
        if min(width, height) < LEAST_SIDE:
            raise AnonymizerError(f"its pictures of {width}x{height} are too small", hint="let the camera send a larger stream")
        if self._shape is not None and self._shape != (frame.geometry, frame.interlaced):
            self._epoch, self._index = self._ring.begin_epoch(), 0
        self._shape = (frame.geometry, frame.interlaced)
        late_s = self._waits.late_s(frame.time_s, now_s)
        self._require_in_time(late_s, now_s)
        raw = RawFrame(
            epoch=self._epoch,
            index=self._index,
            arrival_s=now_s,
            source_s=frame.time_s,
            late_s=late_s,
            damaged=frame.damaged,
            interlaced=frame.interlaced,
            spread_px=frame.spread_px,
            geometry=frame.geometry,
            frame_rate=frame.frame_rate,
            color=frame.color,
            planes=frame.planes,
        )
        self._ring.write(raw)
        self._index += 1
        self._frames += 1
        self._damaged += frame.damaged
        for waker in self._wakers:
            os.eventfd_write(waker, 1)

    def _require_in_time(self, late_s: float, now_s: float) -> None:
        """Frames that are never again in time end the connection: a new one begins with what is seen now."""
        if self._in_time_s is None or late_s <= self._camera.stale_s:
            self._in_time_s = now_s
        if now_s - self._in_time_s > _TOO_LATE_S:
            raise AnonymizerError(
                f"its pictures come {late_s:.1f} s late by its clock, and do not catch up", hint="the network may be too slow, or the camera's clock"
            )

    def _say(self, *, state: str, within_s: float) -> None:
        self._beat_s = time.monotonic()
        self._channel.send({"beat": True, "state": state, "within_s": within_s, "frames": self._frames, "damaged": self._damaged})


@dataclass(slots=True)
class _Waits:
    """How long frames waited on the way, judged by those that came fastest."""

    least_s: float | None = None
    last_s: float = 0.0
    source_s: float = 0.0

    def late_s(self, source_s: float, now_s: float) -> float:
        """How much later this frame came than the fastest; 0 after a jump of the camera's clock."""
        difference_s = now_s - source_s
        if self.least_s is None or not 0 <= source_s - self.source_s <= LEAP_S:
            self.least_s = difference_s
        self.least_s = min(difference_s, self.least_s + _DRIFT_PER_S * (now_s - self.last_s))
        self.last_s, self.source_s = now_s, source_s
        return difference_s - self.least_s


def run(channel: Channel) -> None:
    """The role: read the camera once, and say why it ended. The supervisor starts it again."""
    found = channel.receive(None)
    assert found is not None
    message, fds = found
    ring = Ring(fds[0], writable=True)
    fault = "the camera ended the stream"
    try:
        Reader(Camera.model_validate(message["camera"]), ring, fds[1:], channel).read()
    except AnonymizerError as error:
        fault = error.problem
    channel.send({"fault": fault})
