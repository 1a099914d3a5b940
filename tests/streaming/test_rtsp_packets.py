"""Coded frames cut into RTP payloads, and put together again by the letter of RFC 6184 and RFC 7798."""

from __future__ import annotations

import base64
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.rtsp.digest import _fields
from anonymizer.rtsp.messages import RefusedError, _headers
from anonymizer.rtsp.rtp import MOST_PAYLOAD, RtpSource, nal_units, payloads_of
from anonymizer.rtsp.sdp import description
from anonymizer.types import StreamFormat
from tests.streaming.drawn_stream import drawn


def put_together(codec: str, payloads: tuple[bytes, ...]) -> list[bytes]:
    """The NAL units that a receiver sees."""
    units: list[bytes] = []
    part = b""
    for payload in payloads:
        kind = payload[0] & 0x1F if codec == "h264" else payload[0] >> 1 & 0x3F
        if kind != (28 if codec == "h264" else 49):
            assert not part
            units.append(payload)
            continue
        at = 1 if codec == "h264" else 2
        header = payload[at]
        if header & 0x80:
            assert not part
            part = bytes([payload[0] & 0xE0 | header & 0x1F]) if codec == "h264" else bytes([payload[0] & 0x81 | (header & 0x3F) << 1, payload[1]])
        assert part
        part += payload[at + 1 :]
        if header & 0x40:
            units.append(part)
            part = b""
    assert not part
    return units


def a_unit(codec: str, size: int, fill: int) -> bytes:
    return (b"\x65" if codec == "h264" else b"\x26\x01") + bytes([fill or 1]) * size


@given(st.sampled_from(["h264", "hevc"]), st.lists(st.tuples(st.integers(1, 6000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_units_survive_being_cut(codec: str, sizes: list[tuple[int, int]], is_long: bool) -> None:
    units = [a_unit(codec, size, fill) for size, fill in sizes]
    start = b"\0\0\0\1" if is_long else b"\0\0\1"
    payloads = payloads_of(codec, b"".join(start + unit for unit in units))
    assert max(map(len, payloads)) <= MOST_PAYLOAD
    assert put_together(codec, payloads) == units


@pytest.mark.parametrize(
    "size", [MOST_PAYLOAD - 3, MOST_PAYLOAD - 2, MOST_PAYLOAD - 1, MOST_PAYLOAD, MOST_PAYLOAD + 1, 2 * MOST_PAYLOAD, 2 * (MOST_PAYLOAD - 2)]
)
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_units_at_the_edge_of_a_packet(codec: str, size: int) -> None:
    unit = a_unit(codec, size, 3)
    assert put_together(codec, payloads_of(codec, b"\0\0\1" + unit)) == [unit]


def test_real_frames_survive_being_cut() -> None:
    for codec in ("h264", "hevc"):
        _, packets = drawn(codec)
        for packet in packets:
            assert put_together(codec, payloads_of(codec, packet.data)) == list(nal_units(packet.data))


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_or_left_out(data: bytes) -> None:
    for codec in ("h264", "hevc"):
        payloads_of(codec, b"\0\0\1" + data)
        description("x", StreamFormat(codec, (16, 16), 25.0, data), 1)


def test_numbers_and_times_of_packets() -> None:
    source = RtpSource(4, 5)
    first = source.sequence
    source.sequence = 0xFFFF
    assert 0 <= first <= 0xFFFF
    one = list(source.frames((b"a", b"b", b"c"), 90_000))
    (two,) = source.frames((b"d",), 93_600)
    assert [struct.unpack(">cBHBBH", frame[:8]) for frame in one] == [
        (b"$", 4, 13, 0x80, 96, 0xFFFF),
        (b"$", 4, 13, 0x80, 96, 0),
        (b"$", 4, 13, 0x80, 0x80 | 96, 1),  # the marker is on a frame's last packet
    ]
    times = [int.from_bytes(frame[8:12]) for frame in (*one, two)]
    assert len(set(times[:3])) == 1
    assert (times[3] - times[0]) & 0xFFFFFFFF == 3600
    report = source.report(is_last=True)
    assert int.from_bytes(report[2:4]) == len(report) - 4
    assert int.from_bytes(report[24:28]) == 4  # packets so far
    assert report[4 + 28 + 1] == 202
    assert report[-8:-4] == bytes.fromhex("81cb0001")
    at = 4
    while at < len(report):  # compound packets fill the frame exactly
        at += 4 * (int.from_bytes(report[at + 2 : at + 4]) + 1)
    assert at == len(report)
    assert list(source.frames((), 0)) == []


def test_a_clock_that_is_set_back_does_not_reach_players(monkeypatch: pytest.MonkeyPatch) -> None:
    source = RtpSource(0, 1)
    before = int.from_bytes(source.report()[12:20])
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert int.from_bytes(source.report()[12:20]) >= before


def test_hevc_is_described_with_its_three_sets() -> None:
    stream, _ = drawn("hevc")
    text = description("gate", stream, 1).decode()
    sets = dict(part.split("=", 1) for part in text.partition("a=fmtp:96 ")[2].partition("\r\n")[0].split(";"))
    assert list(sets) == ["sprop-vps", "sprop-sps", "sprop-pps"]
    assert [base64.b64decode(value)[0] >> 1 for value in sets.values()] == [32, 33, 34]


def test_a_title_cannot_add_lines() -> None:
    text = description("gate\r\na=evil\x00", drawn()[0], 1).decode()
    assert "\r\na=evil" not in text


def test_long_blanks_are_read_quickly() -> None:
    began_s = time.process_time()
    for _ in range(100):
        assert _fields("Digest a=" + " " * 4000 + "x y") is None
        with pytest.raises(RefusedError):
            _headers(["a:" + " " * 4000 + "\0"])
    assert time.process_time() - began_s < 1
