"""Still pictures in: what a file is, its pixels upright and ready to be sealed, and what else was in it.

A picture of several pages or frames (TIFF; animated GIF, PNG, WebP, AVIF) is read whole, every one of them a frame.
Further pictures that are not pages (second pictures of an MPO, thumbnails, depth and gain maps of a HEIC) are left
behind and listed.
"""

from __future__ import annotations

import errno
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from anonymizer.errors import SourceError
from anonymizer.media.image_carriers import list_carriers, png_chunks, riff_chunks
from anonymizer.media.image_pixels import deep_pixels, needs_deep_reader, workable_pixels
from anonymizer.media.image_profile import colors_of
from anonymizer.media.image_tags import DNG_VERSION, ORIENTATION, TiffTags, orientation_of
from anonymizer.regular import open_regular, read_regular
from anonymizer.types import Carrier, Color, Frame

PICTURE_SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".tif": "TIFF",
    ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF", ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF", ".avif": "AVIF",
}  # fmt: skip
# Pictures by name that are refused in words instead of being mistaken for one-frame videos.
_RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".rw2", ".orf", ".raf", ".pef", ".srw")
REFUSED_SUFFIXES = frozenset((*_RAW_SUFFIXES, ".jp2", ".j2k", ".jxl", ".psd", ".svg", ".ico", ".tga", ".ppm", ".pgm", ".pnm", ".exr", ".hdr"))
MAX_PIXELS = 1 << 28  # All pages together: the largest phone sensors give 200 million, the rest is a decompression bomb.
MAX_FILE_BYTES = 1 << 31
_MILLISECOND = Fraction(1, 1000)
_UNSEEN_MS = 0.01
_ROUNDED = "frames are timed in whole milliseconds, which the source's are not"
_HINT = "open it in a picture program and save it again, as png or jpg"


@dataclass(frozen=True, slots=True, eq=False)
class StillImage:
    """A picture file as read: upright frames (one, unless it is animated or has pages) and all it takes to write it again.

    `carriers` lists what else the file held; only an ICC profile of the right kind is written again.
    """

    path: Path
    format: str  # Pillow's name: "JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF"
    frames: tuple[Frame, ...]
    animated: bool = False  # the frames are moments of one picture; otherwise several are pages
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    carriers: tuple[Carrier, ...] = ()
    notes: tuple[str, ...] = ()
    saving: Mapping[str, Any] = field(default_factory=dict)  # what image_writing.py needs to match the source's coding

    @property
    def frame(self) -> Frame:
        """The first, and usually only, frame."""
        return self.frames[0]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height as displayed."""
        return self.frames[0].size_wh


def is_image(path: Path | str) -> bool:
    """Whether a file is a picture, by its first bytes; the name decides where they say nothing (missing, empty, text)."""
    suffix = Path(path).suffix.lower()
    if suffix in REFUSED_SUFFIXES:
        return True
    try:
        with open_regular(path) as file:
            head = file.read(64)
    except OSError:
        head = b""
    if picture_format(head) is not None:
        # A raw Motion JPEG stream is JPEG after JPEG: only its name tells it from a photograph.
        return suffix not in (".mjpeg", ".mjpg")
    is_other_media = head[4:8] == b"ftyp" or head[:4] in (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV\x01") or head[:1] == b"G"
    return suffix in PICTURE_SUFFIXES and not is_other_media


def picture_format(head: bytes) -> str | None:
    """Pillow's name of the picture format that a file starting with `head` (64 bytes) is in, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "HEIF"
    return None


def read_image(path: Path | str) -> StillImage:
    """Read a picture whole; SourceError for anything that is not one, is cut off, damaged, too large or of an unknown kind."""
    path = Path(path)
    data = _read_bytes(path)
    kind = picture_format(data[:64])
    if path.suffix.lower() in REFUSED_SUFFIXES or kind is None:
        what = "holds nothing, it has no bytes" if not data else "is not a picture of a kind that can be written again"
        raise SourceError(f"{path.name}: {what}", hint="jpg, png, webp, tiff, bmp, gif, heic and avif are read; convert others first")
    try:
        with _strict_decoding():
            return _read_heif(path, data) if kind == "HEIF" else _read_pillow(path, data, kind)
    except SourceError:
        raise
    except MemoryError as error:
        raise SourceError(f"{path.name}: the picture does not fit into memory", hint="reduce its size first") from error
    except Exception as error:  # Decoders of hostile files raise anything at all; whatever it is, the file could not be read.
        reason = "not readable as " + kind.lower() if isinstance(error, UnidentifiedImageError | KeyError) else str(error) or type(error).__name__
        raise SourceError(f"{path.name}: the picture is damaged or cut off ({reason})", hint=_HINT) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise SourceError(f"{path.name}: a picture file of more than {MAX_FILE_BYTES >> 30} GiB is not read", hint=_HINT) from error
        raise SourceError(f"{path.name}: cannot be read ({error.strerror})", hint="check the path and its permissions") from error


