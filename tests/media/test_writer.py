"""Only sealed frames go in, only a finished file comes out, and nothing of the source but what was asked for."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.errors import TargetError
from anonymizer.media import CarryPolicy, EncodingChoice, VideoReader, VideoWriter, count_packets, files, plan_encoding, probe
from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Decision
from tests.media.clips import Clip, run, side_packets, times_s, write

QUIET = {"x265-params": "log-level=none"}


def test_nothing_but_a_sealed_frame_is_written(tmp_path: Path) -> None:
    info = probe(write(Clip("in.mp4"), tmp_path))
    encoding = plan_encoding(info, tmp_path / "out.mp4")
    with VideoReader(info, pixel_format=encoding.pixel_format) as reader, VideoWriter(tmp_path / "out.mp4", info, encoding) as writer:
        frame = next(reader.frames())
        for wrong in (frame, frame.planes[0], None, av.VideoFrame(64, 48, "yuv420p")):
            with pytest.raises(TypeError, match="only sealed frames are written"):
                writer.write_frame(wrong)
        assert writer.frames_written == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"])
def test_a_block_left_without_finish_leaves_no_whole_file_and_no_thread(suffix: str, tmp_path: Path) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    source = write(Clip(f"in{suffix}", codec=codec, frames=60, audio=("libopus" if suffix == ".webm" else "libmp3lame",)), tmp_path)
    with pytest.raises(RuntimeError, match="stop here"):
        _run_into_a_wall(source, tmp_path / f"out{suffix}")
    gc.collect()
    # And the next run in the same process hears FFmpeg again.
    assert len(run(source, tmp_path / f"again{suffix}").frames) == 60


def _run_into_a_wall(source: Path, target: Path) -> None:
    info = probe(source)
    encoding = plan_encoding(info, target)
    with (
        VideoReader(info, pixel_format=encoding.pixel_format) as reader,
        VideoWriter(target, info, encoding, carry=CarryPolicy(audio="keep")) as writer,
    ):
        for frame in reader.frames():
            writer.write_frame(seal_frame(frame, Decision(frame.index), Effect("solid")))
            if frame.index == 50:
                raise RuntimeError("stop here")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mov"])
def test_a_full_disk_is_a_target_error(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(Clip(f"in{suffix}", audio=("libmp3lame",), frames=30), tmp_path)
    full = tmp_path / f"full{suffix}"
    # A device is refused where a file is expected: it is put in behind the look.
    monkeypatch.setattr(files, "create_regular", lambda path: open("/dev/full", "wb"))  # noqa: SIM115
    with pytest.raises(TargetError, match=f"full{suffix}: no space left on the disk"):
        run(source, full, carry=CarryPolicy(audio="keep"))
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_a_link_in_the_place_of_the_output_is_not_written_through(tmp_path: Path) -> None:
    source = write(Clip("in.mp4"), tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    (tmp_path / "out.mp4").symlink_to(victim)
    with pytest.raises(TargetError, match=r"^out\.mp4: "):
        run(source, tmp_path / "out.mp4")
    assert victim.read_bytes() == b"theirs"


def test_a_folder_that_is_not_there_is_a_target_error(tmp_path: Path) -> None:
    source = write(Clip("in.mp4"), tmp_path)
    with pytest.raises(TargetError, match=r"out\.mp4: cannot write this file: no such file or directory"):
        run(source, tmp_path / "nowhere" / "out.mp4")


SAME = [
    Clip("in.mp4", audio=("aac",), options={"bf": "2"}),
    Clip("in.mkv", audio=("aac",)),
    Clip("vp9.webm", codec="libvpx-vp9", audio=("libopus",)),
    Clip("in.ts", audio=("aac",)),
    Clip("mpeg4.avi", codec="mpeg4"),
    Clip("hevc.mov", codec="libx265", options=QUIET),
    Clip("av1.mkv", codec="libsvtav1", size_wh=(64, 64)),
    Clip("prores.mov", codec="prores_ks", pixel_format="yuv422p10le"),
    Clip("ffv1.mkv", codec="ffv1"),
]


@pytest.mark.parametrize("clip", SAME, ids=[clip.name for clip in SAME])
@pytest.mark.parametrize("audio", ["keep", "mask"])
def test_the_same_input_gives_the_same_bytes(clip: Clip, audio: str, tmp_path: Path) -> None:
    source = write(clip, tmp_path)
    suffix = source.suffix
    outputs = [run(source, tmp_path / f"out{n}{suffix}", carry=CarryPolicy(audio=audio)).path.read_bytes() for n in range(2)]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_video_of_fewer_frames_than_the_encoder_looks_ahead_is_written_at_its_time(frames: int, suffix: str, tmp_path: Path) -> None:
    late = {"time_base": Fraction(1, 1000), "pts": [2000 + 40 * n for n in range(frames)]}
    source = write(Clip(f"in{suffix}", size_wh=(320, 240), frames=frames, **late), tmp_path)
    choice = EncodingChoice(codec="libx265", crf=5, options=QUIET)  # FFmpeg does not recognise HEVC in a transport stream of a kilobyte.
    outputs = [run(source, tmp_path / f"out{n}{suffix}", choice=choice) for n in range(3)]
    assert len({output.path.read_bytes() for output in outputs}) == 1
    assert times_s(outputs[0].path) == pytest.approx(times_s(source), abs=0.0005)


def _with_side_data(path: Path) -> Path:
    """H.264 with captions, a time code and a message of the camera in its SEI, and tags everywhere."""
    from av.bitstream import BitStreamFilterContext

    note = "086f3693-b7b3-4f2c-9653-21492feee5b8+Anna_was_here"
    marked_stream = path.with_name("marked.ts")
    with av.open(str(marked_stream), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48, options={"bf": "0"})
        marker = BitStreamFilterContext(f"h264_metadata=sei_user_data={note}", "h264")
        packets = []
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * index, np.uint8), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in packets + stream.encode(None):
            for marked in marker.filter(packet):
                marked.stream, marked.time_base = stream, Fraction(1, 25)
                container.mux(marked)
    with av.open(str(marked_stream)) as marked_container, av.open(str(path), "w") as container:
        container.metadata.update({"title": "Anna", "location": "+52.5200+013.4050/", "creation_time": "2024-05-01T10:00:00Z"})
        stream = container.add_stream_from_template(marked_container.streams.video[0], opaque=True)
        stream.metadata["handler_name"] = "Anna's phone"
        for packet in marked_container.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_nothing_of_the_source_but_the_picture_is_written(suffix: str, tmp_path: Path) -> None:
    source = _with_side_data(tmp_path / f"in{suffix}")
    assert b"Anna_was_here" in source.read_bytes()
    done = run(source, tmp_path / f"out{suffix}")
    written = done.path.read_bytes()
    assert b"Anna" not in written
    assert b"52.5200" not in written
    assert b"2024-05-01" not in written
    assert b"Lavf6" not in written
    assert b"Lavc6" not in written
    assert all(carrier.fate == "dropped" for carrier in done.carriers if carrier.kind != "video")
    assert {carrier.kind for carrier in done.output.carriers} <= {"video", "tag", "side_data", "box"}


def test_the_last_frame_lasts_as_long_as_in_the_source(tmp_path: Path) -> None:
    pts = [0, 40, 80, 120, 1000]
    source = write(Clip("in.mp4", time_base=Fraction(1, 1000), pts=pts, frames=5), tmp_path)
    done = run(source, tmp_path / "out.mp4")
    assert done.output.duration_s == pytest.approx(done.source.duration_s, abs=0.002)
    assert times_s(done.path) == pytest.approx([0, 0.04, 0.08, 0.12, 1.0], abs=0.001)


def test_one_video_stream_is_written_whatever_the_source_had(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25, width=width, height=48) for width in (64, 96, 48)]
        for index in range(8):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((48, stream.width, 3), 20 * index, np.uint8), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    done = run(path, tmp_path / "out.mkv", carry=CarryPolicy(audio="keep", keep=frozenset({"data", "subtitles", "metadata", "chapters", "attachments"})))
    with av.open(str(done.path)) as container:
        assert [(stream.type, stream.width) for stream in container.streams] == [("video", 96)]
    assert [(carrier.name, carrier.fate) for carrier in done.carriers if carrier.kind == "video"] == [
        ("0:0", "dropped"),
        ("0:1", "anonymized"),
        ("0:2", "dropped"),
    ]
    assert count_packets(done.path) == 8
    assert side_packets(done.path, "audio") == []
