"""What a process that serves all cameras does: obey the supervisor, listen as soon as it can, and say twice a second how it is."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Protocol

from anonymizer.cameras.listening import Places
from anonymizer.cameras.settings import Server
from anonymizer.errors import AnonymizerError
from anonymizer.ipc.channel import Channel, Message
from anonymizer.ipc.packets import PacketReceiver

_BEAT_S = 0.4
_LONGEST_PAUSE_S = 30.0

_log = logging.getLogger(__name__)


class CameraServer(Protocol):
    """What stands between cameras and viewers. Making one may be refused; it listens to nobody yet."""

    async def listen(self) -> int:
        """Begin to accept viewers, and return the port; AnonymizerError or OSError while that is not possible."""

    def add_camera(self, name: str, title: str, receiver: PacketReceiver | None) -> None:
        """A camera and the packets of its sealer, of a new one if the camera is known; None: it has no sealer yet."""

    def remove_camera(self, name: str) -> None:
        """Its viewers are sent away."""

    def tell(self, state: Message) -> None:
        """What the supervisor knows of the whole run."""

    def tick(self) -> None:
        """Called twice a second."""

    def figures(self) -> dict[str, Any]:
        """Viewers, packets, bytes and losses."""

    async def close(self) -> None:
        """Send everybody away, within two seconds."""


class Serving:
    """One such process, from its first message to its last."""

    def __init__(self, channel: Channel, what: str, make: Callable[[Server], CameraServer]) -> None:
        """`what` it is, in the words of its faults; `make` raises ConfigError for what must not be served as it is."""
        self._channel, self._what, self._make = channel, what, make
        self._server: CameraServer | None = None
        self._state = "connecting"
        self._fault: str | None = None
        self._port: int | None = None
        self._retry_at_s, self._pause_s = 0.0, 1.0
        self._over = asyncio.Event()
        self._ended_by: Exception | None = None

    async def run(self) -> None:
        """Until the supervisor says stop; ChannelClosedError once it is gone."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: _log.warning("%s", context["message"], exc_info=context.get("exception")))
        loop.add_reader(self._channel.fileno(), self._receive)
        try:
            while not self._over.is_set():
                if self._server is not None:
                    await self._listen(self._server)
                    self._server.tick()
                self._beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_BEAT_S):
                        await self._over.wait()
        finally:
            loop.remove_reader(self._channel.fileno())
        if self._ended_by is not None:
            raise self._ended_by
        if self._server is not None:
            await self._server.close()

    async def _listen(self, server: CameraServer) -> None:
        """Listen, if that is not done yet: a port that is taken or a broken certificate may be mended while we wait."""
        if self._state == "up" or time.monotonic() < self._retry_at_s:
            return
        try:
            self._port = await server.listen()
        except (AnonymizerError, OSError) as error:
            reason = error.problem if isinstance(error, AnonymizerError) else f"{self._what} cannot listen: {error.strerror or error}"
            if reason != self._fault:
                _log.warning("%s", reason)
            self._fault = reason
            self._retry_at_s = time.monotonic() + self._pause_s * random.uniform(0.8, 1.2)
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        else:
            self._state, self._fault = "up", None

    def _beat(self) -> None:
        figures = self._server.figures() if self._server is not None else {}
        self._channel.send({"beat": True, "state": self._state, "fault": self._fault, "port": self._port, **figures})

    def _receive(self) -> None:
        try:
            while (received := self._channel.receive()) is not None:
                self._obey(*received)
        except Exception as error:
            # Out of here it would be logged by the loop, and a server that knows no cameras would go on beating.
            self._ended_by = error
            self._over.set()

    def _obey(self, message: Message, fds: list[int]) -> None:
        ends = [socket.socket(fileno=fd) for fd in fds]
        match message.get("do"):
            case "start":
                self._start(Server.model_validate(message["server"]))
            case "camera" if self._server is not None:
                receiver = PacketReceiver(ends.pop(0)) if ends else None
                self._server.add_camera(message["name"], message.get("title") or message["name"], receiver)
            case "remove" if self._server is not None:
                self._server.remove_camera(message["name"])
            case "state" if self._server is not None:
                self._server.tell(message)
            case "stop":
                self._over.set()
        for end in ends:
            end.close()

    def _start(self, server: Server) -> None:
        try:
            self._server = self._make(server)
        except AnonymizerError as error:  # The supervisor should have refused it. Nobody is served.
            self._state, self._fault = "failed", error.problem


async def accepted(end: socket.socket, places: Places, is_shared: Callable[[str], bool] = lambda address: False) -> AsyncIterator[tuple[socket.socket, str]]:
    """Connections for which there was a place, each with whose place it is: whoever serves it leaves that again. An address that `is_shared` is many's."""
    loop = asyncio.get_running_loop()
    with end:
        while True:
            try:
                connection, peer = await loop.sock_accept(end)
            except OSError as error:  # Out of files, or a connection that was gone before it was taken.
                _log.debug("no connection was accepted: %s", error)
                await asyncio.sleep(0.1)
                continue
            address = f"{peer[0]} port {peer[1]}" if is_shared(peer[0]) else peer[0]
            # Counted before a TLS handshake, which a stranger could begin a thousand times and never end.
            if not places.take(address):
                connection.close()
                continue
            yield connection, address
