"""Painted frames coded as a camera codes them: H.264 or HEVC, without B-frames, as the NAL units of one frame after the other."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tests.streaming.bench.painted import CANVAS_WH, Painter

Codec = Literal["h264", "hevc"]


@dataclass(frozen=True, slots=True)
class Coding:
    """How a camera codes: `gop` frames from key frame to key frame; with `intra_refresh` there is only one, the first."""

    codec: Codec = "h264"
    size_wh: tuple[int, int] = CANVAS_WH
    rate: int = 25
    gop: int = 25
    crf: int = 23
    slices: int = 1
    intra_refresh: bool = False
    pan_px: float = 1.0
    secrets: bool = True

    @property
    def options(self) -> dict[str, str]:
        """x264's or x265's own words for it."""
        common = f"keyint={self.gop}:min-keyint={self.gop}:scenecut=0:bframes=0:repeat-headers=1"
        if self.codec == "h264":
            own = f":slices={self.slices}:threads=1" + (":intra-refresh=1" if self.intra_refresh else "")
            return {"preset": "superfast", "tune": "zerolatency", "crf": str(self.crf), "forced-idr": "1", "x264-params": common + own}
        own = f":slices={self.slices}:open-gop=0:frame-threads=1:pools=none:log-level=none"
        return {"preset": "ultrafast", "tune": "zerolatency", "crf": str(self.crf), "forced-idr": "1", "x265-params": common + own}

    @property
    def encoder(self) -> str:
        return {"h264": "libx264", "hevc": "libx265"}[self.codec]


class Counting:
    """A camera whose counter rises with the clock, whether anybody looks or not; every coding of one camera has its rate."""

    def __init__(self, coding: Coding | None, first_counter: int) -> None:
        self.coding = coding or Coding()
        self.first_counter, self.rate = first_counter, self.coding.rate
        self.began_s = time.monotonic()

    @property
    def counter(self) -> int:
        """The frame that the camera shows now."""
        return self.counter_at(time.monotonic())

    def counter_at(self, monotonic_s: float) -> int:
        """The frame that the camera showed then."""
        return self.first_counter + int((monotonic_s - self.began_s) * self.rate)


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One coded frame: its NAL units without start codes."""

    counter: int
    nals: tuple[bytes, ...]
    is_key: bool


class PaintedEncoder:
    """Paints and codes one frame at a time."""

    def __init__(self, coding: Coding) -> None:
        self.coding = coding
        self._painter = Painter(coding.size_wh, pan_px=coding.pan_px, secrets=coding.secrets)
        context = av.CodecContext.create(coding.encoder, "w")
        assert isinstance(context, av.VideoCodecContext)
        self._context = context
        self._context.width, self._context.height = coding.size_wh
        self._context.pix_fmt = "yuv420p"
        self._context.time_base, self._context.framerate = Fraction(1, coding.rate), Fraction(coding.rate)
        self._context.options = coding.options
        self._pts = 0

    def encode(self, counter: int, *, key: bool = False) -> CodedFrame:
        """The frame of this counter; `key` makes it a key frame, whatever the rhythm."""
        frame = picture_of(self._painter.paint(counter))
        frame.pts, frame.time_base = self._pts, Fraction(1, self.coding.rate)
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        self._pts += 1
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"the encoder gave {len(packets)} packets for one frame")
        nals = tuple(nals_of(bytes(packets[0])))
        return CodedFrame(counter, nals, any(is_idr(nal, self.coding.codec) for nal in nals))


def picture_of(planes: NDArray[np.uint8]) -> av.VideoFrame:
    """Painted planes as PyAV's frame."""
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def nals_of(annex_b: bytes) -> list[bytes]:
    """The NAL units between the start codes."""
    return [part.rstrip(b"\0") for part in re.split(b"\0\0\1", annex_b)[1:]]


def nal_type(nal: bytes, codec: Codec) -> int:
    return nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F


def is_idr(nal: bytes, codec: Codec) -> bool:
    return nal_type(nal, codec) == 5 if codec == "h264" else 16 <= nal_type(nal, codec) <= 21


def is_parameter_set(nal: bytes, codec: Codec) -> bool:
    return nal_type(nal, codec) in ((7, 8) if codec == "h264" else (32, 33, 34))


def write_painted(path: Path, frames: int, coding: Coding | None = None, *, first_counter: int = 0, container: str | None = None) -> Path:
    """A file of painted frames; its suffix says the container."""
    coding = coding or Coding()
    painter = Painter(coding.size_wh, pan_px=coding.pan_px, secrets=coding.secrets)
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(coding.encoder, rate=coding.rate, options=coding.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = coding.size_wh
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            frame = picture_of(painter.paint(first_counter + index))
            frame.pts, frame.time_base = index, Fraction(1, coding.rate)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path
