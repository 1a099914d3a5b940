"""Erase, then decorate: the only place that makes a SealedFrame.

The value written at a covered pixel is a function of pixels outside every cover of the frame, of the geometry of the
covers, and of constants; never of a covered pixel. See docs/architecture.md, "Sealed effects".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat, pixel_format
from anonymizer.redaction.color import NEUTRAL_RGB, samples_of
from anonymizer.redaction.effects import EFFECTS, Effect, Painting
from anonymizer.redaction.fill import look_around
from anonymizer.redaction.mask import Cover, Patch, cover_of
from anonymizer.redaction.paint import painted
from anonymizer.types import _SEAL, Decision, Frame, Plane, SealedFrame


def seal_frame(frame: Frame, decision: Decision, effect: Effect) -> SealedFrame:
    """The frame with every region of the decision covered.

    A frame of which nothing is covered keeps its planes, uncopied; otherwise every plane is copied once. Raises
    ValueError for a decision made for another frame, and for a pixel format that is not workable.
    """
    pixels = pixel_format(frame.pixel_format)
    if pixels is None:
        raise ValueError(f"frame {frame.index}: {frame.pixel_format} is not a workable pixel format")
    if any(region.shape == "frame" for region in decision.regions):
        return _sealed(frame, decision, _blank(frame, pixels))
    cover = cover_of(frame, pixels, decision, effect.feather)
    if not cover.patches:
        return _sealed(frame, decision, frame.planes)
    planes = tuple(np.array(plane, order="C") for plane in frame.planes)
    _erase(planes, cover, pixels)
    _decorate(planes, cover, pixels, frame, effect)
    return _sealed(frame, decision, planes)


def _erase(planes: tuple[Plane, ...], cover: Cover, pixels: PixelFormat) -> None:
    """Set every covered sample to 0: from here on nobody knows what was there."""
    for plane, samples in enumerate(planes):
        shift, plane_wh = pixels.shift_wh(plane), pixels.plane_wh(plane, cover.grid.size_wh)
        for patch in cover.patches:
            clear = (cover.core_at(patch.window, shift, plane_wh) ^ 1).astype(samples.dtype)
            window = samples[cover.plane_window(patch.window, shift, plane_wh)]
            np.multiply(window, clear if samples.ndim == 2 else clear[..., None], out=window)


def _decorate(planes: tuple[Plane, ...], cover: Cover, pixels: PixelFormat, frame: Frame, effect: Effect) -> None:
    """Paint the effect over every patch."""
    paint = EFFECTS[effect.kind]
    # All paintings before the first stroke: no patch may see the paint of another, or their order would show.
    paintings = [paint(look_around(planes, cover, patch, pixels, frame.color), effect) for patch in cover.patches]
    for patch, painting in zip(cover.patches, paintings, strict=True):
        _blend(planes, cover, patch, painting, pixels, frame)


def _blend(planes: tuple[Plane, ...], cover: Cover, patch: Patch, painting: Painting, pixels: PixelFormat, frame: Frame) -> None:
    """Write the painting into the patch's window: all of it on the core, less and less of it on the soft edge."""
    strengths: dict[tuple[int, int], NDArray[np.float32]] = {}
    first_sample = 0
    for plane, role in enumerate(pixels.planes):
        shift, plane_wh = pixels.shift_wh(plane), pixels.plane_wh(plane, cover.grid.size_wh)
        if shift not in strengths:
            strengths[shift] = cover.strength_at(patch, shift, plane_wh)
        rows, columns = cover.plane_window(patch.window, shift, plane_wh)
        fill = painted(painting, patch, pixels, frame, role, first_sample, rows, columns, shift)
        first_sample += len(role.replace("a", ""))
        window = planes[plane][rows, columns]
        strength = strengths[shift] if window.ndim == 2 else strengths[shift][..., None]
        mixed = fill - window
        mixed *= strength
        mixed += window
        # Half up; a sample with strength 0 is a whole number still, and keeps its value.
        mixed += np.float32(0.5)
        np.copyto(window, mixed, casting="unsafe")


def _blank(frame: Frame, pixels: PixelFormat) -> tuple[Plane, ...]:
    """Planes of one neutral grey: where everything is covered there is nothing to diffuse."""
    grey = samples_of(np.asarray(NEUTRAL_RGB, np.float32), pixels, frame.color, frame.size_wh[1])
    planes, first_sample, opaque = [], 0, (1 << pixels.bits) - 1
    for plane, role in zip(frame.planes, pixels.planes, strict=True):
        blank = np.full(plane.shape, opaque, plane.dtype)
        count = len(role.replace("a", ""))
        if plane.ndim == 2 and count:
            blank[...] = round(float(grey[first_sample]))
        elif count:
            blank[..., :count] = np.rint(grey[first_sample : first_sample + count])
        first_sample += count
        planes.append(blank)
    return tuple(planes)


def _sealed(frame: Frame, decision: Decision, planes: tuple[Plane, ...]) -> SealedFrame:
    """The one construction of a SealedFrame in the project."""
    views = tuple(plane.view() for plane in planes)
    for view in views:
        view.flags.writeable = False
    return SealedFrame(replace(frame, planes=views), decision, token=_SEAL)
