"""RTP and RTCP: coded frames cut into packets (RFC 6184, RFC 7798), framed for RTSP's own connection (RFC 2326, section 10.12)."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Iterable, Iterator

PAYLOAD_TYPE, SOUND_PAYLOAD_TYPE = 96, 97
VIDEO_CLOCK = 90_000
MOST_PAYLOAD = 1400  # bytes: a relay that goes on over UDP need not cut again
_RTP = struct.Struct(">cBHBBHII")  # "$", channel, length, version, marker and type, sequence number, timestamp, source
_FRAMED = struct.Struct(">cBH")
_NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970
_CNAME = secrets.token_hex(8).encode()  # Never the machine's name: RFC 7022.
_FU_A, _FU_HEVC = 28, 49


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B stream, without start codes.

    >>> list(nal_units(bytes.fromhex("000000016742 00000168ce 0000000165")))
    [b'gB', b'h\\xce', b'e']
    """
    start = data.find(b"\0\0\1")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)].rstrip(b"\0")  # The next start code's zeros: no unit ends with one.
        if unit:
            yield unit
        start = end


def nal_type(codec: str, unit: bytes) -> int:
    """The kind of a NAL unit, as the codec's standard numbers them."""
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def payloads_of(codec: str, data: bytes) -> tuple[bytes, ...]:
    """One coded frame as RTP payloads; the last one gets the marker."""
    return tuple(payload for unit in nal_units(data) for payload in _cut(codec, unit))


def sound_payloads_of(data: bytes) -> tuple[bytes, ...]:
    """One coded frame of AAC as RTP payloads (RFC 3640, mode AAC-hbr): a header of 13 bits size and 3 bits index before each part."""
    head = struct.pack(">HH", 16, len(data) << 3 & 0xFFFF)
    step = MOST_PAYLOAD - len(head)
    return tuple(head + data[at : at + step] for at in range(0, len(data), step))


def _cut(codec: str, unit: bytes) -> Iterator[bytes]:
    if len(unit) <= MOST_PAYLOAD:
        yield unit
        return
    kind = nal_type(codec, unit)
    if codec == "h264":
        head, skipped = bytes([unit[0] & 0xE0 | _FU_A]), 1
    else:
        head, skipped = bytes([unit[0] & 0x81 | _FU_HEVC << 1, unit[1]]), 2
    step = MOST_PAYLOAD - len(head) - 1
    for at in range(skipped, len(unit), step):
        is_first, is_last = at == skipped, at + step >= len(unit)
        yield head + bytes([is_first << 7 | is_last << 6 | kind]) + unit[at : at + step]


class RtpSource:
    """One stream on its way to one viewer: numbers, timestamps and reports."""

    def __init__(self, rtp_channel: int, rtcp_channel: int, *, payload_type: int = PAYLOAD_TYPE, clock: int = VIDEO_CLOCK) -> None:
        self._payload_type, self._clock = payload_type, clock
        self._rtp_channel, self._rtcp_channel = rtp_channel, rtcp_channel
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(16)  # of the next packet
        self._offset = secrets.randbits(32)
        # Taken once: a clock that is set back must not let a player's time run backwards.
        self._wall_s = time.time() - time.monotonic()
        self._packets = self._octets = 0

    def timestamp(self, pts: int) -> int:
        """The RTP time of a pts."""
        return (pts * self._clock // VIDEO_CLOCK + self._offset) & 0xFFFFFFFF

    def frames(self, payloads: Iterable[bytes], pts: int) -> Iterator[bytes]:
        """Interleaved frames of one coded frame."""
        timestamp, waiting = self.timestamp(pts), None
        for payload in payloads:
            if waiting is not None:
                yield self._frame(waiting, timestamp, 0)
            waiting = payload
        if waiting is not None:
            yield self._frame(waiting, timestamp, 0x80)

    def report(self, *, is_last: bool = False) -> bytes:
        """An interleaved sender report: which wall clock time an RTP time is; and a goodbye with the last one."""
        now_s = time.monotonic()
        ntp = round((now_s + self._wall_s + _NTP_EPOCH_S) * (1 << 32)) & (1 << 64) - 1
        packet = struct.pack(
            ">BBHIQIII", 0x80, 200, 6, self.ssrc, ntp, self.timestamp(round(now_s * 90_000)), self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF
        )
        item = struct.pack(">IBB", self.ssrc, 1, len(_CNAME)) + _CNAME
        item += bytes(4 - len(item) % 4)  # at least one zero ends the list
        packet += struct.pack(">BBH", 0x81, 202, len(item) // 4) + item
        if is_last:
            packet += struct.pack(">BBHI", 0x81, 203, 1, self.ssrc)
        return _FRAMED.pack(b"$", self._rtcp_channel, len(packet)) + packet

    def _frame(self, payload: bytes, timestamp: int, marker: int) -> bytes:
        head = _RTP.pack(b"$", self._rtp_channel, 12 + len(payload), 0x80, marker | self._payload_type, self.sequence, timestamp, self.ssrc)
        self.sequence = self.sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(payload)
        return head + payload
