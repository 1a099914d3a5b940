"""Boxes and pictures must turn the same way, for all eight orientations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from anonymizer.geometry import Geometry

ORIENTATIONS = range(1, 9)
SIZE_WH = (6, 4)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_box_around_one_pixel_finds_it_in_the_upright_picture(orientation: int) -> None:
    coded = np.arange(24, dtype=np.uint8).reshape(4, 6)
    geometry = Geometry(SIZE_WH, orientation)
    upright = geometry.upright(coded)
    left, top, right, bottom = geometry.to_displayed(np.array([[1, 2, 2, 3]], np.float32))[0].astype(int)
    assert upright.shape[::-1] == geometry.displayed_wh
    assert upright[top:bottom, left:right].tolist() == [[coded[2, 1]]]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(2), Fraction(8, 9)])
def test_boxes_survive_the_way_there_and_back(orientation: int, ratio: Fraction) -> None:
    geometry = Geometry((720, 576), orientation, ratio)
    boxes = np.array([[0, 0, 720, 576], [10.5, 20.25, 11, 300]], np.float32)
    there = geometry.to_displayed(boxes, (321, 123))
    assert (there[:, 2:] > there[:, :2]).all()
    assert np.allclose(geometry.to_coded(there, (321, 123)), boxes, atol=1e-3)


# What Exif says of orientation: which corner of the displayed picture the coded picture's first pixel comes to.
FIRST_PIXEL_AT = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left", 5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left"}


@pytest.mark.parametrize(("orientation", "corner"), FIRST_PIXEL_AT.items())
def test_first_pixel_comes_to_the_corner_exif_names(orientation: int, corner: str) -> None:
    coded = np.zeros((4, 6), np.uint8)
    coded[0, 0] = 1
    upright = Geometry(SIZE_WH, orientation).upright(coded)
    row, column = (int(i) for i in np.argwhere(upright)[0])
    assert corner == f"{'top' if row == 0 else 'bottom'} {'left' if column == 0 else 'right'}"


def test_wide_pixels_make_the_displayed_picture_wide() -> None:
    assert Geometry((640, 360), 1, Fraction(2)).displayed_wh == (1280, 360)
    assert Geometry((640, 360), 6, Fraction(2)).displayed_wh == (360, 1280)


@pytest.mark.parametrize("wrong", [{"coded_wh": (0, 4)}, {"coded_wh": (4, 4), "orientation": 9}, {"coded_wh": (4, 4), "sample_aspect_ratio": Fraction(0)}])
def test_impossible_geometry_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each message is its own
        Geometry(**wrong)  # type: ignore[arg-type]