_decoding = threading.RLock()


@contextmanager
def _strict_decoding() -> Iterator[None]:
    """Pillow with our limits: a cut-off picture is an error whatever the host program set, the size is checked by us.

    Its settings are global, so one thread decodes at a time and they are put back afterwards.
    """
    with _decoding, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Broken Exif is warned about; it is dropped anyway.
        before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def _check_size(path: Path, size_wh: tuple[int, int], pages: int) -> None:
    if min(size_wh) < 1:
        raise SourceError(f"{path.name}: the picture has no pixels")
    if size_wh[0] * size_wh[1] * pages > MAX_PIXELS:
        count = f"{size_wh[0]}x{size_wh[1]}" + (f" in {pages} pages or frames" if pages > 1 else "")
        raise SourceError(f"{path.name}: {count} is more than {MAX_PIXELS >> 20} million pixels", hint="reduce its size first")


def _read_pillow(path: Path, data: bytes, kind: str) -> StillImage:
    notes: list[str] = []
    frames: list[Frame] = []
    saving: dict[str, Any] = {}
    with Image.open(io.BytesIO(data), formats=("JPEG", "MPO") if kind == "JPEG" else (kind,)) as image:
        pages = getattr(image, "n_frames", 1) if kind != "JPEG" else 1  # An MPO's further pictures are left behind.
        _check_size(path, image.size, pages)
        tags = TiffTags(data)
        if tags.number(DNG_VERSION) is not None:
            raise SourceError(f"{path.name}: camera raw (DNG) is not read", hint="convert it to tiff or jpg first")
        orientation = (tags.number(ORIENTATION) or 1) if kind == "TIFF" else orientation_of(image.info.get("exif") or b"")
        icc_profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
        pts = filled = 0
        for page in range(pages):
            image.seek(page)
            _check_size(path, image.size, 1)
            filled += image.size[0] * image.size[1]
            if filled > MAX_PIXELS:
                raise SourceError(f"{path.name}: the pages together are more than {MAX_PIXELS >> 20} million pixels", hint="split it first")
            image.load()
            if page == 0:
                deep = deep_pixels(data) if pages == 1 and needs_deep_reader(data, kind) else None
                saving = _coding_of(image, data, kind, orientation)
            name, pixels, page_notes = workable_pixels(image, deep, orientation)
            notes += (note for note in page_notes if note not in notes)
            said = image.info.get("duration") or 0
            duration = round(said)
            if abs(said - duration) >= _UNSEEN_MS and _ROUNDED not in notes:
                notes.append(_ROUNDED)
            frames.append(_frame(page, pts, duration, name, pixels, 2 if saving.get("subsampled") else 0))
            pts += max(duration, 1)  # Two frames without duration must still come one after the other.
        saving["loop"] = image.info.get("loop")
        saving["default_image"] = bool(image.info.get("default_image"))
    if any(frame.pixel_format in ("rgb24", "rgba") for frame in frames) and needs_deep_reader(data, kind):
        notes.append("written with 8 bits a sample instead of 16: this kind of 16-bit picture cannot be read whole")
    if saving.pop("deep", False):
        notes.append("written with 8 bits a sample: more of an AVIF cannot be read")
    animated = len(frames) > 1 and kind != "TIFF"
    return _still(path, kind, frames, animated, icc_profile, dpi, data, notes, saving)


