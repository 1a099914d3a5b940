"""What FFmpeg attaches to a decoded frame, kinds that PyAV has no name for included."""

from __future__ import annotations

from typing import Any, cast

import av
from av.sidedata.sidedata import SideDataContainer, Type

# libavutil/frame.h of FFmpeg 8.1, newer than the list of PyAV 18.
_NEWER = {28: "LCEVC", 29: "VIEW_ID", 30: "3D_REFERENCE_DISPLAYS", 31: "EXIF"}


def side_data_of(frame: av.VideoFrame) -> list[tuple[str, bytes]]:
    """Kind, in FFmpeg's word, and content of each piece of a frame's side data."""
    # Not `frame.side_data`: that stays in the frame and points back at it, and the frame's pixels then wait in memory
    # for Python's rare search for circles, hundreds of frames at a time.
    pieces: Any = cast(Any, SideDataContainer)(frame)  # It is typed as a mapping, and iterates over its values.
    return [(piece.type.name, bytes(piece)) for piece in pieces]


def _named(kind: type[Type], value: object) -> Any:
    member: Any = object.__new__(kind)
    member._value_ = value
    member._name_ = _NEWER.get(value, f"KIND_{value}") if isinstance(value, int) else str(value)
    return member


# Of a frame with one kind that it has no name for PyAV tells nothing at all: not that it is turned, not its HDR figures.
Type._missing_ = classmethod(_named)  # type: ignore[method-assign,assignment]
