"""What the FFmpeg inside PyAV cannot send (SRT, and whatever people name with `custom:`), through a system ffmpeg.

It gets MPEG-TS on its standard input and copies it. Its command line can be read by every user of the machine: an address
with a secret is refused.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import ffmpeg

from anonymizer.cameras.addresses import fault_of, names_a_resource, scheme_of
from anonymizer.errors import TargetError
from anonymizer.ipc.hardening import harden
from anonymizer.media.packet_muxing import PacketMuxer
from anonymizer.types import EncodedPacket, SoundPacket, StreamFormat

_CUSTOM = "custom:"
_TELLING = ("auth", "cookie", "crypto", "header", "key", "pass", "pw", "secret", "token")
# Else ffmpeg looks at five seconds of the stream before it sends any of it.
_AT_ONCE = {"analyzeduration": 300_000, "probesize": 500_000, "fflags": "nobuffer"}
_END_S = 1.0
_MOST_BYTES = 4096
_INSTEAD = "send to a media server on this machine, which has the password"


def is_for_ffmpeg(url: str) -> bool:
    """Whether an output goes through a system ffmpeg."""
    return url.startswith(_CUSTOM) or scheme_of(url) == "srt"


def command_for(url: str, options: Sequence[str]) -> list[str]:
    """ffmpeg's command line; TargetError for an address or option that would show a secret on it, or without ffmpeg."""
    address = url.removeprefix(_CUSTOM)
    _require_no_secret(address, options)
    program = shutil.which("ffmpeg")
    if program is None:
        raise TargetError("there is no ffmpeg on this machine", hint="install it, for example with: apt install ffmpeg; or push by rtsp or rtmp")
    named = {} if options else {"format": "mpegts"}
    built: list[str] = ffmpeg.input("pipe:0", format="mpegts", **_AT_ONCE).output(address, codec="copy", flush_packets=1, **named).compile(cmd=program)
    # What people write stands right before the address, as on a command line of their own.
    return [built[0], "-hide_banner", "-loglevel", "error", "-nostdin", *built[1:-1], *options, built[-1]]


class FfmpegMuxer:
    """A running ffmpeg that gets one stream format; it dies with this process."""

    def __init__(self, url: str, stream: StreamFormat, options: Sequence[str]) -> None:
        command = command_for(url, options)
        self._complaints, complaints = os.pipe()
        for end in (self._complaints, complaints):
            os.set_blocking(end, False)  # ffmpeg must not wait for whoever reads its complaints.
        try:
            harden_child = partial(harden, "ffmpeg", os.getpid())
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints, preexec_fn=harden_child)
        finally:
            os.close(complaints)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._words = ""
        self._muxer = PacketMuxer(_Pipe(self._pipe.fileno()), "mpegts", stream)

    def write(self, packet: EncodedPacket | SoundPacket) -> None:
        """Hand a packet on; OSError with ffmpeg's own words once it has ended."""
        self._hear()
        try:
            self._muxer.write(packet)
        except OSError as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
            self._hear()
            raise OSError(error.errno, self._words or f"ffmpeg ended with {self._process.poll()}") from error

    def close(self) -> None:
        """End the stream, and ffmpeg with it."""
        with contextlib.suppress(OSError):
            self._muxer.close()
        self._pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._complaints)

    def _hear(self) -> None:
        """Keep the last line that ffmpeg wrote."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._complaints, _MOST_BYTES):
                self._words = (data.decode(errors="replace").strip().splitlines() or [self._words])[-1]


class _Pipe:
    """A pipe as muxers see it: written to at once, and not to be gone back in."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(data)


def _require_no_secret(address: str, options: Sequence[str]) -> None:
    try:
        parts = urlsplit(address)
        names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
        has_user = parts.username is not None
    except ValueError:
        names, has_user = [], "@" in address
    names += [option.lower() for option in options if option.startswith("-")]
    srt_fault = fault_of(address) if scheme_of(address) == "srt" else None
    has_key = any(option.lower().endswith("streamid") and not names_a_resource(value) for option, value in pairwise(options))
    if has_user or has_key or srt_fault is not None or any(word in name for name in names for word in _TELLING):
        raise TargetError("a secret in the address or options of an output through ffmpeg would be seen in the list of processes", hint=_INSTEAD)
