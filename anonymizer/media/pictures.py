"""What a detector sees of a frame: small, upright, square pixels, RGB."""

from __future__ import annotations

from anonymizer.geometry import Geometry
from anonymizer.media.planes import frame_of, is_full_range, is_rgb, plane_views, sws_matrix
from anonymizer.types import Frame, Picture

_LIMITED, _FULL = 1, 2


def picture_of(frame: Frame, geometry: Geometry, long_side: int) -> Picture:
    """The displayed picture with its longer side at most `long_side` pixels, never enlarged.

    libswscale scales and converts in one pass, averaging areas: a face that is halved keeps all its pixels' worth.
    """
    displayed_w, displayed_h = geometry.displayed_wh
    scale = min(1.0, long_side / max(displayed_w, displayed_h))
    width, height = max(1, round(displayed_w * scale)), max(1, round(displayed_h * scale))
    if geometry.orientation > 4:  # Exif 5 to 8 are transposed; scaling comes before turning.
        width, height = height, width
    coded = frame_of(frame.planes, frame.pixel_format)
    matrix = sws_matrix(frame.color, frame.size_wh[1])
    full = _FULL if is_full_range(frame.pixel_format, frame.color) else _LIMITED
    small = coded.reformat(
        width,
        height,
        "rgb24",
        src_colorspace=None if is_rgb(frame.pixel_format) else matrix,
        dst_colorspace=None if is_rgb(frame.pixel_format) else matrix,
        interpolation="AREA",
        src_color_range=full,
        dst_color_range=_FULL,
        threads=1,
    )
    (rgb,) = plane_views(small)
    return Picture(frame.index, geometry.upright(rgb), geometry)
