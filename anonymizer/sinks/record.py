"""A camera's recording: segments that are whole and playable under their names, or not there at all."""

from __future__ import annotations

import contextlib
import os
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anonymizer.cameras.settings import Record
from anonymizer.errors import ConfigError
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.packets import Item
from anonymizer.media.files import OutputFile
from anonymizer.media.packet_muxing import PacketMuxer
from anonymizer.publishing import find_leftovers, finish_leftover, staged, target_of
from anonymizer.sinks.disk import FAULTS, DiskWorker, wall_time_s
from anonymizer.sinks.loop import first_message, run_sink
from anonymizer.sinks.whole import WHOLE_BYTES
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, SoundPacket, StreamFormat

_MUXERS = {"mp4": "mp4", "mkv": "matroska", "ts": "mpegts"}
# Fragments while it is written, so that a killed recording is worth finishing; an ordinary file once it is whole.
_OPTIONS = {"mp4": {"movflags": "frag_keyframe+hybrid_fragmented"}, "mkv": {"cluster_time_limit": "2000"}, "ts": {}}
_TIME = "%Y-%m-%dT%H-%M-%S"
_SYNC_BYTES = 8 << 20  # At the end of a long segment all of it at once would hold the thread for seconds.
_CLEAN_EVERY_S = 60.0
_MB = 1_000_000


def run(channel: Channel) -> None:
    """The process of one recording."""
    os.umask(0o077)  # Sealed, yet not for everybody: segments are their owner's alone.
    message, fds = first_message(channel)
    camera, settings = str(message["camera"]), Record.model_validate(message["output"])
    run_sink(channel, fds, DiskWorker(lambda: Recorder(camera, settings)))


class Recorder:
    """Cuts a camera's packets into segments at key frames, and removes the segments that are too old or too many."""

    def __init__(self, camera: str, settings: Record) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._folder = SegmentFolder(settings.folder, camera)
        self._folder.finish_leftovers()
        self._format: StreamFormat | None = None
        self._segment: _Segment | None = None
        self._cleaned_s = 0.0
        self._clean()

    def take(self, item: Item) -> None:
        """Write a packet; a new format, and a key frame at the right time or size, begin a new segment."""
        if isinstance(item, StreamFormat):
            if item != self._format:
                self._end_segment()
            self._format = item
            return
        if isinstance(item, SoundPacket):
            if self._segment is not None:
                self._segment.write(item)
            return
        if item.is_key and self._segment is not None and self._is_full(self._segment, item):
            self._end_segment()
        if self._segment is None:
            if not item.is_key or self._format is None:
                return
            self._segment = self._begin(self._format, item)
        self._segment.write(item)

    def tick(self) -> None:
        """Remove what has become too old."""
        if time.monotonic() - self._cleaned_s > _CLEAN_EVERY_S:
            self._clean()

    def close(self) -> None:
        """Publish the last segment, as far as it is whole."""
        with contextlib.suppress(*FAULTS):
            self._end_segment()

    def abandon(self) -> None:
        """The same: what is whole on a full disk is worth keeping."""
        self.close()

    def _is_full(self, segment: _Segment, key: EncodedPacket) -> bool:
        length_s = float((key.pts - segment.first_pts) * LIVE_TIME_BASE)
        # Time that stands still or runs backwards is not this file's: it would not play.
        return length_s >= self._settings.segment_s or length_s <= 0 or segment.bytes >= self._settings.segment_mb * _MB

    def _begin(self, stream: StreamFormat, key: EncodedPacket) -> _Segment:
        moment = datetime.fromtimestamp(wall_time_s(key), UTC)
        while True:
            try:
                return _Segment(self._folder.path_at(moment, self._settings.container), self._settings.container, stream)
            except ConfigError:  # The clock was set back, and there is one of that name already.
                moment += timedelta(milliseconds=1)

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.finish()
            self._clean()

    def _clean(self) -> None:
        self._cleaned_s = time.monotonic()
        # What cannot be removed is no reason to record nothing.
        with contextlib.suppress(*FAULTS):
            self._folder.remove_old(self._settings)


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    begun_s: float
    bytes: int


