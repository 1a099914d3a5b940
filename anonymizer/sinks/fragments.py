"""Fragmented MP4 by hand: an initialization segment once, then any group of packets as one fragment of its own.

FFmpeg's muxer holds every fragment back until the next packet has come; here one packet can be sent at once, as a live page
needs, and a group of pictures can be written as one segment, as HLS needs (ISO/IEC 14496-12, sections 8.8.4 to 8.8.12).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from anonymizer.media.annexb import codec_string, sample_of
from anonymizer.media.packet_muxing import initialization_segment
from anonymizer.types import LIVE_TIME_BASE, EncodedPacket, StreamFormat

_TRACK = 1
_BASE_IS_MOOF = 0x020000  # tfhd
_OFFSET_DURATION_SIZE_FLAGS = 0x000001 | 0x000100 | 0x000200 | 0x000400  # trun
_KEY, _NOT_KEY = 0x02000000, 0x01010000  # sample_depends_on, sample_is_non_sync_sample


class Fragments:
    """Makes fragments of one stream format; each stands for itself and says where on the stream's clock it belongs.

    `start_pts` is time 0 of the fragments; by default the first packet's. Sequence numbers only rise.
    """

    def __init__(self, stream: StreamFormat, *, start_pts: int | None = None) -> None:
        self.init = initialization_segment(stream)
        self.codec = codec_string(stream)
        self._stream = stream
        self._start_pts = start_pts
        self._sequence = 0
        self._frame_ticks = round(LIVE_TIME_BASE.denominator / (stream.frame_rate or 25))

    def fragment(self, packets: Sequence[EncodedPacket], end_pts: int | None = None) -> bytes:
        """One fragment, `moof` and `mdat`. `end_pts` is the next packet's time; without it the last picture lasts one frame."""
        start = self._start_pts = packets[0].pts if self._start_pts is None else self._start_pts
        self._sequence += 1
        ends = [packet.pts for packet in packets[1:]] + [end_pts if end_pts is not None else packets[-1].pts + self._frame_ticks]
        samples = [sample_of(packet.data, self._stream.codec) for packet in packets]
        run = b"".join(
            struct.pack(">III", end - packet.pts, len(sample), _KEY if packet.is_key else _NOT_KEY)
            for packet, sample, end in zip(packets, samples, ends, strict=True)
        )
        header = _full_box(b"mfhd", 0, 0, struct.pack(">I", self._sequence))
        track = _full_box(b"tfhd", 0, _BASE_IS_MOOF, struct.pack(">I", _TRACK)) + _full_box(b"tfdt", 1, 0, struct.pack(">Q", packets[0].pts - start))
        # The samples begin after this box and the eight bytes that head `mdat`; the length of `moof` does not hang on its content.
        offset = len(_moof(header, track, len(packets), 0, run)) + 8
        return _moof(header, track, len(packets), offset, run) + _box(b"mdat", b"".join(samples))


def _moof(header: bytes, track: bytes, count: int, offset: int, run: bytes) -> bytes:
    trun = _full_box(b"trun", 0, _OFFSET_DURATION_SIZE_FLAGS, struct.pack(">Ii", count, offset) + run)
    return _box(b"moof", header + _box(b"traf", track + trun))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full_box(kind: bytes, version: int, flags: int, content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + content)
