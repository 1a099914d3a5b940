"""The process that serves the page, HLS, snapshots and metrics of all cameras. It holds sealed packets and figures, nothing else."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from anonymizer.cameras.listening import tls_of
from anonymizer.cameras.settings import Server
from anonymizer.ipc.channel import Channel, Message
from anonymizer.ipc.packets import PacketReceiver
from anonymizer.sinks.serving import Serving
from anonymizer.web.access import Access, warning_of
from anonymizer.web.connections import Connections
from anonymizer.web.feeds import Feed, Seats
from anonymizer.web.live import Live
from anonymizer.web.status import Status

_SHUTDOWN_S = 1.0
_PAGE = {"index.html": "text/html", "app.js": "text/javascript", "player.js": "text/javascript", "style.css": "text/css"}


class Site:
    """The web application, and the connections to it."""

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
        self._connections = Connections()

    async def listen(self) -> int:
        """Listen, and return the port. OSError if the address is taken, ConfigError if certificate and key cannot be used."""
        tls = tls_of(self._server)
        await self._runner.setup()
        assert self._runner.server is not None  # It was set up.
        return await self._connections.listen(self._server.host, self._server.port, tls, self._runner.server)

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
        self._connections.close()
        await self._runner.cleanup()

    @web.middleware
    async def _note_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._connections.note_request(request.protocol)
        return await handler(request)


def run(channel: Channel) -> None:
    """The role `web`: serve until the channel says so, or is gone."""
    asyncio.run(Serving(channel, "the page", Site).run())


def _page_file(name: str, content_type: str) -> Handler:
    body = resources.files("anonymizer.web").joinpath("page", name).read_bytes()

    async def give(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return give
