"""What only a decoded frame tells about its stream: orientation, fields, chroma location, HDR figures."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import av.filter
import av.logging

from anonymizer.media.faults import listening
from anonymizer.media.orientation import parse_display_matrix
from anonymizer.media.side_data import side_data_of

_SHOWN = re.compile(r"cl:(?P<chroma>\w+) .*? i:(?P<fields>[PTB]) ")


@dataclass(frozen=True, slots=True)
class FirstLook:
    """Facts of the first frame."""

    size_wh: tuple[int, int]
    pixel_format: str
    interlaced: bool
    top_field_first: bool
    matrix: tuple[int, ...] | None  # display matrix
    chroma_location: str | None  # FFmpeg's word: left, center, topleft, ...
    mastering: tuple[Fraction, ...] | None  # red xy, green xy, blue xy, white xy, min, max cd/m2
    light: tuple[int, int] | None  # MaxCLL, MaxFALL
    side_data: tuple[str, ...]  # FFmpeg's names
    time_s: float  # when it is shown, on the stream's own clock


def first_look(frame: av.VideoFrame, time_base: Fraction | None) -> FirstLook:
    """Read a frame's side data, and ask FFmpeg's `showinfo` filter for what PyAV does not show."""
    kinds: list[str] = []
    matrix = mastering = light = None
    for name, content in side_data_of(frame):
        kinds.append(name)
        if name == "DISPLAYMATRIX":
            matrix = parse_display_matrix(content)
        elif name == "MASTERING_DISPLAY_METADATA":
            mastering = _mastering(content)
        elif name == "CONTENT_LIGHT_LEVEL":
            light = struct.unpack("=2I", content[:8])
    chroma, fields = _shown(frame)
    return FirstLook(
        size_wh=(frame.width, frame.height),
        pixel_format=frame.format.name,
        interlaced=frame.interlaced_frame,
        top_field_first=fields == "T",
        matrix=matrix,
        chroma_location=None if chroma in (None, "unknown", "unspecified") else chroma,
        mastering=mastering,
        light=light,
        side_data=tuple(dict.fromkeys(kinds)),
        time_s=float((frame.pts or 0) * (time_base or 0)),
    )


def _mastering(data: bytes) -> tuple[Fraction, ...] | None:
    """libavutil/mastering_display_metadata.h: ten rationals, then whether they are set."""
    numbers = struct.unpack("=20i2i", data[:88])
    if not (numbers[20] and numbers[21]):
        return None
    return tuple(Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2))


def _shown(frame: av.VideoFrame) -> tuple[str | None, str | None]:
    """Chroma location and field order of a frame, as the `showinfo` filter logs them."""
    try:
        with listening(av.logging.INFO) as logs:
            graph = av.filter.Graph()
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
            show = graph.add("showinfo", "checksum=0")
            sink = graph.add("buffersink")
            source.link_to(show)
            show.link_to(sink)
            graph.configure()
            source.push(frame)
            sink.pull()
    except (av.FFmpegError, ValueError):
        return None, None
    for _, _, line in logs:
        if found := _SHOWN.search(line):
            return found["chroma"], found["fields"]
    return None, None
