"""Picture, video or something else: what a file in a folder is taken for, before anything of it is decoded."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

from anonymizer.media.images import is_image
from anonymizer.regular import open_regular

Kind = Literal["video", "image"]

_COMMON = (".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".mxf", ".wmv", ".asf")
_OTHERS = (".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".dv", ".ivf", ".obu", ".y4m", ".nut", ".rm", ".rmvb", ".insv", ".lrv")
_STREAMS = (".mjpeg", ".mjpg", ".h264", ".264", ".h265", ".265", ".hevc")
VIDEO_SUFFIXES = frozenset((*_COMMON, *_OTHERS, *_STREAMS))
AUDIO_SUFFIXES = frozenset((".m4a", ".m4b", ".mp3", ".aac", ".wav", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff", ".ac3", ".mka", ".weba"))
_CONTAINER_STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x06\x0e\x2b\x34", b"DKIF", b"YUV4MPEG2")


def kind_of(path: Path) -> Kind | None:
    """Content decides for pictures, the name for videos, then content again; None for anything else.

    A file that is missing, empty or text counts as what its name says: reading it then says what is wrong with it.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        is_file = os.path.islink(path)
    suffix = path.suffix.lower()
    if not is_file or suffix in AUDIO_SUFFIXES:  # A pipe or socket would hang whoever opens it.
        return None
    if is_image(path):
        return "image"
    return "video" if suffix in VIDEO_SUFFIXES or _starts_like_video(path) else None


def _starts_like_video(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            head = file.read(192)
    except OSError:
        return False
    is_transport_stream = len(head) > 188 and head[0] == head[188] == 0x47
    return head[4:8] == b"ftyp" or head.startswith(_CONTAINER_STARTS) or is_transport_stream or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
