"""Between FFmpeg's frames and numpy planes: zero-copy on the way in, one copy on the way out."""

from __future__ import annotations

from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat, pixel_format
from anonymizer.types import Color, Plane

# libavutil/pixfmt.h: AVColorSpace values that libswscale can convert with.
_KNOWN_MATRICES = (1, 4, 5, 6, 7, 9)
_RGB_MATRIX = 0
_LIMITED, _FULL = 1, 2
_HD_HEIGHT = 720  # From here on FFmpeg and players take untagged pictures for BT.709.


def base_format(name: str) -> str:
    """The format without FFmpeg's deprecated "j" for full range: yuvj420p holds the same planes as yuv420p."""
    return name.replace("yuvj", "yuv", 1) if name.startswith("yuvj") else name


def plane_views(frame: av.VideoFrame) -> tuple[Plane, ...]:
    """Read-only views on a frame's planes, without the decoder's padding; they keep the frame alive."""
    return _views(frame, _workable(frame.format.name), writeable=False)


def frame_of(planes: tuple[Plane, ...], format_name: str) -> av.VideoFrame:
    """A fresh FFmpeg frame that holds a copy of `planes` and nothing else: no side data, no time, no tags."""
    height, width = planes[0].shape[:2]
    frame = av.VideoFrame(width, height, format_name)
    for target, source in zip(_views(frame, _workable(format_name), writeable=True), planes, strict=True):
        np.copyto(target, source, casting="no")
    return frame


def _workable(name: str) -> PixelFormat:
    known = pixel_format(name)
    if known is None:
        raise ValueError(f"{name} has no planes of whole samples")
    return known


def _views(frame: av.VideoFrame, known: PixelFormat, *, writeable: bool) -> tuple[NDArray[Any], ...]:
    dtype = np.dtype("<u2") if known.bytes_per_sample == 2 else np.dtype(np.uint8)
    views = []
    for index, plane in enumerate(frame.planes):
        columns, rows = known.plane_wh(index, (frame.width, frame.height))
        samples = len(known.planes[index]) if len(known.planes) == 1 and len(known.planes[0]) > 1 else 1
        row_bytes = plane.line_size
        # A picture stored bottom-up has a negative line size, and PyAV's buffer begins at its last row.
        offset = (rows - 1) * -row_bytes if row_bytes < 0 else 0
        shape: tuple[int, ...] = (rows, columns, samples) if samples > 1 else (rows, columns)
        strides = (row_bytes, dtype.itemsize * samples, dtype.itemsize)[: len(shape)]
        view: NDArray[Any] = np.ndarray(shape, dtype, buffer=cast(Any, plane), offset=offset, strides=strides)
        view.flags.writeable = writeable
        views.append(view)
    return tuple(views)


def is_rgb(name: str) -> bool:
    """Whether samples are red, green and blue rather than luma and chroma."""
    return bool(av.VideoFormat(name, 16, 16).is_rgb) or name.startswith("pal")


def converted_color(source: str, target: str, color: Color, height: int) -> Color:
    """The tags a frame has after it was converted between two pixel formats."""
    from_rgb, to_rgb = is_rgb(source), is_rgb(target)
    if from_rgb == to_rgb:
        return color
    if to_rgb:
        return Color(_FULL, color.primaries, color.transfer, _RGB_MATRIX)
    return Color(_LIMITED, color.primaries, color.transfer, 1 if height >= _HD_HEIGHT else 6)


def sws_matrix(color: Color, height: int) -> int:
    """libswscale's number (SWS_CS_*) of the matrix a viewer would use."""
    if color.matrix in _KNOWN_MATRICES:
        return 5 if color.matrix == 6 else color.matrix
    return 1 if height >= _HD_HEIGHT else 5


def is_full_range(format_name: str, color: Color) -> bool:
    """Whether the samples span all their values."""
    return color.range == _FULL or format_name.startswith("yuvj") or is_rgb(format_name)
