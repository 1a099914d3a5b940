"""What a picture file holds beside its pixels, found by walking its segments, chunks and blocks.

Used twice: to tell what was in a source, and to prove that nothing but an ICC profile is in what was written.
"""

from __future__ import annotations

from collections.abc import Iterator

from anonymizer.media.image_tags import exif_carriers, heif_carriers, tiff_carriers
from anonymizer.media.png_colors import COLOR_CHUNKS, known_color
from anonymizer.types import Carrier

_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PNG_DRAWING = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB cICP sBIT bKGD hIST pHYs acTL fcTL fdAT mDCV cLLI mDCv cLLi".split())
_WEBP_DRAWING = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"])


def list_carriers(data: bytes) -> tuple[Carrier, ...]:
    """Everything in a picture file that is not its picture, each kind once; `fate` is "copied" for an ICC profile."""
    if data.startswith(b"\xff\xd8"):
        found = _jpeg(data)
    elif data.startswith(b"\x89PNG"):
        found = _png(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        found = _webp(data)
    elif data.startswith(b"GIF8"):
        found = _gif(data)
    elif data[:2] in (b"II", b"MM"):
        found = tiff_carriers(data)
    elif data[4:8] == b"ftyp":
        found = heif_carriers(data)
    elif data.startswith(b"BM"):
        found = _trailing(data, max(int.from_bytes(data[2:6], "little"), 54))
    else:
        found = iter(())
    once: dict[tuple[str, str], Carrier] = {}
    for carrier in found:
        once.setdefault((carrier.kind, carrier.name), carrier)
    return tuple(once.values())


def _trailing(data: bytes, end: int) -> Iterator[Carrier]:
    rest = data[end:]
    if not rest.strip(b"\0"):
        return
    what = f"{len(rest)} bytes"
    if rest.find(b"ftyp", 0, 64) > 0 or b"MotionPhoto" in rest or b"ftypmp4" in rest or b"ftypisom" in rest:
        yield Carrier("video", "motion photo after the end of the picture", what)
    elif b"\xff\xd8\xff" in rest:
        yield Carrier("picture", "second picture after the end of the picture", what)
    else:
        yield Carrier("data", "bytes after the end of the picture", what)


def _jpeg(data: bytes) -> Iterator[Carrier]:
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # stuffed, fill and restart: inside a scan
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            yield from _trailing(data, at + 2)
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFE or 0xE0 <= marker <= 0xEF:
            yield from _jpeg_segment(marker, data[at + 4 : at + 2 + length])
        at += 2 + max(length, 2)


def _jpeg_segment(marker: int, content: bytes) -> Iterator[Carrier]:
    if marker == 0xFE:
        yield Carrier("tag", "comment", f"{len(content)} bytes")
    elif marker == 0xE0 and content.startswith(b"JFIF\0"):
        if len(content) > 14:
            yield Carrier("picture", "JFIF thumbnail")
    elif marker == 0xE0 and content.startswith(b"JFXX\0"):
        yield Carrier("picture", "JFIF thumbnail")
    elif marker == 0xE1 and content.startswith(b"Exif\0"):
        yield from exif_carriers(content)
    elif marker == 0xE1 and content.startswith((_XMP, _MORE_XMP)):
        yield Carrier("tag", "XMP")
    elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
        yield Carrier("profile", "ICC profile", fate="copied")
    elif marker == 0xE2 and content.startswith(b"MPF\0"):
        yield Carrier("picture", "index of further pictures (MPF)")
    elif marker == 0xEB and content.startswith(b"JP"):
        yield Carrier("data", "C2PA manifest or JUMBF data")
    elif marker == 0xED and content.startswith(b"Photoshop"):
        yield from _photoshop(content)
    elif not (marker == 0xEE and content.startswith(b"Adobe") and len(content) <= 12):  # Adobe says how colour is coded.
        name = content[:32].split(b"\0")[0].decode("latin-1")
        yield Carrier("data", f"APP{marker - 0xE0} segment", "".join(c for c in name if c.isprintable()))


def _photoshop(content: bytes) -> Iterator[Carrier]:
    yield Carrier("tag", "Photoshop data")
    if b"8BIM\x04\x04" in content:
        yield Carrier("tag", "IPTC")
    if b"8BIM\x04\x0c" in content or b"8BIM\x04\x09" in content:
        yield Carrier("picture", "Photoshop thumbnail")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Every chunk of a PNG file: its type, its content, and the offset after it."""
    at = 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + 8 + length], at + 12 + length
        at += 12 + length
        if kind == b"IEND":
            return


def _png(data: bytes) -> Iterator[Carrier]:
    for kind, content, after in png_chunks(data):
        if kind == b"IEND":
            yield from _trailing(data, after)
        elif kind == b"iCCP":
            yield Carrier("profile", "ICC profile", fate="copied")
        elif kind == b"eXIf":
            yield from exif_carriers(content)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            key = content.split(b"\0")[0][:79].decode("latin-1")
            yield Carrier("tag", "XMP" if key == "XML:com.adobe.xmp" else f"text {key!r}")
        elif kind == b"tIME":
            yield Carrier("tag", "date")
        elif kind == b"caBX":
            yield Carrier("data", "C2PA manifest or JUMBF data")
        elif kind not in _PNG_DRAWING:
            yield Carrier("data", f"{kind.decode('latin-1')} chunk", f"{len(content)} bytes")
        elif kind in COLOR_CHUNKS and known_color(kind, content) is None:
            yield Carrier("data", f"{kind.decode('latin-1')} chunk", f"{len(content)} bytes that are no known colours")


def riff_chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The chunks between two offsets of a RIFF file: type, start and end of the content (end excluded)."""
    while start + 8 <= min(end, len(data)):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        yield data[start : start + 4], start + 8, start + 8 + size
        start += 8 + size + size % 2


def _webp(data: bytes) -> Iterator[Carrier]:
    end = 8 + int.from_bytes(data[4:8], "little")
    for kind, start, stop in riff_chunks(data, 12, end):
        if kind == b"ICCP":
            yield Carrier("profile", "ICC profile", fate="copied")
        elif kind == b"EXIF":
            yield from exif_carriers(data[start:stop])
        elif kind == b"XMP ":
            yield Carrier("tag", "XMP")
        elif kind == b"C2PA":
            yield Carrier("data", "C2PA manifest or JUMBF data")
        elif kind not in _WEBP_DRAWING:
            yield Carrier("data", f"{kind.decode('latin-1')} chunk", f"{stop - start} bytes")
        if kind == b"ANMF":
            hidden = (inner for inner, _, _ in riff_chunks(data, start + 16, stop) if inner not in _WEBP_DRAWING)
            yield from (Carrier("data", f"{inner.decode('latin-1')} chunk", "inside a frame") for inner in hidden)
    yield from _trailing(data, end + end % 2)


def _gif(data: bytes) -> Iterator[Carrier]:
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    while at + 2 < len(data) and data[at] != 0x3B:
        if data[at] == 0x2C:
            packed = data[at + 9] if at + 9 < len(data) else 0
            at = _after_blocks(data, at + 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0))
            continue
        if data[at] != 0x21:
            return
        label, name = data[at + 1], data[at + 3 : at + 14]
        if label == 0xFE:
            yield Carrier("tag", "comment")
        elif label == 0x01:
            yield Carrier("tag", "plain text")
        elif label == 0xFF and name == b"XMP DataXMP":
            yield Carrier("tag", "XMP")
        elif label == 0xFF and name.startswith(b"ICCRGBG1"):
            yield Carrier("profile", "ICC profile")  # Pillow cannot write one into a GIF: dropped.
        elif label == 0xFF and name not in (b"NETSCAPE2.0", b"ANIMEXTS1.0"):
            yield Carrier("data", f"{name.decode('latin-1')} block")
        at = _after_blocks(data, at + 2)
    yield from _trailing(data, at + 1)


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1
