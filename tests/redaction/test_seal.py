"""The seal changes what it must, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.pixels import pixel_format
from anonymizer.redaction import Effect, seal_frame
from anonymizer.redaction.mask import FEATHER_MAX_PX, FEATHER_MIN_PX
from anonymizer.types import Color, Decision, Frame, Region
from tests.redaction.frames import EFFECT_NAMES, FORMATS, effect_named, make_frame, scenes, with_planes

FACE = Region("face", "ellipse", (8.3, 4.2, 20.9, 18.4))


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), kind=st.sampled_from(EFFECT_NAMES), feather=st.sampled_from([0.0, 0.12, 0.4]))
def test_beyond_the_soft_edge_nothing_changes(name: str, data: st.DataObject, kind: str, feather: float) -> None:
    frame, decision = data.draw(scenes(name))
    sealed = seal_frame(frame, decision, effect_named(kind, feather))
    pixels = pixel_format(name)
    assert pixels is not None
    cell_w, cell_h = 1 << pixels.chroma_shift_wh[0], 1 << pixels.chroma_shift_wh[1] + frame.interlaced
    for index, (before, after) in enumerate(zip(frame.planes, sealed.frame.planes, strict=True)):
        shift_w, shift_h = pixels.shift_wh(index)
        x, y = np.arange(before.shape[1]) * 2**shift_w, np.arange(before.shape[0]) * 2**shift_h
        far = np.ones(before.shape[:2], bool)
        for region in decision.regions:
            left, top, right, bottom = region.xyxy
            soft = min(max(feather * min(right - left, bottom - top), FEATHER_MIN_PX[region.shape]), FEATHER_MAX_PX) + frame.spread_px
            beside = (x + 2**shift_w < left - soft - 2 * cell_w) | (x > right + soft + 2 * cell_w)
            above = (y + 2**shift_h < top - soft - 2 * cell_h) | (y > bottom + soft + 2 * cell_h)
            far &= beside[None] | above[:, None]
        assert np.array_equal(before[far], after[far])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", EFFECT_NAMES)
def test_input_is_never_written_to(kind: str, name: str) -> None:
    frame = make_frame(name)
    before = [plane.copy() for plane in frame.planes]
    sealed = seal_frame(frame, Decision(0, (FACE,)), effect_named(kind))
    for plane, kept, result in zip(frame.planes, before, sealed.frame.planes, strict=True):
        assert np.array_equal(plane, kept)
        assert not np.shares_memory(plane, result)
        assert (result.dtype, result.shape) == (plane.dtype, plane.shape)


@pytest.mark.parametrize(
    "regions",
    [
        pytest.param((), id="nothing-found"),
        pytest.param((Region("face", "box", (-9, -9, -1, -1)), Region("face", "ellipse", (90, 90, 99, 99))), id="all-outside"),
    ],
)
def test_frame_without_covered_pixels_is_not_copied(regions: tuple[Region, ...]) -> None:
    frame = make_frame("yuv420p")
    sealed = seal_frame(frame, Decision(0, regions), Effect())
    for plane, result in zip(frame.planes, sealed.frame.planes, strict=True):
        assert np.shares_memory(plane, result)
        assert result.flags.writeable is False


def test_everything_but_the_planes_is_handed_on() -> None:
    frame = make_frame("yuv420p10le", color=Color(2, 9, 16, 9), interlaced=True, top_field_first=True, duration=3, damaged=True)
    decision = Decision(0, (FACE,))
    sealed = seal_frame(frame, decision, Effect())
    assert sealed.decision is decision
    assert with_planes(sealed.frame, list(frame.planes)) == frame


def test_decision_for_another_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot seal frame 0"):
        seal_frame(make_frame("gray"), Decision(3), Effect())


def test_unworkable_pixel_format_is_refused() -> None:
    frame = make_frame("gray")
    packed = Frame(0, 0, frame.time_base, "yuyv422", frame.planes)
    with pytest.raises(ValueError, match="yuyv422 is not a workable"):
        seal_frame(packed, Decision(0), Effect())


@pytest.mark.parametrize("name", FORMATS)
def test_whole_frame_becomes_one_dark_grey(name: str) -> None:
    sealed = seal_frame(make_frame(name), Decision(0, (FACE, Region("damaged", "frame", (0, 0, 1, 1), origin="whole_frame"))), Effect())
    pixels = pixel_format(name)
    assert pixels is not None
    middle = 1 << (pixels.bits - 1)
    for role, plane in zip(pixels.planes, sealed.frame.planes, strict=True):
        flat = plane.reshape(-1, plane.shape[2] if plane.ndim == 3 else 1)
        assert (flat == flat[0]).all()
        for letter, value in zip(role, flat[0], strict=True):
            if letter == "a":
                assert value == 2 * middle - 1
            elif letter in "uv":
                assert value == middle
            else:
                assert 0.1 < value / (2 * middle) < 0.25


@pytest.mark.parametrize("name", [name for name in FORMATS if "a" in name.removeprefix("gray")])
@pytest.mark.parametrize("kind", EFFECT_NAMES)
def test_alpha_does_not_draw_what_is_covered(kind: str, name: str) -> None:
    sealed = seal_frame(make_frame(name, (40, 32)), Decision(0, (FACE,)), effect_named(kind))
    pixels = pixel_format(name)
    assert pixels is not None
    plane = sealed.frame.planes[-1]
    alpha = plane[..., -1] if plane.ndim == 3 else plane
    assert (alpha[6:16, 12:17] == (1 << pixels.bits) - 1).all()


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize("kind", EFFECT_NAMES)
@pytest.mark.usefixtures("thread_count")
def test_bytes_depend_neither_on_threads_nor_on_where_planes_lie(kind: str) -> None:
    frame = make_frame("yuv420p", (501, 403))
    decision = Decision(0, (Region("face", "ellipse", (30.5, 20.25, 400.1, 390.7)), Region("plate", "box", (300, 350, 600, 380))))
    planes = []
    for plane in frame.planes:
        # As a decoder gives them: rows longer than they need be, beginning anywhere.
        room = np.zeros((plane.shape[0], plane.shape[1] + 13), np.uint8)
        room[:, 5 : 5 + plane.shape[1]] = plane
        planes.append(room[:, 5 : 5 + plane.shape[1]])
    elsewhere = with_planes(frame, planes)
    cv2.setNumThreads(1)
    one = seal_frame(frame, decision, effect_named(kind))
    cv2.setNumThreads(4)
    for again in (frame, elsewhere, elsewhere):
        other = seal_frame(again, decision, effect_named(kind))
        for mine, yours in zip(one.frame.planes, other.frame.planes, strict=True):
            assert mine.tobytes() == yours.tobytes()


def test_damaged_neighbour_does_not_spoil_a_fill() -> None:
    """Two faces far apart are sealed apart: what lies around one has no part in the other's fill."""
    planes = [np.full((64, 256), 50, np.uint8)]
    planes[0][:, 128:] = 200
    frame = with_planes(make_frame("gray", (256, 64)), planes)
    sealed = seal_frame(frame, Decision(0, (Region("a", "ellipse", (20, 20, 44, 44)), Region("b", "ellipse", (210, 20, 234, 44)))), Effect())
    assert (sealed.frame.planes[0][:, :100] == 50).all()
    assert (sealed.frame.planes[0][:, 160:] == 200).all()


@pytest.mark.parametrize("kind", EFFECT_NAMES)
@pytest.mark.parametrize("far", [2e6, 1e9])
@pytest.mark.parametrize(("shape", "left"), [("box", -1.0), ("box", 20e-9), ("box", -0.0), ("ellipse", -1.0)])
def test_covers_that_reach_far_beyond_the_frame_cover_what_is_in_it(kind: str, far: float, shape: str, left: float) -> None:
    """As far as a plan or a zone may reach; nodes as large as such a cover would fill the memory."""
    frame = make_frame("rgb24")
    first = max(0, round(left * 1e9))
    region = Region("zone", shape, (left * 1e9 if left > 0 else left * far, -far, far, far))  # type: ignore[arg-type]
    other = frame.planes[0].copy()
    other[:, first:] ^= 0xFF
    seals = [seal_frame(each, Decision(0, (region,)), effect_named(kind)).frame.planes[0] for each in (frame, with_planes(frame, [other]))]
    assert np.array_equal(*seals)
    assert not np.array_equal(seals[0][:, first:], frame.planes[0][:, first:])
