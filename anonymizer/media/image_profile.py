"""An ICC profile with nothing left in it but what makes colours: built anew, number by number (ICC.1:2022).

Profiles are made for one screen or camera, and say so: serial numbers, owners, dates and file paths stand in private
tags, in descriptions, and between the tables. A copy holds tags of known meaning alone, each in a form whose every
byte counts; descriptions are constant text. What cannot be read that way is no profile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from math import prod

_MOST_BYTES, _MOST_TAGS = 1 << 22, 100  # The largest of the common ones, press profiles, have 3 MB and some 30 tags.
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")  # Others convert between profiles, and are embedded in no picture.
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_D50 = bytes.fromhex("0000f6d6000100000000d32d")  # The illuminant of every profile (7.2.16).
_TEXTS = {b"cprt": "none", b"desc": "colours"}
_MATRIX = (b"bTRC", b"bXYZ", b"gTRC", b"gXYZ", b"rTRC", b"rXYZ")
_PARAMETERS = (1, 3, 4, 5, 7)  # of a parametric curve, by its function (10.18)
_SEGMENT_PARAMETERS = (4, 5, 5)  # of a formula curve segment, by its function (10.16.2.2)


class _Tag:
    """A tag's bytes: only what was taken is in `kept`, at its old place; gaps and reserved bytes are 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._kept = bytearray(len(data))
        self._end = 0

    @property
    def kept(self) -> bytes:
        return bytes(self._kept[: self._end])

    def take(self, at: int, size: int) -> bytes:
        """Keep bytes; ValueError if there are not so many."""
        if at < 0 or size < 0 or at + size > len(self._data):
            raise ValueError("a tag ends too early")
        self._kept[at : at + size] = self._data[at : at + size]
        self._end = max(self._end, at + size)
        return self._data[at : at + size]

    def number(self, at: int, size: int = 4) -> int:
        return int.from_bytes(self.take(at, size), "big")

    def name(self, at: int) -> bytes:
        """The signature of a type or element; the four bytes behind it are reserved, and 0."""
        name = self.take(at, 4)
        self._end = max(self._end, at + 8)
        return name


def colors_of(profile: bytes) -> bytes | None:
    """The profile's colours alone, under neutral names; None for what is none, is damaged, or has no colours of a picture."""
    try:
        return _rebuilt(profile)
    except (ValueError, struct.error):
        return None


def _rebuilt(profile: bytes) -> bytes:
    length, count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, 128)[0]
    if profile[36:40] != b"acsp" or not 132 <= length <= min(len(profile), _MOST_BYTES) or count > _MOST_TAGS:
        raise ValueError("not a profile")
    version, intent, kind, space, between = profile[8], profile[67], profile[12:16], profile[16:20], profile[20:24]
    if version not in (2, 4) or intent > 3 or kind not in _CLASSES or space not in (b"RGB ", b"GRAY") or between not in (b"XYZ ", b"Lab "):
        raise ValueError("not a profile of pictures")
    tags: dict[bytes, bytes] = {}
    for number in range(count):
        name, at, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if at + size > length or name in tags:
            raise ValueError("a tag lies outside, or stands twice")
        tags[name] = profile[at : at + size]
    tags = {name: _colors_in(name, tags[name]) for name in sorted(tags) if name in _FORMS}
    if not (b"A2B0" in tags or all(name in tags for name in (_MATRIX if space == b"RGB " else (b"kTRC",)))):
        raise ValueError("says nothing of colours")
    tags |= {name: _multi_text(text) if version == 4 else _text(name, text) for name, text in _TEXTS.items()}
    head = profile[8:10] + bytes(2) + kind + space + between + _DATE + b"acsp" + bytes(24) + struct.pack(">I", intent) + _D50 + bytes(48)
    return _joined(head, tags)


