"""The process that serves every camera as RTSP: it holds sealed packets and no other thing of a camera."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

from anonymizer.cameras.listening import Attempts, Places, is_loopback, tls_of
from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError
from anonymizer.ipc.channel import Channel, Message
from anonymizer.ipc.packets import PacketReceiver
from anonymizer.rtsp.digest import Digest
from anonymizer.rtsp.feed import Feed
from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.session import House, Session
from anonymizer.sinks.serving import Serving, accepted

_log = logging.getLogger(__name__)
_STOP_S = 1.5  # for goodbyes; the supervisor waits for two
_BACKLOG = 128
_UNSENT_BYTES = 64 << 10  # that a viewer's transport, and the kernel, hold beyond what is on its way: more would only grow old there


def require_safe(server: Server) -> None:
    """ConfigError where strangers could look."""
    if "" in (server.user, server.password):
        raise ConfigError("the RTSP server's user or password is empty", hint="the environment variable that it is taken from may not be set")
    if (server.user is None) != (server.password is None):
        raise ConfigError("the RTSP server has a user without a password, or a password without a user", hint="set both")
    if server.user is not None and ":" in server.user:
        raise ConfigError("the RTSP server's user holds a colon, which ends a user's name in Digest", hint="choose another name")
    if server.token is not None:
        raise ConfigError("the RTSP server knows no token: players have a user and a password", hint="set user and password")
    if server.user is None and not is_loopback(server.host):
        raise ConfigError(f"the RTSP server would answer anybody at {server.host}", hint="set user and password, or let it listen on 127.0.0.1")


class RtspServer:
    """Cameras on one side, viewers on the other."""

    def __init__(self, server: Server, limits: Limits | None = None) -> None:
        require_safe(server)
        self._server, self._limits = server, limits or Limits()
        self._feeds: dict[str, Feed] = {}
        digest = Digest(server.user, server.password) if server.user is not None and server.password is not None else None
        places = Places(self._limits.viewers, self._limits.viewers_per_address)
        self._house = House(self._feeds, self._limits, digest, Attempts(), places, server.certificate is not None)
        self._connections = Places(self._limits.connections, self._limits.connections_per_address)
        self._sessions: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self.port = 0  # the one really bound
        self.faults = 0  # sessions ended by a bug of ours

    async def listen(self) -> int:
        """Begin to accept viewers, and return the port; ConfigError for what has to be set otherwise, OSError for what may be possible later."""
        tls = tls_of(self._server)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._server.host, self._server.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        # The name has been checked; what it means is known only now.
        if self._house.digest is None and not is_loopback(str(address[0])):
            raise ConfigError(f"{self._server.host} is not this machine alone: without a password nobody else may look", hint="set user and password")
        end = socket.socket(family, kind, protocol)
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end.bind(address)
            end.listen(_BACKLOG)
        except BaseException:
            end.close()
            raise
        end.setblocking(False)
        self.port = end.getsockname()[1]
        self._listening = loop.create_task(self._accept_all(end, tls))
        return self.port

    def add_camera(self, name: str, title: str, receiver: PacketReceiver | None) -> None:
        """Serve a camera, or take the packets of one that is served from its new sealer."""
        feed = self._feeds.setdefault(name, Feed(name, title, self._limits))
        feed.title = title
        if receiver is not None:
            feed.attach(receiver)

    def remove_camera(self, name: str) -> None:
        """Serve it no longer."""
        feed = self._feeds.pop(name, None)
        if feed is not None:
            feed.remove("the camera was removed")

    def tell(self, state: Message) -> None:
        """Of the run as a whole viewers see nothing here."""

    def tick(self) -> None:
        """To be called about twice a second."""
        for feed in self._feeds.values():
            for viewer in tuple(feed.viewers):
                viewer.tick()

    def figures(self) -> dict[str, Any]:
        """What the supervisor is told."""
        return {
            "viewers": {name: len(feed.viewers) for name, feed in self._feeds.items()},
            "packets": sum(feed.packets for feed in self._feeds.values()),
            "bytes": sum(feed.sent_bytes for feed in self._feeds.values()),
            "lost": sum(feed.lost for feed in self._feeds.values()),
        }

    async def close(self) -> None:
        """Send everybody away, and wait a little until they went."""
        for name in tuple(self._feeds):
            self.remove_camera(name)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_STOP_S / 2)
        for session in self._sessions:
            session.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions, timeout=_STOP_S / 2)

    async def _accept_all(self, end: socket.socket, tls: ssl.SSLContext | None) -> None:
        async for connection, address in accepted(end, self._connections):
            session = asyncio.get_running_loop().create_task(self._serve(connection, address, tls))
            self._sessions.add(session)
            session.add_done_callback(self._sessions.discard)

    async def _serve(self, connection: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(self._limits.head_bytes, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            _prepare(connection)
            handshake_s = None if tls is None else self._limits.request_s
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls, ssl_handshake_timeout=handshake_s)
            try:
                transport.set_write_buffer_limits(high=_UNSENT_BYTES)
                await Session(self._house, reader, asyncio.StreamWriter(transport, protocol, reader, loop), address).run()
            except BaseException:
                transport.abort()
                raise
        except OSError:  # The handshake failed, or the client was gone.
            connection.close()
        except Exception as error:  # One viewer's misfortune is nobody else's.
            self.faults += 1
            _log.warning("a viewer's session ended by a fault of the server: %s", type(error).__name__)
        finally:
            self._connections.leave(address)


def _prepare(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


def run(channel: Channel) -> None:
    """The role `serve`: serve viewers until the supervisor says stop."""
    asyncio.run(Serving(channel, "the RTSP server", RtspServer).run())
