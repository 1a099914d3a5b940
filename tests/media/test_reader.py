"""Frames as they come out of a file: all of them, at their times, and honest about damage."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.errors import ConfigError, SourceError
from anonymizer.media import VideoReader, probe, sources
from anonymizer.media.decoding import Decoder
from anonymizer.media.timing import CleanTimeline, OutputClock
from anonymizer.types import Frame
from tests.conftest import draw_picture
from tests.media.clips import Clip, decode, run, times_s, write

MS = Fraction(1, 1000)
probe_module = sys.modules["anonymizer.media.probe"]  # The package shows the function of that name.


def read(path: Path, **wishes: object) -> tuple[list[Frame], list[str]]:
    info = probe(path)
    with VideoReader(info, pixel_format=wishes.pop("pixel_format", info.pixel_format), **wishes) as reader:
        frames = list(reader.frames())
        assert reader.frames_read == len(frames)
        return frames, reader.warnings


def test_planes_are_the_decoders_own_and_read_only(tmp_path: Path) -> None:
    frames, warnings = read(write(Clip("in.mp4", size_wh=(66, 50)), tmp_path))
    assert [frame.index for frame in frames] == list(range(12))
    assert [plane.shape for plane in frames[0].planes] == [(50, 66), (25, 33), (25, 33)]
    assert all(plane.base is not None and not plane.flags.writeable for frame in frames for plane in frame.planes)
    assert all(frame.spread_px == 0 and not frame.damaged for frame in frames)
    assert warnings == []


def test_frames_stay_as_they_were_while_the_decoder_goes_on(tmp_path: Path) -> None:
    path = write(Clip("in.mkv", codec="ffv1", frames=40), tmp_path)
    late = decode(path)
    info = probe(path)
    with VideoReader(info, pixel_format=info.pixel_format) as reader:
        for frame, kept in zip(reader.frames(), late, strict=True):
            assert all(np.array_equal(now, then) for now, then in zip(frame.planes, kept.planes, strict=True))


SPANS = [
    pytest.param((0.0, None), 0, 50, id="everything"),
    pytest.param((0.4, 0.8), 10, 20, id="from-frame-10-to-20"),
    pytest.param((0.4, None), 10, 50, id="from-frame-10"),
    pytest.param((0.0, 0.04), 0, 1, id="the-first-frame"),
    pytest.param((1.5, 99.0), 38, 50, id="beyond-the-end"),
]


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts", "in.avi", "reordered.avi", "late.mp4"])
@pytest.mark.parametrize(("span_s", "first", "end"), SPANS)
def test_a_span_holds_exactly_its_frames(name: str, span_s: tuple[float, float | None], first: int, end: int, tmp_path: Path) -> None:
    options = {"g": "12", "bf": "0" if name == "in.avi" else "2"}
    late = {"time_base": MS, "pts": [3000 + 40 * n for n in range(50)]} if name == "late.mp4" else {}
    codec = "mpeg4" if name == "reordered.avi" else "libx264"  # Its groups are open: B-frames of a key frame look back behind it.
    path = write(Clip(name, codec=codec, frames=50, options=options, **late), tmp_path)
    every = decode(path)
    done = run(path, tmp_path / f"out-{name}", span_s=span_s)
    assert [frame.pts for frame in done.frames] == [frame.pts for frame in every[first:end]]
    assert all(np.array_equal(ours.planes[0], theirs.planes[0]) for ours, theirs in zip(done.frames, every[first:end], strict=True))
    assert not any(frame.damaged for frame in done.frames)
    if span_s[0] > 0:
        assert times_s(done.path) == pytest.approx([0.04 * n for n in range(end - first)], abs=0.001)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_decoder_that_gets_stuck_in_reordered_avi_repeats_nothing(codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(Clip("in.avi", codec=codec, frames=50, options={"g": "12", "bf": "2"}), tmp_path)
    every = decode(path)
    plain, sent = Decoder.decode, 0

    def sticks_once(decoder: Decoder, packet: av.Packet) -> list[av.VideoFrame]:
        nonlocal sent
        sent += 1
        if sent == 31:
            raise av.BlockingIOError(11, "stuck")
        return plain(decoder, packet)

    monkeypatch.setattr(Decoder, "decode", sticks_once)
    frames, _ = read(path)
    assert [frame.pts for frame in frames] == [frame.pts for frame in every]
    assert all(np.array_equal(ours.planes[0], theirs.planes[0]) for ours, theirs in zip(frames, every, strict=True))
    assert [frame.damaged for frame in frames] == [False] * (50 - sum(frame.damaged for frame in frames)) + [True] * sum(frame.damaged for frame in frames)


def test_a_span_without_frames_is_refused(tmp_path: Path) -> None:
    for span_s in ((5.0, 6.0), (0.47, 0.475), (0.41, 0.43)):  # beyond the end, after the last frame, between two
        with pytest.raises(ConfigError, match="the span holds no frame") as caught:
            read(write(Clip("in.mp4"), tmp_path), span_s=span_s)
        assert "0.480 s long" in str(caught.value.hint)


def _hurt(path: Path, seed: int) -> Path:
    """The file with 300 bytes of noise in its middle."""
    data, luck = bytearray(path.read_bytes()), random.Random(seed)
    start = luck.randrange(len(data) // 4, len(data) // 3)  # before the index that some have at their end
    data[start : start + 300] = luck.randbytes(300)
    hurt = path.with_name(f"hurt-{path.name}")
    hurt.write_bytes(data)
    return hurt


DAMAGED = [
    Clip("h264.mp4", frames=40, size_wh=(176, 144), options={"g": "12", "bf": "2"}),
    Clip("h264.ts", frames=40, size_wh=(176, 144), options={"g": "12", "bf": "2"}),
    Clip("hevc.mp4", codec="libx265", frames=40, size_wh=(176, 144), options={"x265-params": "log-level=none:keyint=12"}),
    Clip("mpeg4.avi", codec="mpeg4", frames=40, size_wh=(176, 144)),
    Clip("mpeg2.ts", codec="mpeg2video", frames=40, size_wh=(176, 144)),
    Clip("ffv1.mkv", codec="ffv1", frames=20, size_wh=(176, 144)),
    Clip("av1.mkv", codec="libsvtav1", frames=40, size_wh=(176, 144)),
    Clip("png.mov", codec="png", pixel_format="rgb24", frames=20, size_wh=(176, 144)),
]


@pytest.mark.parametrize("clip", DAMAGED, ids=[clip.name for clip in DAMAGED])
def test_noise_loses_no_frame_that_ffmpeg_gives(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    for seed in range(3):
        hurt = _hurt(path, seed)
        plain = _frames_of_a_plain_loop(hurt)
        if plain:
            assert len(read(hurt)[0]) >= plain


@pytest.mark.parametrize("clip", DAMAGED, ids=[clip.name for clip in DAMAGED])
def test_a_lost_packet_leaves_no_unmarked_guess(clip: Clip, tmp_path: Path) -> None:
    path = write(clip, tmp_path)
    whole = {b"".join(plane.tobytes() for plane in frame.planes) for frame in decode(path)}
    hurt = _without_packet(path, clip.frames // 2 + 1)
    frames, warnings = read(hurt)
    assert len(frames) >= _frames_of_a_plain_loop(hurt)
    guessed = [frame for frame in frames if b"".join(plane.tobytes() for plane in frame.planes) not in whole]
    assert all(frame.damaged for frame in guessed)
    assert any(frame.damaged for frame in frames)
    assert any("damaged" in sentence for sentence in warnings)
    with pytest.raises(SourceError, match=r"frame \d+ .* is damaged"):
        read(hurt, on_damage="stop")


def _without_packet(path: Path, number: int) -> Path:
    """The file with one video packet's content gone: 0xff in its place, or in a transport stream nothing at all."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        start, after, size = packets[number].pos, packets[number + 1].pos, packets[number].size
    data = bytearray(path.read_bytes())
    if path.suffix == ".ts":
        # The packet's last 188 bytes stay away: the counter in the next one tells.
        del data[after - 188 : after]
    else:
        data[start : start + size] = b"\xff" * size
    hurt = path.with_name(f"lost-{path.name}")
    hurt.write_bytes(data)
    return hurt


