"""The process that serves the page, HLS, snapshots and metrics of all cameras. It holds sealed packets and figures, nothing else."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from contextlib import suppress
from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from anonymizer.cameras.listening import tls_of
from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError
from anonymizer.ipc.channel import Channel, Message
from anonymizer.web.access import Access, warning_of
from anonymizer.web.feeds import Feed, Seats
from anonymizer.web.live import Live
from anonymizer.web.status import Status

MOST_CONNECTIONS = 512
FIRST_REQUEST_S = 10.0  # Who has asked for nothing by then keeps a connection from others.
_BEAT_S = 0.4
_LONGEST_PAUSE_S = 30.0
_SHUTDOWN_S = 1.0
_PAGE = {"index.html": "text/html", "app.js": "text/javascript", "player.js": "text/javascript", "style.css": "text/css"}

_log = logging.getLogger(__name__)


class Site:
    """The web application behind one listening socket, and what keeps strangers from filling it."""

    def __init__(self, server: Server, feeds: dict[str, Feed]) -> None:
        self._server = server
        self.status = Status(feeds, warning_of(server))
        # Addresses may hold the token: they are not logged.
        app = web.Application(client_max_size=1024)
        app.middlewares.append(self._note_request)
        Access(server).guard(app)
        self.status.add_routes(app.router)
        Live(feeds).add_routes(app.router)
        for name, content_type in _PAGE.items():
            app.router.add_get("/" if name == "index.html" else f"/{name}", _page_file(name, content_type))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S, handler_cancellation=True, keepalive_timeout=30.0)
        self._listening: asyncio.Server | None = None
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # connections that have asked for nothing yet

    async def open(self) -> int:
        """Listen, and return the port. OSError if the address is taken, ConfigError if certificate and key cannot be used."""
        tls = tls_of(self._server)
        await self._runner.setup()
        patience_s = FIRST_REQUEST_S if tls else None
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connection, self._server.host, self._server.port, ssl=tls, ssl_handshake_timeout=patience_s)
        return int(self._listening.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Send everybody away."""
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


class WebProcess:
    """What the supervisor says, carried out; and a sign of life in return."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._feeds: dict[str, Feed] = {}
        self._seats = Seats()
        self._site: Site | None = None
        self._opening: asyncio.Task[None] | None = None
        self._state = "connecting"
        self._fault: str | None = None
        self._port: int | None = None
        self._stopped = asyncio.Event()
        self._ended_by: Exception | None = None

    async def run(self) -> None:
        """Until the supervisor says stop; ChannelClosedError once it is gone."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._receive)
        try:
            while not self._stopped.is_set():
                self._beat()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), _BEAT_S)
        finally:
            loop.remove_reader(self._channel.fileno())
        if self._ended_by is not None:
            raise self._ended_by
        for feed in self._feeds.values():
            feed.close()
        if self._opening is not None:
            self._opening.cancel()
        if self._site is not None:
            await self._site.close()

    def _beat(self) -> None:
        feeds = self._feeds.values()
        self._channel.send(
            {
                "beat": True,
                "state": self._state,
                "fault": self._fault,
                "port": self._port,
                "viewers": {feed.name: sum(feed.viewers_by_way().values()) for feed in feeds},
                "packets": sum(feed.packets for feed in feeds),
                "bytes": sum(feed.bytes for feed in feeds),
                "lost": sum(feed.lost for feed in feeds),
            }
        )

    def _receive(self) -> None:
        try:
            while (received := self._channel.receive()) is not None:
                self._obey(*received)
        except Exception as error:
            # Out of here it would be logged by the loop, and a page that knows no cameras would go on beating.
            self._ended_by = error
            self._stopped.set()

    def _obey(self, message: Message, fds: list[int]) -> None:
        ends = [socket.socket(fileno=fd) for fd in fds]
        match message.get("do"):
            case "start":
                self._start(Server.model_validate(message["server"]))
            case "camera":
                feed = self._feeds.setdefault(message["name"], Feed(message["name"], "", self._seats))
                feed.title = message.get("title") or message["name"]
                if ends:
                    feed.attach(ends.pop(0))
            case "remove":
                if message["name"] in self._feeds:
                    self._feeds.pop(message["name"]).close()
            case "state":
                if self._site is not None:
                    self._site.status.tell(message)
            case "stop":
                self._stopped.set()
        for end in ends:
            end.close()

    def _start(self, server: Server) -> None:
        try:
            self._site = Site(server, self._feeds)
        except ConfigError as error:
            self._state, self._fault = "failed", error.problem
        else:
            self._opening = asyncio.create_task(self._open(self._site))

    async def _open(self, site: Site) -> None:
        pause_s = 1.0
        while True:
            try:
                self._port = await site.open()
            except (OSError, ConfigError) as error:
                reason = error.problem if isinstance(error, ConfigError) else f"the page cannot listen: {error.strerror or error}"
                self._state, self._fault = "connecting", reason
                _log.warning("%s", reason)
            else:
                self._state, self._fault = "up", None
                return
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


def run(channel: Channel) -> None:
    """The role `web`: serve until the channel says so, or is gone."""
    asyncio.run(_run(channel))


async def _run(channel: Channel) -> None:
    await WebProcess(channel).run()


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
