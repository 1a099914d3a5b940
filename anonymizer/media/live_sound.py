"""The sound of a live camera: decoded, disguised if that was asked for, and coded again as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.packet import Packet

from anonymizer.media.disguise import Disguise, Samples
from anonymizer.types import SoundFormat

_RATE = 48_000  # What every output takes, and Opus' rate: most cameras have less.
_BIT_RATE_PER_CHANNEL = 64_000
_OFF_S = 0.1  # Sound that is off its own count by more has a hole, or a clock that jumped.
_GLOBAL_HEADER = 1 << 22  # libavcodec/avcodec.h: AV_CODEC_FLAG_GLOBAL_HEADER


class CodedSound(NamedTuple):
    """One coded frame of sound, and when the camera says that it was heard."""

    time_s: float
    data: bytes


class LiveSound:
    """The coder of one connection. What cannot be decoded is left out, and is silence."""

    def __init__(self, source: AudioStream, *, masked: bool) -> None:
        self.stream = source
        self._decoder = source.codec_context
        channels = 1 if (self._decoder.channels or 1) == 1 else 2
        layout = "mono" if channels == 1 else "stereo"
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = _RATE, layout, "fltp"
        encoder.bit_rate = _BIT_RATE_PER_CHANNEL * channels
        encoder.time_base = Fraction(1, _RATE)
        encoder.flags |= _GLOBAL_HEADER
        encoder.open()
        self._encoder, self._layout, self._channels = encoder, layout, channels
        self.format = SoundFormat(_RATE, channels, bytes(encoder.extradata or b""))
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=_RATE)
        self._disguise = Disguise(_RATE, channels) if masked else None
        self._taken = self._given = 0  # samples
        self._began_s: float | None = None  # when the first of them was heard, by the newest reckoning

    def take(self, packet: Packet[Any]) -> Iterator[CodedSound]:
        """The coded frames that are ready once `packet` was heard."""
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            return
        for frame in frames:
            self._place(float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base is not None else None)
            try:
                pieces = self._resampler.resample(frame)
            except (av.FFmpegError, ValueError):
                continue  # It changed its shape in mid-stream.
            for piece in pieces:
                samples = np.asarray(piece.to_ndarray(), np.float32).reshape(self._channels, -1)
                self._taken += samples.shape[1]
                yield from self._coded(samples if self._disguise is None else self._disguise.process(samples))

    def _place(self, time_s: float | None) -> None:
        """Reckon with a frame's own time where it is off what was counted."""
        counted_s = self._taken / _RATE
        if time_s is None:
            self._began_s = self._began_s or 0.0
        elif self._began_s is None or abs(self._began_s + counted_s - time_s) > _OFF_S:
            self._began_s = time_s - counted_s

    def _coded(self, samples: Samples) -> Iterator[CodedSound]:
        if not samples.shape[1] or self._began_s is None:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), self._given
        self._given += samples.shape[1]
        for packet in self._encoder.encode(frame):
            yield CodedSound(self._began_s + (packet.pts or 0) / _RATE, bytes(packet))