def _joined(head: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of a header without its first eight bytes, and tags; equal tags share their bytes."""
    table, body, places = b"", b"", dict[bytes, int]()
    first = 132 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:
            places[content] = first + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    return struct.pack(">II", first + len(body), 0) + head + struct.pack(">I", len(tags)) + table + body


def _text(name: bytes, text: str) -> bytes:
    """As version 2 has it: a description with its empty translations (ICC.1:2001, 6.5.17), or plain text."""
    words = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(words)) + words + bytes(4 + 4 + 2 + 1 + 67) if name == b"desc" else b"text\0\0\0\0" + words


def _multi_text(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def _colors_in(name: bytes, data: bytes) -> bytes:
    tag = _Tag(data)
    forms = _FORMS[name]
    if (form := tag.name(0)) not in forms:
        raise ValueError(f"{name!r} is no {form!r}")
    forms[form](tag)
    return tag.kept


def _triple(tag: _Tag) -> None:
    tag.take(8, 12)


def _nine(tag: _Tag) -> None:
    tag.take(8, 36)


def _four_codes(tag: _Tag) -> None:
    tag.take(8, 4)


def _chromaticities(tag: _Tag) -> None:
    channels = tag.number(8, 2)
    tag.take(10, 2 + 8 * channels)


def _curve(tag: _Tag, at: int = 0) -> int:
    """A curve of either kind at an offset; returns its size."""
    form = tag.name(at)
    if form == b"curv":
        size = 12 + 2 * tag.number(at + 8)
        tag.take(at + 12, size - 12)
    elif form == b"para" and (function := tag.number(at + 8, 2)) < len(_PARAMETERS):
        size = 12 + 4 * _PARAMETERS[function]
        tag.take(at + 12, size - 12)
    else:
        raise ValueError("not a curve")
    return size


def _one_curve(tag: _Tag) -> None:
    _curve(tag)


def _table_8(tag: _Tag) -> None:
    inputs, outputs, points = tag.take(8, 3)
    tag.take(12, 36 + 256 * inputs + points**inputs * outputs + 256 * outputs)


def _table_16(tag: _Tag) -> None:
    inputs, outputs, points = tag.take(8, 3)
    before, after = tag.number(48, 2), tag.number(50, 2)
    tag.take(12, 40 + 2 * (before * inputs + points**inputs * outputs + after * outputs))


def _table_of_curves(tag: _Tag, *, to_connection: bool) -> None:
    """lutAToBType and lutBToAType (10.12, 10.13): up to five parts, each at an offset of its own."""
    inputs, outputs = tag.take(8, 2)
    b_at, matrix_at, m_at, table_at, a_at = (tag.number(at) for at in range(12, 32, 4))
    plain, many = (outputs, inputs) if to_connection else (inputs, outputs)
    for at, curves in ((b_at, plain), (m_at, plain), (a_at, many)):
        for _ in range(curves if at else 0):
            size = _curve(tag, at)
            at += size + -size % 4
    if matrix_at:
        tag.take(matrix_at, 48)
    if table_at:
        points, precision = tag.take(table_at, inputs), tag.number(table_at + 16, 1)
        if inputs > 16 or precision not in (1, 2):
            raise ValueError("not a table of colours")
        tag.take(table_at + 20, prod(points) * outputs * precision)


def _from_device(tag: _Tag) -> None:
    _table_of_curves(tag, to_connection=True)


def _to_device(tag: _Tag) -> None:
    _table_of_curves(tag, to_connection=False)


def _elements(tag: _Tag) -> None:
    """multiProcessElementsType (10.16): curve sets, matrices and tables of floats, one after the other."""
    tag.take(8, 4)
    for number in range(min(tag.number(12), _MOST_TAGS)):
        at = tag.number(16 + 8 * number)
        tag.number(20 + 8 * number)
        form, inputs, outputs = tag.name(at), tag.number(at + 8, 2), tag.number(at + 10, 2)
        if form == b"matf":
            tag.take(at + 12, 4 * (inputs + 1) * outputs)
        elif form == b"clut" and inputs <= 16:
            tag.take(at + 28, 4 * prod(tag.take(at + 12, inputs)) * outputs)
        elif form == b"cvst":
            for curve in range(inputs):
                _segments(tag, at + tag.number(at + 12 + 8 * curve))
                tag.number(at + 16 + 8 * curve)
        else:
            raise ValueError("not an element")


def _segments(tag: _Tag, at: int) -> None:
    """A curve in segments (10.16.2.1): breakpoints, then a formula or samples for each."""
    if tag.name(at) != b"curf":
        raise ValueError("not a curve")
    segments = tag.number(at + 8, 2)
    at += 12 + len(tag.take(at + 12, 4 * (segments - 1)))
    for _ in range(segments):
        form = tag.name(at)
        if form == b"parf" and (function := tag.number(at + 8, 2)) < len(_SEGMENT_PARAMETERS):
            at += 12 + len(tag.take(at + 12, 4 * _SEGMENT_PARAMETERS[function]))
        elif form == b"samf":
            at += 12 + len(tag.take(at + 12, 4 * tag.number(at + 8)))
        else:
            raise ValueError("not a segment")


_Forms = dict[bytes, Callable[[_Tag], None]]
_CURVES: _Forms = {b"curv": _one_curve, b"para": _one_curve}
_TABLES: _Forms = {b"mft1": _table_8, b"mft2": _table_16}


def _each(names: Iterable[bytes], forms: _Forms) -> dict[bytes, _Forms]:
    return dict.fromkeys(names, forms)


# The tags that change colours, each with the forms it may have (9.2); everything else is left behind.
_FORMS: dict[bytes, _Forms] = {
    **_each((b"bXYZ", b"gXYZ", b"rXYZ", b"wtpt", b"bkpt", b"lumi"), {b"XYZ ": _triple}),
    **_each((b"bTRC", b"gTRC", b"rTRC", b"kTRC"), _CURVES),
    **_each((b"A2B0", b"A2B1", b"A2B2"), {**_TABLES, b"mAB ": _from_device}),
    **_each((b"B2A0", b"B2A1", b"B2A2", b"gamt"), {**_TABLES, b"mBA ": _to_device}),
    **_each((b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3"), {b"mpet": _elements}),
    b"chad": {b"sf32": _nine},
    b"chrm": {b"chrm": _chromaticities},
    b"cicp": {b"cicp": _four_codes},
}
