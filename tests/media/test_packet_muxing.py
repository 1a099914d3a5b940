"""Packets into containers as they are: whatever is written is opened and decoded again."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from anonymizer.media.annexb import START_CODE, codec_string, nal_type, nal_units, parameter_sets_of, sample_of
from anonymizer.media.packet_muxing import PacketMuxer, initialization_segment, jpeg_of
from anonymizer.media.pushing import push_fault, push_muxer
from anonymizer.types import EncodedPacket, StreamFormat
from tests.conftest import draw_picture
from tests.streaming.feeding import START_PTS, DrawnStream

CONTAINERS = [
    pytest.param("mp4", {}, id="mp4"),
    pytest.param("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}, id="fragmented-mp4"),
    pytest.param("mp4", {"movflags": "frag_keyframe+hybrid_fragmented"}, id="hybrid-mp4"),
    pytest.param("mov", {}, id="mov"),
    pytest.param("matroska", {}, id="matroska"),
    pytest.param("mpegts", {}, id="mpegts"),
    pytest.param("flv", {}, id="flv"),
]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(("container", "options"), CONTAINERS)
def test_every_packet_is_a_frame_at_its_own_time(container, options, codec):
    stream = DrawnStream(codec=codec)
    packets = stream.packets(30)
    packets = [EncodedPacket(packet.pts + 37 * at, packet.is_key, packet.data) for at, packet in enumerate(packets)]  # no even rate
    file = io.BytesIO()
    with PacketMuxer(file, container, stream.format, options) as muxer:
        for packet in packets:
            muxer.write(packet)
    file.seek(0)
    with av.open(file) as written:
        frames = list(written.decode(video=0))
    tick = max(frames[0].time_base, Fraction(1, 90_000))
    assert len(frames) == 30
    assert [frame.key_frame for frame in frames] == [packet.is_key for packet in packets]
    for frame, packet in zip(frames, packets, strict=True):
        assert abs(frame.pts * frame.time_base - Fraction(packet.pts - packets[0].pts, 90_000)) <= tick


def test_first_time_can_be_chosen():
    stream = DrawnStream()
    file = io.BytesIO()
    with PacketMuxer(file, "matroska", stream.format, start_pts=START_PTS - 90_000) as muxer:
        for packet in stream.packets(5):
            muxer.write(packet)
    file.seek(0)
    with av.open(file) as written:
        assert next(written.decode(video=0)).time == 1.0


def test_closing_without_a_packet_writes_nothing_and_is_no_error():
    file = io.BytesIO()
    PacketMuxer(file, "mp4", DrawnStream().format).close()
    assert file.getvalue() == b""


def test_hevc_in_mp4_has_the_tag_that_apple_plays():
    assert b"hvc1" in initialization_segment(DrawnStream(codec="hevc").format)


def test_initialization_segment_holds_no_picture():
    header = initialization_segment(DrawnStream().format)
    assert header[4:8] == b"ftyp"
    assert b"moov" in header
    assert b"mvex" in header
    assert b"mdat" not in header
    assert b"moof" not in header


def test_jpeg_shows_the_picture_of_the_key_frame():
    stream = DrawnStream(size_wh=(160, 120))
    picture = cv2.imdecode(np.frombuffer(jpeg_of(stream.packets(1)[0], stream.format), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(picture.astype(int) - draw_picture(0, (160, 120))).mean() < 6


def test_jpeg_of_what_is_no_key_frame_is_an_error():
    stream = DrawnStream()
    with pytest.raises(ValueError, match=r"no whole key frame|nvalid data"):
        jpeg_of(stream.packets(2)[1], stream.format)


def test_nal_units_survive_both_start_codes_and_padding():
    assert nal_units(b"\0\0\0\1\x67\1\0\0\1\x68\2\0\0\0\0\1\x65\3\0") == [b"\x67\1", b"\x68\2", b"\x65\3"]
    assert nal_units(b"") == []
    assert nal_units(b"no start code") == []


@pytest.mark.parametrize(("codec", "types"), [("h264", [7, 8]), ("hevc", [32, 33, 34])])
def test_parameter_sets_are_found_and_left_out_of_samples(codec, types):
    stream = DrawnStream(codec=codec)
    key, other = stream.packets(2)
    sets = parameter_sets_of(key.data, codec)
    assert sets == stream.format.parameter_sets
    assert [nal_type(unit, codec) for unit in nal_units(sets)] == types
    assert parameter_sets_of(other.data, codec) == b""
    sample = sample_of(key.data, codec)
    at = 0
    while at < len(sample):
        length = int.from_bytes(sample[at : at + 4])
        assert nal_type(sample[at + 4 :], codec) not in types
        at += 4 + length
    assert at == len(sample)


@pytest.mark.parametrize(
    ("codec", "parameter_sets", "expected"),
    [
        pytest.param("h264", b"\x67\x64\x00\x1f\xac", "avc1.64001f", id="high-3.1"),
        pytest.param("hevc", bytes.fromhex("420101016000000300b0000003000003005d"), "hvc1.1.6.L93.B0", id="main-3.1"),
        pytest.param("hevc", bytes.fromhex("4201012220000003009000000300000300 99".replace(" ", "")), "hvc1.2.4.H153.90", id="main10-high-tier-5.1"),
    ],
)
def test_codec_string_is_what_browsers_are_asked(codec, parameter_sets, expected):
    assert codec_string(StreamFormat(codec, (640, 360), 25.0, START_CODE + parameter_sets)) == expected


def test_codec_string_needs_an_sps():
    with pytest.raises(ValueError, match="no sequence parameter set"):
        codec_string(StreamFormat("h264", (640, 360), 25.0, START_CODE + b"\x68\1"))


def test_whip_over_tls_is_refused_because_nothing_checks_the_certificate():
    with pytest.raises(Exception, match="checks no certificate"):
        push_muxer("https://example.com/whip", DrawnStream().format, insecure=False, timeout_s=1)


def test_fault_is_one_line_of_ffmpegs():
    error = av.FFmpegError(5, "Input/output error", None, (16, "whip", "Failed to request.\no=FFmpeg 1\n"))
    assert push_fault(error) == "input/output error (Failed to request)"
