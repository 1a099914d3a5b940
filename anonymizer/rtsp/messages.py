"""RTSP 1.0 messages (RFC 2326): what a client sends, read within limits, and what it is answered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from anonymizer.rtsp.limits import Limits

Headers = Sequence[tuple[str, str]]

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    413: "Request Entity Too Large",
    431: "Request Header Fields Too Large",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option not supported",
}
_REQUEST_LINE = re.compile(r"([A-Z_]{1,32}) ([\x21-\x7e]{1,2048}) RTSP/(\d)\.(\d)")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})[ \t]*+:[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")  # possessive: no blank is tried twice
_URI = re.compile(r"(?:rtsps?://(?:[^/?#@\s]*@)?(?P<host>[A-Za-z0-9.\-_~\[\]:%]{1,300}))?(?P<path>/[^?#]*)?(?:\?[^#]*)?", re.IGNORECASE)
_ONCE = {"cseq", "content-length", "session", "authorization", "transport"}
_MOST_BLANK = 8  # empty lines that some clients send between two requests


class RefusedError(Exception):
    """A request is answered with this status, and the connection closed if nothing sensible can follow."""

    def __init__(self, status: int, headers: Headers = (), *, closes: bool = False, cseq: int | None = None) -> None:
        super().__init__(REASONS[status])
        self.status, self.headers, self.closes, self.cseq = status, headers, closes, cseq


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    uri: str
    cseq: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def host(self) -> str | None:
        """Host and port as the client knows this server; without user and password."""
        match = _URI.fullmatch(self.uri)
        return match["host"] if match else None

    @property
    def path(self) -> list[str]:
        """What the address names, without the empty parts."""
        return path_of(self.uri)


def path_of(uri: str) -> list[str]:
    """The parts of an address's path; none for an address that is no RTSP one.

    >>> path_of("rtsp://user:word@host:8554/gate/track1?x"), path_of("/gate"), path_of("file:///etc")
    (['gate', 'track1'], ['gate'], [])
    """
    match = _URI.fullmatch(uri)
    return [part for part in (match["path"] or "").split("/") if part] if match else []


async def read_message(reader: asyncio.StreamReader, limits: Limits, idle_s: float | None) -> Request | None:
    """The next request, or None for an interleaved frame, which is thrown away.

    RefusedError if it is malformed or too large, EOFError at the end of the connection, TimeoutError after `idle_s` without a
    first byte or if the rest is too slow.
    """
    async with asyncio.timeout(idle_s):
        first = await _first_byte(reader)
    async with asyncio.timeout(limits.request_s):
        if first == b"$":
            await _skip_frame(reader, limits)
            return None
        try:
            head = first + await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise RefusedError(431, closes=True) from None
        request, length = _parsed(head, limits)
        return replace(request, body=await reader.readexactly(length)) if length else request


def response(status: int, cseq: int | None, headers: Headers = (), body: bytes = b"") -> bytes:
    """One answer as it travels."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}"]
    lines += [f"CSeq: {cseq}"] if cseq is not None else []
    lines += [f"{name}: {value}" for name, value in (("Server", "anonymizer"), *headers)]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace") + body


async def _first_byte(reader: asyncio.StreamReader) -> bytes:
    for _ in range(_MOST_BLANK):
        byte = await reader.readexactly(1)
        if byte not in (b"\r", b"\n"):
            return byte
    raise RefusedError(400, closes=True)


async def _skip_frame(reader: asyncio.StreamReader, limits: Limits) -> None:
    size = int.from_bytes((await reader.readexactly(3))[1:])
    if size > limits.frame_bytes:
        raise RefusedError(413, closes=True)
    await reader.readexactly(size)


def _parsed(head: bytes, limits: Limits) -> tuple[Request, int]:
    """A request without its body, and how many bytes of body follow."""
    try:
        first, *lines = head.removesuffix(b"\r\n\r\n").decode().split("\r\n")
    except UnicodeDecodeError:
        raise RefusedError(400, closes=True) from None
    if len(head) > limits.head_bytes or len(lines) > limits.headers or any(len(line) > limits.line_bytes for line in (first, *lines)):
        raise RefusedError(431, closes=True)
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise RefusedError(400, closes=True)
    headers = _headers(lines)
    cseq = _number(headers.get("cseq", ""))
    if match[3] != "1":
        raise RefusedError(505, closes=True, cseq=cseq)
    length = _number(headers.get("content-length", "0"))
    if length > limits.body_bytes:
        raise RefusedError(413, closes=True, cseq=cseq)
    if _URI.fullmatch(match[2]) is None and match[2] != "*":
        raise RefusedError(400, closes=True, cseq=cseq)
    return Request(match[1], match[2], cseq, headers), length


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise RefusedError(400, closes=True)
        name, value = match[1].lower(), match[2].strip()
        if name in headers and name in _ONCE:
            raise RefusedError(400, closes=True)  # Whoever stands between us and the client may have believed the other one.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise RefusedError(400, closes=True)
    return int(text)
