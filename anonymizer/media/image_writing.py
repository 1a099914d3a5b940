"""Still pictures out: sealed pixels, an ICC profile, a resolution, and nothing else."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from anonymizer.errors import AnonymizerError, ConfigError, TargetError
from anonymizer.media.image_profile import colors_of
from anonymizer.media.images import PICTURE_SUFFIXES, StillImage, read_image
from anonymizer.media.png_colors import known_color
from anonymizer.regular import create_regular
from anonymizer.types import Carrier, SealedFrame

JPEG_QUALITY = 95  # Where there is no source to take the tables from: above it files grow and no eye sees a difference.
HEIC_QUALITY = 80  # With x265's fastest preset 50 dB and more, five times quicker than its default (measured on a phone's picture).
AVIF_QUALITY = 90
_CLEARED = 2  # a GIF's disposal: the next picture begins on an empty one
_TIFF_COMPRESSIONS = {"tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "raw", "zstd", "lzma"}


def target_format(still: StillImage, target: Path) -> str:
    """The format a picture is written in: the source's own where the suffix stays, else that of the target's suffix."""
    suffix = target.suffix.lower()
    if suffix == still.path.suffix.lower() or PICTURE_SUFFIXES.get(suffix) == still.format:
        return still.format
    if suffix not in PICTURE_SUFFIXES:
        known = ", ".join(sorted(name[1:] for name in PICTURE_SUFFIXES))
        raise ConfigError(f"{target.name}: not the name of a picture", hint=f"end it in one of {known}")
    return PICTURE_SUFFIXES[suffix]


def write_image(
    staging: Path, sealed: SealedFrame | Sequence[SealedFrame], still: StillImage, *, format: str | None = None, jpeg_quality: int | None = None
) -> tuple[str, ...]:
    """Write sealed frames, all of `still`'s in order, to `staging`; returns what had to be changed, in sentences.

    TypeError for anything but SealedFrames, ValueError if frames are missing or changed size, TargetError if the
    file cannot be written. A JPEG keeps its source's quantisation tables unless `jpeg_quality` is given.
    """
    frames = [sealed] if isinstance(sealed, SealedFrame) else list(sealed)
    for one in frames:
        if not isinstance(one, SealedFrame):
            raise TypeError(f"only sealed frames are written, not {type(one).__name__}")
    if [one.frame.size_wh for one in frames] != [frame.size_wh for frame in still.frames]:
        raise ValueError(f"{still.path.name}: the sealed frames are not those of the picture")
    kind = format or still.format
    notes: list[str] = []
    pictures = [_fitted(one.frame.planes[0], kind, len(frames), notes) for one in frames]
    if len(frames) > 1 and kind not in (("TIFF",) if not still.animated else ("GIF", "PNG", "WEBP", "AVIF", "TIFF")):
        raise ConfigError(f"{still.path.name}: its {len(frames)} pages or frames do not fit into {kind.lower()}", hint="keep the suffix of the source")
    # Whoever made the StillImage: nothing but colours is written.
    profile = colors_of(still.icc_profile) if still.icc_profile else None
    if profile and (profile[16:20] == b"GRAY") != (pictures[0].ndim == 2):
        profile = None
        notes.append("ICC profile dropped: it is for other colours than those written")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = _encoded(pictures, frames, still, kind, profile, jpeg_quality)
        with create_regular(staging) as file:
            file.write(data)
    except (OSError, ValueError, RuntimeError, MemoryError, cv2.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise TargetError(f"{still.path.name}: cannot be written as {kind.lower()} ({reason})", hint="check space and permissions of the folder") from error
    return tuple(notes)


def check_written(staging: Path, still: StillImage) -> tuple[tuple[Carrier, ...], tuple[str, ...]]:
    """Open a written picture again: TargetError unless it is whole, of the right size, and holds nothing but its pixels.

    Returns the source's carriers with what became of them, and what had to be changed, in sentences.
    """
    try:
        written = read_image(staging)
    except AnonymizerError as error:
        raise TargetError(f"{still.path.name}: what was written cannot be read again ({error.problem})", hint="this is a bug, please report it") from error
    kept = [carrier.name for carrier in written.carriers if carrier.kind != "profile"]
    # Animated formats may join pictures that are alike, so their number is no proof.
    if kept or written.size_wh != still.size_wh or (len(written.frames) != len(still.frames) and not still.animated):
        problem = f"would hold {', '.join(kept)}" if kept else f"has {len(written.frames)} pictures of {written.size_wh}"
        raise TargetError(f"{still.path.name}: the written picture {problem}", hint="this is a bug, please report it")
    joined = len(still.frames) - len(written.frames)
    notes = (f"{joined} of {len(still.frames)} frames look like the one before and were joined with it, which is shown for as long",) if joined else ()
    return tuple(carrier if written.icc_profile or carrier.fate != "copied" else replace(carrier, fate="dropped") for carrier in still.carriers), notes


def _fitted(pixels: NDArray[Any], kind: str, pages: int, notes: list[str]) -> NDArray[Any]:
    """Pixels as the format can hold them; each loss is noted once."""

    def note(sentence: str) -> None:
        if sentence not in notes:
            notes.append(sentence)

    if pixels.dtype == np.uint16 and (kind not in ("PNG", "TIFF", "HEIF") or (pages > 1 and pixels.ndim == 3)):
        note("16 bits a sample were reduced to 8")
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and kind == "JPEG":
        note("transparency was replaced by white: jpg has none")
        alpha = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return pixels


def _encoded(pictures: list[NDArray[Any]], frames: list[SealedFrame], still: StillImage, kind: str, profile: bytes | None, jpeg_quality: int | None) -> bytes:
    first, same = pictures[0], kind == still.format
    saving = still.saving if same else {}
    if kind == "HEIF":
        return _heif(first, saving, profile)
    if first.dtype == np.uint16 and first.ndim == 3:
        return _deep_png(first, still, profile) if kind == "PNG" else _deep_tiff(first, still, profile)
    options: dict[str, Any] = {"icc_profile": profile} if profile and kind != "GIF" else {}
    if still.dpi and kind in ("JPEG", "PNG", "TIFF", "BMP"):
        options["dpi"] = still.dpi
    if kind == "JPEG":
        tables = saving.get("qtables") if jpeg_quality is None else None
        options |= {"qtables": tables} if tables else {"quality": jpeg_quality or JPEG_QUALITY}
        options["subsampling"] = saving.get("subsampling", 0)
    elif kind == "PNG":
        info = PngImagePlugin.PngInfo()
        for name, content in _color_chunks(still, profile):
            info.add(name, content)
        options |= {"pnginfo": info, "default_image": saving.get("default_image", False), "disposal": 0, "blend": 0}
    elif kind == "WEBP":
        lossless = saving.get("lossless", still.format in ("PNG", "BMP", "GIF", "TIFF"))
        options |= {"lossless": lossless, "exact": True, "quality": 80 if lossless else JPEG_QUALITY, "method": 4}
    elif kind == "TIFF":
        compression = saving.get("compression", "tiff_adobe_deflate")
        options["compression"] = None if compression == "raw" else compression if compression in _TIFF_COMPRESSIONS else "tiff_adobe_deflate"
    elif kind == "AVIF":
        options |= {"quality": AVIF_QUALITY, "subsampling": saving.get("subsampling", "4:2:0" if same else "4:4:4"), "speed": 8}
        if first.ndim == 2:
            options["subsampling"] = "4:0:0"
    images = [Image.fromarray(pixels) for pixels in pictures]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
        if still.animated and kind != "TIFF":
            times = [one.frame.duration for one in frames]
            # A default image is no moment of the animation, and Pillow counts from the first that is.
            options |= {"duration": times[1:] if options.get("default_image") else times, "loop": still.saving.get("loop") or 0}
            if kind == "GIF":
                if still.saving.get("loop") is None:
                    del options["loop"]  # Played once: a GIF says so by saying nothing.
                if any(pixels.ndim == 3 and pixels.shape[2] == 4 for pixels in pictures):
                    options["disposal"] = _CLEARED  # What is transparent would show the moments before.
    file = io.BytesIO()
    images[0].save(file, format=kind, **{name: value for name, value in options.items() if value is not None})
    return file.getvalue()


def _color_chunks(still: StillImage, profile: bytes | None) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG source that say how its numbers become light, each once; a profile stands for sRGB's."""
    found: dict[bytes, bytes] = {}
    for name, content in still.saving.get("chunks", ()) if still.format == "PNG" else ():
        if (known := known_color(name, content)) is not None and not (profile and name == b"sRGB"):
            found.setdefault(name, known)
    return list(found.items())


