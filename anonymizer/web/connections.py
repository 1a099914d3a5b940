"""Who is connected to the page: never too many, in all or from one address, and nobody who asks for nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp.web_protocol import RequestHandler

from anonymizer.cameras.listening import Places, is_loopback
from anonymizer.sinks.serving import accepted

MOST_CONNECTIONS = 512
MOST_PER_ADDRESS = 64  # A wall of sixteen cameras takes some twenty.
FIRST_REQUEST_S = 10.0  # Who has asked for nothing by then keeps a connection from others.
_BACKLOG = 128


class Connections:
    """Accepts connections while there are places for them."""

    def __init__(self) -> None:
        self._places = Places(MOST_CONNECTIONS, MOST_PER_ADDRESS)
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # those that have asked for nothing yet
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None, make: Callable[[], RequestHandler]) -> int:
        """Listen, and return the port; OSError if the address is taken."""
        loop = asyncio.get_running_loop()
        # It knows how to bind: to every address that the name means, IPv6 apart from IPv4.
        binder = await loop.create_server(make, host, port, start_serving=False)
        ends = [bound.dup() for bound in binder.sockets]
        binder.close()
        try:
            for end in ends:
                end.setblocking(False)
                end.listen(_BACKLOG)
        except OSError:
            for end in ends:
                end.close()
            raise
        for end in ends:
            self._begin(self._accept_all(end, tls, make))
        return int(ends[0].getsockname()[1])

    def note_request(self, connection: asyncio.BaseProtocol) -> None:
        """It is not a silent one."""
        if timer := self._silent.pop(connection, None):
            timer.cancel()

    def close(self) -> None:
        """Accept nobody any more."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_all(self, end: socket.socket, tls: ssl.SSLContext | None, make: Callable[[], RequestHandler]) -> None:
        # Behind a proxy on this machine everybody has its address: there each connection counts for itself.
        async for connection, address in accepted(end, self._places, is_shared=is_loopback):
            self._begin(self._serve(connection, address, tls, make()))

    async def _serve(self, connection: socket.socket, address: str, tls: ssl.SSLContext | None, handler: RequestHandler) -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        try:
            patience_s = FIRST_REQUEST_S if tls else None
            self._silent[handler] = loop.call_later(FIRST_REQUEST_S, self._end, handler)
            await loop.connect_accepted_socket(lambda: _Watched(handler, gone), connection, ssl=tls, ssl_handshake_timeout=patience_s)
            await gone.wait()
        except OSError:  # The handshake failed, or the client was gone.
            connection.close()
        finally:
            self._places.leave(address)

    def _end(self, handler: RequestHandler) -> None:
        del self._silent[handler]
        if handler.transport is not None:
            handler.transport.abort()


class _Watched(asyncio.Protocol):
    """Hands everything on, and says when the connection is gone: aiohttp tells nobody."""

    def __init__(self, handler: RequestHandler, gone: asyncio.Event) -> None:
        self._gone = gone
        self._handler = handler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> None:
        self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        self._handler.connection_lost(exc)
