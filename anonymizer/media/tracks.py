"""One stream beside the picture on its way into the output: copied packet by packet, or encoded again."""

from __future__ import annotations

import io
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from anonymizer.media.audio import EncodedTrack
from anonymizer.media.carriers import codec_of, has_decoder, stream_name
from anonymizer.media.encoding import Encoding
from anonymizer.media.sources import open_source
from anonymizer.media.timing import NEW_TIMELINE_S
from anonymizer.types import Fate

_VORBIS_FIRST_BYTES = 30
_NO_COMMENTS = b"\3vorbis" + bytes(8) + b"\1"  # no maker, no comments, and the bit that ends them

_MOST_SCOUTED = 2000  # Packets: sound that does not begin within the first of them is tried without.


class Track(Protocol):
    """Takes the source's packets, gives the output's."""

    name: str
    stream: Stream
    ended: bool
    faults: int
    earliest_s: Fraction

    def take(self, packet: Packet[Any], shift_s: Fraction) -> list[Packet[Any]]:
        """Packets that are ready once `packet` came."""

    def finish(self) -> list[Packet[Any]]:
        """The rest."""


class CopiedTrack:
    """Packets as they are, with their times moved, and made to increase as every muxer demands."""

    def __init__(self, source: Stream, stream: Stream) -> None:
        self.name = f"{source.type} {stream_name(source)}"
        self.stream = stream
        self.ended = False
        self.faults = 0
        self.earliest_s = Fraction(0)
        self._last_dts: int | None = None
        self._offset = 0

    def take(self, packet: Packet[Any], shift_s: Fraction) -> list[Packet[Any]]:
        """The packet itself."""
        shift = round(shift_s / packet.time_base) + self._offset
        pts = None if packet.pts is None else packet.pts + shift
        dts = pts if packet.dts is None else packet.dts + shift
        duration = max(1, packet.duration or 1)
        if self._last_dts is not None and (dts is None or dts <= self._last_dts):
            expected = self._last_dts + duration
            if dts is not None and (self._last_dts - dts) * packet.time_base > NEW_TIMELINE_S:
                self._offset += expected - dts
                pts = None if pts is None else pts + expected - dts
                dts = expected
            else:
                dts = self._last_dts + 1
        if dts is None:
            dts = 0
        packet.dts = self._last_dts = dts
        packet.pts = dts if pts is None else max(pts, dts)
        packet.stream = self.stream
        return [packet]

    def finish(self) -> list[Packet[Any]]:
        """Nothing waits in a copy."""
        return []


class AudioTrack:
    """Sound that is encoded again."""

    def __init__(self, source: AudioStream, container: OutputContainer, encoder: str, *, masked: bool, rate: int | None) -> None:
        self.name = f"audio {stream_name(source)}"
        self._encoded = EncodedTrack(source, container, encoder, disguised=masked, rate=rate)
        self.stream: Stream = self._encoded.stream
        self.ended = False

    @property
    def faults(self) -> int:
        return self._encoded.faults

    @faults.setter
    def faults(self, value: int) -> None:
        self._encoded.faults = value

    @property
    def earliest_s(self) -> Fraction:
        """What is heard before is left out."""
        return self._encoded.earliest_s

    @earliest_s.setter
    def earliest_s(self, value: Fraction) -> None:
        self._encoded.earliest_s = value

    def take(self, packet: Packet[Any], shift_s: Fraction) -> list[Packet[Any]]:
        """What is ready once `packet` was decoded."""
        return self._encoded.take(packet, shift_s)

    def finish(self) -> list[Packet[Any]]:
        """What waits inside the encoder."""
        return self._encoded.finish()


