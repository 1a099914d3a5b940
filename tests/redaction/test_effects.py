"""Every effect looks as it says."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from anonymizer.geometry import Geometry
from anonymizer.pixels import pixel_format
from anonymizer.redaction import EFFECTS, Effect, seal_frame
from anonymizer.redaction.color import Palette
from anonymizer.types import Color, Decision, Frame, Region
from tests.redaction.frames import EFFECT_NAMES, FORMATS, effect_named, make_frame, with_planes

WRONG = [
    pytest.param({"kind": "smear"}, "no effect 'smear'; there are blur", id="unknown"),
    pytest.param({"kind": "solid", "color": (0, 0, 256)}, "0 to 255", id="colour-too-large"),
    pytest.param({"kind": "solid", "color": (0, 0)}, "red, green, blue", id="colour-of-two"),
    pytest.param({"feather": -0.1}, "share of 0 to 1", id="negative-feather"),
    pytest.param({"feather": float("nan")}, "share of 0 to 1", id="feather-not-a-number"),
    pytest.param({"kind": "image"}, "belongs to the effect", id="image-without-image"),
    pytest.param({"kind": "blur", "image": np.zeros((2, 2, 4), np.uint8)}, "belongs to the effect", id="image-for-blur"),
    pytest.param({"kind": "image", "image": np.zeros((2, 2, 3), np.uint8)}, "RGBA uint8", id="image-without-alpha"),
    pytest.param({"kind": "image", "image": np.zeros((2, 2, 4), np.float32)}, "RGBA uint8", id="image-of-floats"),
    pytest.param({"kind": "image", "image": np.zeros((0, 2, 4), np.uint8)}, "RGBA uint8", id="image-without-pixels"),
]


@pytest.mark.parametrize(("wishes", "problem"), WRONG)
def test_effect_that_cannot_be_painted_is_refused(wishes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Effect(**wishes)  # type: ignore[arg-type]


def test_default_effect_is_blur() -> None:
    assert Effect().kind == "blur"
    assert list(EFFECTS) == ["blur", "pixelate", "solid", "image"]


def flat(name: str, size_wh: tuple[int, int], rgb: tuple[int, int, int], color: Color | None = None) -> Frame:
    """A frame of one colour."""
    pixels = pixel_format(name)
    assert pixels is not None
    color = color or Color()
    frame = make_frame(name, size_wh, color=color)
    samples = np.rint(Palette(pixels, color, size_wh[1]).samples(np.asarray(rgb, np.float32)))
    planes, first = [], 0
    for plane, role in zip(frame.planes, pixels.planes, strict=True):
        count = len(role.replace("a", ""))
        full = np.full(plane.shape, (1 << pixels.bits) - 1, plane.dtype)
        if plane.ndim == 3:
            full[..., :count] = samples[first : first + count]
        elif count:
            full[:] = samples[first]
        first += count
        planes.append(full)
    return with_planes(frame, planes)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["blur", "pixelate"])
def test_nothing_shows_on_a_plain_wall(kind: str, name: str) -> None:
    """No seam, no rim, no tint: in every layout and depth the fill of one colour is that colour, to the last bit."""
    frame = flat(name, (67, 45), (180, 120, 60))
    regions = (Region("face", "ellipse", (10.5, 3.2, 31, 30)), Region("plate", "box", (40, 30.5, 80, 50)))
    sealed = seal_frame(frame, Decision(0, regions), Effect(kind))
    for before, after in zip(frame.planes, sealed.frame.planes, strict=True):
        assert np.array_equal(before, after)


def test_blur_carries_the_surroundings_across() -> None:
    """Left dark, right bright: so is the fill, without a step anywhere."""
    ramp = np.broadcast_to(np.linspace(20, 220, 96).astype(np.uint8), (64, 96)).copy()
    frame = with_planes(make_frame("gray", (96, 64)), [ramp])
    sealed = seal_frame(frame, Decision(0, (Region("face", "ellipse", (24, 8, 72, 56)),)), Effect())
    middle = sealed.frame.planes[0][32].astype(int)
    assert np.abs(np.diff(middle)).max() < 9
    assert middle[26] < 100 < 140 < middle[70]


def test_blur_draws_nothing_in_that_crosses_the_rim() -> None:
    """A plate's frame goes on beside it, and a beard beside a face: continued into the cover, both would be told from it."""
    stripes = np.broadcast_to((128 + 100 * np.sin(np.arange(160) * 2 * np.pi / 16)).astype(np.uint8), (128, 160)).copy()
    frame = with_planes(make_frame("gray", (160, 128)), [stripes])
    sealed = seal_frame(frame, Decision(0, (Region("plate", "box", (48, 32, 112, 96)),)), Effect(feather=0)).frame.planes[0]
    for row in (33, 36, 64, 95):
        assert np.ptp(sealed[row, 56:104].astype(int)) < 12
        assert abs(np.corrcoef(sealed[row, 56:104], stripes[row, 56:104])[0, 1]) < 0.5


