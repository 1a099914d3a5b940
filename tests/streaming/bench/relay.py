"""Between a viewer and any RTSP server, somebody else's too: passes everything on, and fails on request as the network would.

    with Relay(camera.url) as relay:
        ... read relay.url ...
        relay.fault("drop", share=0.2, seconds=5)

Knows refuse, mute, stall, reset, garbage, drop and damage; the last two change packets only, never the words of RTSP.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.streaming.bench.arrivals import Arrivals
from tests.streaming.bench.faults import Faulty, Kind
from tests.streaming.bench.rtp import interleaved

_HEAD_BYTES = 15  # of RTP and of the NAL unit: what damage spares
_POLL_S = 0.05
_KINDS: tuple[Kind, ...] = ("refuse", "mute", "stall", "reset", "garbage", "drop", "damage")


class Relay(Faulty):
    """Listens on loopback and connects to the server of `target` for each connection. `upstream`: packets to the server are those that fail."""

    def __init__(self, target: str, *, port: int = 0, seed: int = 1, upstream: bool = False) -> None:
        self._target = urlsplit(target)
        self._upstream = upstream
        super().__init__(seed, _KINDS)
        self._stopping = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._workers: list[threading.Thread] = []
        self.connections = 0
        self._arrivals = Arrivals()  # of what the newest connection brings

    @property
    def url(self) -> str:
        return urlunsplit(self._target._replace(netloc=f"127.0.0.1:{self.port}"))

    def came_s(self, pts: int | None) -> float | None:
        """When a frame of the newest connection came, by its presentation time in ticks of RTP's clock."""
        return self._arrivals.of(pts)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._end_all(reset=False)
        for worker in self._workers:
            worker.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self.faults.take("reset") is not None:
                self._end_all(reset=True)
            refuse = self.faults.get("refuse")
            if refuse is not None and self._listener is not None:
                refuse.hit += 1
                self._listener.close()
                self._listener = None
                self._end_all(reset=True)
            elif refuse is None and self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port))
            if self._listener is None:
                self._stopping.wait(_POLL_S)
                continue
            self._listener.settimeout(_POLL_S)
            with contextlib.suppress(TimeoutError):
                end, _ = self._listener.accept()
                self.connections += 1
                self._connect(end)
        if self._listener is not None:
            self._listener.close()

    def _connect(self, viewer: socket.socket) -> None:
        if (mute := self.faults.get("mute")) is not None:
            mute.hit += 1
            with self._lock:
                self._pairs.append((viewer, viewer))  # held open, never read
            return
        try:
            server = socket.create_connection((self._target.hostname or "", self._target.port or 554), timeout=5)
        except OSError:
            viewer.close()
            return
        with self._lock:
            self._pairs.append((viewer, server))
        self._arrivals = Arrivals()
        for source, sink, fails in ((server, viewer, not self._upstream), (viewer, server, self._upstream)):
            source.settimeout(_POLL_S)
            worker = threading.Thread(target=self._pass_on, args=(source, sink, self._arrivals if fails else None), name="relay-way", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _end_all(self, *, reset: bool) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for end in {end for pair in pairs for end in pair}:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, arrivals: Arrivals | None) -> None:
        """One direction of one connection, until it ends; `arrivals` for the one that brings packets, and fails."""
        held = bytearray()
        with contextlib.suppress(OSError):
            while not self._stopping.is_set():
                if (stall := self.faults.get("stall")) is not None:
                    stall.hit += 1
                    self._stopping.wait(_POLL_S)  # Neither read nor closed: half-open.
                    continue
                try:
                    data = source.recv(1 << 16)
                except TimeoutError:
                    continue
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if arrivals is None:
                    sink.sendall(data)
                    continue
                held += data
                sink.sendall(self._changed(held, arrivals))

    def _changed(self, held: bytearray, arrivals: Arrivals) -> bytes:
        """Whole packets and lines taken out of `held`, as they arrive."""
        out = bytearray()
        while held:
            if held[:1] == b"$":
                if len(held) < 4 or len(held) < 4 + int.from_bytes(held[2:4], "big"):
                    break
                end = 4 + int.from_bytes(held[2:4], "big")
                channel, packet = held[1], bytes(held[4:end])
                del held[:end]
                if channel % 2 == 0:
                    arrivals.note(packet, time.monotonic())
                out += self._packet(channel, packet)
            else:
                end = held.find(b"$")
                end = len(held) if end < 0 else end
                # A dollar within RTSP's own words: as good as never, and then only the packets behind it are not seen as such.
                out += held[:end]
                del held[:end]
        return bytes(out)

    def _packet(self, channel: int, packet: bytes) -> bytes:
        if channel % 2:
            return interleaved(packet, channel)  # RTCP
        if (garbage := self.faults.get("garbage")) is not None:
            garbage.hit += 1
            return self.faults.dice.randbytes(len(packet))
        arrived = self.faults.on_packet(packet, _HEAD_BYTES)
        return b"" if arrived is None else interleaved(arrived, channel)
