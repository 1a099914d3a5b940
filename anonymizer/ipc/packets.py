"""Coded frames on their way from a sealer to the sinks: a socket each, and nobody waits for anybody.

A sink that reads too slowly loses whole groups of pictures: its queue is emptied, and it gets the stream again from the next
key frame on. Only coded frames can travel here: a sink never holds a raw one.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict

from anonymizer.types import EncodedPacket, SoundFormat, SoundPacket, StreamFormat

Item = StreamFormat | EncodedPacket | SoundPacket

_HEAD = struct.Struct("<BBxxIq")  # kind, key flag, bytes that follow, pts
_FORMAT, _PACKET, _SOUND = 1, 2, 3
_LARGEST = 64 << 20  # bytes of one item; more is no item of ours
MOST_QUEUED_BYTES = 8 << 20
MOST_QUEUED_S = 2.0


class SenderClosedError(Exception):
    """The sink is gone."""


class PacketSender:
    """A sealer's end. Never blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.setblocking(False)
        self._queue: deque[tuple[bytes, int | None]] = deque()  # bytes left to send, and the pts if it is a whole packet
        self._queued = 0
        self._format: StreamFormat | None = None
        self._needs_key = True
        self.lost = 0  # packets that this sink did not get

    def fileno(self) -> int:
        """For select."""
        return self._end.fileno()

    def close(self) -> None:
        """The sink reads the end of the stream."""
        self._end.close()

    @property
    def needs_key(self) -> bool:
        """Whether nothing is sent before the next key frame."""
        return self._needs_key

    def offer(self, item: Item) -> None:
        """Queue an item, or leave it out; SenderClosedError if the sink is gone."""
        if isinstance(item, StreamFormat):
            self._format, self._needs_key = item, True
            self._drop_waiting()
            return
        if self._needs_key and not item.is_key:
            self.lost += isinstance(item, EncodedPacket)
        else:
            if self._needs_key and self._format is not None:
                self._put(_packed(self._format), None)
            self._needs_key = False
            self._put(_packed(item), item.pts)
        self.push()
        if self._is_behind(item.pts):
            self._drop_waiting()
            self._needs_key = True

    def push(self) -> None:
        """Send what the socket takes now; SenderClosedError if the sink is gone."""
        while self._queue:
            data, _ = self._queue[0]
            try:
                sent = self._end.send(data)
            except BlockingIOError:
                return
            except OSError as error:
                raise SenderClosedError(str(error)) from error
            self._queued -= sent
            if sent == len(data):
                self._queue.popleft()
            else:
                self._queue[0] = (data[sent:], None)  # The rest has to follow, whatever is dropped.

    @property
    def is_waiting(self) -> bool:
        """Whether something is queued."""
        return bool(self._queue)

    def _put(self, data: bytes, pts: int | None) -> None:
        self._queue.append((data, pts))
        self._queued += len(data)

    def _is_behind(self, pts: int) -> bool:
        oldest = next((stamp for _, stamp in self._queue if stamp is not None), pts)
        return self._queued > MOST_QUEUED_BYTES or (pts - oldest) / 90_000 > MOST_QUEUED_S

    def _drop_waiting(self) -> None:
        """Forget what is queued, but for the rest of an item that is sent in part."""
        kept = [part for part in self._queue if part[1] is None][:1]
        self.lost += sum(1 for _, pts in self._queue if pts is not None)
        self._queue = deque(kept)
        self._queued = sum(len(data) for data, _ in kept)


class PacketReceiver:
    """A sink's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.setblocking(False)
        self._held = bytearray()
        self._ended = False

    def fileno(self) -> int:
        """For select."""
        return self._end.fileno()

    def close(self) -> None:
        """The sealer learns that the sink is gone."""
        self._end.close()

    def receive(self, timeout_s: float | None) -> Item | None:
        """The next item, or None if there is none in time; EOFError once the sealer has closed its end."""
        while (item := self._next()) is None:
            if self._ended:
                raise EOFError("the sealer has closed its end")
            poll = select.poll()
            poll.register(self._end, select.POLLIN)
            if not poll.poll(None if timeout_s is None else max(0, round(timeout_s * 1000))):
                return None
            self._read()
        return item

    async def items(self) -> AsyncIterator[Item]:
        """Every item until the sealer closes its end, for a sink that serves many."""
        loop = asyncio.get_running_loop()
        while True:
            while (item := self._next()) is not None:
                yield item
            data = await loop.sock_recv(self._end, 1 << 20)
            if not data:
                return
            self._held += data

    def _read(self) -> None:
        try:
            data = self._end.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._ended = not data
        self._held += data

    def _next(self) -> Item | None:
        if len(self._held) < _HEAD.size:
            return None
        kind, is_key, size, pts = _HEAD.unpack_from(self._held)
        if size > _LARGEST or kind not in (_FORMAT, _PACKET, _SOUND):
            raise ValueError("what came is no packet of a sealer")
        end = _HEAD.size + size
        if len(self._held) < end:
            return None
        body = bytes(self._held[_HEAD.size : end])
        del self._held[:end]
        if kind == _PACKET:
            return EncodedPacket(pts, bool(is_key), body)
        if kind == _SOUND:
            return SoundPacket(pts, body)
        length = int.from_bytes(body[:4], "little")
        values = json.loads(body[4 : 4 + length])
        sound = values["sound"] and SoundFormat(values["sound"]["rate"], values["sound"]["channels"], bytes.fromhex(values["sound"]["config"]))
        return StreamFormat(values["codec"], tuple(values["size_wh"]), values["frame_rate"], body[4 + length :], sound)


def packet_sockets() -> tuple[socket.socket, socket.socket]:
    """The two ends of a way for packets: the sealer's and the sink's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def _packed(item: Item) -> bytes:
    if isinstance(item, EncodedPacket):
        return _HEAD.pack(_PACKET, item.is_key, len(item.data), item.pts) + item.data
    if isinstance(item, SoundPacket):
        return _HEAD.pack(_SOUND, 0, len(item.data), item.pts) + item.data
    values = asdict(item)
    if item.sound is not None:
        values["sound"]["config"] = item.sound.config.hex()
    parameter_sets: bytes = values.pop("parameter_sets")
    text = json.dumps(values).encode()
    body = len(text).to_bytes(4, "little") + text + parameter_sets
    return _HEAD.pack(_FORMAT, 0, len(body), 0) + body
