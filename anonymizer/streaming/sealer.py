"""The process that decides and seals one camera's frames, and gives the coded result to every sink.

It never waits for anybody: not for the detector (a frame leaves at its deadline, in one of the four ways of `window.py`), not
for a sink (`packets.py`), not for the camera (the curtain keeps the viewers connected).
"""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.geometry import Geometry
from anonymizer.media.live_encoding import LiveEncoder
from anonymizer.redaction import seal_frame
from anonymizer.streaming.channel import Channel, ChannelClosedError
from anonymizer.streaming.clock import SmoothClock
from anonymizer.streaming.curtain import Curtain
from anonymizer.streaming.figures import Figures
from anonymizer.streaming.packets import PacketSender, SenderClosedError
from anonymizer.streaming.ring import SLOTS, RawFrame, Ring
from anonymizer.streaming.settings import Camera
from anonymizer.streaming.window import LOOKS_APART_S, WORK_S, Verdict, Window
from anonymizer.tracking import Tracker, TrackingPolicy
from anonymizer.types import LIVE_TIME_BASE, Color, Detections, Observation, SealedFrame
from anonymizer.zones import ZoneCover

BEAT_S = 0.5
SILENT_S = 0.4  # without a frame for so long, the curtain falls by itself
CURTAIN_EVERY_S = 0.2
FIRST_CURTAIN_S = 2.0  # a camera that comes up within this is not preceded by a curtain of another size
BEHIND_S = 0.25  # a frame that is coded so late is left out: latency must not pile up
KEY_APART_S = 0.5  # key frames on demand are no closer: each costs as much as ten others
_NEVER_S = 4 * 3600.0  # the window says when a frame is decided, never the tracker
_DEFAULT_WH = (1280, 720)


@dataclass(slots=True)
class _Sink:
    key: str
    sender: PacketSender


