"""Frames and decisions for the tests of redaction: every workable layout, regions wherever a tracker may put them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonymizer.pixels import pixel_format
from anonymizer.redaction import EFFECTS, Effect
from anonymizer.redaction.grid import Grid, Sheet, sheets_of
from anonymizer.redaction.mask import Cover, cover_of
from anonymizer.types import Color, Decision, Frame, Plane, Region

FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuva420p", "yuva444p10le"),
    *("yuv420p9le", "yuv420p10le", "yuv422p10le", "yuv440p10le", "yuv444p12le", "yuv422p16le"),
    *("gbrp", "gbrap", "gbrp10le", "gbrap12le", "gray", "gray10le", "gray16le"),
    *("rgb24", "bgr24", "rgba", "bgra", "rgb48le", "rgba64le"),
]


def make_frame(name: str = "yuv420p", size_wh: tuple[int, int] = (32, 24), *, seed: int = 0, **more: object) -> Frame:
    """A frame of noise with read-only planes, as a reader gives it."""
    pixels = pixel_format(name)
    assert pixels is not None
    random = np.random.default_rng(seed)
    planes = []
    for index, role in enumerate(pixels.planes):
        width, height = pixels.plane_wh(index, size_wh)
        shape = (height, width) if len(role) == 1 else (height, width, len(role))
        planes.append(random.integers(0, 1 << pixels.bits, shape).astype(np.uint8 if pixels.bits == 8 else np.uint16))
    return with_planes(Frame(0, 0, Fraction(1, 25), name, tuple(planes), **more), planes)  # type: ignore[arg-type]


def with_planes(frame: Frame, planes: list[Plane]) -> Frame:
    """The frame with other planes, made read-only."""
    for plane in planes:
        plane.flags.writeable = False
    return Frame(**{name: getattr(frame, name) for name in Frame.__dataclass_fields__} | {"planes": tuple(planes)})


def cover_and_sheets(frame: Frame, decision: Decision, effect: Effect) -> tuple[Cover, tuple[Sheet, ...]]:
    """What the seal makes of a decision."""
    pixels = pixel_format(frame.pixel_format)
    assert pixels is not None
    grid = Grid.of(frame, pixels)
    return cover_of(decision, grid, frame.spread_px, effect.feather), sheets_of(grid, pixels)


def core_of(frame: Frame, decision: Decision, effect: Effect) -> list[NDArray[np.bool_]]:
    """The core in each plane, spelt out cell by cell."""
    cover, sheets = cover_and_sheets(frame, decision, effect)
    cores = []
    for sheet in sheets:
        core = cover.core.repeat(sheet.cell_wh[1], axis=0).repeat(sheet.cell_wh[0], axis=1)
        cores.append(core[: sheet.size_wh[1], : sheet.size_wh[0]].astype(bool))
    return cores


def scrambled(frame: Frame, masks: list[NDArray[np.bool_]], seed: int) -> Frame:
    """The same frame with other samples where the masks say so."""
    other = make_frame(frame.pixel_format, frame.size_wh, seed=seed)
    planes = [np.where(mask if mine.ndim == 2 else mask[..., None], new, mine) for mask, mine, new in zip(masks, frame.planes, other.planes, strict=True)]
    return with_planes(frame, planes)


def effect_named(kind: str, feather: float = 0.12) -> Effect:
    """An effect of that name, with a picture that has holes and a colour of its own where it needs them."""
    if kind != "image":
        return Effect(kind, color=(200, 30, 90) if kind == "solid" else None, feather=feather)
    image = np.random.default_rng(7).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    image[2:4, 1:5, 3] = 0
    return Effect("image", image=image, feather=feather)


def touched_by(region: Region, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels any part of which an ellipse or box touches, found by looking at 9 x 9 points of each: not the code's way."""
    left, top, right, bottom = region.xyxy
    steps = (np.arange(9) + 0.5) / 9
    x = (np.arange(size_wh[0])[:, None] + steps).reshape(-1)
    y = (np.arange(size_wh[1])[:, None] + steps).reshape(-1)
    if region.shape == "box":
        inside = ((y > top) & (y < bottom))[:, None] & ((x > left) & (x < right))[None]
    else:
        across, down = (x - (left + right) / 2) / ((right - left) / 2), (y - (top + bottom) / 2) / ((bottom - top) / 2)
        inside = (down**2)[:, None] + (across**2)[None] < 1
    return np.asarray(inside.reshape(size_wh[1], 9, size_wh[0], 9).any(axis=(1, 3)))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """A region inside, across or beyond the edges, down to fractions of a pixel; whole numbers often, for exact edges."""
    at = st.one_of(st.integers(-12, 44).map(float), st.floats(-12, 44))
    side = st.one_of(st.sampled_from([0.25, 1.0, 2.0, 3.0, 80.0]), st.floats(0.25, 30))
    left, top = draw(at), draw(at)
    shape = draw(st.sampled_from(["ellipse", "box"]))
    return Region("face", shape, (left, top, left + draw(side), top + draw(side)))


@st.composite
def scenes(draw: st.DrawFn, name: str) -> tuple[Frame, Decision]:
    """A frame of that format and a decision with up to four regions, which may overlap."""
    size_wh = (draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    frame = make_frame(
        name,
        size_wh,
        seed=draw(st.integers(0, 99)),
        interlaced=draw(st.booleans()),
        spread_px=draw(st.sampled_from([0, 0, 1, 3])),
        color=Color(range=draw(st.integers(0, 2)), matrix=draw(st.sampled_from([1, 2, 5, 9]))),
    )
    return frame, Decision(0, tuple(draw(st.lists(regions(), min_size=1, max_size=4))))


EFFECT_NAMES = sorted(EFFECTS)
