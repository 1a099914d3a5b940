"""Erase, then decorate: the only place that makes a SealedFrame.

The value written at a covered pixel is a function of pixels outside every cover of the frame, of the geometry of the
covers, and of constants; never of a covered pixel. Two frames that differ only under their cover are sealed alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import pixel_format
from anonymizer.redaction.color import NEUTRAL_RGB, Palette
from anonymizer.redaction.effects import EFFECTS, Effect, Painting
from anonymizer.redaction.fill import look_around
from anonymizer.redaction.grid import Grid, Sheet, Window, sheets_of
from anonymizer.redaction.mask import Cover, Patch, cover_of
from anonymizer.redaction.paint import painted
from anonymizer.types import _SEAL, Decision, Frame, Plane, SealedFrame

_STRIP_CELLS = 1 << 16  # Strips of this many cells and their float copies stay near the processor; measured.


def seal_frame(frame: Frame, decision: Decision, effect: Effect) -> SealedFrame:
    """The frame with every region of the decision covered.

    A frame of which nothing is covered keeps its read-only planes, uncopied; otherwise every plane is copied once. Raises
    ValueError for a decision made for another frame, and for a pixel format that is not workable.
    """
    pixels = pixel_format(frame.pixel_format)
    if pixels is None:
        raise ValueError(f"frame {frame.index}: {frame.pixel_format} is not a workable pixel format")
    palette, grid = Palette(pixels, frame.color, frame.size_wh[1]), Grid.of(frame, pixels)
    sheets = sheets_of(grid, pixels)
    if any(region.shape == "frame" for region in decision.regions):
        return _sealed(frame, decision, _blank(frame, sheets, palette))
    cover = cover_of(decision, grid, frame.spread_px, effect.feather)
    if not cover.patches:
        # A seal that can change later is none: what somebody may still write to is copied. A decoder's planes are read-only.
        return _sealed(frame, decision, tuple(np.array(plane) if plane.flags.writeable else plane for plane in frame.planes))
    planes = tuple(np.array(plane, order="C") for plane in frame.planes)
    _erase(planes, sheets, cover)
    _decorate(planes, sheets, cover, palette, effect)
    return _sealed(frame, decision, planes)


def _erase(planes: tuple[Plane, ...], sheets: tuple[Sheet, ...], cover: Cover) -> None:
    """Set every covered sample to 0: from here on nobody knows what was there."""
    for patch in cover.patches:
        clear: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for sheet, plane in zip(sheets, planes, strict=True):
            if sheet.shift_wh not in clear:
                clear[sheet.shift_wh] = cover.core_in(patch.window, sheet) ^ np.uint8(1)
            samples, keep = plane[sheet.spanned_by(patch.window)], clear[sheet.shift_wh]
            np.multiply(samples, keep if plane.ndim == 2 else keep[..., None], out=samples)


def _decorate(planes: tuple[Plane, ...], sheets: tuple[Sheet, ...], cover: Cover, palette: Palette, effect: Effect) -> None:
    """Paint the effect over every patch."""
    paint = EFFECTS[effect.kind]
    # All paintings before the first stroke: a patch that saw the paint of another would show in which order they came.
    paintings = [paint(look_around(planes, sheets, cover, patch, palette), effect) for patch in cover.patches]
    for patch, painting in zip(cover.patches, paintings, strict=True):
        for window in patch.window.strips(_STRIP_CELLS):
            _blend(planes, sheets, cover, patch, window, painting, palette)


def _blend(planes: tuple[Plane, ...], sheets: tuple[Sheet, ...], cover: Cover, patch: Patch, window: Window, painting: Painting, palette: Palette) -> None:
    """Write a part of the painting: all of it on the core, less and less of it on the soft edge."""
    strengths: dict[tuple[int, int], NDArray[np.float32]] = {}
    for sheet, plane in zip(sheets, planes, strict=True):
        if sheet.shift_wh not in strengths:
            strengths[sheet.shift_wh] = cover.strength_in(window, patch, sheet)
        samples, strength = plane[sheet.spanned_by(window)], strengths[sheet.shift_wh]
        mixed = painted(painting, window, patch, sheet, palette) - samples
        mixed *= strength if plane.ndim == 2 else strength[..., None]
        mixed += samples
        # Half up. A sample of which nothing is covered is still a whole number here, and keeps its value.
        mixed += np.float32(0.5)
        np.copyto(samples, mixed, casting="unsafe")


def _blank(frame: Frame, sheets: tuple[Sheet, ...], palette: Palette) -> tuple[Plane, ...]:
    """Planes of one neutral grey: where everything is covered there is nothing to diffuse."""
    grey = np.rint(palette.samples(np.asarray(NEUTRAL_RGB, np.float32)))
    planes = []
    for sheet, plane in zip(sheets, frame.planes, strict=True):
        blank = np.full(plane.shape, palette.opaque, plane.dtype)
        if plane.ndim == 3:
            blank[..., : len(grey)] = grey
        elif sheet.role != "a":
            blank[...] = grey[sheet.samples]
        planes.append(blank)
    return tuple(planes)


def _sealed(frame: Frame, decision: Decision, planes: tuple[Plane, ...]) -> SealedFrame:
    """The one construction of a SealedFrame in the project."""
    for plane in planes:
        plane.flags.writeable = False
    # Views, because an array that owns its memory may be made writable again.
    return SealedFrame(replace(frame, planes=tuple(plane.view() for plane in planes)), decision, token=_SEAL)
