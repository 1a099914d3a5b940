"""Decoder frames in the pixel format and size the encoder was planned for, and how far that carries a pixel sideways."""

from __future__ import annotations

from math import ceil

import av
from av.video.reformatter import Interpolation, VideoReformatter

from anonymizer.media.planes import base_format, converted_color, is_full_range, is_rgb, plane_views, sws_matrix
from anonymizer.pixels import pixel_format
from anonymizer.types import Color, Plane

_BICUBIC_REACH = 4  # samples to either side that swscale's bicubic filter reads, one more than its 4 taps need
_DEMOSAIC_REACH_PX = 4  # a colour of a Bayer mosaic is made of its neighbours' samples, up to 2 to either side
_SIZE_REACH_PX = 8
_LIMITED, _FULL = 1, 2


class Converter:
    """Gives planes of `size_wh` in `target`, a workable format, from whatever a decoder gives."""

    def __init__(self, target: str, size_wh: tuple[int, int]) -> None:
        if pixel_format(target) is None:
            raise ValueError(f"{target} is not a workable pixel format")
        self._target = target
        self._size_wh = size_wh
        self._scaler = VideoReformatter()

    def planes(self, frame: av.VideoFrame, color: Color) -> tuple[tuple[Plane, ...], int, Color]:
        """The planes (the decoder's own where nothing differs), their spread in luma pixels, and their colour tags."""
        source = frame.format.name
        same_size = (frame.width, frame.height) == self._size_wh
        if is_full_range(source, color) and not is_rgb(source):
            color = Color(_FULL, color.primaries, color.transfer, color.matrix)
        if same_size and base_format(source) == base_format(self._target):
            return plane_views(frame), 0, color
        return self._converted(frame, source, color), self._spread_px(frame), converted_color(source, self._target, color, self._size_wh[1])

    def _converted(self, frame: av.VideoFrame, source: str, color: Color) -> tuple[Plane, ...]:
        after = converted_color(source, self._target, color, self._size_wh[1])
        matrix = sws_matrix(color if not is_rgb(source) else after, frame.height)
        converted = self._scaler.reformat(
            frame,
            *self._size_wh,
            # The old "j" formats would make swscale change the range, which the tags keep.
            base_format(self._target),
            src_colorspace=None if is_rgb(source) else matrix,
            dst_colorspace=None if is_rgb(self._target) else matrix,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP,
            src_color_range=_FULL if is_full_range(source, color) else _LIMITED,
            dst_color_range=_FULL if is_full_range(self._target, after) else _LIMITED,
        )
        return plane_views(converted)

    def _spread_px(self, frame: av.VideoFrame) -> int:
        width, height = self._size_wh
        if (frame.width, frame.height) != self._size_wh:
            ratio = max(width / frame.width, height / frame.height, 1.0)
            return _SIZE_REACH_PX + ceil(_SIZE_REACH_PX * ratio)
        if frame.format.name.startswith("bayer"):
            return _DEMOSAIC_REACH_PX
        before, after = _chroma_cell(frame.format.name), _chroma_cell(self._target)
        return 0 if before == after else _BICUBIC_REACH * max(*before, *after)


def _chroma_cell(name: str) -> tuple[int, int]:
    """Luma columns and rows that one chroma sample spans."""
    known = av.VideoFormat(name, 64, 64)
    return 64 // (known.chroma_width() or 64), 64 // (known.chroma_height() or 64)
