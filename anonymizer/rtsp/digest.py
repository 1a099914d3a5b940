"""Digest access authentication: RFC 7616 with SHA-256, and RFC 2617 and RFC 2069 with MD5 for players that know no other.

The password itself never travels, nor is it kept: only its hash with user and realm. Basic is never offered.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from enum import Enum

from anonymizer.rtsp.messages import path_of

REALM = "anonymizer"
_HASHES: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
_FIELD = re.compile(r'[ \t]*+([A-Za-z][A-Za-z*-]*)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))[ \t]*+(?:,|$)')  # possessive: no blank is tried twice


class Verdict(Enum):
    """What became of credentials."""

    GRANTED = "granted"
    STALE = "stale"  # right, but for a nonce that is not this connection's or too old: to be asked for again
    REFUSED = "refused"


class Digest:
    """The one user who may view."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user.encode()
        self._secrets = {name: digest(b":".join((self._user, REALM.encode(), password.encode()))) for name, digest in _HASHES.items()}

    def verdict(self, header: str, method: str, path: list[str], nonce: Nonce) -> Verdict:
        """Judge an Authorization header for a request; in constant time where it matters."""
        fields = _fields(header)
        if fields is None or not self._is_right(fields, method) or path_of(fields["uri"])[:1] != path[:1]:
            return Verdict.REFUSED
        return Verdict.GRANTED if nonce.is_good(fields["nonce"]) else Verdict.STALE

    def _is_right(self, fields: dict[str, str], method: str) -> bool:
        name = fields.get("algorithm", "MD5").upper()
        if name not in _HASHES or fields.get("qop", "auth") != "auth":
            return False
        digest = _HASHES[name]
        request = digest(f"{method}:{fields['uri']}".encode())
        parts = [self._secrets[name], fields["nonce"]]
        if "qop" in fields:  # Without it, the client speaks RFC 2069.
            parts += [fields.get("nc", ""), fields.get("cnonce", ""), "auth"]
        expected = digest(":".join([*parts, request]).encode())
        # Both are compared, always: how long it takes must not tell which of them was wrong.
        is_user = hmac.compare_digest(fields["username"].encode(), self._user)
        is_response = hmac.compare_digest(fields["response"].lower().encode(), expected.encode())
        return is_user and is_response


class Nonce:
    """What one connection's credentials are bound to: overheard, they are worth nothing on another.

    Being one connection's, it needs no count of its uses: nobody else can use it.
    """

    def __init__(self, good_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._good_s, self._clock = good_s, clock
        self._renew()

    def challenges(self, *, is_stale: bool) -> list[tuple[str, str]]:
        """The headers that ask for credentials, with a nonce that has its whole time before it."""
        self._renew()
        asked = f'Digest realm="{REALM}", nonce="{self._value}"' + (", stale=true" if is_stale else "")
        # MD5 last: FFmpeg, GStreamer and live555 take the last one they are given, and know no SHA-256. Without qop, which
        # GStreamer does not speak.
        return [("WWW-Authenticate", f'{asked}, algorithm=SHA-256, qop="auth"'), ("WWW-Authenticate", f"{asked}, algorithm=MD5")]

    def is_good(self, value: str) -> bool:
        """Whether credentials were made for this nonce, in its time."""
        return self._clock() < self._end_s and hmac.compare_digest(value.encode(), self._value.encode())

    def _renew(self) -> None:
        self._value, self._end_s = secrets.token_hex(16), self._clock() + self._good_s


def _fields(header: str) -> dict[str, str] | None:
    """The fields of Digest credentials, or None if they are no such thing."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "digest":
        return None
    fields: dict[str, str] = {}
    at, rest = 0, rest.strip()
    while at < len(rest):
        match = _FIELD.match(rest, at)
        if match is None or match[1].lower() in fields:
            return None
        fields[match[1].lower()] = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        at = match.end()
    return fields if {"username", "nonce", "uri", "response"} <= fields.keys() else None