def _stripes_under(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    """Stripes of 16 px, 320 x 240, with faces sealed; without soft edges."""
    stripes = np.broadcast_to((128 + 100 * np.sin(np.arange(320) * 2 * np.pi / 16)).astype(np.uint8), (240, 320)).copy()
    regions = tuple(Region("face", "ellipse", box) for box in boxes)
    return seal_frame(with_planes(make_frame("gray", (320, 240)), [stripes]), Decision(0, regions), Effect(feather=0)).frame.planes[0].astype(int)


@pytest.mark.parametrize("side", [32, 64, 128])
def test_fill_does_not_jump_when_a_face_grows(side: int) -> None:
    """Its grid is twice as coarse from a power of two on."""
    below, above = (_stripes_under((160 - one / 2, 120 - one / 2, 160 + one / 2, 120 + one / 2)) for one in (side - 0.1, side + 0.1))
    middle = slice(120 - side // 4, 120 + side // 4), slice(160 - side // 4, 160 + side // 4)
    assert np.abs(below[middle] - above[middle]).mean() < 3


def test_a_tiny_neighbour_does_not_sharpen_the_fill_of_a_large_face() -> None:
    large = (100.0, 50.0, 220.0, 190.0)
    alone, beside = _stripes_under(large), _stripes_under(large, (217.0, 117.0, 223.0, 123.0))
    middle = slice(75, 165), slice(120, 200)
    assert np.abs(alone[middle] - beside[middle]).mean() < 3
    assert beside[middle].std() < alone[middle].std() + 2


def test_blocks_of_pixelate_stand_still_when_the_box_moves() -> None:
    frame = make_frame("gray", (160, 128), seed=3)
    edges = []
    for moved in (0.0, 0.4, 1.7, 3.2):
        region = Region("face", "box", (40 + moved, 32 + moved, 104 + moved, 96 + moved))
        inside = seal_frame(frame, Decision(0, (region,)), Effect("pixelate")).frame.planes[0][44:92, 48:100].astype(int)
        edges.append(set(np.flatnonzero(np.abs(np.diff(inside, axis=1)).sum(axis=0)) + 1))
    for some in edges:
        assert some <= {edge - 48 for edge in range(48, 104, 16)}
    assert any(edges)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("color", [Color(), Color(range=1, matrix=1), Color(range=2, matrix=5), Color(range=1, matrix=9)])
def test_solid_is_the_colour_that_was_asked_for(name: str, color: Color) -> None:
    """Seen through FFmpeg's own conversion to RGB."""
    sealed = seal_frame(make_frame(name, (48, 48), color=color), Decision(0, (Region("zone", "box", (0, 0, 48, 48)),)), Effect("solid", color=(200, 80, 40)))
    wanted = (200, 80, 40) if not name.startswith("gray") else None
    shown = _as_ffmpeg_shows(sealed.frame)[24, 24].astype(int)
    if wanted is None:
        assert shown.max() - shown.min() <= 2
        assert 95 < shown[0] < 130
    else:
        assert np.abs(shown - wanted).max() <= 4


def _as_ffmpeg_shows(frame: Frame) -> np.ndarray:
    video = av.VideoFrame(*frame.size_wh, frame.pixel_format)
    for target, plane in zip(video.planes, frame.planes, strict=True):
        rows = np.zeros((target.height, target.line_size), np.uint8)
        data = np.ascontiguousarray(plane).reshape(plane.shape[0], -1).view(np.uint8)
        rows[:, : data.shape[1]] = data
        target.update(rows)
    matrix = {1: 1, 5: 5, 9: 9}.get(frame.color.matrix, 5)
    full = frame.color.range == 2 or frame.pixel_format.startswith("yuvj") or (frame.color.range == 0 and frame.pixel_format.startswith("gray"))
    return video.reformat(format="rgb24", src_colorspace=matrix, src_color_range=2 if full else 1, dst_color_range=2).to_ndarray()


HALF_RED = np.zeros((8, 8, 4), np.uint8)
HALF_RED[:, :4] = (255, 0, 0, 255)


def test_image_is_fitted_into_the_region_and_clear_where_it_is_clear() -> None:
    frame = flat("rgb24", (80, 60), (10, 200, 90))
    sealed = seal_frame(frame, Decision(0, (Region("face", "box", (20, 10, 60, 30)),)), Effect("image", image=HALF_RED)).frame.planes[0]
    # 8 x 8 into 40 x 20: 20 x 20 in the middle, of which the left half is red.
    assert (sealed[12:28, 31:39] == (255, 0, 0)).all()
    assert (sealed[:, 42:] == (10, 200, 90)).all()
    assert (sealed[:, :29] == (10, 200, 90)).all()
    over = seal_frame(frame, Decision(0, (Region("face", "box", (20, 10, 60, 30)),)), Effect("image", color=(1, 2, 3), image=HALF_RED)).frame.planes[0]
    assert (over[12:28, 22:28] == (1, 2, 3)).all()
    assert (over[12:28, 42:58] == (1, 2, 3)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_appears_upright_and_undistorted_on_the_screen(orientation: int) -> None:
    picture = np.zeros((32, 64, 4), np.uint8)
    picture[:16, :32] = (255, 0, 0, 255)
    picture[16:, :32] = (0, 255, 0, 255)
    picture[:, 32:] = (0, 0, 255, 255)
    geometry = Geometry((96, 96), orientation, Fraction(2))
    effect = Effect("image", image=picture).turned_for(geometry)
    sealed = seal_frame(flat("rgb24", (96, 96), (90, 90, 90)), Decision(0, (Region("face", "box", (8, 8, 88, 88)),)), effect)
    shown = geometry.upright(sealed.frame.planes[0])
    # Square pixels again: the width of the coded frame is doubled.
    doubled = np.repeat(shown, 2, axis=0 if orientation > 4 else 1)
    drawn = np.argwhere((doubled == 0).any(axis=2))
    top, left = drawn.min(axis=0)
    bottom, right = drawn.max(axis=0) + 1
    assert (right - left) / (bottom - top) == pytest.approx(2, rel=0.1)
    height, width = bottom - top, right - left
    assert doubled[top + height // 4, left + width // 4].tolist() == [255, 0, 0]
    assert doubled[top + 3 * height // 4, left + width // 4].tolist() == [0, 255, 0]
    assert doubled[top + height // 2, left + 3 * width // 4].tolist() == [0, 0, 255]


def test_effect_keeps_a_picture_of_its_own() -> None:
    picture = HALF_RED.copy()
    effect = Effect("image", image=picture)
    picture[:] = 9
    assert effect.image is not None
    assert np.array_equal(effect.image, HALF_RED)


@pytest.mark.parametrize("kind", EFFECT_NAMES)
def test_dark_grey_where_nothing_is_left_to_look_at(kind: str) -> None:
    """A region over everything: the fill has no surroundings, and a picture still has something to lie on."""
    effect = Effect(kind) if kind != "image" else effect_named(kind)
    sealed = seal_frame(make_frame("rgb24", (24, 24)), Decision(0, (Region("zone", "box", (-50, -50, 90, 90)),)), effect)
    if kind != "image":
        assert (sealed.frame.planes[0] == 40).all()


@pytest.mark.parametrize(("level", "sample"), [(40, 50), (41, 51), (42, 52), (43, 53), (200, 188)])
def test_samples_are_rounded_to_the_nearest(level: int, sample: int) -> None:
    """16 + 219 * level / 255, as BT.601 has it: 50.35, 51.21, 52.07, 52.93, 187.76."""
    region = Region("zone", "box", (0, 0, 24, 24))
    sealed = seal_frame(make_frame("yuv420p", (24, 24)), Decision(0, (region,)), Effect("solid", color=(level, level, level)))
    assert np.unique(sealed.frame.planes[0]).tolist() == [sample]
    assert np.unique(sealed.frame.planes[1]).tolist() == [128]
