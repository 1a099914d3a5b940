"""What every sink does: take packets from its sealer, hand them on to whoever writes them, and say twice a second how it is.

The loop itself never writes: a server or a disk that hangs would silence it. Whoever writes (a process for servers, a thread
for disks) gets the packets over a second pair of sockets, loses groups of pictures if it is slow, and may be replaced.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import asdict, dataclass
from typing import Protocol

from anonymizer.ipc.channel import Channel, ChannelClosedError, Message
from anonymizer.ipc.packets import Item, PacketReceiver, PacketSender, SenderClosedError, packet_sockets
from anonymizer.types import EncodedPacket, StreamFormat

BEAT_S = 0.4
_LOOK_S = 0.1
_MOST_AT_ONCE = 256  # items between two looks at everything else
_START_S = 30.0


@dataclass(slots=True)
class Status:
    """What a sink says of itself: `fault` is the last one, in words without secrets."""

    state: str = "connecting"
    fault: str | None = None
    packets: int = 0  # written, and their bytes
    bytes: int = 0
    lost: int = 0  # came, and could not be written
    viewers: int = 0


class Feed:
    """The way to whoever writes the packets now: it never waits, and begins with the format and a key frame for each new one."""

    def __init__(self) -> None:
        self._sender: PacketSender | None = None
        self._format: StreamFormat | None = None
        self._lost = 0

    @property
    def lost(self) -> int:
        """Packets that nobody got."""
        return self._lost + (self._sender.lost if self._sender else 0)

    @property
    def waiting_fd(self) -> int | None:
        """What to watch for room, if something waits for it."""
        return self._sender.fileno() if self._sender and self._sender.is_waiting else None

    @property
    def has_format(self) -> bool:
        """Whether a stream came at all."""
        return self._format is not None

    def open(self) -> socket.socket:
        """The end for a new writer; the old one reads the end of its stream."""
        self.close()
        ours, theirs = packet_sockets()
        self._sender = PacketSender(ours)
        if self._format is not None:
            self._sender.offer(self._format)
        return theirs

    def close(self) -> None:
        """Nobody gets packets from now on."""
        self._lost = self.lost
        if self._sender is not None:
            self._sender.close()
        self._sender = None

    def offer(self, item: Item) -> None:
        """Hand on an item, or count it as lost."""
        if isinstance(item, StreamFormat):
            self._format = item
        if self._sender is None:
            self._lost += isinstance(item, EncodedPacket)
            return
        try:
            self._sender.offer(item)
        except SenderClosedError:
            self.close()

    def push(self) -> None:
        """Send what finds room now."""
        if self._sender is not None and self._sender.is_waiting:
            try:
                self._sender.push()
            except SenderClosedError:
                self.close()


class Worker(Protocol):
    """Whoever writes the packets, and is begun again when it fails."""

    feed: Feed
    status: Status

    def watch(self, now_s: float) -> None:
        """Look after it; called several times a second, and must not wait."""

    def close(self) -> None:
        """End the output cleanly, within two seconds."""


def run_sink(channel: Channel, fds: list[int], worker: Worker) -> None:
    """Run a sink from its first message until it is told to stop; ChannelClosedError if nobody is left to tell it."""
    receiver: PacketReceiver | None = _receiver(fds)
    next_beat_s = 0.0
    try:
        while True:
            _wait(channel, receiver, worker.feed)
            while (received := channel.receive(0)) is not None:
                message, fds = received
                if message.get("do") == "stop":
                    return
                if message.get("do") == "packets":
                    if receiver is not None:
                        receiver.close()
                    receiver = _receiver(fds)
            if receiver is not None and not _take(receiver, worker.feed):
                receiver.close()
                receiver = None
            worker.feed.push()
            now_s = time.monotonic()
            worker.watch(now_s)
            if now_s >= next_beat_s:
                next_beat_s = now_s + BEAT_S
                channel.send({"beat": True, **asdict(worker.status), "lost": worker.feed.lost + worker.status.lost})
    finally:
        if receiver is not None:
            receiver.close()
        worker.close()


def first_message(channel: Channel) -> tuple[Message, list[int]]:
    """What to do, and the packet socket."""
    received = channel.receive(_START_S)
    if received is None:
        raise ChannelClosedError("the supervisor said nothing")
    return received


def _receiver(fds: list[int]) -> PacketReceiver:
    return PacketReceiver(socket.socket(fileno=fds[0]))


def _wait(channel: Channel, receiver: PacketReceiver | None, feed: Feed) -> None:
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    if receiver is not None:
        poll.register(receiver.fileno(), select.POLLIN)
    if (waiting := feed.waiting_fd) is not None:
        poll.register(waiting, select.POLLOUT)
    poll.poll(round(_LOOK_S * 1000))


def _take(receiver: PacketReceiver, feed: Feed) -> bool:
    """Hand on what has come; False once the sealer is gone: a new one may follow."""
    try:
        for _ in range(_MOST_AT_ONCE):
            item = receiver.receive(0)
            if item is None:
                return True
            feed.offer(item)
    except (EOFError, ValueError):  # A broken item: nothing behind it can be read either.
        return False
    return True
