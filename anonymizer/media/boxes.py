"""The boxes of an MP4 or MOV file that FFmpeg does not show and that can carry a person's trace.

Only box headers are read; sizes and names follow ISO/IEC 14496-12. Anything odd ends the walk: this is a list for
the report, the boxes themselves never reach the output.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from anonymizer.types import Carrier

_PARENTS = {b"moov", b"trak", b"mdia", b"udta", b"minf", b"stbl"}
_TELLING = {
    b"udta": "user data",
    b"meta": "tags",
    b"uuid": "vendor data",
    b"XMP_": "XMP",
    b"\xa9xyz": "place of recording",
    b"loci": "place of recording",
    b"GPMF": "camera settings and position",
    b"GPS ": "position",
    b"gps ": "position",
    b"CAME": "camera serial number",
    b"thmb": "thumbnail",
    b"jumb": "C2PA manifest",
    b"free": "unused space",
}
_UUIDS = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "XMP",
    bytes.fromhex("d8fec3d61b0e483c92975828877ec481"): "C2PA manifest",
    bytes.fromhex("ffcc8263f8554a938814587a02521fdd"): "spherical video",
}
_MOST_BOXES = 2000  # A file that claims more is broken or hostile.


def telling_boxes(path: Path) -> tuple[Carrier, ...]:
    """Carriers among the file's boxes, each with its path and size."""
    found: dict[tuple[str, str], int] = {}
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            for trail, size in _walk(file, 0, end, (), [0]):
                if trail[-1] in ("free", "stsd"):
                    continue
                found["/".join(trail), _meaning(trail[-1])] = size
    except (OSError, struct.error):
        return ()
    return tuple(Carrier("box", name, f"{meaning}, {size} bytes") for (name, meaning), size in found.items())


def is_encrypted(path: Path) -> bool:
    """Whether a video track's sample entry is `encv`: its pictures are there, and nobody without the key can see them."""
    try:
        with path.open("rb") as file:
            for trail, _ in _walk(file, 0, file.seek(0, 2), (), [0]):
                if trail[-1] == "stsd":
                    # Version and flags, the number of entries, the first one's size: then its name.
                    return_here = file.tell()
                    entry = file.read(16)[12:]
                    file.seek(return_here)
                    if entry == b"encv":
                        return True
    except (OSError, struct.error):
        pass
    return False


def _meaning(name: str) -> str:
    if name.startswith("uuid "):
        return _UUIDS.get(bytes.fromhex(name[5:]), "vendor data")
    return _TELLING[name.encode("latin-1")]


def _walk(file: BinaryIO, start: int, end: int, trail: tuple[str, ...], seen: list[int]) -> Iterator[tuple[tuple[str, ...], int]]:
    position = start
    while position + 8 <= end and seen[0] < _MOST_BOXES:
        seen[0] += 1
        file.seek(position)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif size == 0:
            size = end - position
        if size < header or position + size > end:
            return
        name = kind.decode("latin-1")
        if kind == b"uuid":
            name = f"uuid {file.read(16).hex()}"
        here = (*trail, name)
        if kind in _TELLING or kind == b"stsd":
            yield here, size
        if kind in _PARENTS and len(here) < 7:
            yield from _walk(file, position + header, position + size, here, seen)
        position += size
