"""What travels in the tags of TIFF and Exif and in the boxes of HEIF and AVIF: numbers and names only, no pixel is read.

Files are hostile: every offset is checked, and what does not parse ends the walk instead of raising.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from anonymizer.types import Carrier

# Tags without which a TIFF picture cannot be drawn (TIFF 6.0 and its supplements); everything else in it is a carrier.
_DRAWING_RANGES = ((254, 260), (262, 267), (273, 275), (277, 285), (290, 294), (296, 297), (301, 302), (317, 326), (332, 333), (334, 335))
_MORE_RANGES = ((336, 337), (338, 342), (347, 348), (512, 516), (517, 522), (529, 533))
DRAWING_TAGS = frozenset(tag for first, end in (*_DRAWING_RANGES, *_MORE_RANGES) for tag in range(first, end))
ORIENTATION, ICC, SUB_IFDS, EXIF_IFD, GPS_IFD, DNG_VERSION = 274, 34675, 330, 34665, 34853, 50706
_NAMES = {
    269: "document name", 270: "description", 271: "camera make", 272: "camera model", 285: "page name", 305: "software", 306: "date",
    315: "artist", 316: "host computer", 700: "XMP", 33432: "copyright", 33550: "GeoTIFF position", 33723: "IPTC", 33922: "GeoTIFF position",
    34264: "GeoTIFF position", 34377: "Photoshop data", 34735: "GeoTIFF keys", 34736: "GeoTIFF keys", 34737: "GeoTIFF keys",
    37724: "Photoshop layers", 40091: "title", 40092: "comment", 40093: "author", 40094: "keywords", 42112: "GDAL metadata",
    50341: "print matching", 50706: "DNG version", 50827: "original raw file", 52545: "C2PA manifest",
}  # fmt: skip
_EXIF_NAMES = {
    36867: "date", 36868: "date", 37500: "maker note", 37510: "user comment", 42016: "unique image id", 42032: "owner name",
    42033: "camera serial number", 42035: "lens make", 42036: "lens model", 42037: "lens serial number",
}  # fmt: skip
_UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MAX_DIRECTORIES = 4096  # A chain longer than any scanner's batch is a loop or an attack.


class TiffTags:
    """The directories of a TIFF file or an Exif block, as far as they can be followed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        self._big = bool(self._order) and data[2:4] in (b"+\0", b"\0+")
        self.directories: list[dict[int, tuple[int, int, int]]] = []  # tag -> (type, count, offset of the value)
        seen: set[int] = set()
        offset = (self._number("Q", 8) if self._big else self._number("I", 4)) if self._order else None
        while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
            seen.add(offset)
            offset = self._follow(offset)

    def _number(self, kind: str, at: int) -> int | None:
        size = struct.calcsize(kind)
        if at < 0 or at + size > len(self._data):
            return None
        return int(struct.unpack_from(self._order + kind, self._data, at)[0])

    def directory(self, at: int) -> tuple[dict[int, tuple[int, int, int]], int] | None:
        """The tags of the directory at `at`, and where the offset of the next one stands."""
        head, entry, inline, wide = ("Q", 20, 8, "Q") if self._big else ("H", 12, 4, "I")
        count = self._number(head, at)
        if count is None or count > 65535:
            return None
        first = at + struct.calcsize(head)
        tags: dict[int, tuple[int, int, int]] = {}
        for place in range(first, first + entry * count, entry):
            tag, kind, number = self._number("H", place), self._number("H", place + 2), self._number(wide, place + 4)
            if tag is None or kind is None or number is None:
                break
            at_value = place + entry - inline
            if _UNIT_BYTES.get(kind, 1) * number > inline:
                at_value = self._number(wide, at_value) or 0
            tags[tag] = (kind, number, at_value)
        return tags, first + entry * count

    def _follow(self, at: int) -> int | None:
        found = self.directory(at)
        if found is None:
            return None
        self.directories.append(found[0])
        return self._number("Q" if self._big else "I", found[1])

    def number(self, tag: int, directory: int = 0) -> int | None:
        """The first value of a whole-number tag."""
        kind, count, at = self.directories[directory].get(tag, (0, 0, 0)) if directory < len(self.directories) else (0, 0, 0)
        form = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        return self._number(form, at) if form and count else None


def orientation_of(exif: bytes) -> int:
    """The Exif orientation (1 to 8) of a TIFF or Exif block; 1 where it is missing or nonsense, as viewers do."""
    found = TiffTags(exif.removeprefix(b"Exif\0\0")).number(ORIENTATION)
    return found if found is not None and 1 <= found <= 8 else 1