def audio_track(source: Stream, packet: Packet[Any] | None, container: OutputContainer, encoding: Encoding, *, masked: bool) -> tuple[Track | None, Fate, str]:
    """A copy where that was asked for and the file type takes it, else an encoder of its own; with what to say about it."""
    codec = codec_of(source)
    allowed = encoding.container.only_audio
    if not masked and (allowed is None or codec in allowed) and _fits(source, packet, encoding.container.muxer):
        track, fate, note = copied_track(source, packet, container, encoding)
        if track is not None:
            return track, fate, note
    encoder = encoding.container.fallback_audio
    if not encoder:
        return None, "dropped", f"{encoding.container.muxer} files hold no sound"
    if not isinstance(source, AudioStream) or not has_decoder(source):
        return None, "dropped", f"no decoder exists for {codec}"
    try:
        encoded = AudioTrack(source, container, encoder, masked=masked, rate=encoding.container.audio_rate)
    except (av.FFmpegError, ValueError) as error:
        return None, "dropped", f"cannot be encoded with {encoder}: {getattr(error, 'strerror', None) or error}"
    if masked:
        return encoded, "masked", ""
    return encoded, "converted", f"{codec} was encoded again as {codec_of(encoded.stream)}, {encoding.container.muxer} files cannot hold it"


def copied_track(source: Stream, packet: Packet[Any] | None, container: OutputContainer, encoding: Encoding) -> tuple[Track | None, Fate, str]:
    """A copy of a stream, or why it is dropped."""
    allowed = encoding.container.only_other
    fits = source.type == "audio" or allowed is None or codec_of(source) in allowed
    if not fits or not _fits(source, packet, encoding.container.muxer):
        return None, "dropped", f"{encoding.container.muxer} files cannot hold {codec_of(source)}"
    headers = vorbis_headers(source.codec_context.extradata or b"") if codec_of(source) == "vorbis" else None
    if headers == b"":
        return None, "dropped", "its tags cannot be told from its sound"
    stream = container.add_stream_from_template(source)
    if headers:
        stream.codec_context.extradata = headers
    stream.disposition = Disposition(source.disposition & Disposition.default)
    return CopiedTrack(source, stream), "copied", ""


def vorbis_headers(private: bytes) -> bytes:
    """Vorbis' three headers without the tags and pictures that the second of them holds; nothing if they are odd.

    Vorbis I, 5: identification, comments, set-up. Before them their number and sizes stand as Xiph lacing has it, or
    before each its size in two bytes (libavcodec/xiph.c).
    """
    try:
        if private[:2] == _VORBIS_FIRST_BYTES.to_bytes(2, "big"):
            sizes, at = [], 0
            for _ in range(3):
                sizes.append(int.from_bytes(private[at : at + 2], "big"))
                at += 2 + sizes[-1]
            first, last = private[2 : 2 + sizes[0]], private[at - sizes[2] : at]
        else:
            sizes, at = [0, 0], 1
            for number in range(2):
                while private[at] == 0xFF:
                    sizes[number], at = sizes[number] + 0xFF, at + 1
                sizes[number], at = sizes[number] + private[at], at + 1
            first, last = private[at : at + sizes[0]], private[at + sum(sizes) :]
    except IndexError:
        return b""
    if len(first) != _VORBIS_FIRST_BYTES or not first.startswith(b"\1vorbis") or not last.startswith(b"\5vorbis"):
        return b""
    return bytes([2, len(first), len(_NO_COMMENTS)]) + first + _NO_COMMENTS + last


def first_packets(path: Path, indices: Collection[int]) -> dict[int, Packet[Any]]:
    """The first packet of each of those streams, as far as the file's beginning has one."""
    found: dict[int, Packet[Any]] = {}
    if not indices:
        return found
    with open_source(path) as container:
        try:
            for number, packet in enumerate(container.demux([container.streams[index] for index in indices])):
                if packet.size:
                    found.setdefault(packet.stream_index, packet)
                if len(found) == len(indices) or number > _MOST_SCOUTED:
                    break
        except (av.FFmpegError, OSError):
            pass  # What is broken there will be met again, and said, when it is carried.
    return found


def _fits(source: Stream, packet: Packet[Any] | None, muxer: str) -> bool:
    """Whether a muxer writes such a stream, index and all: tried in memory with one packet, for not every one says so before."""
    if packet is None:
        return False
    file = io.BytesIO()
    try:
        with av.open(file, "w", format=muxer) as container:
            stream = container.add_stream_from_template(source)
            sample: Packet[Any] = Packet(bytes(packet))
            sample.stream, sample.time_base = stream, packet.time_base
            sample.pts = sample.dts = 0
            sample.duration, sample.is_keyframe = packet.duration, True
            container.mux(sample)
    except (av.FFmpegError, ValueError, OSError, RuntimeError):
        file.close()
        return False
    return True
