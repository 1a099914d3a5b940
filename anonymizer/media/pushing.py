"""A live stream to a server, by FFmpeg's own RTSP, RTMP and WHIP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from anonymizer.errors import TargetError
from anonymizer.media.camera_source import tls_options
from anonymizer.media.faults import as_words, words_of
from anonymizer.media.packet_muxing import SOUND_AT_ONCE, PacketMuxer
from anonymizer.types import StreamFormat

_PROTOCOLS = {"rtsp": "rtsp,rtp,tcp", "rtsps": "rtsps,rtsp,rtp,tls,tcp", "rtmp": "rtmp,tcp", "rtmps": "rtmps,rtmp,tls,tcp"}


def push_muxer(url: str, stream: StreamFormat, *, insecure: bool, timeout_s: float) -> PacketMuxer:
    """A muxer that sends to a server; it connects at the first packet. TargetError for what cannot be sent at all."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme in ("http", "https", "whip"):
        return _whip(parts, stream, insecure=insecure)
    options = {"protocol_whitelist": _PROTOCOLS[scheme], **(tls_options(insecure=insecure) if "tls" in _PROTOCOLS[scheme] else {})}
    ticks = str(round(timeout_s * 1_000_000))
    if scheme in ("rtsp", "rtsps"):
        return PacketMuxer(url, "rtsp", stream, {**options, "rtsp_transport": "tcp", "timeout": ticks})
    # PyAV opens the address of a muxer that has one without any options: no certificate would be checked. `tee` passes them on.
    return PacketMuxer(_tee(url, {**options, "f": "flv", "flvflags": "no_duration_filesize", "rw_timeout": ticks, **SOUND_AT_ONCE}), "tee", stream)


def push_fault(error: BaseException) -> str:
    """Why a server does not get the stream, in words: may hold parts of the address."""
    if isinstance(error, TargetError):
        return error.problem
    words = words_of(error)
    log = getattr(error, "log", None)
    line = log[2].strip().splitlines()[0].rstrip(".") if isinstance(log, tuple) and len(log) == 3 and log[2].strip() else ""
    return words + (f" ({line})" if line and as_words(line) != words else "")


def _whip(parts: SplitResult, stream: StreamFormat, *, insecure: bool) -> PacketMuxer:
    if stream.codec != "h264":
        raise TargetError("WHIP carries H.264 only", hint="encode with libx264 for this output")
    if parts.scheme.lower() != "http" and not insecure:
        raise TargetError(
            "FFmpeg checks no certificate for WHIP: whoever stands between could take the stream", hint="push to a media server by rtsps, or say insecure"
        )
    scheme = "http" if parts.scheme.lower() == "http" else "https"
    address = urlunsplit((scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    token = unquote(parts.password or parts.username or "")
    # It carries Opus alone, and ours is AAC.
    return PacketMuxer(address, "whip", replace(stream, sound=None), {"authorization": token} if token else {})


def _tee(url: str, options: Mapping[str, str]) -> str:
    """One output of FFmpeg's `tee`: a list in brackets, then the address, and all of it escaped once more."""
    listed = ":".join(f"{name}={_escaped(value, ':]')}" for name, value in options.items())
    return _escaped(f"[{listed}]{url}", "|")


def _escaped(text: str, special: str) -> str:
    return "".join(f"\\{character}" if character in "\\'" + special else character for character in text)
