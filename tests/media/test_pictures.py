"""What a detector sees: upright, square pixels, right colours, and boxes that find their way back."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from anonymizer.geometry import Geometry
from anonymizer.media import picture_of
from anonymizer.media.planes import frame_of, plane_views
from anonymizer.types import Color, Frame

RED = (220, 30, 40)


def frame_with_box(size_wh: tuple[int, int], box: tuple[int, int, int, int], name: str, color: Color) -> Frame:
    """A grey frame with a red box at `box` of the coded picture."""
    rgb = np.full((size_wh[1], size_wh[0], 3), 128, np.uint8)
    rgb[box[1] : box[3], box[0] : box[2]] = RED
    matrix = {0: None, 1: "ITU709", 6: "ITU601"}[color.matrix]
    decoded = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=name, dst_colorspace=matrix, dst_color_range=color.range or None)
    return Frame(0, 0, Fraction(1, 25), name, plane_views(decoded), color=color)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3), Fraction(1, 2)])
def test_a_box_of_the_picture_is_found_in_the_coded_frame(orientation: int, aspect: Fraction) -> None:
    size_wh, box = (160, 96), (24, 16, 56, 40)
    geometry = Geometry(size_wh, orientation, aspect)
    frame = frame_with_box(size_wh, box, "yuv444p", Color(1, 1, 1, 1))
    picture = picture_of(frame, geometry, 120)
    height, width = picture.rgb.shape[:2]
    assert max(width, height) <= 120
    assert width / height == pytest.approx(geometry.displayed_wh[0] / geometry.displayed_wh[1], abs=0.03)
    rows, columns = np.nonzero((picture.rgb[..., 0] > 170) & (picture.rgb[..., 1] < 90))
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    assert picture.to_coded(seen)[0] == pytest.approx(box, abs=4)


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("yuv420p", Color(1, 1, 1, 1)),
        ("yuv420p", Color(1, 6, 6, 6)),
        ("yuv420p", Color(2, 1, 1, 1)),
        ("yuvj422p", Color(2, 1, 1, 1)),
        ("yuv420p10le", Color(1, 1, 1, 1)),
        ("yuv444p12le", Color(1, 1, 1, 1)),
        ("yuva420p", Color(1, 1, 1, 1)),
        ("gbrp", Color(2, 1, 1, 0)),
        ("gbrp10le", Color(2, 1, 1, 0)),
        ("rgb24", Color(2, 1, 1, 0)),
        ("rgba", Color(2, 1, 1, 0)),
        ("yuv410p", Color(1, 1, 1, 1)),
    ],
)
def test_colours_are_right_in_every_format(name: str, color: Color) -> None:
    frame = frame_with_box((64, 64), (0, 0, 64, 64), name, color)
    picture = picture_of(frame, Geometry((64, 64)), 32)
    assert picture.rgb.shape == (32, 32, 3)
    assert picture.rgb[16, 16].astype(int) == pytest.approx(RED, abs=6)


@pytest.mark.parametrize(
    ("size_wh", "long_side", "expected"), [((64, 48), 640, (48, 64)), ((64, 48), 32, (24, 32)), ((2, 2), 640, (2, 2)), ((1, 1), 9, (1, 1))]
)
def test_a_picture_is_never_enlarged(size_wh: tuple[int, int], long_side: int, expected: tuple[int, int]) -> None:
    frame = frame_with_box(size_wh, (0, 0, 1, 1), "yuv444p", Color(1, 1, 1, 1))
    assert picture_of(frame, Geometry(size_wh), long_side).rgb.shape[:2] == expected


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gbrap16le", "rgb48le", "rgba", "gray", "yuva444p12le", "yuv411p"])
@pytest.mark.parametrize("size_wh", [(64, 48), (67, 45), (1, 1), (3, 2)])
def test_planes_go_into_a_frame_and_out_again_unchanged(name: str, size_wh: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    empty = av.VideoFrame(*size_wh, name)
    planes = tuple(random.integers(0, 200, view.shape).astype(view.dtype) for view in plane_views(empty))
    views = plane_views(frame_of(planes, name))
    assert all(np.array_equal(one, other) for one, other in zip(planes, views, strict=True))
    with pytest.raises(ValueError, match="read-only"):
        views[0][0, 0] = 1
