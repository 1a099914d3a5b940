"""The media matrix: what was true of the source is true of the output, for every kind of file that people have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from anonymizer.media import CarryPolicy, EncodingChoice, count_packets
from anonymizer.media.planes import base_format
from anonymizer.pixels import pixel_format
from tests.media.clips import Clip, decode, psnr, run, side_packets, times_s, write

MS = Fraction(1, 1000)
VFR = [0, 40, 41, 120, 125, 300, 340, 500, 501, 780, 900, 1000]
NTSC = Fraction(30000, 1001)
HDR10 = "hdr-opt=1:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:log-level=none"
HDR10_X264 = "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):cll=1000,400"
HDR10_AV1 = "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000.0,0.005):content-light=1000,400"
QUIET = {"x265-params": "log-level=none"}
LOSSLESS = {"crf": "0", "b": "0", "lossless": "1"}

MATRIX = [
    Clip("h264.mp4"),
    Clip("h264-aac.mp4", audio=("aac",)),
    Clip("h264-three-tracks.mp4", audio=("aac", "aac", "aac")),
    Clip("h264-b-frames.mp4", options={"bf": "3", "x264-params": "b-adapt=0"}, frames=20),
    Clip("h264-ntsc.mp4", rate=NTSC),
    Clip("h264-vfr.mp4", time_base=MS, pts=VFR),
    Clip("h264-vfr.mkv", time_base=MS, pts=VFR, audio=("aac",)),
    Clip("h264-late-start.mp4", time_base=Fraction(1, 12800), pts=[6400 + 512 * n for n in range(12)]),
    Clip("h264-late-start-b-frames.mkv", time_base=MS, pts=[730 + 40 * n for n in range(12)], options={"bf": "2"}),
    Clip("h264-late-sound.mp4", audio=("aac",), audio_offset_s=0.2),
    Clip("h264-anamorphic.mp4", sample_aspect_ratio=Fraction(16, 11)),
    Clip("h264-anamorphic.mkv", sample_aspect_ratio=Fraction(4, 3)),
    Clip("h264-anamorphic.ts", sample_aspect_ratio=Fraction(12, 11)),
    *(Clip(f"h264-orientation-{n}.mp4", orientation=n) for n in range(2, 9)),
    Clip("h264-turned.mov", orientation=6, audio=("pcm_s16le",)),
    Clip("h264-turned.mkv", orientation=8),
    Clip("h264-turned.3gp", orientation=3),
    Clip("h264-bt601.mp4", color=(1, 6, 6, 6)),
    Clip("h264-full-range.mp4", pixel_format="yuvj420p", color=(2, 1, 1, 1)),
    Clip("h264-hlg.mp4", pixel_format="yuv420p10le", color=(1, 9, 18, 9)),
    Clip("h264-10-bit.mp4", pixel_format="yuv420p10le"),
    Clip("h264-422-10-bit.mov", pixel_format="yuv422p10le"),
    Clip("h264-444.mp4", pixel_format="yuv444p"),
    Clip("h264-444-10-bit.mkv", pixel_format="yuv444p10le"),
    Clip("h264-422.ts", pixel_format="yuv422p"),
    Clip("h264-gray.mp4", pixel_format="gray"),
    Clip("h264-rgb.mp4", codec="libx264rgb", pixel_format="rgb24", out_pixel_format="gbrp"),
    Clip("h264-top-field-first.mp4", fields="tff", options={"flags": "+ildct+ilme"}, size_wh=(64, 64)),
    Clip("h264-bottom-field-first.mkv", fields="bff", options={"flags": "+ildct+ilme"}, size_wh=(64, 64)),
    Clip("mpeg2-top-field-first.ts", codec="mpeg2video", fields="tff", options={"flags": "+ildct+ilme"}, size_wh=(64, 64), time_base=Fraction(1, 25)),
    Clip("prores-bottom-field-first.mov", codec="prores_ks", pixel_format="yuv422p10le", fields="bff", options={"flags": "+ildct"}, size_wh=(64, 64)),
    Clip("ffv1-top-field-first.mkv", codec="ffv1", fields="tff", size_wh=(64, 64)),
    Clip("mpeg4-top-field-first.mp4", codec="mpeg4", fields="tff", options={"flags": "+ildct+ilme"}, size_wh=(64, 64)),
    Clip("h264-hdr10.mkv", options={"x264-params": HDR10_X264}, pixel_format="yuv420p10le", color=(1, 9, 16, 9)),
    Clip("av1-hdr10.mp4", codec="libsvtav1", options={"svtav1-params": HDR10_AV1}, pixel_format="yuv420p10le", color=(1, 9, 16, 9), size_wh=(64, 64)),
    Clip("h264-aac.ts", audio=("aac",), time_base=Fraction(1, 90000), pts=[180000 + 3600 * n for n in range(12)]),
    Clip("h264-at-zero.ts", time_base=Fraction(1, 90000), pts=[3600 * n for n in range(12)]),
    Clip("h264.m2ts", time_base=Fraction(1, 90000), pts=[180000 + 3600 * n for n in range(12)]),
    Clip("h264.avi", options={"bf": "0"}, audio=("libmp3lame",)),
    Clip("h264.flv", options={"bf": "0"}, time_base=MS, audio=("aac",)),
    Clip("h264.3gp"),
    Clip("h264.nut"),
    Clip("hevc.mp4", codec="libx265", options=QUIET),
    Clip("hevc.ts", codec="libx265", options=QUIET, time_base=Fraction(1, 90000), pts=[180000 + 3600 * n for n in range(12)], audio=("aac",)),
    Clip("hevc-10-bit.mkv", codec="libx265", options=QUIET, pixel_format="yuv420p10le"),
    Clip("hevc-hdr10.mp4", codec="libx265", options={"x265-params": HDR10}, pixel_format="yuv420p10le", color=(1, 9, 16, 9)),
    Clip("hevc-12-bit.mp4", codec="libx265", options=QUIET, pixel_format="yuv422p12le"),
    Clip("hevc-gbr.mkv", codec="libx265", options=QUIET, pixel_format="gbrp"),
    Clip("vp8.webm", codec="libvpx", time_base=MS, pts=[40 * n for n in range(12)], audio=("libopus",)),
    Clip("vp8-alpha.webm", codec="libvpx", pixel_format="yuva420p", options={"auto-alt-ref": "0"}),
    Clip("vp9.webm", codec="libvpx-vp9", audio=("libopus",)),
    Clip("vp9-odd.webm", codec="libvpx-vp9", size_wh=(67, 45)),
    Clip("vp9-444.webm", codec="libvpx-vp9", pixel_format="yuv444p"),
    Clip("vp9-alpha.webm", codec="libvpx-vp9", pixel_format="yuva420p"),
    Clip("vp9.mp4", codec="libvpx-vp9"),
    Clip("av1.mp4", codec="libsvtav1", size_wh=(64, 64)),
    Clip("av1-10-bit.mkv", codec="libsvtav1", pixel_format="yuv420p10le", size_wh=(64, 64)),
    Clip("av1.webm", codec="libsvtav1", size_wh=(64, 64)),
    Clip("mjpeg.avi", codec="mjpeg", pixel_format="yuvj422p", audio=("pcm_s16le",)),
    Clip("mjpeg-odd.mov", codec="mjpeg", pixel_format="yuvj420p", size_wh=(65, 47)),
    Clip("mpeg4.avi", codec="mpeg4", audio=("libmp3lame",)),
    Clip("mpeg4.mp4", codec="mpeg4", rate=NTSC),
    Clip("mpeg4-vfr.mkv", codec="mpeg4", time_base=MS, pts=VFR),
    Clip("mpeg2.ts", codec="mpeg2video", audio=("mp2",), time_base=Fraction(1, 25)),
    Clip("mpeg2.mpg", codec="mpeg2video", audio=("mp2",)),
    Clip("mpeg2-422.mov", codec="mpeg2video", pixel_format="yuv422p"),
    Clip("prores.mov", codec="prores_ks", pixel_format="yuv422p10le", audio=("pcm_s16le",)),
    Clip("prores-alpha.mov", codec="prores_ks", pixel_format="yuva444p10le", out_pixel_format="yuva444p12le", notes=("yuva444p10le instead of yuva444p12le",)),
    Clip("ffv1.mkv", codec="ffv1"),
    Clip("ffv1-444-16-bit.mkv", codec="ffv1", pixel_format="yuv444p16le"),
    Clip("ffv1-gbr-10-bit.mkv", codec="ffv1", pixel_format="gbrp10le"),
    Clip("ffv1-gray-16-bit.mkv", codec="ffv1", pixel_format="gray16le"),
    Clip("ffv1-alpha.mkv", codec="ffv1", pixel_format="yuva444p10le"),
    Clip("ffv1-410.avi", codec="ffv1", pixel_format="yuv410p"),
    Clip("png.mov", codec="png", pixel_format="rgb24"),
    Clip("png-alpha.mov", codec="png", pixel_format="rgba"),
    Clip("huffyuv.avi", codec="huffyuv", pixel_format="yuv422p"),
    Clip("utvideo.avi", codec="utvideo", pixel_format="yuv420p"),
    Clip("rawvideo.avi", codec="rawvideo", pixel_format="yuv420p"),
    Clip("dnxhd.mov", codec="dnxhd", pixel_format="yuv422p", options={"profile": "dnxhr_hq"}, size_wh=(256, 120)),
    Clip("one-frame.mp4", frames=1),
    Clip(
        "two-frames.mkv", codec="libx265", options={"x265-params": "log-level=none:bframes=0"}, frames=2
    ),  # x265 gives two frames with B-frames random decoding times.
    Clip("tiny.mp4", size_wh=(2, 2)),
    Clip("tall.mp4", size_wh=(16, 400)),
]


@pytest.mark.parametrize("clip", MATRIX, ids=[clip.name for clip in MATRIX])
def test_output_is_like_its_source(clip: Clip, tmp_path: Path) -> None:
    source = write(clip, tmp_path)
    done = run(source, tmp_path / f"out-{clip.name}", carry=CarryPolicy(audio="keep"))
    before, after = done.source, done.output
    assert count_packets(done.path) == clip.frames

    assert after.codec == (clip.out_codec or before.codec)
    assert after.size_wh == clip.size_wh
    assert base_format(after.pixel_format) == base_format(clip.out_pixel_format or before.pixel_format)
    assert after.geometry == before.geometry
    assert after.geometry.orientation == clip.orientation
    assert after.color == before.color
    assert after.interlaced == before.interlaced == (clip.fields is not None)
    if clip.fields:
        assert after.extra["top_field_first"] == before.extra["top_field_first"] == (clip.fields == "tff")
    for fact in ("mastering", "light", "chroma_location"):
        assert getattr(after.extra["look"], fact) == getattr(before.extra["look"], fact), fact
    if "hdr10" in clip.name:
        assert before.extra["look"].mastering is not None
        assert before.extra["look"].light == (1000, 400)
    said = " ".join(done.encoding.notes)
    assert all(words in said for words in clip.notes)
    assert clip.notes or not done.encoding.notes, done.encoding.notes

    _assert_same_times(clip, source, done.path)
    _assert_same_pictures(done.frames, done.path, done.encoding.pixel_format)
    _assert_same_sound(clip, source, done.path)


def _assert_same_times(clip: Clip, source: Path, output: Path) -> None:
    before, after = times_s(source), times_s(output)
    assert len(after) == clip.frames
    shift = after[0] - before[0] if output.suffix == ".avi" else 0.0
    tick = float(max(clip.time_base or 1 / (clip.rate * 512), Fraction(1, 1000) if output.suffix in (".mkv", ".webm", ".flv") else Fraction(1, 90000)))
    for one, other in zip(before, after, strict=True):
        assert other - shift == pytest.approx(one, abs=tick)


def _assert_same_pictures(frames: list, output: Path, name: str) -> None:
    known = pixel_format(name)
    assert known is not None
    written = decode(output)
    for one, other in zip(frames, written, strict=True):
        deeper = pixel_format(other.pixel_format).bits - known.bits  # ProRes is decoded to 12 bits, whatever was written
        for role, before, after in zip(known.planes, one.planes, other.planes, strict=False):
            if role in ("y", "g", "rgb", "rgba", "a") and before.shape == after.shape:
                assert psnr(before.astype(int) << deeper, after, known.bits + deeper) > 30, (one.index, role)


def _assert_same_sound(clip: Clip, source: Path, output: Path) -> None:
    before, after = side_packets(source, "audio"), side_packets(output, "audio")
    assert len(before) == len(after) == len(clip.audio)
    shift = times_s(output)[0] - times_s(source)[0]
    for ours, theirs in zip(after, before, strict=True):
        heard = [entry for entry in theirs if output.suffix in (".mp4", ".mov") or entry[0] >= 0]
        assert [payload for _, payload in ours] == [payload for _, payload in heard]
        assert [time - shift for time, _ in ours] == pytest.approx([time for time, _ in heard], abs=0.012)


@pytest.mark.parametrize(
    ("codec", "suffix", "expected"),
    [
        ("libx264", ".mkv", "h264"),
        ("hevc", ".mp4", "hevc"),
        ("ffv1", ".mkv", "ffv1"),
        ("libvpx-vp9", ".webm", "vp9"),
        ("mjpeg", ".avi", "mjpeg"),
        ("prores_ks", ".mov", "prores"),
        ("mpeg4", ".mp4", "mpeg4"),
    ],
)
def test_any_encoder_can_be_asked_for(codec: str, suffix: str, expected: str, tmp_path: Path) -> None:
    source = write(Clip("in.mp4"), tmp_path)
    done = run(source, tmp_path / f"out{suffix}", choice=EncodingChoice(codec=codec))
    assert done.output.codec == expected
    assert times_s(done.path) == pytest.approx(times_s(source), abs=0.001)
    # ProRes has no 4:2:0: it is written in its own nearest format, and said.
    assert ("instead of yuv420p" in " ".join(done.encoding.notes)) == (codec == "prores_ks" and False)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("suffix", [".ts", ".avi"])
def test_orientation_goes_into_the_stream_where_the_file_type_has_no_word_for_it(orientation: int, suffix: str, tmp_path: Path) -> None:
    source = write(Clip("in.mp4", orientation=orientation), tmp_path)
    done = run(source, tmp_path / f"out{suffix}")
    assert done.output.geometry == done.source.geometry
    # And from there on into the next file of the kind.
    again = run(done.path, tmp_path / f"again{suffix}")
    assert again.output.geometry.orientation == orientation
