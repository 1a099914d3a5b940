"""A sealer's stand-in: drawn pictures, coded as a sealer codes them, and sent in real time."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction

import av

from anonymizer.ipc.packets import PacketReceiver, PacketSender, SenderClosedError, packet_sockets
from anonymizer.types import EncodedPacket, StreamFormat
from tests.conftest import draw_picture

RATE = 25
GROUP = 12
_OPTIONS = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "bf": "0", "g": str(GROUP), "sc_threshold": "0"}),
    "hevc": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": f"bframes=0:keyint={GROUP}:min-keyint={GROUP}:scenecut=0:repeat-headers=1:log-level=none",
        },
    ),
}


@functools.cache
def drawn(codec: str = "h264", size_wh: tuple[int, int] = (320, 240), frames: int = 2 * GROUP, crf: int = 23) -> tuple[StreamFormat, tuple[EncodedPacket, ...]]:
    """Coded frames that can be sent again and again: whole groups of pictures, pts from 0."""
    encoder, options = _OPTIONS[codec]
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = *size_wh, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 90_000), Fraction(RATE)
    context.options = options | {"crf": str(crf)}
    packets: list[EncodedPacket] = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(draw_picture(index, size_wh), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index * 90_000 // RATE, Fraction(1, 90_000)
        packets += [EncodedPacket(packet.pts, packet.is_keyframe, bytes(packet)) for packet in context.encode(frame)]
    packets += [EncodedPacket(packet.pts, packet.is_keyframe, bytes(packet)) for packet in context.encode(None)]
    first = packets[0].data
    sets = b"".join(b"\0\0\0\1" + unit for unit in _units(first) if _is_parameter_set(codec, unit))
    return StreamFormat(codec, size_wh, float(RATE), sets), tuple(packets)


def _units(data: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.rstrip(b"\0")]


def _is_parameter_set(codec: str, unit: bytes) -> bool:
    return unit[0] & 0x1F in (7, 8) if codec == "h264" else unit[0] >> 1 in (32, 33, 34)


class Sealer(threading.Thread):
    """Sends drawn packets round and round, stamped with the machine's clock, until it is stopped."""

    def __init__(self, codec: str = "h264", size_wh: tuple[int, int] = (320, 240), rate: float = RATE, crf: int = 23) -> None:
        super().__init__(daemon=True)
        self.stream, self.packets = drawn(codec, size_wh, crf=crf)
        self._rate, self._stopped = rate, threading.Event()
        ours, theirs = packet_sockets()
        self._sender, self.receiver = PacketSender(ours), PacketReceiver(theirs)

    def run(self) -> None:
        self._sender.offer(self.stream)
        index, next_s = 0, time.monotonic()
        with suppress(SenderClosedError):
            while not self._stopped.is_set():
                packet = replace(self.packets[index % len(self.packets)], pts=round(time.monotonic() * 90_000))
                self._sender.offer(packet)
                index, next_s = index + 1, next_s + 1 / self._rate
                while (left_s := next_s - time.monotonic()) > 0:
                    self._sender.push()
                    self._stopped.wait(min(left_s, 0.01) if self._sender.is_waiting else left_s)
        self._sender.close()

    def stop(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join(10)


@contextmanager
def sealer(*arguments: object, **options: object) -> Iterator[Sealer]:
    """A sealer that is at work."""
    running = Sealer(*arguments, **options)  # type: ignore[arg-type]
    running.start()
    try:
        yield running
    finally:
        running.stop()
