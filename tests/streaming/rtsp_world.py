"""An RTSP server in a thread of its own, and a client that says exactly what it is told to."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anonymizer.cameras.settings import Server
from anonymizer.ipc.packets import PacketReceiver
from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.server import RtspServer

TCP = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}


class Served:
    """The server, to be spoken with from a test's thread."""

    def __init__(self, server: Server, limits: Limits) -> None:
        self.server, self.loop = RtspServer(server, limits), asyncio.new_event_loop()
        self.troubles: list[str] = []
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._main(),), daemon=True)

    async def _main(self) -> None:
        self.loop.set_exception_handler(lambda _, context: self.troubles.append(f"{context['message']}: {context.get('exception')!r}"))
        await self.server.listen()
        self._ready.set()
        while not self._ended.is_set():
            self.server.tick()
            await asyncio.sleep(0.05)
        await self.server.close()

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert not left
        assert not self.troubles
        assert self.server.faults == 0

    @property
    def port(self) -> int:
        return self.server.port

    def do(self, work: Callable[[], Any]) -> Any:
        """Run something where the server runs."""

        async def call() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def add(self, name: str, receiver: PacketReceiver, title: str = "") -> None:
        self.do(lambda: self.server.add_camera(name, title, receiver))

    def remove(self, name: str) -> None:
        self.do(lambda: self.server.remove_camera(name))

    def figures(self) -> dict[str, Any]:
        return self.do(self.server.figures)

    def url(self, name: str, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{name}"


@contextmanager
def served(limits: Limits | None = None, **server: Any) -> Iterator[Served]:
    """A server on a free port of loopback."""
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    with Served(Server(**server), limits or Limits()) as running:
        yield running


class Client:
    """A client that keeps to nothing but what a test says."""

    def __init__(self, port: int, *, source: str | None = None, receive_bytes: int | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._held = b""
        self._cseq = 0
        self.port = port

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str, uri: str, headers: dict[str, str] | None = None, body: bytes = b"") -> tuple[int, dict[str, list[str]], bytes]:
        """Send a request and read its answer; interleaved frames before it are thrown away."""
        self._cseq += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self._cseq}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return self.answer()

    def answer(self) -> tuple[int, dict[str, list[str]], bytes]:
        """The next answer; EOFError if the server closed the connection."""
        while self._peek() == b"$":
            self.frame()
        while b"\r\n\r\n" not in self._held:
            self._more()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        body = self._exactly(int(headers.get("content-length", ["0"])[0]))
        return int(first.split(" ")[1]), headers, body

    def frame(self) -> tuple[int, bytes]:
        """The next interleaved frame: channel and packet."""
        head = self._exactly(4)
        assert head[:1] == b"$", head
        return head[1], self._exactly(int.from_bytes(head[2:]))

    def play(self, name: str, login: tuple[str, str] | None = None) -> str:
        """DESCRIBE, SETUP and PLAY; gives the session."""
        uri = f"rtsp://127.0.0.1:{self.port}/{name}"
        status, headers, _ = self.ask("DESCRIBE", uri)
        nonce = nonce_of(headers) if status == 401 else ""

        def credentials(method: str) -> dict[str, str]:
            return {"Authorization": authorization(method, uri, nonce, *login)} if login else {}

        if status == 401:
            status, _, _ = self.ask("DESCRIBE", uri, credentials("DESCRIBE"))
        assert status == 200
        status, headers, _ = self.ask("SETUP", f"{uri}/track1", TCP | credentials("SETUP"))
        assert status == 200
        session = headers["session"][0].partition(";")[0]
        status, _, _ = self.ask("PLAY", uri, {"Session": session} | credentials("PLAY"))
        assert status == 200, status
        return session

    def is_closed(self) -> bool:
        """Whether the server closes the connection, whatever it still sends."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        except TimeoutError:
            return False
        return True

    def _peek(self) -> bytes:
        if not self._held:
            self._more()
        return self._held[:1]

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._more()
        data, self._held = self._held[:size], self._held[size:]
        return data

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._held += data


def nonce_of(headers: dict[str, list[str]]) -> str:
    match = re.search(r'nonce="([^"]+)"', headers["www-authenticate"][-1])
    assert match
    return match[1]


def authorization(method: str, uri: str, nonce: str, user: str, password: str, algorithm: str | None = None, *, qop: bool = False) -> str:
    """Credentials as a player makes them."""
    make = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5

    def digest(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    middle = ["00000001", "c0ffee", "auth"] if qop else []
    answer = digest(digest(user, "anonymizer", password), nonce, *middle, digest(method, uri))
    fields = f'username="{user}", realm="anonymizer", nonce="{nonce}", uri="{uri}", response="{answer}"'
    fields += f", algorithm={algorithm}" if algorithm else ""
    return "Digest " + fields + (', qop=auth, nc=00000001, cnonce="c0ffee"' if qop else "")