def _deep_png(pixels: NDArray[Any], still: StillImage, profile: bytes | None) -> bytes:
    """A 16-bit RGB(A) PNG: OpenCV compresses, the chunks that say what the numbers mean are set in after the header."""
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    data = cv2.imencode(".png", cv2.cvtColor(pixels, order))[1].tobytes()
    chunks = [(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))] if profile else []
    chunks += _color_chunks(still, profile)
    if still.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in still.dpi), 1)))
    written = b"".join(len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big") for name, content in chunks)
    return data[:33] + written + data[33:]  # 8 bytes of signature and 25 of IHDR


def _deep_tiff(pixels: NDArray[Any], still: StillImage, profile: bytes | None) -> bytes:
    """A 16-bit RGB(A) TIFF in one deflated strip: Pillow has no such pixels, and OpenCV cannot add a profile."""
    height, width, samples = pixels.shape
    strip = zlib.compress(np.ascontiguousarray(pixels, "<u2").tobytes())
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    tags[256], tags[257], tags[258], tags[259], tags[262] = width, height, (16,) * samples, 8, 2
    # Strip offset 0: Pillow counts it from the end of the directory, where the strip is put.
    tags[273], tags[277], tags[278], tags[279], tags[284] = 0, samples, height, len(strip), 1
    if samples == 4:
        tags[338] = 2  # alpha that is not multiplied in
    if still.dpi:
        tags[282], tags[283], tags[296] = still.dpi[0], still.dpi[1], 2
    if profile:
        tags.tagtype[34675] = 7
        tags[34675] = profile
    return b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8) + strip


def _heif(pixels: NDArray[Any], saving: Any, profile: bytes | None) -> bytes:
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[samples] + (";16" if pixels.dtype == np.uint16 else "")
    picture = pillow_heif.from_bytes(mode=mode, size=(pixels.shape[1], pixels.shape[0]), data=np.ascontiguousarray(pixels).tobytes())
    if profile:
        picture.info["icc_profile"], picture.info["icc_profile_type"] = profile, "prof"
    tags = {name: saving[name] for name in ("color_primaries", "transfer_characteristics") if name in saving}
    file = io.BytesIO()
    picture.save(file, quality=HEIC_QUALITY, enc_params={"preset": "ultrafast"}, chroma=saving.get("chroma", 444), **tags)
    return file.getvalue()
