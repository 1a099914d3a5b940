"""What is carried over beside the picture, when it was asked for by name: sound, subtitles, data, tags, chapters."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from anonymizer.media.boxes import telling_boxes
from anonymizer.media.carriers import stream_name, with_fate
from anonymizer.media.encoding import Encoding
from anonymizer.media.sources import open_source
from anonymizer.media.tracks import CopiedTrack, Track, audio_track, copied_track, first_packets
from anonymizer.types import Carrier, Fate, MediaInfo

AudioPolicy = Literal["drop", "keep", "mask"]
KEEPABLE = frozenset({"subtitles", "data", "metadata", "chapters", "attachments"})
_KIND_NAMES = {"subtitle": "subtitles", "data": "data"}
_HOLD_CHAPTERS = frozenset({"mp4", "mov", "3gp", "3g2", "matroska", "webm", "asf", "nut"})
_PRIMING_S = Fraction(1, 20)  # An encoder's first packet is this much early, at most; where times must not be negative it would move all others.
_HEARD_S = 0.04  # Sound that is early by more is seen to be (ITU-R BT.1359: 45 ms).
_MICROSECOND = Fraction(1, 1_000_000)
# Written by every muxer for itself.
_NOT_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER", "DURATION", "alpha_mode", "ALPHA_MODE"}


@dataclass(frozen=True, slots=True)
class CarryPolicy:
    """What else of the source goes into the output; by default nothing."""

    audio: AudioPolicy = "drop"
    keep: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if unknown := self.keep - KEEPABLE:
            raise ValueError(f"{sorted(unknown)[0]} is none of {sorted(KEEPABLE)}")


class SideStreams:
    """The source read a second time, for everything but the picture, in step with the writer.

    A fault in here never stops the video: the stream ends, and a warning says so.
    """

    def __init__(self, info: MediaInfo, encoding: Encoding, policy: CarryPolicy, span_s: tuple[float, float | None] | None) -> None:
        self.carriers: tuple[Carrier, ...] = info.carriers
        self.warnings: list[str] = []
        self.starts_at_s: float | None = None
        self._info = info
        self._encoding = encoding
        self._policy = policy
        self._span_s = span_s
        self._source: InputContainer | None = None
        self._tracks: dict[int, Track] = {}
        self._packets: Iterator[Packet[Any]] | None = None
        self._reached_s = float("-inf")
        self._shift_s = Fraction(0)
        self._first_s = Fraction(0)
        self._begun: list[Track] = []
        self._asked_tags: dict[str, str] = {}  # carrier -> its value

    def open(self, container: OutputContainer, video: VideoStream) -> None:
        """Add the streams to the output."""
        if self._policy == CarryPolicy() or self._info.extra.get("live"):
            return
        self._source = open_source(self._info.path)
        first = first_packets(self._info.path, [stream.index for stream in self._source.streams if self._is_wanted(stream)])
        for stream in self._source.streams:
            track = self._track_for(stream, first.get(stream.index), container)
            if track is not None:
                self._tracks[stream.index] = track
                if stream.start_time is not None and stream.time_base:
                    starts_at_s = float(stream.start_time * stream.time_base)
                    self.starts_at_s = starts_at_s if self.starts_at_s is None else min(self.starts_at_s, starts_at_s)
            else:
                stream.discard = Discard.all
        if "metadata" in self._policy.keep:
            self._keep_tags(container, video)

    def start(self, container: OutputContainer, shift_s: Fraction, first_s: Fraction) -> None:
        """The first frame is known: every time is moved by `shift_s`. Called before anything is written."""
        self._shift_s, self._first_s = shift_s, first_s
        if self._source is None:
            return
        if "chapters" in self._policy.keep:
            self._keep_chapters(container)
        if self._tracks:
            if self._span_s is not None:
                self._go_to(first_s)
            for track in self._tracks.values():
                track.earliest_s = first_s + shift_s if self._span_s is not None else Fraction(0)
                if self._encoding.container.dts_from_zero:
                    track.earliest_s = max(track.earliest_s, _PRIMING_S)
            self._packets = self._source.demux([self._source.streams[index] for index in self._tracks])

    def feed(self, container: OutputContainer, until_s: float) -> None:
        """Write everything that is heard or shown before `until_s` of the output."""
        while self._packets is not None and self._reached_s < until_s:
            try:
                packet = next(self._packets)
            except StopIteration:
                self._end(container)
                return
            except (av.FFmpegError, OSError) as error:
                self.warnings.append(f"the sound could not be read to its end: {getattr(error, 'strerror', None) or error}")
                self._end(container)
                return
            self._carry(packet, container)

    def feed_all(self, container: OutputContainer) -> None:
        """Write all the rest."""
        self.feed(container, float("inf"))

    def close(self) -> None:
        """Let go of the source."""
        self._packets = None
        self._tracks = {}
        if self._source is not None:
            self._source.close()
            self._source = None

    def _is_wanted(self, stream: Stream) -> bool:
        return (stream.type == "audio" and self._policy.audio != "drop") or _KIND_NAMES.get(stream.type) in self._policy.keep

    def _track_for(self, stream: Stream, packet: Packet[Any] | None, container: OutputContainer) -> Track | None:
        """How a stream is carried, if it is; its carrier says what became of it. `packet` is its first one."""
        name, track, fate, note = stream_name(stream), None, "dropped", ""
        if stream.type == "audio" and self._is_wanted(stream):
            track, fate, note = audio_track(stream, packet, container, self._encoding, masked=self._policy.audio == "mask")
        elif self._is_wanted(stream):
            track, fate, note = copied_track(stream, packet, container, self._encoding)
        elif isinstance(stream, AttachmentStream) and "attachments" in self._policy.keep:
            fate, note = self._keep_attachment(stream, container)
        else:
            return None
        self.carriers = with_fate(self.carriers, stream.type, name, fate, note)
        if note:
            self.warnings.append(f"{stream.type} {name}: {note}")
        return track

    def _keep_attachment(self, stream: AttachmentStream, container: OutputContainer) -> tuple[Fate, str]:
        if container.format.name != "matroska":  # WebM's muxer takes them, and writes none.
            return "dropped", f"{container.format.name} files hold no attachments"
        container.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        return "copied", ""

    def _keep_tags(self, container: OutputContainer, video: VideoStream) -> None:
        assert self._source is not None
        container.metadata.update({key: value for key, value in self._source.metadata.items() if key not in _NOT_TAGS})
        video.metadata.update({key: value for key, value in self._source.streams[self._info.stream_index].metadata.items() if key not in _NOT_TAGS})
        for index, track in self._tracks.items():
            track.stream.metadata.update({key: value for key, value in self._source.streams[index].metadata.items() if key not in _NOT_TAGS})
        kept = {stream_name(self._source.streams[index]) for index in (*self._tracks, self._info.stream_index)}
        for carrier in self.carriers:
            of_stream, _, key = carrier.name.rpartition(" ")
            if carrier.kind == "tag" and key not in _NOT_TAGS and (not of_stream or of_stream in kept):
                metadata = next((s.metadata for s in self._source.streams if stream_name(s) == of_stream), self._source.metadata)
                self._asked_tags[carrier.name] = metadata.get(key, "")
                self.carriers = with_fate(self.carriers, "tag", carrier.name, "copied")

    def look_again(self, path: Path) -> None:
        """Tags that a finished file does not hold were not copied, muxers pass over those they have no place for; boxes were written anew."""
        if not self._asked_tags:
            return
        for box in telling_boxes(path):
            self.carriers = with_fate(self.carriers, "box", box.name, "copied", "written anew, with the kept tags in it")
        with open_source(path) as written:
            held = [
                (key.lower(), value) for metadata in (written.metadata, *(stream.metadata for stream in written.streams)) for key, value in metadata.items()
            ]
        names, values = {name for name, _ in held}, {value for _, value in held}
        for name, value in self._asked_tags.items():
            # Some are renamed, others written in another form: only what is not there in any is gone.
            if value not in values and name.rpartition(" ")[2].lower() not in names:
                self.carriers = with_fate(self.carriers, "tag", name, "dropped", f"{self._encoding.container.muxer} files do not hold it")

    def _keep_chapters(self, container: OutputContainer) -> None:
        assert self._source is not None
        found = self._source.chapters()
        if found and container.format.name not in _HOLD_CHAPTERS:
            self.warnings.append(f"{container.format.name} files hold no chapters")
            return
        kept: list[Any] = []
        end_s = self._span_end_s()
        for number, entry in enumerate(found, 1):
            base = entry["time_base"] or _MICROSECOND
            shift = round(self._shift_s / base)
            start, end = entry["start"] + shift, entry["end"] + shift
            first = 0 if self._span_s is None else round((self._first_s + self._shift_s) / base)
            last = None if end_s is None else round((Fraction(end_s) + self._shift_s) / base)
            if end > first and (last is None or start < last):
                kept.append({**entry, "start": max(start, first), "end": end if last is None else min(end, last)})
                self.carriers = with_fate(self.carriers, "chapter", str(number), "copied")
        container.set_chapters(kept)

    def _span_end_s(self) -> float | None:
        """When the span ends on the source's clock."""
        if self._span_s is None or self._span_s[1] is None:
            return None
        return self._span_s[1] + self._info.start_s

    def _go_to(self, first_s: Fraction) -> None:
        assert self._source is not None
        try:
            self._source.seek(max(0, int((first_s - 1) * av.time_base)))
        except (av.FFmpegError, OSError):
            # Then it is read from its start: what lies before the span is left out packet by packet.
            return

    def _carry(self, packet: Packet[Any], container: OutputContainer) -> None:
        track = self._tracks.get(packet.stream_index)
        if track is None or track.ended or not packet.size:
            return
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is not None:
            time_s = stamp * packet.time_base
            self._reached_s = float(time_s + self._shift_s)
            if self._is_outside(packet, time_s, track):
                return
            self._notice_late_sound(track)
        self._mux(track, track.take(packet, self._shift_s), container)

    def _notice_late_sound(self, track: Track) -> None:
        """At a track's first packet; AVI counts its sound from the first frame on."""
        if track in self._begun:
            return
        self._begun.append(track)
        if self._encoding.container.sound_at_once and self._reached_s > _HEARD_S:
            self.warnings.append(
                f"{track.name}: begins {self._reached_s:.2f} s late, which {self._encoding.container.muxer} files cannot say: it is early by that"
            )

    def _is_outside(self, packet: Packet[Any], time_s: Fraction, track: Track) -> bool:
        if self._span_s is None:
            keeps_negative = self._encoding.container.keeps_edit_list
            early = time_s + self._shift_s < 0
            return isinstance(track, CopiedTrack) and ((early and not keeps_negative) or (packet.is_discard and not early))
        end_s = self._span_end_s()
        if end_s is not None and float(time_s) >= end_s:
            return True
        return time_s < self._first_s - (Fraction(1) if not isinstance(track, CopiedTrack) else 0)

    def _end(self, container: OutputContainer) -> None:
        for track in self._tracks.values():
            if not track.ended:
                try:
                    rest = track.finish()
                except av.FFmpegError:
                    track.faults += 1
                    rest = []
                self._mux(track, rest, container)
            if track.faults:
                self.warnings.append(f"{track.name}: {track.faults} pieces could not be carried over")
        self._packets = None

    def _mux(self, track: Track, packets: list[Packet[Any]], container: OutputContainer) -> None:
        for packet in packets:
            try:
                container.mux(packet)
            except (av.FFmpegError, ValueError, OSError) as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
                    raise
                track.ended = True
                self.warnings.append(f"{track.name}: the output takes no more of it: {getattr(error, 'strerror', None) or error}")
                return