class Sealer:
    """One camera, from the ring to the sinks."""

    def __init__(self, camera: Camera, ring: Ring, waker: int, channel: Channel) -> None:
        self._camera, self._ring, self._waker, self._channel = camera, ring, waker, channel
        self._results: Channel | None = None  # while no detector is there
        equipment = Equipment.of(camera.config, seeing=False)
        self._equipment = replace(equipment, policy=live_policy(equipment.policy))
        self._window = Window(self._tracker_for, lookahead_s=camera.lookahead_s, carry_frames=camera.carry_frames, stale_s=camera.stale_s)
        self._curtain = Curtain(camera.title or camera.name)
        self._clock = SmoothClock()
        self._figures = Figures()
        self._sinks: list[_Sink] = []
        self._encoder: LiveEncoder | None = None
        self._shape: tuple[Geometry, Color] | None = None
        self._zones: ZoneCover | None = None
        self._rate = 25.0
        self._read = ring.newest
        self._index = 0
        self._began_s = self._frame_s = self._out_s = time.monotonic()
        self._key_s = self._beat_s = 0.0

    def run(self) -> None:
        """Until it is told to stop."""
        while True:
            self._wait()
            while (found := self._channel.receive(0)) is not None:
                message, fds = found
                if message["do"] == "stop":
                    return
                self._obey(message, fds)
            self._take_frames()
            self._take_looks()
            self._give_out(time.monotonic())
            if time.monotonic() - self._beat_s > BEAT_S:
                self._beat()

    def _wait(self) -> None:
        """Until something can be done: a frame, a look, a message, room in a sink's socket, or a deadline."""
        now_s = time.monotonic()
        wake_s = min(self._window.next_deadline_s() or now_s + 1, self._beat_s + BEAT_S, self._curtain_at_s())
        poll = select.poll()
        for fd in (self._waker, self._channel.fileno(), *([self._results.fileno()] if self._results else [])):
            poll.register(fd, select.POLLIN)
        for sink in self._sinks:
            if sink.sender.is_waiting:
                poll.register(sink.sender.fileno(), select.POLLOUT)
        ready = poll.poll(max(0.0, (wake_s - now_s) * 1000))
        if any(fd == self._waker for fd, _ in ready):
            os.eventfd_read(self._waker)
        for sink in list(self._sinks):
            self._to(sink, None)

    def _obey(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["do"] == "sink":
            self._drop_sink(message["key"])
            sender = PacketSender(socket.socket(fileno=fds[0]))
            self._sinks.append(_Sink(message["key"], sender))
            if self._encoder is not None and self._encoder.format is not None:
                sender.offer(self._encoder.format)
        elif message["do"] == "results":
            # What the last detector still had in mind is nobody's word any more.
            if self._results is not None:
                self._results.close()
            self._results = Channel.inherited(fds[0])

    def _take_frames(self) -> None:
        newest = self._ring.newest
        first = max(self._read + 1, newest - SLOTS + 2)  # The oldest slot may be written to at any moment.
        self._figures.lost += first - self._read - 1 if newest > self._read else 0
        for serial in range(first, newest + 1):
            raw = self._ring.read(serial)
            if raw is None:
                self._figures.lost += 1
                continue
            self._frame_s = time.monotonic()
            self._emit(self._window.arrive(raw), self._frame_s)
        self._read = max(newest, self._read)

    def _take_looks(self) -> None:
        try:
            while self._results is not None and (found := self._results.receive(0)) is not None:
                message, _ = found
                if message["failure"] is not None:
                    continue  # Nobody looked: its frame and those around it meet their deadline without.
                boxes = np.asarray(message["boxes"], np.float32).reshape(-1, 4)
                seen = Detections(boxes, np.asarray(message["scores"], np.float32), np.asarray(message["labels"], np.str_))
                self._figures.looks.append(time.monotonic())
                if not self._window.looked(message["epoch"], Observation(message["index"], seen)):
                    self._figures.late_looks += 1
        except ChannelClosedError:
            if self._results is not None:
                self._results.close()
            self._results = None  # until the next detector's line comes

    def _give_out(self, now_s: float) -> None:
        self._emit(self._window.due(now_s), now_s)
        if now_s >= self._curtain_at_s():
            self._out_s = now_s
            self._figures.absent += 1
            sealed = self._curtain.sealed(self._index, self._size_wh(), "no picture from the camera", time.time())
            self._send(sealed, self._clock.now(now_s - self._delay_s), now_s)

    def _emit(self, verdicts: list[Verdict], now_s: float) -> None:
        """Give each verdict's frame out, in order; of those that are late by more than a few frames only the newest."""
        for place, verdict in enumerate(verdicts):
            raw, last = verdict.raw, place == len(verdicts) - 1
            if not last and now_s - raw.arrival_s > self._delay_s + BEHIND_S:
                verdict = replace(verdict, way="dropped", decision=None, why="the machine is too slow")
            if verdict.way == "dropped":
                self._figures.count(verdict, 0.0)
                continue
            self._shape_for(raw)
            time_s = self._clock.at(raw.source_s, raw.arrival_s)
            self._out_s = now_s
            self._send(self._sealed(verdict), time_s, now_s)
            self._figures.count(verdict, time.monotonic() - raw.arrival_s)

    def _sealed(self, verdict: Verdict) -> SealedFrame:
        raw = verdict.raw
        if verdict.decision is None or self._zones is None:
            return self._curtain.sealed(self._index, raw.geometry.coded_wh, verdict.why or "a zone lies outside the picture", time.time())
        frame = replace(raw.frame(), index=self._index)
        decision = replace(verdict.decision, frame_index=self._index)
        ((_, zoned),) = self._zones.over([(frame, decision)])
        return seal_frame(frame, zoned, self._equipment.effect_for(raw.geometry))

    def _send(self, sealed: SealedFrame, time_s: float, now_s: float) -> None:
        """Code one sealed frame and offer its packets to every sink."""
        if self._encoder is None:
            self._begin_encoder()
        assert self._encoder is not None
        self._index += 1
        before = self._encoder.format
        key = now_s - self._key_s > KEY_APART_S and any(sink.sender.needs_key for sink in self._sinks)
        for packet in self._encoder.encode(sealed, round(time_s / LIVE_TIME_BASE), key=key):
            self._key_s = now_s if packet.is_key else self._key_s
            self._figures.packets += 1
            for sink in list(self._sinks):
                if before is None and self._encoder.format is not None:
                    self._to(sink, self._encoder.format)
                self._to(sink, packet)

    def _to(self, sink: _Sink, item: Any) -> None:
        try:
            sink.sender.push() if item is None else sink.sender.offer(item)
        except SenderClosedError:
            self._drop_sink(sink.key)

    def _drop_sink(self, key: str) -> None:
        for sink in [one for one in self._sinks if one.key == key]:
            sink.sender.close()
            self._sinks.remove(sink)

    def _shape_for(self, raw: RawFrame) -> None:
        """Begin a new stream where size or colour changed."""
        if self._shape == (raw.geometry, raw.color):
            return
        self._shape, self._rate, self._encoder = (raw.geometry, raw.color), raw.frame_rate, None
        try:
            self._zones = self._equipment.zones_for(raw.geometry, Fraction(raw.frame_rate).limit_denominator(1000), name=self._camera.name)
        except ConfigError as error:
            # Somebody relies on that zone: without it nothing of the picture may be seen.
            self._zones = None
            self._channel.send({"fault": error.problem})

    def _begin_encoder(self) -> None:
        geometry, color = self._shape or (Geometry(_DEFAULT_WH), Color(range=1))
        wish = self._camera.config.encoding
        options = dict(wish.options)
        options |= {"crf": str(wish.crf)} if wish.crf is not None else {}
        options |= {"preset": wish.preset} if wish.preset is not None else {}
        self._encoder = LiveEncoder(geometry, color, self._rate, codec=wish.codec, options=options)
        self._key_s = time.monotonic()

    def _tracker_for(self, geometry: Geometry, frame_rate: float) -> Tracker:
        return self._equipment.tracker_for(geometry, Fraction(frame_rate).limit_denominator(1000))

    @property
    def _delay_s(self) -> float:
        return self._camera.lookahead_s + WORK_S

    def _size_wh(self) -> tuple[int, int]:
        return self._shape[0].coded_wh if self._shape is not None else _DEFAULT_WH

    def _curtain_at_s(self) -> float:
        """When the curtain has to be shown again, if no frame leaves before."""
        if self._shape is None:
            return max(self._began_s + FIRST_CURTAIN_S, self._out_s + CURTAIN_EVERY_S)
        silent_from_s = self._frame_s + self._delay_s + SILENT_S
        return max(silent_from_s, self._out_s + CURTAIN_EVERY_S)

    def _beat(self) -> None:
        self._beat_s = now_s = time.monotonic()
        lost = {sink.key: sink.sender.lost for sink in self._sinks}
        self._channel.send({"beat": True, "within_s": 5.0, "sinks_lost": lost, "size_wh": self._size_wh(), **self._figures.told(now_s)})


def live_policy(policy: TrackingPolicy) -> TrackingPolicy:
    """How the tracker follows where not every frame is looked at: one sighting stands for all frames since the look before."""
    return replace(policy, lookahead_s=_NEVER_S, backfill_s=max(policy.backfill_s, LOOKS_APART_S), trusted_after=1)


def run(channel: Channel) -> None:
    """The role."""
    found = channel.receive(None)
    assert found is not None
    message, fds = found
    channel.send({"beat": True, "within_s": 30.0})
    sealer = Sealer(Camera.model_validate(message["camera"]), Ring(fds[0]), fds[1], channel)
    sealer.run()
