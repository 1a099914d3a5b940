"""What probing says of a file, and of what is none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.errors import SourceError
from anonymizer.media import probe
from anonymizer.media.orientation import display_matrix, orientation_of
from tests.conftest import draw_picture
from tests.media.clips import Clip, write


def _audio_only(folder: Path) -> Path:
    with av.open(str(folder / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return folder / "sound.m4a"


def _cut(folder: Path) -> Path:
    path = write(Clip("cut.mp4"), folder)
    path.write_bytes(path.read_bytes()[:1200])
    return path


def _named(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _encrypted(folder: Path) -> Path:
    """An MP4 of which the decoder's name says that it needs a key: `encv` (ISO/IEC 23001-7)."""
    path = write(Clip("secret.mp4"), folder)
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd"))
    data[entry : entry + 4] = b"encv"
    path.write_bytes(data)
    return path


REFUSALS = [
    pytest.param(lambda folder: folder / "missing.mp4", "missing.mp4: there is no such file", id="missing"),
    pytest.param(lambda folder: folder, "is a folder", id="folder"),
    pytest.param(_named("empty.mp4", b""), "empty.mp4: is an empty file", id="empty"),
    pytest.param(_named("text.mp4", b"Dear diary,\n" * 50), "text.mp4: cannot open this file", id="text"),
    pytest.param(_named("noise.mkv", bytes(range(256)) * 20), "noise.mkv: cannot open this file", id="noise"),
    pytest.param(_cut, "cut.mp4: cannot open this file: invalid data found when processing input (moov atom not found)", id="cut-before-its-index"),
    pytest.param(_audio_only, "sound.m4a: holds no video stream, only audio", id="audio-only"),
    pytest.param(_encrypted, "secret.mp4: is encrypted", id="encrypted"),
    pytest.param(lambda folder: Path("/dev/video97"), "/dev/video97: there is no such camera", id="no-such-camera"),
    pytest.param(lambda folder: "98", "/dev/video98: there is no such camera", id="no-such-camera-number"),
    pytest.param(lambda folder: folder / "concat:a.mp4|b.mp4", "there is no such file", id="a-name-is-only-a-name"),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS)
def test_what_cannot_be_read_is_refused_in_words(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as refused:
        probe(make(tmp_path))
    assert words in refused.value.problem
    assert refused.value.hint
    assert not refused.value.problem.endswith(".")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_display_matrix_and_orientation_are_each_others_reverse(orientation: int) -> None:
    assert orientation_of(display_matrix(orientation)) == orientation


def test_facts_of_a_clip(tmp_path: Path) -> None:
    path = write(
        Clip("facts.mp4", size_wh=(96, 64), rate=Fraction(30000, 1001), sample_aspect_ratio=Fraction(4, 3), orientation=6, color=(1, 1, 1, 1)), tmp_path
    )
    info = probe(path)
    assert (info.codec, info.pixel_format, info.size_wh, info.frame_rate) == ("h264", "yuv420p", (96, 64), Fraction(30000, 1001))
    assert (info.geometry.orientation, info.geometry.sample_aspect_ratio, info.geometry.displayed_wh) == (6, Fraction(4, 3), (64, 128))
    assert (info.color.range, info.color.primaries, info.color.transfer, info.color.matrix) == (1, 1, 1, 1)
    assert info.frame_count == 12
    assert info.duration_s == pytest.approx(12 * 1001 / 30000, abs=0.001)


def _with_everything(path: Path) -> Path:
    """Two cameras of which the second is larger, cover art, sound, a tag, chapters and an attachment."""
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Anna's birthday"
        container.set_chapters([{"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "cake"}}])
        streams = [container.add_stream("libx264", rate=25, width=size[0], height=size[1]) for size in ((64, 48), (96, 64))]
        container.add_attachment("guests.txt", "text/plain", b"Anna, Ben")
        for index in range(10):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(draw_picture(index, (stream.width, stream.height)), format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def test_everything_that_can_carry_a_trace_is_listed(tmp_path: Path) -> None:
    info = probe(_with_everything(tmp_path / "all.mkv"))
    assert info.size_wh == (96, 64)
    listed = {(carrier.kind, carrier.name): carrier for carrier in info.carriers}
    assert listed["video", "0:0"].fate == "dropped"
    assert listed["video", "0:1"].fate == "anonymized"
    assert listed["tag", "title"].detail == "Anna's birthday"
    assert listed["chapter", "1"].detail == "cake"
    assert ("attachment", "0:2") in listed
    assert listed["side_data", "SEI_UNREGISTERED"].fate == "dropped"
    assert all(carrier.fate == "dropped" for carrier in info.carriers if carrier.kind != "video")


def test_boxes_that_ffmpeg_does_not_show_are_listed(tmp_path: Path) -> None:
    path = write(Clip("boxes.mp4", tags={"title": "x"}), tmp_path)
    manifest = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"claim"
    path.write_bytes(path.read_bytes() + (len(manifest) + 8).to_bytes(4, "big") + b"uuid" + manifest)
    boxes = [carrier.detail for carrier in probe(path).carriers if carrier.kind == "box"]
    assert any("C2PA manifest" in detail for detail in boxes)
    assert any("user data" in detail for detail in boxes)
