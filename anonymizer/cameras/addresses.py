"""Addresses as people write them: what is wrong with one, whether two mean the same place, and how to show one without its secrets."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

INPUT_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt")
OUTPUT_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "whip", "http", "https", "srt")
CUSTOM = "custom:"  # what follows is ffmpeg's own affair
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443, "whip": 443}
_MOST_PORT = 65535
_IN_PATH = ("whip", "http", "https")
# Of a path: a part this long is taken for a key, and a shorter one from _LEAST_KEY on if it is no name of plain words, as in "live-north.m3u8".
_SURE_KEY, _LEAST_KEY = 16, 8
_WORD = r"[A-Za-z][a-z]+(?:[A-Z][a-z]{2,})*|[0-9]{1,3}"
_PLAIN = re.compile(rf"(?:{_WORD})(?:[-_.](?:{_WORD}))*(?:\.[a-z0-9]{{2,4}})?")
# The SRT guidelines' form without a user (u) and a session (s), which is what logs somebody in, and MediaMTX's without user and password.
_RESOURCE = re.compile(r"#!::(?:[hmt]=[\w.-]+,)*r=[\w./-]+(?:,[hmt]=[\w.-]+)*|(?:publish|read):[\w./-]+")


def scheme_of(text: str) -> str | None:
    """ "rtsp" of "rtsp://host/path"; None for a path or a number."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def fault_of(url: str) -> tuple[str, str] | None:
    """What makes an address useless, and what to try; never with a part of the address. None if nothing does."""
    escaped = "in a user name or password write @ as %40, / as %2F, # as %23, ? as %3F"
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "the address names no host that can be read", escaped
    if "@" in parts.path + parts.fragment and parts.username is None:
        return "the address has an @ behind its host", escaped
    if any(character.isspace() or not character.isprintable() for character in url):
        return "the address holds a blank or a control character", "write a blank as %20"
    if parts.scheme == "srt":
        return _srt_fault(parts, url)
    return None


def shown_url(url: str) -> str:
    """An address as it may stand in logs and on the page: without user, password and query, and without the keys in its path.

    >>> shown_url("rtsp://admin:secret@192.168.1.20/stream?token=1")
    'rtsp://192.168.1.20/stream'
    >>> shown_url("https://live.example/1f3a5c7e9b2d4f60/publish")
    'https://live.example/.../publish'
    >>> shown_url("/videos/street.mp4")
    '/videos/street.mp4'
    """
    if url.startswith(CUSTOM):
        return CUSTOM + shown_url(url.removeprefix(CUSTOM))
    scheme = scheme_of(url)
    if scheme is None:
        return url
    parts = _split(url)
    if parts is None or not parts.hostname or "@" in parts.path + parts.query + parts.fragment:
        return f"{scheme}://..."  # A password with / or @ in it: where it ends, nobody knows.
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    key, keys = stream_key(url), path_keys(url)
    path = parts.path if key is None else parts.path.removesuffix(key) + "..."
    path = "/".join("..." if part in keys else part for part in path.split("/"))
    return f"{scheme}://{host}{port}{path}"


def stream_key(url: str) -> str | None:
    """The last part of an rtmp address's path: to video platforms it is the password."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("rtmp", "rtmps"):
        return None
    application, _, key = parts.path.lstrip("/").rpartition("/")
    return key if application and key else None


def path_keys(url: str) -> tuple[str, ...]:
    """The parts of an HTTP address's path that may be keys: WHIP servers have them there."""
    parts = _split(url)
    if parts is None or parts.scheme not in _IN_PATH:
        return ()
    return tuple(part for part in parts.path.split("/") if len(part) >= _SURE_KEY or (len(part) >= _LEAST_KEY and not _PLAIN.fullmatch(part)))


def names_a_resource(stream_id: str) -> bool:
    """Whether an SRT stream's id is plainly a name: what stands alone may as well be a key.

    >>> names_a_resource("publish:gate"), names_a_resource("#!::r=gate,m=publish"), names_a_resource("x7Kq-19ab")
    (True, True, False)
    """
    return not stream_id or bool(_RESOURCE.fullmatch(stream_id))


def place_of(url: str) -> tuple[str, ...]:
    """Equal for two addresses of one place, whoever logs in there."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return (url,)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return parts.scheme, parts.hostname, str(port), parts.path.rstrip("/"), parts.query


def host_and_port(text: str, port: int) -> tuple[str, int] | None:
    """("127.0.0.1", 8554) from "127.0.0.1:8554", "[::1]:8554", "localhost" (then `port`) or ":8554"; None for anything else."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@\[\]]*))(?::([0-9]{1,5}))?", text)
    if not found or not text or (found[3] and int(found[3]) > _MOST_PORT):
        return None
    return found[1] or found[2] or "127.0.0.1", int(found[3]) if found[3] else port


def address_of(scheme: str, host: str, port: int, path: str = "") -> str:
    """What to type to reach a server that listens there."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{port}/{path}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # Reading it is what checks it.
    except ValueError:
        return None
    return parts


def _srt_fault(parts: SplitResult, url: str) -> tuple[str, str] | None:
    # To ffmpeg a # begins nothing: what stands behind it is part of the query.
    query = [(name.lower(), value) for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
    if parts.username is not None or any(name == "passphrase" for name, _ in query):
        return "an srt address with a password would be seen in the list of processes", "send to a media server on this machine, which has the password"
    if not all(names_a_resource(value) for name, value in query if name.endswith("streamid")):
        return (
            "an srt streamid that may be a key would be seen in the list of processes",
            "write it as publish:NAME, read:NAME or #!::r=NAME, or go through a media server on this machine, which has the key",
        )
    return None
