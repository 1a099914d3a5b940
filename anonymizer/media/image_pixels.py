"""From Pillow's many modes to the few pixel formats that a seal can write, without losing depth where it can be kept."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from anonymizer.errors import SourceError
from anonymizer.geometry import Geometry
from anonymizer.media.image_tags import TiffTags

_BITS, _PHOTOMETRIC, _SAMPLES = 258, 262, 277  # TIFF 6.0
_WHITE_IS_ZERO = 0
_FORMATS = {1: "gray", 3: "rgb24", 4: "rgba"}
_DEEP_FORMATS = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}


def needs_deep_reader(data: bytes, kind: str) -> bool:
    """Whether a PNG or TIFF has 16-bit colour, which Pillow would cut to 8 bits without a word."""
    if kind == "PNG":
        return data[24:25] == b"\x10" and data[25:26] in (b"\2", b"\4", b"\6")
    if kind == "TIFF":
        tags = TiffTags(data)
        return any(_is_deep_color(tags, page) for page in range(len(tags.directories)))
    return False


def _is_deep_color(tags: TiffTags, page: int) -> bool:
    return tags.number(_BITS, page) == 16 and (tags.number(_SAMPLES, page) or 1) in (3, 4) and tags.number(_PHOTOMETRIC, page) == 2


def deep_pixels(data: bytes) -> NDArray[np.uint16] | None:
    """The first picture of a 16-bit PNG or TIFF as RGB(A) uint16, as stored; None where OpenCV cannot read it either."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # It writes to stderr what is said here by None.
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(before)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(pixels, order), np.uint16)


def workable_pixels(image: Image.Image, deep: NDArray[np.uint16] | None, orientation: int) -> tuple[str, NDArray[Any], tuple[str, ...]]:
    """Pixel format, upright pixels [H, W] or [H, W, samples] and notes of the page a loaded image shows.

    SourceError for pixels that no workable format can hold.
    """
    mode = image.mode
    notes: tuple[str, ...] = ()
    stored_as = 1 if image.format == "TIFF" else orientation  # Pillow turns TIFF by itself, and nothing else.
    if mode.startswith("I;16") or (mode == "I" and image.getextrema()[0] >= 0 and image.getextrema()[1] <= 0xFFFF):  # type: ignore[operator]
        gray = np.asarray(image).astype("<u2")
        if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            gray = np.iinfo(np.uint16).max - gray  # Pillow turns the negative of 8 bits and fewer by itself.
        return "gray16le", upright(gray, stored_as), notes
    if mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        raise SourceError(f"pixels of the kind {mode} (float, 32-bit or Lab) are not read", hint="save it with 8 or 16 bits a sample first")
    if mode == "CMYK":
        rgb = upright(np.asarray(_rgb_of_cmyk(image)), stored_as)
        return "rgb24", rgb, ("written as RGB: pictures in CMYK are not written",)
    wanted = "RGBA" if image.has_transparency_data else "L" if mode in ("1", "L") else "RGB"
    pixels = upright(np.asarray(image.convert(wanted)), stored_as)
    for candidate in () if deep is None else (deep, upright(deep, orientation)):  # OpenCV turns some kinds and not others.
        if _same_picture(candidate, pixels):
            return _DEEP_FORMATS[candidate.shape[2]], candidate, notes
    if mode in ("P", "PA"):
        notes = ("written in true colour instead of a palette",)
    return _FORMATS[1 if pixels.ndim == 2 else pixels.shape[2]], pixels, notes


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels turned as Exif says; any depth."""
    return Geometry((pixels.shape[1], pixels.shape[0]), orientation if orientation in range(1, 9) else 1).upright(pixels)


def _same_picture(deep: NDArray[np.uint16], pixels: NDArray[np.uint8]) -> bool:
    """Whether two readers agree: one that stopped early or took alpha for colour must not be believed."""
    return deep.shape == pixels.shape and bool((np.abs((deep >> 8).astype(np.int16) - pixels) <= 1).all())


def _rgb_of_cmyk(image: Image.Image) -> Image.Image:
    """By the picture's own ICC profile where it has a sound one, else by the plain formula."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # Colours by the plain formula are off; refusing the picture would be worse.
    return image.convert("RGB")
