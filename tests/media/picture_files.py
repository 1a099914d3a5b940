"""Picture files as tests need them: small, of every kind, written by libraries other than the code under test where there are any."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from anonymizer.media.image_writing import check_written, write_image
from anonymizer.media.images import StillImage, read_image
from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Decision, Region, SealedFrame
from tests.conftest import draw_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RGB = draw_picture(0, (40, 30))
RGBA = np.dstack([RGB, np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) % 256]).astype(np.uint8)
DEEP = (draw_picture(0, (40, 30)).astype(np.uint16) << 8) + np.arange(40, dtype=np.uint16)[None, :, None] * 5
DEEP_RGBA = np.dstack([DEEP, np.full((30, 40), 60001, np.uint16)])


def seal_all(still: StillImage, *regions: Region) -> list[SealedFrame]:
    return [seal_frame(frame, Decision(frame.index, regions), Effect()) for frame in still.frames]


def round_trip(path: Path, *regions: Region, **options: Any) -> tuple[StillImage, StillImage]:
    """A picture as read, and as read again after it was sealed and written."""
    still = read_image(path)
    target = path.with_name("out" + path.suffix)
    write_image(target, seal_all(still, *regions), still, **options)
    check_written(target, still)
    return still, read_image(target)


def saved(path: Path, pixels: Any, **options: Any) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def heic(path: Path, mode: str, pixels: np.ndarray, **options: Any) -> Path:
    picture = pillow_heif.from_bytes(mode=mode, size=(pixels.shape[1], pixels.shape[0]), data=pixels.tobytes())
    picture.save(path, **options)
    return path


def deep(path: Path, pixels: np.ndarray) -> Path:
    order = {2: None, 3: cv2.COLOR_RGB2BGR}.get(pixels.ndim if pixels.ndim == 2 or pixels.shape[2] == 3 else 4, cv2.COLOR_RGBA2BGRA)
    path.write_bytes(cv2.imencode(path.suffix, pixels if order is None else cv2.cvtColor(pixels, order))[1].tobytes())
    return path


def inflated(data: bytes) -> list[bytes]:
    """Whatever unpacks as a zlib stream."""
    unpacked = []
    for start in (at for at in range(len(data) - 1) if data[at] == 0x78 and data[at + 1] in (0x01, 0x5E, 0x9C, 0xDA)):
        try:
            unpacked.append(zlib.decompressobj().decompress(data[start:]))
        except zlib.error:
            continue
    return unpacked
