"""The output is settled before a frame is read, and what cannot be is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymizer.errors import ConfigError
from anonymizer.media import EncodingChoice, plan_encoding, probe
from anonymizer.media.containers import BY_SUFFIX
from tests.media.clips import Clip, run, times_s, write


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """B-frames, sound and a variable frame rate."""
    pts = [0, 40, 80, 121, 160, 240, 241, 320, 360, 400, 480, 520]
    return write(Clip("in.mkv", options={"bf": "3"}, time_base=_MS, pts=pts), tmp_path_factory.mktemp("encoding"))


_MS = Clip("x").rate / 25000

REFUSED = [
    pytest.param("out.mp4", {"codec": "nonsense"}, "-c:v nonsense: this FFmpeg has no such video encoder", id="unknown-encoder"),
    pytest.param("out.mp4", {"codec": "aac"}, "-c:v aac: this FFmpeg has no such video encoder", id="an-audio-encoder"),
    pytest.param("out.mkv", {"codec": "zmbv"}, "-c:v zmbv: takes no pixels of a kind that covers are made in", id="an-encoder-of-screens"),
    pytest.param("out.mp4", {"codec": "copy"}, "a copied stream would show what must be covered", id="copy"),
    pytest.param("out.mp4", {"codec": "prores_ks"}, "does not support 'prores_ks'", id="not-in-this-file-type"),
    pytest.param("out.webm", {"codec": "libx264"}, "does not support 'libx264'", id="not-in-webm"),
    pytest.param("out.xyz", {}, "out.xyz: .xyz is no kind of video", id="unknown-file-type"),
    pytest.param("out", {}, "a name without an ending", id="no-file-type"),
    pytest.param("out.mp4", {"options": {"nonsense": "1"}}, "nonsense: libx264 has no such option", id="unknown-option"),
    pytest.param("out.mp4", {"options": {"x264-params": "nonsense=1"}}, "does not take these options", id="unknown-x264-option"),
    pytest.param("out.mp4", {"codec": "libx265", "options": {"x265-params": "nonsense=1"}}, "does not take these options", id="unknown-x265-option"),
    pytest.param("out.mp4", {"options": {"bf": "many"}}, "does not take these options", id="option-of-the-wrong-kind"),
    pytest.param("out.mp4", {"preset": "warp"}, "--encoder-preset warp: libx264 has no such preset", id="unknown-preset"),
    pytest.param("out.mov", {"codec": "mjpeg", "preset": "fast"}, "mjpeg has no presets", id="no-presets"),
    pytest.param("out.mp4", {"crf": 90.0}, "counts from 0 to 51", id="crf-out-of-range"),
    pytest.param("out.mov", {"codec": "mjpeg", "crf": 3.0}, "mjpeg has no constant rate factor", id="no-crf"),
]


@pytest.mark.parametrize(("name", "wishes", "words"), REFUSED)
def test_what_cannot_be_encoded_is_refused_before_a_frame_is_read(name: str, wishes: dict, words: str, h264: Path, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(ConfigError) as refused:
        plan_encoding(probe(h264), Path(name), EncodingChoice(**wishes))
    assert words in refused.value.problem
    assert refused.value.hint
    assert capfd.readouterr() == ("", "")


def test_misspelt_option_is_named(h264: Path) -> None:
    with pytest.raises(ConfigError, match="tuna: libx264 has no such option") as refused:
        plan_encoding(probe(h264), Path("out.mp4"), EncodingChoice(options={"tuna": "film"}))
    assert refused.value.hint == "did you mean tune?"


def test_defaults_are_the_promised_ones(h264: Path) -> None:
    encoding = plan_encoding(probe(h264), Path("out.mkv"))
    assert (encoding.codec, encoding.container_format, encoding.pixel_format, encoding.notes) == ("libx264", "matroska", "yuv420p", ())
    assert encoding.options.items() >= {"preset": "veryfast", "crf": "18"}.items()


def test_what_was_asked_for_goes_over_the_defaults(h264: Path) -> None:
    choice = EncodingChoice(crf=23.5, preset="medium", options={"tune": "film", "b:v": "1M"})
    options = plan_encoding(probe(h264), Path("out.mkv"), choice).options
    assert options.items() >= {"crf": "23.5", "preset": "medium", "tune": "film", "b": "1M"}.items()
    # A bit rate is another way to say the quality: x264 would never look at it beside a CRF.
    assert "crf" not in plan_encoding(probe(h264), Path("out.mkv"), EncodingChoice(options={"b": "1M"})).options


CROSSED = [suffix for suffix in BY_SUFFIX if suffix not in (".f4v", ".qt", ".m2t", ".mts", ".vob", ".mpeg", ".asf", ".264", ".265", ".hevc", ".mjpg", ".lrv")]


@pytest.mark.parametrize("suffix", CROSSED)
def test_any_source_goes_into_any_file_type(suffix: str, h264: Path, tmp_path: Path) -> None:
    done = run(h264, tmp_path / f"out{suffix}")
    before, after = times_s(h264), times_s(done.path)
    assert len(after) == len(before)
    container = BY_SUFFIX[suffix]
    # A file of constant rate has slots; 40 ms each, and a frame that finds its own taken goes into the next.
    tick = 0.081 if container.constant_rate else 0.0011
    assert [time - after[0] for time in after] == pytest.approx([time - before[0] for time in before], abs=tick)
    if suffix not in (".avi", ".mxf", ".ogv", ".h264", ".h265", ".mjpeg"):
        assert after[0] == pytest.approx(before[0], abs=tick)
    assert done.output.size_wh == done.source.size_wh
    same = "h264" in done.output.codec
    assert same or any("instead of h264" in note for note in done.encoding.notes)


def test_odd_sizes_that_h264_cannot_code_in_420_keep_their_size(tmp_path: Path) -> None:
    source = write(Clip("in.webm", codec="libvpx-vp9", size_wh=(67, 45)), tmp_path)
    done = run(source, tmp_path / "out.avi", choice=EncodingChoice(codec="libx264"))
    assert done.output.size_wh == (67, 45)


@pytest.mark.parametrize(
    ("clip", "codec", "words"),
    [
        (Clip("in.mkv", codec="ffv1", pixel_format="yuv444p16le"), "libx264", "yuv444p10le instead of yuv444p16le"),
        (Clip("in.mkv", codec="ffv1", pixel_format="yuva444p10le"), "libx264", "transparency is dropped"),
        (Clip("in.mkv", codec="ffv1", pixel_format="yuv420p10le"), "libvpx-vp9", "yuv420p instead of yuv420p10le"),
        (Clip("in.mkv", codec="ffv1", pixel_format="gray16le"), "libsvtav1", "instead of gray16le"),
    ],
)
def test_what_an_encoder_cannot_hold_is_said(clip: Clip, codec: str, words: str, tmp_path: Path) -> None:
    done = run(write(clip, tmp_path), tmp_path / "out.mkv", choice=EncodingChoice(codec=codec))
    assert words in " ".join(done.encoding.notes)
    assert len(done.frames) == clip.frames


@pytest.mark.parametrize(
    ("choice", "note"),
    [
        (EncodingChoice(), "h264 instead of flv1: it cannot be written into mp4 files"),
        (EncodingChoice(codec="libx264"), "h264 instead of flv1: it was asked for"),
    ],
)
def test_other_codec_is_said_to_be_asked_for_only_if_it_was(choice: EncodingChoice, note: str, tmp_path: Path) -> None:
    source = write(Clip("in.flv", codec="flv"), tmp_path)
    assert plan_encoding(probe(source), tmp_path / "out.mp4", choice).notes == (note,)
