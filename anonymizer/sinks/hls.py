"""A camera's stream as HLS in a folder, for a web server to give out: every file is whole before it has its name."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time

from anonymizer.cameras.settings import Hls
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.packets import Item
from anonymizer.publishing import staged, sweep_leftovers
from anonymizer.regular import create_regular, read_regular
from anonymizer.sinks.disk import FAULTS, DiskWorker, wall_time_s
from anonymizer.sinks.fragments import Fragments
from anonymizer.sinks.loop import first_message, run_sink
from anonymizer.sinks.playlist import Playlist, Segment, read_playlist
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, SoundPacket, StreamFormat

PLAYLIST = "live.m3u8"
_OURS = re.compile(r"(segment_\d{8}\.m4s|init_\d{8}\.mp4)")
_MOST_PLAYLIST_BYTES = 1 << 20
_MOST_SEGMENT_S = 30.0  # without a key frame for so long, what has come is a segment too late to be live: it is dropped


def run(channel: Channel) -> None:
    """The process of one HLS output."""
    message, fds = first_message(channel)
    settings = Hls.model_validate(message["output"])
    run_sink(channel, fds, DiskWorker(lambda: HlsFolder(settings)))


class HlsFolder:
    """Writes segments that begin at key frames, and a playlist that names only what is there."""

    def __init__(self, settings: Hls) -> None:
        self._folder, self._settings = settings.folder, settings
        self._folder.mkdir(parents=True, exist_ok=True)
        sweep_leftovers(self._folder)
        text = self._earlier_text()
        self._playlist = self._earlier(text)
        self._fragments: Fragments | None = None
        self._format: StreamFormat | None = None
        self._init = ""
        self._waiting: list[EncodedPacket] = []
        self._is_break = False
        # Those an earlier run no longer named have waited long enough.
        self._leaving: list[Segment] = []
        if text:
            self._write_playlist()  # The first segment may be long in coming, and players would go on with what was.
        self._remove_unnamed()

    def take(self, item: Item) -> None:
        """Write a packet; a new format begins a new initialization segment."""
        if isinstance(item, StreamFormat):
            if item != self._format:
                self._end_segment(None)
                self._fragments = None
            self._format = item
            return
        if isinstance(item, SoundPacket):
            return  # Players wait for a track that is named, and a camera may fall silent.
        if self._waiting and item.pts <= self._waiting[-1].pts:
            self._end_segment(None)  # Another clock: what follows does not continue this.
            self._fragments = None
        if self._waiting and item.is_key and self._length_s(item) >= self._settings.segment_s * 0.95:
            self._end_segment(item)
        if not self._waiting and not item.is_key:
            return
        self._waiting.append(item)
        if self._length_s(item) > _MOST_SEGMENT_S + self._settings.segment_s:
            self._waiting.clear()

    def tick(self) -> None:
        """Let go of what has become too old: while no packets come, none pushes it out."""
        count = len(self._playlist.segments)
        near_s = self._near_s(self._playlist)
        self._playlist.keep_newest(lambda segment: _age_s(segment) < near_s)
        if len(self._playlist.segments) < count:
            self._write_playlist()
            self._leaving.clear()
            self._remove_unnamed()

    def close(self) -> None:
        """Write the last segment, and that there will be no more."""
        with contextlib.suppress(*FAULTS):
            self._end_segment(None)
            self._playlist.has_ended = True
            self._write_playlist()

    def abandon(self) -> None:
        """Nothing to save: the playlist names whole segments only, and the next one reads it."""

    def _length_s(self, item: EncodedPacket) -> float:
        return float((item.pts - self._waiting[0].pts) * LIVE_TIME_BASE)

    def _end_segment(self, following: EncodedPacket | None) -> None:
        packets, self._waiting = self._waiting, []
        if not packets or self._format is None:
            return
        number = self._playlist.next_number
        if self._fragments is None:
            # On the machine's clock: times go on after a restart, for players that pass over EXT-X-DISCONTINUITY.
            self._fragments = Fragments(self._format, start_pts=0)
            self._init = f"init_{number:08d}.mp4"
            self._write(self._init, self._fragments.init)
            self._is_break = number > 0  # Also when all that came before is gone: players remember it.
        end_pts = following.pts if following is not None else packets[-1].pts + round(90_000 / (self._format.frame_rate or 25))
        duration_s = float((end_pts - packets[0].pts) * LIVE_TIME_BASE)
        segment = Segment(number, duration_s, self._init, wall_time_s(packets[0]), self._is_break)
        self._write(segment.name, self._fragments.fragment(packets, end_pts))
        self._is_break = False
        gone = self._playlist.add(segment)
        self._write_playlist()
        self._remove(gone)

    def _write_playlist(self) -> None:
        self._write(PLAYLIST, self._playlist.text().encode(), overwrite=True)

    def _write(self, name: str, data: bytes, *, overwrite: bool = False) -> None:
        with staged(self._folder / name, overwrite=overwrite, sweep=False) as staging, create_regular(staging) as file:
            file.write(data)

    def _earlier_text(self) -> str:
        try:
            return read_regular(self._folder / PLAYLIST, _MOST_PLAYLIST_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def _earlier(self, text: str) -> Playlist:
        """The playlist of an earlier run, without what is gone or old; its numbers go on, whatever else is lost."""
        names = self._names()
        playlist = read_playlist(text, self._settings.segments, math.ceil(self._settings.segment_s))
        near_s = self._near_s(playlist)
        playlist.keep_newest(lambda segment: segment.name in names and segment.init in names and _age_s(segment) < near_s)
        if playlist.next_number == 0:
            playlist.next_number = max((int(name[-12:-4]) + 1 for name in names), default=0)
        return playlist

    def _near_s(self, playlist: Playlist) -> float:
        """How old a segment may be for a player to want it still."""
        # Key frames may be further apart than was asked for: segments are then as long as they are.
        return 2 * self._settings.segments * max([self._settings.segment_s, *(segment.duration_s for segment in playlist.segments)])

    def _names(self) -> set[str]:
        with os.scandir(self._folder) as entries:
            return {entry.name for entry in entries if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)}

    def _remove(self, gone: list[Segment]) -> None:
        """Remove segments as late after they left the playlist as players may need: a whole playlist later."""
        self._leaving += gone
        if len(self._leaving) > self._settings.segments:
            self._leaving = self._leaving[-self._settings.segments :]
            self._remove_unnamed()

    def _remove_unnamed(self) -> None:
        kept = [*self._playlist.segments, *self._leaving]
        names = {segment.name for segment in kept} | {segment.init for segment in kept} | {self._init}
        for name in self._names() - names:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()


def _age_s(segment: Segment) -> float:
    # The future is as far as the past: the clock may have been set back.
    return abs(time.time() - segment.begun_s)
