"""Coded frames of a live stream into a file, a server or a pipe, as they are: nothing is decoded, nothing encoded again."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Any, Protocol, Self

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from PIL import Image

from anonymizer.media.faults import listening
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, SoundFormat, SoundPacket, StreamFormat

_FORMAT_BITEXACT = 0x400  # libavformat/avformat.h: AVFMT_FLAG_BITEXACT
# Nothing may wait in a buffer for the next picture: a viewer would see this one late, a killed recording would lose it.
_AT_ONCE = {"flush_packets": "1"}
# Nor for the other track: where a camera falls silent, pictures would wait for sound for ten seconds.
SOUND_AT_ONCE = {"max_interleave_delta": "1"}
_SOUND_FRAME = 1024  # samples of AAC
_MUXER_OPTIONS = {
    "mp4": {"video_track_timescale": str(LIVE_TIME_BASE.denominator)},
    "mov": {"video_track_timescale": str(LIVE_TIME_BASE.denominator)},
    "flv": {"flvflags": "no_duration_filesize"},
    "mpegts": {"muxdelay": "0", "muxpreload": "0"},
}


class Writable(Protocol):
    """A file, or what looks like one; muxers that go back (MP4, Matroska) use `seek` and `tell` where there are such."""

    def write(self, data: bytes, /) -> Any: ...


class PacketMuxer:
    """Writes the packets of one stream format with one of FFmpeg's muxers; times begin at 0 unless `start_pts` says otherwise.

    The first packet must be a key frame; until then nothing is opened. Calls wait as long as the target lets them, and hold the
    interpreter while they connect and close: to a server only from a process that may be killed. Errors are FFmpeg's and the
    system's: OSError, ValueError.
    """

    def __init__(
        self, target: str | Writable, container: str, stream: StreamFormat, options: Mapping[str, str] | None = None, *, start_pts: int | None = None
    ) -> None:
        muxer_options = {**_AT_ONCE, **(SOUND_AT_ONCE if stream.sound else {}), **_MUXER_OPTIONS.get(container, {}), **(options or {})}
        self._stream = stream
        self._start_pts = start_pts
        self._output: OutputContainer = av.open(target, "w", format=container, container_options=muxer_options)
        self._output.flags |= _FORMAT_BITEXACT
        self._track = _add_track(self._output, stream, container)
        self._sound = None if stream.sound is None else _add_sound(self._output, stream.sound)
        self._frame_ticks = round(LIVE_TIME_BASE.denominator / (stream.frame_rate or 25))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def write(self, packet: EncodedPacket | SoundPacket) -> None:
        """Write one coded frame; sound that is older than the first picture, or not said in the stream's format, is left out."""
        if isinstance(packet, SoundPacket):
            self._write_sound(packet)
            return
        if self._start_pts is None:
            self._start_pts = packet.pts
        ready = av.Packet(packet.data)
        ready.stream = self._track
        ready.time_base = LIVE_TIME_BASE
        ready.pts = ready.dts = packet.pts - self._start_pts
        ready.duration = self._frame_ticks
        ready.is_keyframe = packet.is_key
        self._output.mux(ready)

    def _write_sound(self, packet: SoundPacket) -> None:
        if self._sound is None or self._start_pts is None or packet.pts < self._start_pts:
            return
        ready = av.Packet(packet.data)
        ready.stream = self._sound
        ready.time_base = LIVE_TIME_BASE
        ready.pts = ready.dts = packet.pts - self._start_pts
        ready.duration = round(_SOUND_FRAME / self._sound.rate / LIVE_TIME_BASE)
        self._output.mux(ready)

    def close(self) -> None:
        """Write what ends the container, if anything was written."""
        self._output.close()


def initialization_segment(stream: StreamFormat) -> bytes:
    """What stands before the fragments of a fragmented MP4 (ISO/IEC 14496-12): `ftyp` and `moov`, track 1 in 1/90000 s."""
    written = io.BytesIO()
    muxer = PacketMuxer(written, "mp4", replace(stream, sound=None), {"movflags": "empty_moov+default_base_moof+frag_custom"})
    muxer.write(EncodedPacket(0, True, stream.parameter_sets))  # Makes FFmpeg write the header; the fragment is never asked for.
    header = written.getvalue()
    written.close()  # A container whose file is closed writes no trailer.
    muxer.close()
    return header


def jpeg_of(key_packet: EncodedPacket, stream: StreamFormat, *, quality: int = 85) -> bytes:
    """One key frame of our own sealed stream as a JPEG; ValueError if it cannot be decoded."""
    decoder = av.CodecContext.create(stream.codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1  # More would hold the frame back for the next one.
    frames = [*decoder.decode(av.Packet(key_packet.data)), *decoder.decode(None)]
    if not frames:
        raise ValueError("the packet holds no whole key frame")
    coded = io.BytesIO()
    Image.fromarray(frames[0].to_ndarray(format="rgb24")).save(coded, "JPEG", quality=quality)
    return coded.getvalue()


def _add_sound(output: OutputContainer, sound: SoundFormat) -> AudioStream:
    """A track for AAC that was coded elsewhere: the same encoder, opened by the muxer, says the same of it."""
    track = output.add_stream("aac", rate=sound.rate)
    assert isinstance(track, AudioStream)
    track.codec_context.layout = "mono" if sound.channels == 1 else "stereo"
    return track


def _add_track(output: OutputContainer, stream: StreamFormat, container: str) -> VideoStream:
    """A track that knows its parameter sets before the first packet: RTSP and MP4 say them at the start.

    PyAV's `add_mux_stream` cannot be told them, nor that H.265 be named "hvc1"; a track made after another's likeness can.
    """
    # Without a picture FFmpeg complains, though nothing is wrong.
    with listening(av.logging.PANIC), av.open(io.BytesIO(stream.parameter_sets), format=stream.codec) as likeness:
        track = output.add_stream_from_template(likeness.streams.video[0], opaque=True)
    track.time_base = LIVE_TIME_BASE
    context = track.codec_context
    context.width, context.height = stream.size_wh
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(stream.frame_rate or 25).limit_denominator(1001)
    context.extradata = stream.parameter_sets
    if stream.codec == "hevc" and container in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # The tag that Apple's players know.
    return track