class SegmentFolder:
    """A camera's segments in a folder that may be other cameras' too: only what has the names we give is ever touched."""

    def __init__(self, folder: Path, camera: str) -> None:
        self._folder, self._camera = folder, camera
        self._name = re.compile(re.escape(camera) + r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)\.(\d{3})Z\.(mp4|mkv|ts)")

    def path_at(self, moment: datetime, container: str) -> Path:
        """The name of a segment that begins then: "gate_2026-11-28T16-03-34.120Z.mp4"."""
        return self._folder / f"{self._camera}_{moment.strftime(_TIME)}.{moment.microsecond // 1000:03d}Z.{container}"

    def finish_leftovers(self) -> None:
        """Publish what killed runs left of this camera's segments, as far as it is whole; the rest is removed."""
        for staging in find_leftovers(self._folder):
            target = target_of(staging)
            if target is not None and self._name.fullmatch(target.name):
                with contextlib.suppress(*FAULTS):
                    finish_leftover(staging, WHOLE_BYTES[staging.suffix])

    def segments(self) -> list[_Kept]:
        """The whole segments of this camera, oldest first."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # Somebody else may remove it in this moment; a date such as the 30th of February is no name of ours.
                with contextlib.suppress(OSError, ValueError):
                    if (named := self._name.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                        begun = datetime.strptime(named[1], _TIME).replace(tzinfo=UTC) + timedelta(milliseconds=int(named[2]))
                        found.append(_Kept(Path(entry.path), begun.timestamp(), entry.stat(follow_symlinks=False).st_size))
        return sorted(found, key=lambda kept: kept.path.name)

    def remove_old(self, settings: Record) -> None:
        """Remove segments that ended too long ago, then the oldest until the rest is small enough."""
        kept = self.segments()
        if settings.keep_s is not None:
            # By the name, not by the date of the file: a copy that was brought back is as old as it was.
            oldest_s = time.time() - settings.keep_s - settings.segment_s
            kept = [segment for segment in kept if segment.begun_s >= oldest_s or not _removed(segment)]
        if settings.keep_mb is not None:
            total = sum(segment.bytes for segment in kept)
            for segment in kept:
                if total <= settings.keep_mb * _MB:
                    break
                total -= segment.bytes * _removed(segment)


def _removed(segment: _Kept) -> bool:
    try:
        segment.path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


class _Segment:
    """One file under its hidden name; it gets its name by `finish` alone."""

    def __init__(self, target: Path, container: str, stream: StreamFormat) -> None:
        self.bytes = 0
        self.first_pts = 0
        self._synced = 0
        self._failure: Exception | None = None
        self._suffix = target.suffix
        with ExitStack() as stack:
            # Other cameras' leftovers in this folder are theirs to finish.
            self._staging = stack.enter_context(staged(target, sweep=False))
            self._file = OutputFile(self._staging)
            stack.callback(self._file.close)
            self._muxer = PacketMuxer(self._file, _MUXERS[container], stream, _OPTIONS[container])
            self._stack = stack.pop_all()

    def write(self, packet: EncodedPacket | SoundPacket) -> None:
        """Write a packet; OSError once the disk takes no more."""
        if self.bytes == 0:
            self.first_pts = packet.pts
        self._muxer.write(packet)
        self._file.check()
        self.bytes += len(packet.data)
        if self.bytes - self._synced > _SYNC_BYTES:
            self._synced = self.bytes
            descriptor = os.open(self._staging, os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def finish(self) -> None:
        """End the file and give it its name; if the disk is full, what is whole of it. Raises what was in the way."""
        with self._stack:
            try:
                self._muxer.close()
            except FAULTS as error:
                self._failure = error
            self._file.close()
            failure = self._file.failure or self._failure
            if failure is not None:
                with open(self._staging, "r+b") as file:
                    whole = WHOLE_BYTES[self._suffix](file)
                    if whole == 0:
                        raise failure
                    file.truncate(whole)
        if failure is not None:
            raise failure
