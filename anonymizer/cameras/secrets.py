"""What must never be read in a log, a fault or on a page: every secret of a live run, and how it is masked.

Masked by value: whatever library writes an error, in whatever words, the password in it is gone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from anonymizer.cameras.addresses import CUSTOM, path_keys, scheme_of, shown_url, stream_key
from anonymizer.cameras.settings import Push, Server, Streaming

__all__ = ["masked", "secrets_of", "shown_url", "url_secrets"]

_MASK = "***"
# Shorter ones would be found in every other word, and each mask would give one away. They are masked as "user:password" only.
_LEAST = 4
_LEAST_VALUE = 8  # of a query: "main", "h264" and "true" are no secrets; and of a variable
_TELLING = ("auth", "key", "pass", "pw", "secret", "sig", "token")


def secrets_of(streaming: Streaming) -> frozenset[str]:
    """Every secret that logs, faults and pages must not hold, in each form that a library may write it."""
    found = set[str]()
    names = {camera.name for camera in streaming.cameras}
    for camera in streaming.cameras:
        for url in [camera.url, *(output.url for output in camera.outputs if isinstance(output, Push))]:
            found |= set(url_secrets(url))
    for value in streaming.filled:
        if len(value) >= _LEAST_VALUE:
            found |= set(_forms(value))
    for server in (streaming.serve, streaming.web):
        if server is not None:
            found |= set(_of_server(server))
    return frozenset(secret for secret in found if len(secret) >= _LEAST) - names


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it replaced.

    >>> masked("401 for rtsp://admin:tr0ub4dor@gate/", {"tr0ub4dor", "admin:tr0ub4dor"})
    '401 for rtsp://***@gate/'
    """
    # The longest first: a secret inside another one must not leave the rest of that standing.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text


def url_secrets(url: str) -> Iterator[str]:
    """The secrets of one address, in each form; short ones and empty ones among them."""
    url = url.removeprefix(CUSTOM)
    if scheme_of(url) is None:
        return
    rest = url.partition("://")[2]
    # Up to the last @ of all: a password may hold / or ? though it must not.
    user, at, _ = rest.rpartition("@")
    if at:
        yield from _forms(user)
        yield from _forms(user.partition(":")[2])
        yield base64.b64encode(unquote(user).encode()).decode()  # as an Authorization header has it
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("?")[2]
    if len(query) >= _LEAST_VALUE:
        yield query
    for name, value in parse_qsl(query):
        if len(value) >= _LEAST_VALUE or any(word in name.lower() for word in _TELLING):
            yield from _forms(value)
    if (key := stream_key(url)) is not None and len(key) >= _LEAST_VALUE:
        yield from _forms(key)
    for part in path_keys(url):
        yield from _forms(part)


def _of_server(server: Server) -> Iterator[str]:
    if server.password is not None:
        yield from _forms(server.password)
        pair = f"{server.user}:{server.password}"
        yield from (pair, base64.b64encode(pair.encode()).decode())
    if server.token is not None:
        yield from _forms(server.token)


def _forms(secret: str) -> Iterator[str]:
    """As it is written, decoded, and percent-encoded in both fashions."""
    plain = unquote(secret)
    yield from (secret, plain, quote(plain, safe=""), quote(plain))
