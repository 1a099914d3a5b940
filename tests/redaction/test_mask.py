"""Cores hold every pixel that a region touches, on whole chroma samples; edges are soft and lie outside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.pixels import pixel_format
from anonymizer.redaction import Effect
from anonymizer.redaction.mask import Soft
from anonymizer.types import Decision, Frame, Region
from tests.redaction.frames import FORMATS, core_of, cover_and_sheets, make_frame, regions, scenes, touched_by


def cores(frame: Frame, *decided: Region) -> list[np.ndarray]:
    return core_of(frame, Decision(0, decided), Effect())


@given(region=regions(), spread_px=st.sampled_from([0, 1, 2]))
def test_core_without_chroma_grid_is_what_the_region_touches(region: Region, spread_px: int) -> None:
    frame = make_frame("yuv444p", (40, 36), spread_px=spread_px)
    left, top, right, bottom = region.xyxy
    roomy = Region("face", region.shape, (left + 4, top + 4, right + 4, bottom + 4))
    touched = touched_by(roomy, (48, 44)).astype(np.uint8)
    grown = cv2.dilate(touched, np.ones((2 * spread_px + 1, 2 * spread_px + 1), np.uint8))[4:40, 4:44]
    core = cores(frame, region)[0]
    assert not (grown & ~core).any()
    # Nine points along a pixel's side can miss a sliver, but no more than that where the region is no needle.
    if min(right - left, bottom - top) >= 2:
        assert not (core & ~cv2.dilate(grown, np.ones((3, 3), np.uint8)).astype(bool)).any()


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_core_holds_every_touched_pixel_and_whole_cells(name: str, data: st.DataObject) -> None:
    frame, decision = data.draw(scenes(name))
    planes = core_of(frame, decision, Effect())
    touched = np.zeros((frame.size_wh[1], frame.size_wh[0]), bool)
    for region in decision.regions:
        touched |= touched_by(region, frame.size_wh)
    pixels = pixel_format(name)
    assert pixels is not None
    for index, core in enumerate(planes):
        shift_w, shift_h = pixels.shift_wh(index)
        spread = core.repeat(1 << shift_h, axis=0).repeat(1 << shift_w, axis=1)[: touched.shape[0], : touched.shape[1]]
        assert not (touched & ~spread).any()
        # Luma and chroma agree: the core of every plane, spread over luma pixels, is the same.
        assert np.array_equal(spread, planes[0])


EXACT = [
    pytest.param("yuv420p", (3.0, 3.0, 5.0, 5.0), (2, 2, 6, 6), id="420-grows-to-whole-chroma-samples"),
    pytest.param("yuv420p", (4.0, 4.0, 6.0, 6.0), (4, 4, 6, 6), id="420-on-the-grid-stays"),
    pytest.param("yuv420p", (3.999, 4.0, 6.001, 6.0), (2, 4, 8, 6), id="a-thousandth-of-a-pixel-counts"),
    pytest.param("yuv422p", (3.0, 3.0, 5.0, 5.0), (2, 3, 6, 5), id="422-grows-sideways-only"),
    pytest.param("yuv440p", (3.0, 3.0, 5.0, 5.0), (3, 2, 5, 6), id="440-grows-up-and-down-only"),
    pytest.param("yuv411p", (5.0, 3.0, 6.0, 5.0), (4, 3, 8, 5), id="411-grows-to-four-columns"),
    pytest.param("yuv410p", (5.0, 5.0, 6.0, 6.0), (4, 4, 8, 8), id="410-grows-to-four-by-four"),
    pytest.param("rgb24", (3.2, 3.0, 4.1, 5.0), (3, 3, 5, 5), id="packed-has-no-grid"),
    pytest.param("yuv420p", (15.0, 11.0, 99.0, 99.0), (14, 10, 17, 13), id="cut-at-an-odd-size"),
    pytest.param("yuv420p", (-9.0, -9.0, 0.5, 0.5), (0, 0, 2, 2), id="cut-at-the-top-left"),
]


@pytest.mark.parametrize(("name", "xyxy", "expected"), EXACT)
def test_core_of_a_box(name: str, xyxy: tuple[float, float, float, float], expected: tuple[int, int, int, int]) -> None:
    core = cores(make_frame(name, (17, 13)), Region("plate", "box", xyxy))[0]
    left, top, right, bottom = expected
    wanted = np.zeros((13, 17), bool)
    wanted[top:bottom, left:right] = True
    assert np.array_equal(core, wanted)


def test_interlaced_core_holds_whole_chroma_samples_of_both_fields() -> None:
    luma, chroma, _ = cores(make_frame("yuv420p", (16, 16), interlaced=True), Region("plate", "box", (4, 5, 6, 6)))
    assert np.flatnonzero(luma.any(axis=1)).tolist() == [4, 5, 6, 7]
    assert np.flatnonzero(chroma.any(axis=1)).tolist() == [2, 3]


def test_spread_grows_the_core_by_whole_pixels() -> None:
    core = cores(make_frame("yuv444p", (20, 20), spread_px=3), Region("plate", "box", (8.5, 8, 11, 11)))[0]
    assert np.flatnonzero(core.any(axis=0)).tolist() == list(range(5, 14))
    assert np.flatnonzero(core.any(axis=1)).tolist() == list(range(5, 14))


def test_region_beside_the_frame_covers_what_its_spread_reaches() -> None:
    core = cores(make_frame("yuv444p", (20, 20), spread_px=3), Region("plate", "box", (-5, 0, -1, 20)))[0]
    assert np.flatnonzero(core.any(axis=0)).tolist() == [0, 1]


@given(regions())
def test_soft_edge_is_full_on_the_region_and_gone_beyond_its_width(region: Region) -> None:
    soft = Soft(region, (1.0, 1.0), 5.0)
    x, y = np.arange(-30, 150, dtype=np.float32) + np.float32(0.5), np.arange(-30, 150, dtype=np.float32) + np.float32(0.5)
    strength = soft.strength(x, y)
    assert strength.min() >= 0
    assert strength.max() <= 1
    left, top, right, bottom = region.xyxy
    if region.shape == "box":
        inside = ((y > top) & (y < bottom))[:, None] & ((x > left) & (x < right))[None]
    else:
        inside = (((y - (top + bottom) / 2) / (bottom - top) * 2) ** 2)[:, None] + (((x - (left + right) / 2) / (right - left) * 2) ** 2)[None] < 1
    assert (strength[inside] > 0.9999).all()
    left, top, right, bottom = soft.xyxy
    beyond = ((y < top) | (y > bottom))[:, None] | ((x < left) | (x > right))[None]
    assert (strength[beyond] < 1e-4).all()


def test_regions_whose_edges_meet_are_sealed_as_one_and_others_apart() -> None:
    frame = make_frame("yuv420p", (200, 100))
    near = [Region("face", "ellipse", (10 + 18 * step, 10, 30 + 18 * step, 30)) for step in range(4)]
    cover, _ = cover_and_sheets(frame, Decision(0, (near[0], near[2], Region("face", "box", (150, 60, 170, 80)), near[1], near[3])), Effect())
    assert sorted(len(patch.soft) for patch in cover.patches) == [1, 4]
