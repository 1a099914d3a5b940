"""What counts as damaged: all that may be a guess, and nothing that was only cut, joined, or stored without times."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from anonymizer.errors import SourceError
from anonymizer.media import VideoReader, probe
from anonymizer.types import Frame
from tests.media.clips import Clip, decode, write

WH = (96, 64)
X264 = {"bf": "2", "g": "250", "sc_threshold": "0"}
X265 = {"x265-params": "log-level=none:keyint=250:bframes=3"}
MPEG = {"bf": "2", "g": "250"}


def read(path: Path) -> tuple[list[Frame], list[str]]:
    info = probe(path)
    with VideoReader(info, pixel_format=info.pixel_format) as reader:
        return list(reader.frames()), reader.warnings


def pixels(frame: Frame) -> bytes:
    return b"".join(plane.tobytes() for plane in frame.planes)


def damaged(frames: list[Frame]) -> list[int]:
    return [frame.index for frame in frames if frame.damaged]


def assert_no_unmarked_guess(frames: list[Frame], whole: list[Frame]) -> None:
    known = {pixels(frame) for frame in whole}
    assert all(frame.damaged for frame in frames if pixels(frame) not in known)


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def broken(packet: Packet[Any]) -> Packet[Any]:
    """The packet with its last bytes gone to 0xff; HEVC's with nothing else left, as its decoder takes any bits for a picture."""
    data = bytes(packet)
    kept = 0 if packet.stream.codec_context.name == "hevc" else len(data) * 3 // 4
    other: Packet[Any] = Packet(data[:kept] + b"\xff" * (len(data) - kept))
    other.pts, other.dts, other.time_base, other.is_keyframe = packet.pts, packet.dts, packet.time_base, packet.is_keyframe
    return other


