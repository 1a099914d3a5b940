"""Fragments made by hand: FFmpeg reads them, alone, in groups, and with holes in their time."""

from __future__ import annotations

import io

import av
import pytest

from anonymizer.sinks.fragments import Fragments
from tests.streaming.feeding import START_PTS, DrawnStream


def decoded(data: bytes) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(data)) as written:
        return list(written.decode(video=0))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_groups_and_single_packets_play_as_one_stream(codec):
    stream = DrawnStream(codec=codec)
    packets = stream.packets(36)
    fragments = Fragments(stream.format)
    data = fragments.init + fragments.fragment(packets[:12], packets[12].pts)
    data += b"".join(fragments.fragment([packet]) for packet in packets[12:24]) + fragments.fragment(packets[24:])
    frames = decoded(data)
    assert [frame.pts for frame in frames] == [packet.pts - packets[0].pts for packet in packets]
    assert [frame.key_frame for frame in frames] == [packet.is_key for packet in packets]


def test_a_viewer_may_begin_at_any_key_frame():
    stream = DrawnStream()
    packets = stream.packets(36)
    fragments = Fragments(stream.format)
    groups = [fragments.fragment(packets[at : at + 12]) for at in (0, 12, 24)]
    assert len(decoded(fragments.init + groups[2])) == 12


def test_a_hole_in_time_stays_a_hole():
    stream = DrawnStream()
    first, second = stream.packets(12), stream.packets(12, start_pts=START_PTS + 900_000)
    fragments = Fragments(stream.format)
    frames = decoded(fragments.init + fragments.fragment(first) + fragments.fragment(second))
    assert frames[12].pts == 900_000


def test_fragments_can_share_a_clock():
    stream = DrawnStream()
    packets = stream.packets(12)
    fragments = Fragments(stream.format, start_pts=packets[0].pts - 90_000)
    assert decoded(fragments.init + fragments.fragment(packets))[0].pts == 90_000


def test_codec_is_named_for_browsers():
    assert Fragments(DrawnStream().format).codec.startswith("avc1.42")
