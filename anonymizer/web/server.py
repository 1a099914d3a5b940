"""The process that serves the page, HLS, snapshots and metrics of all cameras. It holds sealed packets and figures, nothing else."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from anonymizer.cameras.listening import tls_of
from anonymizer.cameras.settings import Server
from anonymizer.ipc.channel import Channel, Message
from anonymizer.ipc.packets import PacketReceiver
from anonymizer.sinks.serving import Serving
from anonymizer.web.access import Access, warning_of
from anonymizer.web.feeds import Feed, Seats
from anonymizer.web.live import Live
from anonymizer.web.status import Status

MOST_CONNECTIONS = 512
FIRST_REQUEST_S = 10.0  # Who has asked for nothing by then keeps a connection from others.
_SHUTDOWN_S = 1.0
_PAGE = {"index.html": "text/html", "app.js": "text/javascript", "player.js": "text/javascript", "style.css": "text/css"}


class Site:
    """The web application behind one listening socket, and what keeps strangers from filling it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._feeds: dict[str, Feed] = {}
        self._seats = Seats()
        self.status = Status(self._feeds, warning_of(server))
        # Addresses may hold the token: they are not logged.
        app = web.Application(client_max_size=1024)
        app.middlewares.append(self._note_request)
        Access(server).guard(app)
        self.status.add_routes(app.router)
        Live(self._feeds).add_routes(app.router)
        for name, content_type in _PAGE.items():
            app.router.add_get("/" if name == "index.html" else f"/{name}", _page_file(name, content_type))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, handler_cancellation=True, keepalive_timeout=30.0)
        self._listening: asyncio.Server | None = None
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # connections that have asked for nothing yet

    async def listen(self) -> int:
        """Listen, and return the port. OSError if the address is taken, ConfigError if certificate and key cannot be used."""
        tls = tls_of(self._server)
        await self._runner.setup()
        patience_s = FIRST_REQUEST_S if tls else None
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connection, self._server.host, self._server.port, ssl=tls, ssl_handshake_timeout=patience_s)
        return int(self._listening.sockets[0].getsockname()[1])

    def add_camera(self, name: str, title: str, receiver: PacketReceiver | None) -> None:
        """Show a camera, or take its packets from its new sealer."""
        feed = self._feeds.setdefault(name, Feed(name, "", self._seats))
        feed.title = title
        if receiver is not None:
            feed.attach(receiver)

    def remove_camera(self, name: str) -> None:
        """Show it no longer."""
        if (feed := self._feeds.pop(name, None)) is not None:
            feed.close()

    def tell(self, state: Message) -> None:
        """What the page, the metrics and the health checks say."""
        self.status.tell(state)

    def tick(self) -> None:
        """Nothing here is done by the clock."""

    def figures(self) -> dict[str, Any]:
        """What the supervisor is told."""
        feeds = self._feeds.values()
        return {
            "viewers": {feed.name: sum(feed.viewers_by_way().values()) for feed in feeds},
            "packets": sum(feed.packets for feed in feeds),
            "bytes": sum(feed.bytes for feed in feeds),
            "lost": sum(feed.lost for feed in feeds),
        }

    async def close(self) -> None:
        """Send everybody away."""
        for name in tuple(self._feeds):
            self.remove_camera(name)
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None  # It was set up before anything listens.
        if len(server.connections) >= MOST_CONNECTIONS:
            return _Refusing()
        handler = server()
        self._silent[handler] = asyncio.get_running_loop().call_later(FIRST_REQUEST_S, self._end, handler)
        return handler

    def _end(self, handler: RequestHandler) -> None:
        del self._silent[handler]
        if handler.transport is not None:
            handler.transport.abort()

    @web.middleware
    async def _note_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if timer := self._silent.pop(request.protocol, None):
            timer.cancel()
        return await handler(request)


def run(channel: Channel) -> None:
    """The role `web`: serve until the channel says so, or is gone."""
    asyncio.run(Serving(channel, "the page", Site).run())


class _Refusing(asyncio.Protocol):
    """For one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _page_file(name: str, content_type: str) -> Handler:
    body = resources.files("anonymizer.web").joinpath("page", name).read_bytes()

    async def give(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return give