def trimmed(path: Path, by_frames: int, hurt: bool = False) -> Path:
    """The file without its first frames, none coded anew: an edit list hides what the rest is built on.

    `hurt`: the hidden key frame is broken.
    """
    short = path.with_name(f"short-{hurt}-{path.name}")
    with av.open(str(path)) as source, av.open(str(short), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        by = round(by_frames / stream.average_rate / stream.time_base)
        for number, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            if hurt and number == 0:
                packet = broken(packet)
            packet.pts, packet.dts, packet.stream = packet.pts - by, packet.dts - by, copy
            target.mux(packet)
    return short


TRIMMED = [
    Clip(f"{name}.{suffix}", codec=codec, frames=30, size_wh=WH, options=options)
    for name, codec, options in (("h264", "libx264", X264), ("hevc", "libx265", X265), ("mpeg4", "mpeg4", MPEG))
    for suffix in ("mp4", "mov")
]
# Large frames without B: FFmpeg's decoder looks past a packet's end, and once found the heap's leavings there.
TRIMMED.append(Clip("mpeg4-no-b.mov", codec="mpeg4", frames=30, size_wh=(320, 240), options={"g": "250"}))


@pytest.mark.parametrize("clip", TRIMMED, ids=[clip.name for clip in TRIMMED])
def test_trimmed_clip_keeps_its_beginning(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    whole = decode(path)
    short = trimmed(path, 11)
    with av.open(str(short)) as container:
        assert next(iter(container.demux(video=0))).is_discard
    frames, warnings = read(short)
    assert [pixels(frame) for frame in frames] == [pixels(frame) for frame in whole[11:]]
    assert damaged(frames) == []
    assert warnings == []


@pytest.mark.parametrize("clip", TRIMMED, ids=[clip.name for clip in TRIMMED])
def test_damage_in_a_hidden_key_frame_is_not_missed(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    short = trimmed(path, 11, hurt=True)
    if clip.codec == "libx265":  # Its decoder gives no frame without the one that it builds on.
        with pytest.raises(SourceError):
            read(short)
        return
    frames, _ = read(short)
    assert_no_unmarked_guess(frames, decode(path))
    assert damaged(frames)[0] == 0


def raw(clip: Clip, folder: Path, suffix: str) -> tuple[Path, Path, list[bytes]]:
    """A clip, the bare stream in it, and that stream's pieces."""
    path = write(clip, folder)
    pieces = payloads(path)
    stream = folder / f"raw.{suffix}"
    stream.write_bytes(b"".join(pieces))
    return path, stream, pieces


RAW = [
    pytest.param(Clip(f"{name}.{inside}", codec=codec, frames=30, size_wh=WH, options={**options, **more}), suffix, id=f"{name}-{kind}")
    for name, codec, inside, suffix, options, gops in (
        ("h264", "libx264", "ts", "h264", X264, {"one-gop": {}, "g12": {"g": "12"}, "no-b": {"bf": "0"}}),
        ("hevc", "libx265", "ts", "hevc", X265, {"one-gop": {}, "g12": {"x265-params": "log-level=none:keyint=12"}}),
        ("mpeg2", "mpeg2video", "ts", "m2v", MPEG, {"one-gop": {}, "g12": {"g": "12"}}),
        ("mpeg4", "mpeg4", "avi", "m4v", MPEG, {"one-gop": {}, "g12": {"g": "12"}}),
    )
    for kind, more in gops.items()
]


@pytest.mark.parametrize(("clip", "suffix"), RAW)
def test_bare_stream_without_times_is_whole(clip: Clip, suffix: str, tmp_path: Path) -> None:
    path, stream, _ = raw(clip, tmp_path, suffix)
    frames, _ = read(stream)
    assert [pixels(frame) for frame in frames] == [pixels(frame) for frame in decode(path)]
    assert damaged(frames) == []


@pytest.mark.parametrize(("clip", "suffix"), RAW)
def test_damage_in_a_bare_stream_is_not_missed(clip: Clip, suffix: str, tmp_path: Path) -> None:
    path, stream, pieces = raw(clip, tmp_path, suffix)
    kept = 0 if suffix == "hevc" else len(pieces[13]) // 3  # HEVC's decoder takes any bits for a picture.
    stream.write_bytes(b"".join([*pieces[:13], pieces[13][:kept], b"\xff" * (len(pieces[13]) - kept), *pieces[14:]]))
    frames, _ = read(stream)
    assert len(frames) > 10
    assert_no_unmarked_guess(frames, decode(path))


JOINED = [
    Clip("h264.ts", frames=30, size_wh=WH, options=X264),
    Clip("hevc.ts", codec="libx265", frames=30, size_wh=WH, options=X265),
    Clip("mpeg2.ts", codec="mpeg2video", frames=30, size_wh=WH, options=MPEG),
]


@pytest.mark.parametrize("clip", JOINED, ids=[clip.name for clip in JOINED])
def test_join_of_two_transport_streams_covers_only_the_seam(clip: Clip, tmp_path: Path) -> None:
    """Whether anything is missing there nobody can tell: the counter jumps. FFmpeg says it of the last two pictures."""
    path = write(clip, tmp_path)
    whole = decode(path)
    path.write_bytes(path.read_bytes() * 2)
    frames, warnings = read(path)
    assert [pixels(frame) for frame in frames] == [pixels(frame) for frame in whole] * 2
    assert 1 <= len(damaged(frames)) <= 2
    assert set(damaged(frames)) <= set(range(25, 30))
    assert any("jump back" in sentence for sentence in warnings)


@pytest.mark.parametrize("clip", JOINED, ids=[clip.name for clip in JOINED])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_join_after_a_cut_has_no_unmarked_guess(clip: Clip, lost: int, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    whole = decode(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 188 * lost] + data)
    frames, _ = read(path)
    assert_no_unmarked_guess(frames, whole)
    assert [pixels(frame) for frame in frames[-30:]] == [pixels(frame) for frame in whole]


@pytest.mark.parametrize("clip", JOINED, ids=[clip.name for clip in JOINED])
def test_key_frame_that_lost_its_data_ends_no_damage(clip: Clip, tmp_path: Path) -> None:
    """A transport stream's loss is told one frame before the one it is in."""
    options = {"x265-params": "log-level=none:keyint=10:min-keyint=10:bframes=0"} if clip.codec == "libx265" else {"g": "10", "bf": "0"}
    path = write(Clip(clip.name, codec=clip.codec, frames=30, size_wh=WH, options=options), tmp_path)
    whole = decode(path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        key, after = next((one.pos, two.pos) for one, two in pairwise(packets[5:]) if one.is_keyframe)
    data = path.read_bytes()
    for place in range(key, after, 188):
        path.write_bytes(data[:place] + data[place + 188 :])
        assert_no_unmarked_guess(read(path)[0], whole)


LOSING = [*JOINED, Clip("no-b.ts", frames=30, size_wh=WH, options={**X264, "bf": "0", "tune": "zerolatency"})]


@pytest.mark.parametrize("clip", LOSING, ids=[clip.name for clip in LOSING])
def test_loss_in_the_first_frames_is_not_missed(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    whole = decode(path)
    data = path.read_bytes()
    for place in range(3 * 188, 20 * 188, 188):
        path.write_bytes(data[:place] + data[place + 188 :])
        try:
            frames, _ = read(path)
        except SourceError:
            continue
        # A picture whose very end is missing at the end of the file is told by nothing.
        assert_no_unmarked_guess(frames[:-1], whole)


def joined(*paths: Path) -> Path:
    path = paths[0].with_name("joined.ts")
    path.write_bytes(b"".join(one.read_bytes() for one in paths))
    return path


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_pixel_aspect_that_changes_on_the_way_is_told_with_its_time(codec: str, tmp_path: Path) -> None:
    sizes = Clip("one.ts", codec=codec, size_wh=WH, options=MPEG), Clip("two.ts", codec=codec, size_wh=WH, options=MPEG, sample_aspect_ratio=Fraction(4, 3))
    one, two = (write(clip, tmp_path) for clip in sizes)
    assert not any("aspect" in sentence for path in (one, two) for sentence in read(path)[1])
    frames, warnings = read(joined(one, two, one))
    said = [sentence for sentence in warnings if "aspect" in sentence]
    assert len(said) == 1
    assert f" at {float(frames[12].pts * frames[12].time_base):.3f} s" in said[0]
    assert "from 1:1 to " in said[0]


def turned(path: Path) -> Path:
    """The H.264 stream with a display orientation in it."""
    other = path.with_name("turned.ts")
    with av.open(str(path)) as source, av.open(str(other), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        turn = BitStreamFilterContext("h264_metadata=display_orientation=insert:rotate=90", source.streams.video[0], copy)
        for packet in source.demux(video=0):
            for out in turn.filter(packet if packet.size else None):
                out.stream = copy
                target.mux(out)
    return other


def test_rotation_that_changes_on_the_way_is_told_with_its_time(tmp_path: Path) -> None:
    upright = write(Clip("upright.ts", frames=12, size_wh=WH, options={**X264, "g": "12"}), tmp_path)
    sideways = turned(upright)
    assert not any("stored" in sentence for path in (upright, sideways) for sentence in read(path)[1])
    for first, second in ((upright, sideways), (sideways, upright)):
        frames, warnings = read(joined(first, second))
        said = [sentence for sentence in warnings if "stored" in sentence]
        assert len(said) == 1
        assert f" from {float(frames[12].pts * frames[12].time_base):.3f} s on" in said[0]