def tiff_carriers(data: bytes) -> Iterator[Carrier]:
    """What a TIFF file's tags hold beside what draws its pages."""
    tags = TiffTags(data)
    for directory in range(len(tags.directories)):
        yield from _directory_carriers(tags, directory)


def exif_carriers(data: bytes) -> Iterator[Carrier]:
    """What an Exif block holds, its thumbnail and places included."""
    tags = TiffTags(data.removeprefix(b"Exif\0\0"))
    yield Carrier("tag", "Exif", f"{len(data)} bytes" if tags.directories else f"{len(data)} bytes, not readable")
    if tags.directories:
        yield from _directory_carriers(tags, 0)
    if len(tags.directories) > 1:
        yield Carrier("picture", "Exif thumbnail")


def _directory_carriers(tags: TiffTags, directory: int) -> Iterator[Carrier]:
    for tag, (_kind, count, _at) in tags.directories[directory].items():
        if tag == GPS_IFD:
            yield Carrier("tag", "GPS position")
        elif tag == EXIF_IFD:
            yield Carrier("tag", "Exif")
            pointer = tags.number(tag, directory)
            inner = tags.directory(pointer) if pointer else None
            yield from (Carrier("tag", _EXIF_NAMES[name]) for name in inner[0] if name in _EXIF_NAMES) if inner else ()
        elif tag == SUB_IFDS:
            yield Carrier("picture", "sub-picture", f"{count} in the tags")
        elif tag == ICC:
            yield Carrier("profile", "ICC profile", fate="copied")
        elif tag not in DRAWING_TAGS:
            yield Carrier("tag", _NAMES.get(tag) or _EXIF_NAMES.get(tag, f"TIFF tag {tag}"))


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two offsets of an ISO base media file: type, start and end of the content (end excluded)."""
    end = len(data) if end is None else min(end, len(data))
    while start + 8 <= end:
        size, kind, header = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size == 0:
            size = end - start
        if size < header:
            return
        yield kind, start + header, min(start + size, end)
        start += size


def heif_carriers(data: bytes) -> Iterator[Carrier]:
    """What a HEIC or AVIF file holds beside its main picture."""
    for kind, start, end in boxes(data):
        if kind == b"meta":
            yield from _item_carriers(data, start + 4, end)
        elif kind == b"moov":
            if data[8:12] != b"avis":  # There it is the picture: its frames are what is read.
                yield Carrier("video", "picture sequence")
        elif kind == b"uuid":
            c2pa = data[start : start + 16] == bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
            yield Carrier("data", "C2PA manifest" if c2pa else "uuid box", f"{end - start} bytes")
        elif kind not in (b"ftyp", b"mdat", b"free", b"skip", b"idat"):
            yield Carrier("data", f"{kind.decode('latin-1')} box", f"{end - start} bytes")


def _item_carriers(data: bytes, start: int, end: int) -> Iterator[Carrier]:
    for kind, inner, stop in boxes(data, start, end):
        if kind == b"iinf":
            first = inner + (6 if data[inner : inner + 1] == b"\0" else 8)
            for name, at, over in boxes(data, first, stop):
                if name == b"infe":
                    yield from _one_item(data, at, over)
        elif kind == b"iref" and any(reference == b"thmb" for reference, _, _ in boxes(data, inner + 4, stop)):
            yield Carrier("picture", "thumbnail")
        elif kind == b"iprp":
            for container, at, over in boxes(data, inner, stop):
                if container == b"ipco":
                    yield from (found for box, p, q in boxes(data, at, over) if (found := _one_property(box, data[p:q])) is not None)


def _one_property(kind: bytes, content: bytes) -> Carrier | None:
    if kind == b"colr" and content[:4] in (b"prof", b"rICC"):
        return Carrier("profile", "ICC profile", fate="copied")
    purpose = content[4:].split(b"\0")[0].decode("latin-1")
    if kind == b"auxC" and purpose not in ("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"):
        return Carrier("picture", f"auxiliary picture ({purpose.split(':')[-1]})")  # depth, gain map, matte; alpha belongs to the picture
    return None


def _one_item(data: bytes, at: int, over: int) -> Iterator[Carrier]:
    wide = 4 if data[at : at + 1] == b"\3" else 2
    kind, rest = data[at + 6 + wide : at + 10 + wide], data[at + 10 + wide : over]
    if kind == b"Exif":
        yield Carrier("tag", "Exif")
    elif kind == b"mime":
        yield Carrier("tag", "XMP" if b"rdf+xml" in rest else "metadata item", rest.strip(b"\0").decode("latin-1").replace("\0", " "))
    elif kind not in (b"hvc1", b"av01", b"grid", b"iden", b"iovl", b"tmap", b"jpeg", b"avc1"):
        yield Carrier("data", f"{kind.decode('latin-1')} item")
