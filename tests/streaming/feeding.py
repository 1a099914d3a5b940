"""A stand-in for sealer and supervisor: drawn pictures as coded packets, and a sink's process that gets them in real time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from anonymizer.ipc.channel import Channel
from anonymizer.ipc.packets import PacketSender, SenderClosedError, packet_sockets
from anonymizer.media.annexb import parameter_sets_of
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, StreamFormat
from tests.conftest import draw_picture

START_PTS = 90_000 * 315_360_000  # No machine is up for ten years: packets from its own clock would have an age.
_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


class DrawnStream:
    """Packets of drawn pictures, as a sealer would send them."""

    def __init__(
        self, *, codec: str = "h264", size_wh: tuple[int, int] = (160, 120), rate: int = 25, gop: int = 12, crf: int = 23, noisy: bool = False
    ) -> None:
        self.rate, self._size_wh, self._codec, self._gop = rate, size_wh, codec, gop
        context = av.CodecContext.create(_ENCODERS[codec], "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = size_wh
        context.pix_fmt = "yuv420p"
        context.time_base = LIVE_TIME_BASE
        context.framerate = Fraction(rate)
        context.gop_size = gop
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf)}
        if codec == "hevc":
            context.options |= {"x265-params": f"keyint={gop}:bframes=0:repeat-headers=1:log-level=none:pools=none:frame-threads=1"}
        self._noisy = noisy
        self._context = context
        self._index = 0
        self._waiting: EncodedPacket | None = self._encode(0)
        self.format = StreamFormat(codec, size_wh, float(rate), parameter_sets_of(self._waiting.data, codec))

    def packet(self, pts: int) -> EncodedPacket:
        """The next coded frame."""
        if self._waiting is not None:
            first, self._waiting = self._waiting, None
            return EncodedPacket(pts, first.is_key, first.data)
        return self._encode(pts)

    def packets(self, count: int, start_pts: int = START_PTS) -> list[EncodedPacket]:
        """As many coded frames, at even times."""
        return [self.packet(start_pts + at * 90_000 // self.rate) for at in range(count)]

    def _encode(self, pts: int) -> EncodedPacket:
        frame = av.VideoFrame.from_ndarray(self._picture(), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._index * 90_000 // self.rate, LIVE_TIME_BASE
        frame.pict_type = PictureType.I if self._index % self._gop == 0 else PictureType.NONE
        self._index += 1
        (packet,) = self._context.encode(frame)
        return EncodedPacket(pts, packet.is_keyframe, bytes(packet))

    def _picture(self) -> Any:
        picture = draw_picture(self._index, self._size_wh)
        if self._noisy:
            picture = picture // 2 + np.random.default_rng(self._index).integers(0, 128, picture.shape, np.uint8)
        return picture


class Feeder(threading.Thread):
    """Sends a drawn stream into a packet socket in real time until it is stopped, like a sealer that never waits."""

    def __init__(self, end: Any, stream: DrawnStream, *, speed: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._sender = PacketSender(end)
        self._stream, self._speed = stream, speed
        self._ended = threading.Event()
        self.sent = 0

    def run(self) -> None:
        try:
            self._sender.offer(self._stream.format)
            begun_s = time.monotonic()
            while not self._ended.is_set():
                at_s = self.sent / self._stream.rate
                self._sender.offer(self._stream.packet(round((begun_s + at_s) * 90_000)))
                self.sent += 1
                wait_s = begun_s + self.sent / self._stream.rate / self._speed - time.monotonic()
                self._ended.wait(max(0.0, wait_s))
                self._sender.push()
        except SenderClosedError:
            pass
        finally:
            self._sender.close()

    def stop(self) -> None:
        """No more packets: the sink reads the end."""
        self._ended.set()
        self.join(5)


class RunningSink:
    """A sink's real process, as the supervisor starts it, with the last of its beats."""

    def __init__(self, role: str, output: dict[str, Any], *, camera: str = "gate", environment: dict[str, str] | None = None) -> None:
        self.channel, theirs = Channel.pair()
        with theirs:
            fd = theirs.fileno()
            arguments = [sys.executable, "-m", "anonymizer.streaming.child", role, str(fd), str(os.getpid())]
            self.process = subprocess.Popen(arguments, pass_fds=[fd], env={**os.environ, **(environment or {})})
        self._start: dict[str, Any] | None = {"do": "start", "camera": camera, "title": camera, "output": output}
        self.beats: list[dict[str, Any]] = []
        self.beat_times_s: list[float] = []
        self.feeder: Feeder | None = None

    def feed(self, stream: DrawnStream, *, speed: float = 1.0) -> Feeder:
        """Begin to send packets; once more: another sealer takes over."""
        if self.feeder is not None:
            self.feeder.stop()
        ours, theirs = packet_sockets()
        message, self._start = self._start or {"do": "packets"}, None
        with theirs:
            assert self.channel.send(message, [theirs.fileno()])
        self.feeder = Feeder(ours, stream, speed=speed)
        self.feeder.start()
        return self.feeder

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], within_s: float = 15.0) -> dict[str, Any]:
        """The first beat of which `wanted` is true."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            received = self.channel.receive(0.2)
            if received is not None and received[0].get("beat"):
                self.beats.append(received[0])
                self.beat_times_s.append(time.monotonic())
                if wanted(received[0]):
                    return received[0]
        raise AssertionError(f"no such beat within {within_s} s; the last: {self.beats[-1:]}")

    def longest_silence_s(self) -> float:
        """Between two beats."""
        return max((b - a for a, b in zip(self.beat_times_s, self.beat_times_s[1:], strict=False)), default=0.0)

    def stop(self, within_s: float = 4.0) -> int:
        """Ask it to end, and give its exit code."""
        self.channel.send({"do": "stop"})
        return self.process.wait(within_s)

    def kill(self) -> None:
        """As the kernel or the supervisor would."""
        self.process.kill()
        self.process.wait(5)

    def close(self) -> None:
        """Leave nothing running."""
        if self.feeder is not None:
            self.feeder.stop()
        if self.process.poll() is None:
            self.kill()
        self.channel.close()


@contextmanager
def running_sink(role: str, output: dict[str, Any], **more: Any) -> Iterator[RunningSink]:
    """A sink's process for as long as the block runs."""
    sink = RunningSink(role, output, **more)
    try:
        yield sink
    finally:
        sink.close()
