"""Nothing but the picture leaves: a scanner of its own, planted carriers, and real files that hold every kind of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from anonymizer.media.image_carriers import list_carriers, png_chunks
from anonymizer.media.image_writing import check_written, write_image
from anonymizer.media.images import is_image, read_image
from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Decision
from tests.conftest import SHARED, draw_picture, needs_shared
from tests.media.picture_files import inflated

SECRET = b"Erika Mustermann, Heidestrasse 17"
RGB = draw_picture(0, (40, 30))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MOVIE = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + SECRET


def anonymized(source: Path, target: Path) -> bytes:
    still = read_image(source)
    write_image(target, [seal_frame(frame, Decision(frame.index), Effect()) for frame in still.frames], still)
    check_written(target, still)
    return target.read_bytes()


# --- A scanner that knows nothing of the one in anonymizer/media: every byte of the file must have a known use.


def unexplained(data: bytes) -> list[str]:
    """Parts of a picture file that are neither its structure, nor its pixels, nor an ICC profile."""
    if data[:2] == b"\xff\xd8":
        return _unexplained_jpeg(data)
    if data[:4] == b"\x89PNG":
        return _unexplained_png(data)
    if data[:4] == b"RIFF":
        return _unexplained_webp(data)
    if data[:2] == b"II":
        return _unexplained_tiff(data)
    if data[:2] == b"BM":
        return [] if len(data) == struct.unpack_from("<I", data, 2)[0] else ["bytes outside"]
    if data[:3] == b"GIF":
        return [word for word in (b"XMP", b"ICCRGBG1", b"!\xfe") if word in data] + ([] if data.endswith(b";") else ["bytes outside"])  # type: ignore[list-item]
    return [word.decode() for word in (b"Exif", b"rdf+xml", b"uuid", b"thmb", b"cdsc", b"urim") if word in data]


def _unexplained_jpeg(data: bytes) -> list[str]:
    found, at = [], 2
    while data[at + 1] != 0xD9:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if marker == 0xE0:
            found += [] if content[:5] == b"JFIF\0" and len(content) == 14 else ["APP0"]
        elif marker == 0xE2:
            found += [] if content.startswith(b"ICC_PROFILE\0") else ["APP2"]
        elif marker not in (0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDA, 0xDD):
            found.append(f"marker {marker:02X}")
        at += 2 + length
        if marker == 0xDA:
            while data[at] != 0xFF or data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
                at += 1
    return found + (["bytes outside"] if at + 2 != len(data) else [])


def _unexplained_png(data: bytes) -> list[str]:
    found, at = [], 8
    while at < len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode()
        found += [] if name in ("IHDR", "PLTE", "IDAT", "IEND", "iCCP", "pHYs", "gAMA", "sRGB", "cHRM", "cICP", "acTL", "fcTL", "fdAT") else [name]
        at += 12 + length
        if name == "IEND":
            break
    return found + (["bytes outside"] if at != len(data) else [])


def _unexplained_webp(data: bytes) -> list[str]:
    found, at = [], 12
    while at < len(data):
        name, length = data[at : at + 4].decode(), int.from_bytes(data[at + 4 : at + 8], "little")
        found += [] if name in ("VP8 ", "VP8L", "VP8X", "ALPH", "ICCP", "ANIM", "ANMF") else [name]
        at += 8 + length + length % 2
    return found + (["bytes outside"] if len(data) != 8 + int.from_bytes(data[4:8], "little") else [])


def _unexplained_tiff(data: bytes) -> list[str]:
    allowed = {254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 297, 317, 320, 338, 339, 34675}
    found, at = [], struct.unpack_from("<I", data, 4)[0]
    while at:
        count = struct.unpack_from("<H", data, at)[0]
        tags = [struct.unpack_from("<H", data, at + 2 + 12 * number)[0] for number in range(count)]
        found += [f"tag {tag}" for tag in tags if tag not in allowed]
        at = struct.unpack_from("<I", data, at + 2 + 12 * count)[0]
    return found


# --- Planted carriers


def exif_block() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x9286] = "Maker", SECRET.decode(), SECRET
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    return exif


def jpeg(path: Path) -> None:
    file = io.BytesIO()
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
    Image.fromarray(RGB).save(file, "JPEG", exif=exif_block(), xmp=xmp, comment=SECRET, icc_profile=SRGB)
    data = file.getvalue()

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    planted = segment(0xED, b"Photoshop 3.0\0008BIM\x04\x04\0\0\0\x2c\x1c\x02\x50\0\x21" + SECRET)
    planted += segment(0xE2, b"MPF\0" + SECRET) + segment(0xEB, b"JP" + SECRET) + segment(0xE6, b"GoPro\0" + SECRET)
    planted += segment(0xE0, b"JFXX\0\x10" + SECRET) + segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + SECRET)
    path.write_bytes(data[:2] + planted + data[2:] + MOVIE)


def png(path: Path) -> None:
    info = PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_text("Raw", SECRET.decode(), zip=True)
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    info.add(b"tIME", bytes((7, 230, 1, 1, 1, 1, 1)))
    info.add(b"prVt", SECRET)
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG", pnginfo=info, exif=exif_block(), icc_profile=SRGB, dpi=(72, 72))
    data = file.getvalue()
    jumbf = len(SECRET).to_bytes(4, "big") + b"caBX" + SECRET + zlib.crc32(b"caBX" + SECRET).to_bytes(4, "big")
    path.write_bytes(data[:33] + jumbf + data[33:] + SECRET)


def webp(path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "WEBP", exif=exif_block(), xmp=SECRET, icc_profile=SRGB, lossless=True)
    data = file.getvalue() + b"prVt" + len(SECRET).to_bytes(4, "little") + SECRET + b"\0" * (len(SECRET) % 2)
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:] + MOVIE)


def tiff(path: Path) -> None:
    tags = {270: SECRET.decode(), 271: "Maker", 315: SECRET.decode(), 700: SECRET, 33723: SECRET, 34377: SECRET, 33550: (1.0, 1.0, 0.0), 65000: SECRET.decode()}
    Image.fromarray(RGB).save(path, tiffinfo=tags, icc_profile=SRGB)


def gif(path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).quantize(16).save(file, "GIF", comment=SECRET)
    xmp = b"!\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0"
    data = file.getvalue()
    at = data.index(b"!\xfe")
    path.write_bytes(data[:at] + xmp + data[at:] + SECRET)


def bmp(path: Path) -> None:
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes() + SECRET)


def heic(path: Path) -> None:
    picture = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=RGB.tobytes())
    picture.info["icc_profile"], picture.info["icc_profile_type"] = SRGB, "prof"
    picture.save(path, exif=exif_block().tobytes(), xmp=SECRET)
    path.write_bytes(path.read_bytes() + (8 + 16 + len(SECRET)).to_bytes(4, "big") + b"uuid" + bytes(16) + SECRET)


def avif(path: Path) -> None:
    Image.fromarray(RGB).save(path, exif=exif_block(), xmp=SECRET, icc_profile=SRGB)
    path.write_bytes(path.read_bytes() + (8 + len(SECRET)).to_bytes(4, "big") + b"mpvd" + SECRET)


PLANTED = [
    pytest.param("a.jpg", jpeg, ["data:APP6 segment", "data:C2PA manifest or JUMBF data", "picture:JFIF thumbnail", "picture:index of further pictures (MPF)",
                                 "profile:ICC profile", "tag:Exif", "tag:GPS position", "tag:IPTC", "tag:Photoshop data", "tag:XMP", "tag:artist",
                                 "tag:camera make", "tag:comment", "video:motion photo after the end of the picture"], id="jpeg"),
    pytest.param("a.png", png, ["data:C2PA manifest or JUMBF data", "data:bytes after the end of the picture", "data:prVt chunk", "profile:ICC profile",
                                "tag:Exif", "tag:GPS position", "tag:XMP", "tag:artist", "tag:camera make", "tag:date", "tag:text 'Author'",
                                "tag:text 'Raw'"], id="png"),
    pytest.param("a.webp", webp, ["data:prVt chunk", "profile:ICC profile", "tag:Exif", "tag:GPS position", "tag:XMP", "tag:artist", "tag:camera make",
                                  "video:motion photo after the end of the picture"], id="webp"),
    pytest.param("a.tif", tiff, ["profile:ICC profile", "tag:GeoTIFF position", "tag:IPTC", "tag:Photoshop data",
                                 "tag:TIFF tag 65000", "tag:XMP", "tag:artist", "tag:camera make", "tag:description"], id="tiff"),
    pytest.param("a.gif", gif, ["data:bytes after the end of the picture", "tag:XMP", "tag:comment"], id="gif"),
    pytest.param("a.bmp", bmp, ["data:bytes after the end of the picture"], id="bmp"),
    pytest.param("a.heic", heic, ["data:uuid box", "profile:ICC profile", "tag:Exif", "tag:XMP"], id="heic"),
    pytest.param("a.avif", avif, ["data:mpvd box", "profile:ICC profile", "tag:Exif", "tag:XMP"], id="avif"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "plant", "expected"), PLANTED)
def test_planted_carriers_are_listed_and_left_behind(name: str, plant: Callable[[Path], None], expected: list[str], tmp_path: Path) -> None:
    plant(tmp_path / name)
    still = read_image(tmp_path / name)
    listed = {f"{carrier.kind}:{carrier.name}": carrier.fate for carrier in still.carriers}
    assert [key for key in sorted(listed) if key not in ("tag:user comment", "tag:maker note")] == expected
    assert {key for key, fate in listed.items() if fate == "copied"} == {key for key in expected if key.startswith("profile")}

    data = anonymized(tmp_path / name, tmp_path / ("out" + name))
    assert unexplained(data) == []
    assert SECRET not in data
    assert SECRET not in b"".join(inflated(data))
    assert {carrier.kind for carrier in list_carriers(data)} <= {"profile"}


def test_scanner_of_this_file_sees_what_is_planted(tmp_path: Path) -> None:
    """Else it would prove nothing."""
    blind = []
    for name, plant, _ in (parameter.values for parameter in PLANTED):
        plant(tmp_path / str(name))  # type: ignore[operator]
        if not unexplained((tmp_path / str(name)).read_bytes()):
            blind.append(name)
    assert blind == []


def test_walks_end_on_hostile_bytes() -> None:
    """Loops, lengths of zero and lengths beyond the end: whatever it is, the walk comes back."""
    random = np.random.default_rng(0)
    heads = [
        b"\xff\xd8\xff\xe1",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\xff\xffWEBP",
        b"II*\0\x08\0\0\0",
        b"MM\0+\0\x08\0\0",
        b"GIF89a\xff\xff\xff\xff\xff\0\0",
        b"BM",
    ]
    heads += [b"\0\0\0\x14ftypheic\0\0\0\0heic\0\0\0\x40meta\0\0\0\0", b"\xff\xd8\xff\xe1\x00\x40Exif\0\0II*\0\x08\0\0\0"]
    for head in heads:
        for size in (0, 1, 7, 64, 500):
            for _ in range(20):
                assert isinstance(list_carriers(head + random.integers(0, 256, size, np.uint8).tobytes()), tuple)
    loop = b"II*\0\x08\0\0\0" + b"\0\0" + (8).to_bytes(4, "little")
    assert list_carriers(loop) == ()


REAL = sorted((SHARED / "media" / "metadata").glob("*")) if SHARED.is_dir() else []
UNREADABLE = {"et_QuickTime.heic": "623 bytes, its picture data is missing"}


@needs_shared
@pytest.mark.parametrize("source", [path for path in REAL if is_image(path) and path.name not in UNREADABLE], ids=lambda path: path.name)
def test_real_picture_is_done_and_keeps_no_carrier(source: Path, tmp_path: Path) -> None:
    before = read_image(source)
    data = anonymized(source, tmp_path / source.name)
    assert unexplained(data) == []
    assert {carrier.kind for carrier in list_carriers(data)} <= {"profile"}
    assert before.carriers != ()
    after = read_image(tmp_path / source.name)
    assert (after.size_wh, after.format, after.icc_profile) == (before.size_wh, before.format, before.icc_profile)


@needs_shared
def test_every_real_picture_by_name_is_taken_for_one() -> None:
    suffixes = (".jpg", ".png", ".webp", ".tif", ".gif", ".heic")
    assert [path.name for path in REAL if is_image(path) != (path.suffix.lower() in suffixes)] == []


def with_chunks(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    info = PngInfo()
    for name, content in chunks:
        info.add(name, content)
    Image.fromarray(RGB).save(path, pnginfo=info)
    return path


def color_chunks(data: bytes) -> dict[bytes, bytes]:
    return {name: content for name, content, _ in png_chunks(data) if name in (b"gAMA", b"cHRM", b"sRGB", b"cICP")}


P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
HIDDEN = [
    pytest.param(b"cHRM", SECRET[:32], id="32-bytes-of-text"),
    pytest.param(b"cHRM", P3[:28] + struct.pack(">I", 7000), id="nearly-known-primaries"),
    pytest.param(b"cHRM", P3 + b"Anna", id="too-long"),
    pytest.param(b"gAMA", b"Anna", id="gamma"),
    pytest.param(b"gAMA", (70000).to_bytes(4, "big"), id="gamma-that-nobody-uses"),
    pytest.param(b"gAMA", bytes(4), id="no-gamma"),
    pytest.param(b"sRGB", b"A", id="intent"),
    pytest.param(b"cICP", b"Anna", id="code-points"),
]


@pytest.mark.parametrize(("name", "content"), HIDDEN)
def test_colour_chunk_of_a_png_that_is_no_known_value_is_dropped_and_listed(name: bytes, content: bytes, tmp_path: Path) -> None:
    source = with_chunks(tmp_path / "a.png", (name, content))
    (carrier,) = read_image(source).carriers
    assert (carrier.name, carrier.fate) == (f"{name.decode()} chunk", "dropped")
    data = anonymized(source, tmp_path / "out.png")
    assert color_chunks(data) == {}


def test_colour_chunks_of_a_png_become_the_values_that_they_mean(tmp_path: Path) -> None:
    nearly = struct.pack(">8I", *(number + shift for number, shift in zip(struct.unpack(">8I", P3), (1, -2, 3, 9, -9, 100, -100, 7), strict=True)))
    exact = {b"cHRM": P3, b"gAMA": (45455).to_bytes(4, "big"), b"cICP": bytes((12, 13, 0, 1))}
    gammas = [(b"gAMA", gamma.to_bytes(4, "big")) for gamma in (45434, 45471)]
    source = with_chunks(tmp_path / "a.png", *gammas, (b"cHRM", nearly), (b"cICP", exact[b"cICP"]))
    data = anonymized(source, tmp_path / "out.png")
    assert color_chunks(data) == exact
    assert [name for name, _, _ in png_chunks(data)].count(b"gAMA") == 1
    assert read_image(source).carriers == ()
