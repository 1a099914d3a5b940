"""How much of a recording that was cut off can stand alone: up to the end of the last whole fragment, cluster or frame.

Recordings are written so that there is such a place at every key frame; what is cut off here was never whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

_TS_PACKET = 188
_TS_PIECE = _TS_PACKET * 4096
_TS_VIDEO = 0x100  # the PID that FFmpeg's muxer gives to the first stream
_SEGMENT, _CLUSTER, _CUES = 0x18538067, 0x1F43B675, 0x1C53BB6B  # Matroska (RFC 9559)


def whole_mp4_bytes(file: BinaryIO) -> int:
    """Up to the last `mdat` that its `moov` or `moof` stands before; all of a file that was ended."""
    whole, before, has_index = 0, b"", False
    for kind, _, end in _boxes(file):
        if kind == b"mdat" and before in (b"moov", b"moof"):
            whole, has_index = end, True
        elif kind == b"moov" and before == b"mdat" and not has_index:
            whole = end
        before = kind
    return whole


def whole_mkv_bytes(file: BinaryIO) -> int:
    """Up to the end of the last whole cluster, or of the index behind it."""
    size, at, whole = _size(file), 0, 0
    while at < size:
        identity, at_size = _vint(file, at, keep_mark=True)
        length, at_content = _vint(file, at_size, keep_mark=False)
        if identity == _SEGMENT:
            at = at_content
            continue
        at = at_content + length
        if identity == 0 or at > size:
            break
        if identity == _CLUSTER or (identity == _CUES and whole):
            whole = at
    return whole


def whole_ts_bytes(file: BinaryIO) -> int:
    """Up to where the last frame begins: whether that one is whole, nobody can tell."""
    end = _size(file) // _TS_PACKET * _TS_PACKET
    while end > 0:
        begin = max(0, end - _TS_PIECE)
        file.seek(begin)
        piece = file.read(end - begin)
        for at in range(len(piece) - _TS_PACKET, -1, -_TS_PACKET):
            identity = int.from_bytes(piece[at + 1 : at + 3])
            if piece[at] == 0x47 and identity & 0x4000 and identity & 0x1FFF == _TS_VIDEO:
                return begin + at if _holds_frame(file, begin + at) else 0
        end = begin
    return 0


WHOLE_BYTES: Mapping[str, Callable[[BinaryIO], int]] = {".mp4": whole_mp4_bytes, ".mkv": whole_mkv_bytes, ".ts": whole_ts_bytes}


def _holds_frame(file: BinaryIO, end: int) -> bool:
    """Whether a frame begins before `end`; the first one does within the first packets."""
    file.seek(0)
    head = file.read(min(end, _TS_PIECE))
    return any(head[at + 1] & 0x40 and (head[at + 1] & 0x1F) << 8 | head[at + 2] == _TS_VIDEO for at in range(0, len(head) - 3, _TS_PACKET))


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of every whole box."""
    size, at = _size(file), 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8 or at + length > size:
            return
        yield head[4:8], at, at + length
        at += length


def _vint(file: BinaryIO, at: int, *, keep_mark: bool) -> tuple[int, int]:
    """A number of variable length at `at` (RFC 8794, section 4), and where the next thing begins; 0 if there is none."""
    file.seek(at)
    data = file.read(8)
    if not data or not data[0]:
        return 0, at + 8
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, at + 8
    number = int.from_bytes(data[:length])
    return (number if keep_mark else number & ((1 << 7 * length) - 1)), at + length


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