def _read_heif(path: Path, data: bytes) -> StillImage:
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    picture = file[file.primary_index]
    _check_size(path, picture.size, 1)
    channels, deep = {"L": 1, "RGB": 3, "RGBA": 4}.get(picture.mode.split(";")[0], 0), picture.mode.endswith(";16")
    if not channels:
        raise SourceError(f"{path.name}: pixels of the kind {picture.mode} are not read", hint=_HINT)
    pixels = np.array(picture)  # Already upright: libheif turns and mirrors as the file says.
    name = {1: ("gray", "gray16le"), 3: ("rgb24", "rgb48le"), 4: ("rgba", "rgba64le")}[channels][deep]
    info: dict[str, Any] = picture.info
    nclx = info.get("nclx_profile") or {}
    saving: dict[str, Any] = {"chroma": info.get("chroma", 420)}
    saving |= {key: int(nclx[key]) for key in ("color_primaries", "transfer_characteristics") if key in nclx}
    notes = [] if len(file) == 1 else [f"{len(file) - 1} further pictures in the file were left behind"]
    frame = _frame(0, 0, 0, name, pixels.reshape(picture.size[1], picture.size[0], -1).squeeze(-1) if channels == 1 else pixels, 2)
    return _still(path, "HEIF", [frame], False, info.get("icc_profile"), None, data, notes, saving)


def _frame(index: int, pts: int, duration: int, pixel_format: str, pixels: NDArray[Any], spread_px: int) -> Frame:
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return Frame(index, pts, _MILLISECOND, pixel_format, (pixels,), spread_px=spread_px, color=Color(range=2), duration=duration)


def _still(
    path: Path,
    kind: str,
    frames: list[Frame],
    animated: bool,
    icc_profile: bytes | None,
    dpi: Any,
    data: bytes,
    notes: list[str],
    saving: Mapping[str, Any],
) -> StillImage:
    profile = _fitting_profile(icc_profile, frames[0].pixel_format, notes)
    kept = profile is not None and kind != "GIF"
    carriers = tuple(
        one if one.fate != "copied" else replace(one, detail="its colours alone") if kept else replace(one, fate="dropped") for one in list_carriers(data)
    )
    try:
        resolution = (float(dpi[0]), float(dpi[1])) if dpi else None
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        resolution = None
    if resolution and not all(1 <= value <= 30000 for value in resolution):
        resolution = None
    return StillImage(path, kind, tuple(frames), animated, profile, resolution, carriers, tuple(notes), saving)


def _fitting_profile(profile: bytes | None, pixel_format: str, notes: list[str]) -> bytes | None:
    """The colours of an ICC profile, if they are those of the pixels; what cannot be read as one is noted, and dropped."""
    if not profile:
        return None
    colors = colors_of(profile)
    if colors is None and profile[16:20] != b"CMYK":
        notes.append("ICC profile dropped: it cannot be read as one")
    wanted = b"GRAY" if pixel_format.startswith("gray") else b"RGB "
    return colors if colors is not None and colors[16:20] == wanted else None


def _coding_of(image: Image.Image, data: bytes, kind: str, orientation: int) -> dict[str, Any]:
    """How the source is coded, as far as its copy should be coded alike."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        tables = [list(table) for _, table in sorted(image.quantization.items())][:4]
        if orientation >= 5:  # The picture is turned on its side, and so are its blocks.
            tables = [[table[8 * (at % 8) + at // 8] for at in range(64)] for table in tables]
        sampling = JpegImagePlugin.get_sampling(image)
        if orientation >= 5 and sampling == 1:
            sampling = 0  # 4:2:2 on its side is 4:4:0, which is not written.
        return {"qtables": tables if image.mode != "CMYK" else None, "subsampling": max(sampling, 0), "subsampled": sampling != 0}
    if kind == "WEBP":
        chunks = list(riff_chunks(data, 12, len(data)))
        inner = [name for kind_, at, end in chunks if kind_ == b"ANMF" for name, _, _ in riff_chunks(data, at + 16, end)]
        lossless = b"VP8 " not in [kind_ for kind_, _, _ in chunks] + inner
        return {"lossless": lossless, "subsampled": not lossless}
    if kind == "AVIF":
        at = data.find(b"av1C")
        layout = data[at + 6] if 0 < at < len(data) - 6 else 0x0C
        chroma = {0x0C: "4:2:0", 0x08: "4:2:2", 0x00: "4:4:4"}.get(layout & 0x0C, "4:2:0")
        return {"subsampling": "4:0:0" if layout & 0x10 else chroma, "subsampled": chroma != "4:4:4", "deep": bool(layout & 0x40)}
    if kind == "PNG":
        return {"chunks": [(name, content) for name, content, _ in png_chunks(data)]}
    if kind == "TIFF":
        return {"compression": image.info.get("compression", "raw"), "subsampled": image.info.get("compression") == "jpeg"}
    return {}
