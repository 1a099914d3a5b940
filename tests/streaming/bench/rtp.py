"""NAL units as RTP packets: RFC 6184 (H.264) and RFC 7798 (HEVC), single units and fragments."""

from __future__ import annotations

import struct

from tests.streaming.bench.coded import Codec

PAYLOAD_TYPE = 96
CLOCK = 90_000
_MOST_PAYLOAD = 1400
_H264_FRAGMENT, _HEVC_FRAGMENT = 28, 49


class Packetizer:
    """Numbers the packets of one session."""

    def __init__(self, ssrc: int, first_sequence: int) -> None:
        self.ssrc = ssrc
        self.sequence = first_sequence

    def packets(self, nals: tuple[bytes, ...], timestamp: int, codec: Codec) -> list[bytes]:
        """One frame; the last packet carries the marker."""
        payloads = [payload for nal in nals for payload in _payloads(nal, codec)]
        return [self._packet(payload, timestamp, marker=payload is payloads[-1]) for payload in payloads]

    def _packet(self, payload: bytes, timestamp: int, *, marker: bool) -> bytes:
        head = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE | (0x80 if marker else 0), self.sequence, timestamp & 0xFFFFFFFF, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        return head + payload


def _payloads(nal: bytes, codec: Codec) -> list[bytes]:
    if len(nal) <= _MOST_PAYLOAD:
        return [nal]
    if codec == "h264":
        indicator, kind, body = bytes([nal[0] & 0xE0 | _H264_FRAGMENT]), nal[0] & 0x1F, nal[1:]
    else:
        indicator, kind, body = bytes([nal[0] & 0x81 | _HEVC_FRAGMENT << 1, nal[1]]), nal[0] >> 1 & 0x3F, nal[2:]
    parts = [body[start : start + _MOST_PAYLOAD] for start in range(0, len(body), _MOST_PAYLOAD)]
    flags = [(0x80 if part is parts[0] else 0) | (0x40 if part is parts[-1] else 0) for part in parts]
    return [indicator + bytes([flag | kind]) + part for flag, part in zip(flags, parts, strict=True)]


def interleaved(packet: bytes, channel: int) -> bytes:
    """A packet on an RTSP connection (RFC 2326, section 10.12)."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def sender_report(ssrc: int, timestamp: int, wall_s: float, packets: int, octets: int) -> bytes:
    """The RTCP packet that says which moment of the wall clock a timestamp is."""
    ntp = round((wall_s + 2_208_988_800) * (1 << 32)) & (1 << 64) - 1
    return struct.pack(">BBHIQIII", 0x80, 200, 6, ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
