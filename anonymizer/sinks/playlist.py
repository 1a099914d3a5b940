"""A live HLS playlist (RFC 8216): what it says, and how it is read again after a restart, so that its numbers go on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_ENTRY = re.compile(r"segment_(\d{8})\.m4s")  # At one a second, three years.
_MAP = re.compile(r'#EXT-X-MAP:URI="(init_\d{8}\.mp4)"')


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry: `init` is the initialization segment that it needs, `is_break` that its clock or coding is another one."""

    number: int
    duration_s: float
    init: str
    begun_s: float  # wall clock
    is_break: bool = False

    @property
    def name(self) -> str:
        """Its file."""
        return f"segment_{self.number:08d}.m4s"


@dataclass(slots=True)
class Playlist:
    """The newest segments; those that leave it are given back, as players may still be fetching them."""

    most: int
    least_target_s: int
    segments: list[Segment] = field(default_factory=list)
    next_number: int = 0
    breaks_gone: int = 0  # EXT-X-DISCONTINUITY-SEQUENCE: how many left with the segments that left
    has_ended: bool = False

    def add(self, segment: Segment) -> list[Segment]:
        """Append a segment; those that this pushes out, oldest first."""
        self.segments.append(segment)
        self.next_number = segment.number + 1
        gone, self.segments = self.segments[: -self.most], self.segments[-self.most :]
        self.breaks_gone += sum(old.is_break for old in gone)
        return gone

    def keep_newest(self, is_there: Callable[[Segment], bool]) -> None:
        """Leave out everything up to the last segment that is not there: numbers have no holes."""
        last = max((at for at, segment in enumerate(self.segments) if not is_there(segment)), default=-1)
        self.breaks_gone += sum(segment.is_break for segment in self.segments[: last + 1])
        self.segments = self.segments[last + 1 :]

    def text(self) -> str:
        """As players read it."""
        target_s = max([self.least_target_s, *(math.ceil(segment.duration_s) for segment in self.segments)])
        first = self.segments[0].number if self.segments else self.next_number
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target_s}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines += [f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.breaks_gone}", "#EXT-X-INDEPENDENT-SEGMENTS"]
        init = None
        for segment in self.segments:
            lines += ["#EXT-X-DISCONTINUITY"] * segment.is_break
            if segment.init != init:
                init = segment.init
                lines.append(f'#EXT-X-MAP:URI="{init}"')
            moment = datetime.fromtimestamp(segment.begun_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            lines += [f"#EXT-X-PROGRAM-DATE-TIME:{moment}", f"#EXTINF:{segment.duration_s:.5f},", segment.name]
        return "\n".join([*lines, *["#EXT-X-ENDLIST"] * self.has_ended, ""])


def read_playlist(text: str, most: int, least_target_s: int) -> Playlist:
    """What an earlier run wrote; lines that are not ours are passed over."""
    playlist = Playlist(most, least_target_s)
    init, is_break, begun_s, duration_s = "", False, 0.0, 0.0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "#EXT-X-MEDIA-SEQUENCE":
            playlist.next_number = _count(value)  # Without segments nothing else tells it.
        elif name == "#EXT-X-DISCONTINUITY-SEQUENCE":
            playlist.breaks_gone = _count(value)
        elif name == "#EXT-X-DISCONTINUITY":
            is_break = True
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            begun_s = _seconds(value)
        elif name == "#EXTINF":
            duration_s = _number(value.rstrip(","))
        elif found := _MAP.fullmatch(line):
            init = found[1]
        elif found := _ENTRY.fullmatch(line):
            if init and duration_s > 0:
                playlist.add(Segment(int(found[1]), duration_s, init, begun_s, is_break))
            is_break = False
    return playlist


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,8}", text) else 0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0
