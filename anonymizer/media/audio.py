"""Sound that cannot be copied: decoded, perhaps disguised, and encoded again, in step with the picture."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from anonymizer.media.disguise import Disguise, Samples

_GAP_S = 0.05  # Less is rounding in the source's time stamps; more is a hole, filled with silence.
_LONGEST_GAP_S = 600.0  # A longer one is a new timeline: the sound just goes on.
_MOST_CHANNELS = 6
_RATE = 48000
_BIT_RATE_PER_CHANNEL = 80_000
_CODEC_BITEXACT = 1 << 23  # libavcodec/avcodec.h: AV_CODEC_FLAG_BITEXACT


class EncodedTrack:
    """One audio stream of the source, written with another encoder."""

    def __init__(self, source: AudioStream, container: OutputContainer, encoder: str, *, disguised: bool, rate: int | None = None) -> None:
        channels = min(source.codec_context.channels or 1, 2 if disguised else _MOST_CHANNELS)
        layout = "mono" if channels == 1 else "stereo" if channels == 2 else "5.1"
        channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
        rates = av.Codec(encoder, "w").audio_rates
        self._rate = rate or source.codec_context.sample_rate
        if not self._rate or (rates and self._rate not in rates):
            self._rate = _RATE
        stream = container.add_stream(encoder, rate=self._rate, bit_rate=_BIT_RATE_PER_CHANNEL * channels)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = layout
        stream.codec_context.time_base = Fraction(1, self._rate)
        stream.codec_context.flags |= _CODEC_BITEXACT
        stream.codec_context.open(strict=False)
        self._layout = layout
        self.stream = stream
        self._decoder = source.codec_context
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=self._rate)
        self._disguise = Disguise(self._rate, channels) if disguised else None
        self._channels = channels
        self._said = False
        self._heard = 0  # samples taken from the source, silence included
        self._written = 0
        self._shift_s = Fraction(0)
        self.earliest_s = Fraction(0)  # what is heard before is left out
        self.faults = 0

    def take(self, packet: Packet[Any], shift_s: Fraction) -> list[Packet[Any]]:
        """Packets that are ready once `packet` was heard; what cannot be decoded becomes silence."""
        self._shift_s = shift_s
        return self._decoded(packet, shift_s)

    def _decoded(self, packet: Packet[Any] | None, shift_s: Fraction) -> list[Packet[Any]]:
        ready: list[Packet[Any]] = []
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self.faults += 1
            return ready
        for frame in frames:
            try:
                pieces = self._resampler.resample(frame)
            except (av.FFmpegError, ValueError):
                self.faults += 1
                continue
            start_s = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base + shift_s
            for piece in pieces:
                samples = np.asarray(piece.to_ndarray(), np.float32).reshape(self._channels, -1)
                ready += self._say(self._placed(samples, start_s))
                start_s = None
        return ready

    def finish(self) -> list[Packet[Any]]:
        """The rest, after the last packet."""
        ready = self._decoded(None, self._shift_s)
        if self._disguise is not None:
            ready += self._encode(self._disguise.flush())
        ready += self.stream.encode(None)
        return ready

    def _placed(self, samples: Samples, start_s: Fraction | None) -> Samples:
        """The samples, with silence before them or without their beginning, so that they are heard when they should be."""
        if start_s is None:
            return samples
        start = round(start_s * self._rate)
        if not self._said:
            earliest = round(self.earliest_s * self._rate)
            self._heard = self._written = max(earliest, start)  # Sound that begins late begins late: no silence is made up.
        gap = start - self._heard
        if gap > _LONGEST_GAP_S * self._rate or 0 <= gap < _GAP_S * self._rate or (self._said and -gap < _GAP_S * self._rate):
            return samples
        if gap > 0:
            return np.concatenate([np.zeros((self._channels, gap), np.float32), samples], axis=1)
        if -gap > _LONGEST_GAP_S * self._rate:
            return samples
        return samples[:, min(-gap, samples.shape[1]) :]

    def _say(self, samples: Samples) -> list[Packet[Any]]:
        self._heard += samples.shape[1]
        self._said = self._said or samples.shape[1] > 0
        return self._encode(samples if self._disguise is None else self._disguise.process(samples))

    def _encode(self, samples: Samples) -> list[Packet[Any]]:
        if samples.shape[1] == 0:
            return []
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        frame.pts = self._written
        self._written += samples.shape[1]
        return list(self.stream.encode(frame))
