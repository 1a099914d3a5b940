"""Packets onto a disk, from a thread of their own: a disk that is full, slow or gone must not silence the sink."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

from anonymizer.errors import AnonymizerError
from anonymizer.ipc.packets import Item, PacketReceiver
from anonymizer.publishing.targets import words_of
from anonymizer.sinks.loop import Feed, Status
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, StreamFormat

RETRY_S = 10.0
_MOST_WAITED_S = 60.0  # a packet that is older has another clock
_TICK_S = 1.0
_SLOW_S = 5.0
_CLOSE_S = 1.8

FAULTS = (AnonymizerError, OSError, ValueError)


def wall_time_s(packet: EncodedPacket) -> float:
    """When a packet was made: it has waited on its way here, longest while this process was starting."""
    waited_s = time.monotonic() - float(packet.pts * LIVE_TIME_BASE)
    return time.time() - (waited_s if 0 < waited_s < _MOST_WAITED_S else 0.0)


class Output(Protocol):
    """What becomes of the packets; raises one of FAULTS when it cannot go on, and is then closed and made anew."""

    def take(self, item: Item) -> None:
        """Write a packet, or learn of a new format."""

    def tick(self) -> None:
        """Called about once a second, whether packets come or not."""

    def close(self) -> None:
        """End the output for good; never raises."""

    def abandon(self) -> None:
        """Save what can be saved: another one will go on; never raises."""


class DiskWorker:
    """Runs an output in a thread; after a fault the packets are dropped, and ten seconds later it is tried again."""

    def __init__(self, make: Callable[[], Output]) -> None:
        self.feed = Feed()
        self.status = Status()
        self._make = make
        self._output: Output | None = None
        self._format: StreamFormat | None = None
        self._retry_at_s = 0.0
        self._next_tick_s = 0.0
        self._busy_since_s: float | None = None
        self._bug: BaseException | None = None
        self._receiver = PacketReceiver(self.feed.open())
        # A daemon: a thread that hangs in a dead disk must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def watch(self, now_s: float) -> None:
        """Say so when the disk does not answer; a bug in the thread is raised here."""
        if self._bug is not None:
            raise self._bug
        busy_s = 0.0 if (since_s := self._busy_since_s) is None else now_s - since_s
        if busy_s > _SLOW_S:
            self.status.state, self.status.fault = "stopped", f"the disk has not answered for {busy_s:.0f} s"

    def close(self) -> None:
        """Let the thread finish its last file; one that cannot be finished in time is left for the next start."""
        self.feed.push()
        self.feed.close()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            with contextlib.closing(self._receiver):
                self._write_all()
        except BaseException as error:
            self._bug = error

    def _write_all(self) -> None:
        try:
            while True:
                item = self._receiver.receive(_TICK_S)
                self._busy_since_s = time.monotonic()
                if isinstance(item, StreamFormat):
                    self._format = item
                try:
                    self._write(item)
                except FAULTS as error:
                    self._fail(error)
                self._busy_since_s = None
        except EOFError:
            pass
        finally:
            if self._output is not None:
                self._output.close()

    def _write(self, item: Item | None) -> None:
        if self._output is None:
            if time.monotonic() < self._retry_at_s:
                self.status.lost += isinstance(item, EncodedPacket)
                return
            self._output = self._make()
            if self._format is not None and item is not self._format:
                self._output.take(self._format)
        if item is not None:
            self._output.take(item)
        if isinstance(item, EncodedPacket):
            self.status.state = "up"
            self.status.packets += 1
            self.status.bytes += len(item.data)
        # By the clock: while packets come, there is never a second without one.
        if (now_s := time.monotonic()) >= self._next_tick_s:
            self._next_tick_s = now_s + _TICK_S
            self._output.tick()

    def _fail(self, error: BaseException) -> None:
        self._retry_at_s = time.monotonic() + RETRY_S
        self.status.state = "stopped"
        self.status.fault = error.problem if isinstance(error, AnonymizerError) else words_of(error) if isinstance(error, OSError) else str(error)
        if self._output is not None:
            self._output.abandon()
        self._output = None
