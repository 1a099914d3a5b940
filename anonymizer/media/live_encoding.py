"""Sealed frames to packets at once: no B-frames, no look-ahead of the encoder's own, key frames on demand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from anonymizer.errors import ConfigError
from anonymizer.geometry import Geometry
from anonymizer.media.annexb import parameter_sets_of
from anonymizer.media.planes import frame_of
from anonymizer.types import LIVE_TIME_BASE, Color, EncodedPacket, SealedFrame, StreamFormat

_CODECS = {"libx264": "h264", "libx265": "hevc"}
KEY_EVERY_S = 2.0
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    # zerolatency: no look-ahead, no B-frames, slices instead of frame threads. Scene cuts would add key frames at every curtain.
    "libx264": {"preset": "superfast", "tune": "zerolatency", "crf": "23", "bf": "0", "x264-params": "scenecut=0:repeat-headers=1"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "crf": "26", "x265-params": "bframes=0:scenecut=0:repeat-headers=1:log-level=error:info=0"},
}


class LiveEncoder:
    """One encoder for frames of one size."""

    def __init__(self, geometry: Geometry, color: Color, frame_rate: float, *, codec: str | None = None, options: Mapping[str, str] | None = None) -> None:
        """ConfigError for an encoder that live streams cannot use, or options it does not take."""
        name = codec or "libx264"
        if name not in _CODECS:
            raise ConfigError(f"encoding.codec: {name} cannot be used for a live stream", hint=f"use one of {', '.join(_CODECS)}")
        self._size_wh, self._rate = geometry.coded_wh, frame_rate
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = geometry.coded_wh
        context.pix_fmt = "yuv420p"
        context.time_base = LIVE_TIME_BASE
        context.framerate = Fraction(max(1.0, frame_rate)).limit_denominator(1001)
        context.sample_aspect_ratio = geometry.sample_aspect_ratio
        context.gop_size = max(1, round(KEY_EVERY_S * max(1.0, frame_rate)))
        context.max_b_frames = 0
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = color.range or 1, color.primaries, color.transfer, color.matrix
        context.options = {**_DEFAULTS[name], **(options or {})}
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise ConfigError(f"encoding: {name} does not take these options: {error}", hint="leave encoding.options out") from error
        self._context = context
        self._codec = _CODECS[name]
        self._format: StreamFormat | None = None

    @property
    def format(self) -> StreamFormat | None:
        """How its packets are coded; None until the first one."""
        return self._format

    def encode(self, sealed: SealedFrame, pts: int, *, key: bool = False) -> list[EncodedPacket]:
        """The packets of one frame, which is shown at `pts` of LIVE_TIME_BASE; with `key` it can be decoded alone."""
        frame = frame_of(sealed.frame.planes, sealed.frame.pixel_format)
        frame.pts, frame.time_base = pts, LIVE_TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return [self._packet(packet) for packet in self._context.encode(frame)]

    def _packet(self, packet: Any) -> EncodedPacket:
        data = bytes(packet)
        if packet.is_keyframe and self._format is None:
            self._format = StreamFormat(self._codec, self._size_wh, self._rate, parameter_sets_of(data, self._codec))
        return EncodedPacket(int(packet.pts), bool(packet.is_keyframe), data)
