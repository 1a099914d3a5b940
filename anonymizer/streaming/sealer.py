"""The process that decides and seals one camera's frames, and gives the coded result to every sink.

It never waits for anybody: not for the detector (a frame leaves at its deadline, in one of the four ways of `window.py`), not
for a sink (`packets.py`), not for the camera (the curtain keeps the viewers connected).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from anonymizer.cameras.settings import Camera
from anonymizer.equipment import Equipment
from anonymizer.geometry import Geometry
from anonymizer.ipc.channel import Channel, ChannelClosedError
from anonymizer.ipc.packets import Item, PacketSender, SenderClosedError
from anonymizer.media.live_encoding import KEY_EVERY_S
from anonymizer.streaming.clock import SmoothClock
from anonymizer.streaming.coding import DEFAULT_WH, Coder, CodingThread
from anonymizer.streaming.figures import Figures
from anonymizer.streaming.hearing import Hearing
from anonymizer.streaming.ring import SLOTS, Ring
from anonymizer.streaming.window import LOOKS_APART_S, WORK_S, Verdict, Window
from anonymizer.tracking import Tracker, TrackingPolicy
from anonymizer.types import Detections, Observation, StreamFormat

BEAT_S, HANGS_S = 0.5, 5.0
SILENT_S = 0.4  # without a frame for so long, the curtain falls by itself
CURTAIN_EVERY_S = 0.2
FIRST_CURTAIN_S = 2.0  # a camera that comes up within this is not preceded by a curtain of another size
MOST_UNDER_WAY = 8  # frames to be coded; beyond, they are left out: latency must not pile up
KEY_APART_S = 0.5  # key frames on demand are no closer: each costs as much as ten others
LEAP_OVERLAP = 0.5  # with looks a tenth of a second apart, what walks moves by less than half of its face
_NEVER_S = 4 * 3600.0  # the window says when a frame is decided, never the tracker


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
        self._coding = CodingThread(Coder(camera, self._equipment))
        self._clock = SmoothClock()
        self._hearing = Hearing(self._delay_s)
        self._figures = Figures()
        self._sinks: list[_Sink] = []
        self._stream: StreamFormat | None = None
        self._is_curtain_down = False  # on the viewers' screens now
        self._read = ring.newest
        self._out_s = time.monotonic()
        self._silent_since_s = self._out_s + FIRST_CURTAIN_S - SILENT_S  # nothing of the camera has left since, or is due to
        self._has_frames = False
        self._key_s = self._beat_s = 0.0

    def run(self) -> None:
        """Until it is told to stop."""
        try:
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
                self._send_coded()
                self._send_sound(time.monotonic())
                # Who hangs in an encoder must not seem well: silence ends this process.
                if time.monotonic() - self._beat_s > BEAT_S and self._coding.waits_s(time.monotonic()) < HANGS_S:
                    self._beat()
        finally:
            self._coding.close()

    def _wait(self) -> None:
        """Until something can be done: a frame, a look, a message, packets, room in a sink's socket, or a deadline."""
        now_s = time.monotonic()
        sound_s = self._hearing.next_s
        wake_s = min(self._window.next_deadline_s() or now_s + 1, self._beat_s + BEAT_S, self._curtain_at_s(), now_s + 1 if sound_s is None else sound_s)
        poll = select.poll()
        results = self._results.fileno() if self._results is not None else None
        for fd in (self._waker, self._coding.done_fd, self._channel.fileno(), results, self._hearing.fd):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        for sink in self._sinks:
            if sink.sender.is_waiting:
                poll.register(sink.sender.fileno(), select.POLLOUT)
        ready = {fd for fd, _ in poll.poll(max(0.0, (wake_s - now_s) * 1000))}
        for fd in ready & {self._waker, self._coding.done_fd}:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(fd)
        for sink in list(self._sinks):
            self._to(sink, None)

    def _obey(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["do"] == "sink":
            self._drop_sink(message["key"])
            self._sinks.append(_Sink(message["key"], PacketSender(socket.socket(fileno=fds[0]))))
            if self._stream is not None:
                self._to(self._sinks[-1], self._stream)
        elif message["do"] == "results":
            # What the last detector still had in mind is nobody's word any more.
            self._forget_detector()
            self._results = Channel.inherited(fds[0])
        elif message["do"] == "sound":
            self._hearing.attach(Channel.inherited(fds[0]))

    def _forget_detector(self) -> None:
        """It failed, is gone or is another one now: what it saw decides and carries nothing any more."""
        if self._results is None:
            return
        self._results.close()
        self._results = None
        self._emit(self._window.forget(), time.monotonic())

    def _take_frames(self) -> None:
        newest = self._ring.newest
        first = max(self._read + 1, newest - SLOTS + 2)  # The oldest slot may be written to at any moment.
        self._figures.lost += first - self._read - 1 if newest > self._read else 0
        for serial in range(first, newest + 1):
            raw = self._ring.read(serial)
            if raw is None:
                self._figures.lost += 1
                continue
            now_s = time.monotonic()
            if not self._has_frames:
                self._has_frames, self._silent_since_s = True, now_s + self._delay_s
            self._emit(self._window.arrive(raw), now_s)
        self._read = max(newest, self._read)

    def _take_looks(self) -> None:
        try:
            while self._results is not None and (found := self._results.receive(0)) is not None:
                message, _ = found
                if message["failure"] is not None:
                    self._forget_detector()
                    return
                boxes = np.asarray(message["boxes"], np.float32).reshape(-1, 4)
                seen = Detections(boxes, np.asarray(message["scores"], np.float32), np.asarray(message["labels"], np.str_))
                self._figures.looks.append(time.monotonic())
                if not self._window.looked(message["epoch"], Observation(message["index"], seen, part=message["part"])):
                    self._figures.late_looks += 1
        except ChannelClosedError:
            self._forget_detector()

    def _give_out(self, now_s: float) -> None:
        self._emit(self._window.due(now_s), now_s)
        if now_s >= self._curtain_at_s() and len(self._coding) < MOST_UNDER_WAY:
            self._figures.absent += 1
            self._code(None, self._clock.now(now_s - self._delay_s), now_s)

    def _emit(self, verdicts: list[Verdict], now_s: float) -> None:
        """Have each verdict's frame coded, in order."""
        for verdict in verdicts:
            if verdict.way != "dropped" and len(self._coding) >= MOST_UNDER_WAY:
                verdict = replace(verdict, way="dropped", decision=None, why="the machine is too slow")
            if verdict.way == "dropped":
                self._figures.count(verdict, 0.0)
                continue
            self._silent_since_s = now_s
            if verdict.way == "curtained" and self._is_curtain_down and now_s - self._out_s < CURTAIN_EVERY_S:
                self._figures.count(verdict, time.monotonic() - verdict.raw.arrival_s)  # The curtain that hangs there is its own.
            else:
                self._code(verdict, self._clock.at(verdict.raw.source_s, verdict.raw.arrival_s), now_s)

    def _code(self, verdict: Verdict | None, time_s: float, now_s: float) -> None:
        wanted = any(sink.sender.needs_key for sink in self._sinks)
        # By time as well: the encoder counts frames, of which a curtain has few, and segments end at key frames.
        key = now_s - self._key_s > (KEY_APART_S if wanted else KEY_EVERY_S)
        self._key_s = now_s if key else self._key_s
        self._out_s = now_s
        self._is_curtain_down = verdict is None or verdict.decision is None
        self._coding.give(verdict, "no picture from the camera", time_s, key=key)

    def _send_coded(self) -> None:
        """Offer what was coded to every sink."""
        for coded in self._coding.done():
            if coded.fault is not None:
                self._channel.send({"fault": coded.fault})
            stream = None if coded.stream is None else replace(coded.stream, sound=self._hearing.format)
            self._stream = stream or self._stream
            self._figures.packets += len(coded.packets)
            self._to_all((stream, *coded.packets))
            if coded.verdict is not None:
                self._figures.count(coded.verdict, time.monotonic() - coded.verdict.raw.arrival_s)

    def _send_sound(self, now_s: float) -> None:
        """Offer the sound that belongs to what is shown now; how it is coded has to be said before."""
        if self._hearing.take() and self._stream is not None:
            self._stream = replace(self._stream, sound=self._hearing.format)
            self._to_all((self._stream,))
        self._to_all(self._hearing.due(now_s, self._clock))

    def _to_all(self, items: Iterable[Item | None]) -> None:
        for item in items:
            for sink in list(self._sinks):
                self._to(sink, item)

    def _to(self, sink: _Sink, item: Item | None) -> None:
        """Offer an item to a sink, or let it take what waits for it."""
        try:
            if item is None:
                sink.sender.push()
            else:
                sink.sender.offer(item)
        except SenderClosedError:
            self._drop_sink(sink.key)

    def _drop_sink(self, key: str) -> None:
        for sink in [one for one in self._sinks if one.key == key]:
            sink.sender.close()
            self._sinks.remove(sink)

    def _tracker_for(self, geometry: Geometry, frame_rate: float) -> Tracker:
        return self._equipment.tracker_for(geometry, Fraction(frame_rate).limit_denominator(1000))

    @property
    def _delay_s(self) -> float:
        return self._camera.lookahead_s + WORK_S

    def _curtain_at_s(self) -> float:
        """When the curtain has to be shown again, if no frame leaves before: frames that are dropped keep nobody connected."""
        return max(self._silent_since_s + SILENT_S, self._out_s + CURTAIN_EVERY_S)

    def _beat(self) -> None:
        self._beat_s = now_s = time.monotonic()
        lost = {sink.key: sink.sender.lost for sink in self._sinks}
        size_wh = self._stream.size_wh if self._stream is not None else DEFAULT_WH
        shown = {"size_wh": size_wh, "zones_for": self._coding.zones_for}
        self._channel.send({"beat": True, "within_s": 5.0, "sinks_lost": lost, **shown, **self._figures.told(now_s)})


def live_policy(policy: TrackingPolicy) -> TrackingPolicy:
    """How the tracker follows where not every frame is looked at: one sighting stands for all frames since the look before."""
    return replace(policy, lookahead_s=_NEVER_S, backfill_s=max(policy.backfill_s, LOOKS_APART_S), trusted_after=1, leap_overlap=LEAP_OVERLAP)


def run(channel: Channel) -> None:
    """The role."""
    found = channel.receive(None)
    assert found is not None
    message, fds = found
    channel.send({"beat": True, "within_s": 30.0})
    Sealer(Camera.model_validate(message["camera"]), Ring(fds[0]), fds[1], channel).run()