def _frames_of_a_plain_loop(path: Path) -> int:
    """As many as FFmpeg's own command line decodes: no threads, errors passed over."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                count += len(packet.decode())
            except av.FFmpegError:
                continue
    return count


def test_damage_ends_at_the_next_clean_key_frame(tmp_path: Path) -> None:
    clip = Clip("in.mp4", frames=60, size_wh=(176, 144), options={"g": "10", "keyint_min": "10", "sc_threshold": "0", "bf": "0"})
    path = write(clip, tmp_path)
    with av.open(str(path)) as container:
        keys = [index for index, packet in enumerate(packet for packet in container.demux(video=0) if packet.size) if packet.is_keyframe]
    damaged = [frame.index for frame in read(_without_packet(path, 23))[0] if frame.damaged]
    # Threads tell of damage some frames early; the frame that lost its data, and those that build on it, are never missed.
    assert 18 <= min(damaged) <= 23
    # The frame that was lost is not there to be counted, which moves those after it by one.
    assert damaged in (list(range(min(damaged), key)) for later in keys if later > 23 for key in (later, later - 1))
    assert max(damaged) < 31


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi"])
def test_a_file_that_is_cut_is_read_up_to_there(suffix: str, tmp_path: Path) -> None:
    path = write(Clip(f"in{suffix}", frames=60, size_wh=(176, 144), options={"bf": "0", "g": "10"}), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, _ = read(path)
    assert 10 < len(frames) < 60


def test_a_fragmented_file_that_ends_early_says_so(tmp_path: Path) -> None:
    path = write(Clip("in.mp4", frames=60, size_wh=(176, 144), options={"bf": "0", "g": "10"}, muxer_options={"movflags": "+faststart"}), tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - len(data) // 3])
    frames, warnings = read(path)
    assert 10 < len(frames) < 60
    assert any("it may be cut off" in sentence for sentence in warnings)


def test_a_stream_that_begins_without_a_key_frame_has_no_unmarked_guess(tmp_path: Path) -> None:
    path = write(Clip("in.ts", frames=60, size_wh=(176, 144), options={"bf": "0", "g": "20"}), tmp_path)
    whole = {frame.planes[0].tobytes() for frame in decode(path)}
    with av.open(str(path)) as container:
        position = [packet for packet in container.demux(video=0) if packet.size][5].pos
    data = path.read_bytes()
    path.write_bytes(data[: 2 * 188] + data[position:])
    frames, _ = read(path)
    assert len(frames) == _frames_of_a_plain_loop(path)
    assert all(frame.damaged or frame.planes[0].tobytes() in whole for frame in frames)


def test_a_picture_that_changes_its_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "in.ts"
    parts = [write(Clip(f"{n}.ts", size_wh=size, options={"bf": "0"}), tmp_path).read_bytes() for n, size in enumerate([(64, 48), (128, 96)])]
    path.write_bytes(b"".join(parts))
    frames, warnings = read(path)
    assert len(frames) == 24
    assert {frame.size_wh for frame in frames} == {(64, 48)}
    assert frames[0].spread_px == 0
    assert frames[-1].spread_px >= 16
    assert any("scaled to 64x48" in sentence for sentence in warnings)
    assert any("jump back" in sentence for sentence in warnings)
    assert all(two.pts > one.pts for one, two in pairwise(frames))


@pytest.mark.parametrize(
    ("source", "target", "spread"),
    [
        ("yuv420p", "yuv420p", 0),
        ("yuvj420p", "yuv420p", 0),
        ("yuv420p", "yuv420p10le", 0),
        ("yuv420p", "yuv444p", 8),
        ("rgb24", "yuv420p", 8),
        ("yuv410p", "yuv420p", 16),
    ],
)
def test_conversion_says_how_far_it_carries_a_pixel(source: str, target: str, spread: int, tmp_path: Path) -> None:
    """The promise behind it: nothing further away than that has changed."""
    codec = {"rgb24": "png", "yuv410p": "ffv1", "yuvj420p": "mjpeg"}.get(source, "ffv1")
    suffix = {"png": "mov"}.get(codec, "mkv")
    size = (64, 64)
    frames = []
    for spot in (0, 255):
        clip = tmp_path / f"in-{spot}.{suffix}"
        with av.open(str(clip), "w") as container:
            stream = container.add_stream(codec, rate=25, width=64, height=64)
            stream.pix_fmt = source
            picture = draw_picture(0, size)
            picture[32:40, 24:40] = spot
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=source)
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        frames.append(read(clip, pixel_format=target)[0][0])
    assert {frame.spread_px for frame in frames} == {spread}
    assert frames[0].pixel_format == target
    if codec == "mjpeg":
        return  # A lossy codec spreads by itself.
    reach = spread + 4  # The spot's own chroma cells.
    changed = frames[0].planes[0] != frames[1].planes[0]
    changed[max(0, 32 - reach) : 40 + reach, max(0, 24 - reach) : 40 + reach] = False
    assert not changed.any()


def test_missing_repeated_and_backward_times_are_cleaned_and_counted() -> None:
    timeline = CleanTimeline(MS, Fraction(25))
    cleaned = [
        timeline.next_pts(pts, dts) for pts, dts in [(0, 0), (40, 40), (40, 80), (30, 120), (None, None), (None, 300), (400, 400), (-5000, 440), (-4960, 480)]
    ]
    assert cleaned == [0, 40, 41, 42, 82, 300, 400, 440, 480]
    said = " ".join(timeline.warnings())
    assert "2 frames had no presentation time" in said
    assert "2 frames repeated" in said
    assert "jump back 1 times" in said


def test_decoding_times_stand_in_without_the_decoders_delay() -> None:
    timeline = CleanTimeline(Fraction(1, 25), Fraction(25))
    assert [timeline.next_pts(None, dts, first_dts=0) for dts in (2, 3, 4, None, None)] == [0, 1, 2, 3, 4]


def test_each_frame_has_a_tick_of_its_own() -> None:
    clock = OutputClock(MS, Fraction(1, 25))
    assert [clock.place(pts) for pts in (0, 40, 41, 55, 200)] == [0, 1, 2, 3, 5]
    assert clock.moved == 2


def test_a_camera_is_recorded_until_the_span_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's test pattern stands in for the camera: it never ends, has no length and no index, and cannot be sought in."""
    for module in (sources, probe_module):
        monkeypatch.setattr(module, "webcam_device", lambda path: "testsrc=size=64x48:rate=25" if str(path) == "0" else None)
    monkeypatch.setattr(sources, "WEBCAM_FORMAT", "lavfi")
    done = run(Path("0"), tmp_path / "out.mp4", span_s=(0.0, 1.0))
    assert done.source.extra["live"]
    assert len(done.frames) == 25
    assert times_s(done.path) == pytest.approx([0.04 * n for n in range(25)], abs=0.001)
    later = run(Path("0"), tmp_path / "later.mkv", span_s=(0.4, 0.8))
    assert [frame.pts for frame in later.frames] == list(range(10, 20))
    assert times_s(later.path)[0] == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mov", ".webm"])
@pytest.mark.parametrize("start", [0, 1500])
def test_a_whole_file_is_not_called_cut_off_because_its_sound_is_longer(suffix: str, start: int, tmp_path: Path) -> None:
    sound, codec = ("libopus", "libvpx") if suffix == ".webm" else ("libmp3lame", "libx264")
    late = {} if suffix == ".avi" else {"time_base": MS, "pts": [start + 40 * n for n in range(12)]}
    path = write(Clip(f"in{suffix}", codec=codec, audio=(sound,), audio_offset_s=2.0, options={"bf": "0"} if suffix != ".webm" else {}, **late), tmp_path)
    assert read(path)[1] == []
