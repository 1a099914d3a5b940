"""A sealer's stand-in: drawn pictures, coded as a sealer codes them, and sent in real time."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from anonymizer.ipc.packets import PacketReceiver, PacketSender, SenderClosedError, packet_sockets
from anonymizer.types import EncodedPacket, StreamFormat
from tests.streaming.feeding import DrawnStream

RATE = 25
GROUP = 12


@functools.cache
def drawn(codec: str = "h264", size_wh: tuple[int, int] = (320, 240), crf: int = 23) -> tuple[StreamFormat, tuple[EncodedPacket, ...]]:
    """Coded frames that can be sent again and again: two whole groups of pictures, pts from 0."""
    stream = DrawnStream(codec=codec, size_wh=size_wh, rate=RATE, gop=GROUP, crf=crf)
    return stream.format, tuple(stream.packets(2 * GROUP, 0))


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
