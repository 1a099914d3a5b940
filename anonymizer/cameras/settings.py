"""What a live run can be told: cameras, their outputs, the two servers. Checked once, then handed to processes as JSON.

Addresses, passwords and tokens stay out of every `repr`; `cameras.secrets.secrets_of` lists what logs must mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anonymizer.config import Config

SIZE = r"[1-9]\d{0,4}x[1-9]\d{0,4}"  # of a picture, "1920x1080"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class _Section(BaseModel):
    # Without inputs in its errors: they may be addresses with passwords.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class Push(_Section):
    """Send the stream to a server: rtsp, rtsps, rtmp, rtmps, http(s) (WHIP), srt (through a system ffmpeg)."""

    kind: Literal["push"] = "push"
    url: str = Field(repr=False)
    insecure: bool = False  # a server's certificate is not checked
    ffmpeg_options: tuple[str, ...] = ()  # for srt and `custom:`: what stands before the address on ffmpeg's command line


class Record(_Section):
    """Write segments into a folder: whole, playable files, or none."""

    kind: Literal["record"] = "record"
    folder: Path
    container: Literal["mp4", "mkv", "ts"] = "mp4"
    segment_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    segment_mb: Annotated[float, Field(ge=1)] = 512.0
    keep_s: Annotated[float, Field(ge=0)] | None = None  # older segments are removed; None: none is
    keep_mb: Annotated[float, Field(ge=1)] | None = None  # the oldest are removed beyond this


class Hls(_Section):
    """Write a live playlist with fragmented MP4 into a folder, for a web server to give out."""

    kind: Literal["hls"] = "hls"
    folder: Path
    segment_s: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    segments: Annotated[int, Field(ge=3, le=1000)] = 6


Output = Annotated[Push | Record | Hls, Field(discriminator="kind")]


class Server(_Section):
    """Where one of the two servers listens. Beyond loopback it needs credentials, and TLS to keep them."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    user: str | None = None
    password: str | None = Field(default=None, repr=False)
    token: str | None = Field(default=None, repr=False)  # the page's: `Authorization: Bearer`, or once as ?token=
    certificate: Path | None = None
    key: Path | None = None


class Camera(_Section):
    """One camera and everything that is made of its pictures."""

    name: Name  # in addresses, metrics and logs
    title: str = ""  # as people know it; on the curtain
    url: str = Field(repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    insecure: bool = False
    config: Config
    lookahead_s: Annotated[float, Field(ge=0, le=5)] = 0.4
    carry_frames: Annotated[int, Field(ge=0, le=100)] = 5
    stale_s: Annotated[float, Field(ge=0.2, le=60)] = 2.0
    open_timeout_s: Annotated[float, Field(ge=1, le=120)] = 10.0
    read_timeout_s: Annotated[float, Field(ge=1, le=120)] = 5.0
    zones_for: Annotated[str, Field(pattern=f"^{SIZE}$")] | None = None  # the picture's size that zones were drawn in; None: the first one's
    outputs: tuple[Output, ...] = ()


class Streaming(_Section):
    """A whole live run."""

    cameras: tuple[Camera, ...]
    serve: Server | None = None  # RTSP: rtsp://host:port/NAME
    web: Server | None = None  # page, HLS, snapshots, metrics, health
    warnings: tuple[str, ...] = ()  # what whoever wrote this should know, in words without secrets
    filled: frozenset[str] = Field(default=frozenset(), repr=False)  # what `${VAR}` put into addresses: who writes a value there keeps it from being seen


def as_message(section: _Section) -> dict[str, Any]:
    """A section as it travels to a process."""
    return section.model_dump(mode="json")
