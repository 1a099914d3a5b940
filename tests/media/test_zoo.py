"""Files that nobody here wrote: what is expected of each, done or refused and why.

The number is how many frames FFmpeg's own command line gives (`-fps_mode passthrough`); what it transcodes whole is
never refused. Words are what the refusal must say.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest

from anonymizer.errors import SourceError
from anonymizer.media import CarryPolicy, EncodingChoice, VideoReader, count_packets, probe
from anonymizer.media.planes import base_format
from tests.conftest import SHARED, needs_shared
from tests.media.clips import run, side_packets, times_s

ZOO = SHARED / "media" / "zoo"
METADATA = SHARED / "media" / "metadata"
NO_VIDEO = "holds no video stream, only audio"
NO_PICTURE = "holds no video stream, only audio, video"
DAMAGED = "cannot decode a single frame of this file"

EXPECTED: dict[str, int | str] = {
    "fq_avc.avi": 3,
    "fq_avc.mp4": 3,
    "fq_dash_in.mp4": 3,
    "fq_fragmented.mp4": DAMAGED,
    "fq_hevc.mkv": 1,
    "fq_mpeg2.mp4": 1,
    "fq_png.mp4": 1,
    "fq_prores_frame.mov": 1,
    "fq_stz2.mp4": NO_VIDEO,
    "fq_thmb.mp4": "cannot open this file",
    "fq_unknown_size.mkv": NO_VIDEO,
    "fq_vp8.mkv": 1,
    "fw_bbb_180.webm": 300,
    "fw_video-1s.avi": 35,
    "gomp4_init_encv.mp4": "is encrypted",
    "gomp4_sample_qt.mp4": DAMAGED,
    "haar_highway.avi": 500,
    "iio_realshort.mp4": 36,
    "mb_ac3.mkv": NO_VIDEO,
    "mb_annex-b-avc.mkv": 745,
    "mb_annex-b.mp4": 6,
    "mb_cursed-vfr.mp4": 63,
    "mb_eac3.ts": NO_VIDEO,
    "mb_edts.mp4": 225,
    "mb_frames.webm": 100,
    "mb_hevc.ts": 120,
    "mb_missing-keyframe-labels.ts": 600,
    "mb_mp3.ts": NO_VIDEO,
    "mb_multiple-aac-tracks.mp4": NO_VIDEO,
    "mb_no-initial-keyframe.ts": 15,
    "mb_rotate-buck-bunny.mp4": 45,
    "mb_sar_2x1.mp4": 150,
    "mb_toothsome-dts.mp4": NO_VIDEO,
    "mb_transparency-faulty.webm": 300,
    "mb_video-h265.mp4": 300,
    "mpy_chaplin.mp4": 241,
    "mpy_failing_audio.mp4": 280,
    "mpy_no_duration.webm": 74,
    "mpy_smpte-2997.mp4": 251,
    "mpy_transparent.webm": 150,
    "mtx_offline_av1.mp4": 30,
    "skv_carphone.mp4": 120,
    "tc_av1_video.mkv": 125,
    "tc_bt709_full_range.mp4": 30,
    "tc_h264_10bits.mp4": 30,
    "tc_h265_10bits.mp4": 30,
    "tc_nasa_13013.mp4": 390,
}
# What cannot be the same, and what the run says about it.
NOTES = {
    "fw_video-1s.avi": "h264 instead of indeo4: no encoder exists",
    "fq_prores_frame.mov": "yuv444p10le instead of yuv444p12le",
}
EXPECTED_METADATA: dict[str, int | str] = {
    "c2pa_C_recorded_as.mov": 310,
    "c2pa_video1.mp4": 60,
    "et_M2TS.mts": "no frame of it can be decoded",
    "et_QuickTime.m4a": NO_PICTURE,
    # Its samples were cut away, only the headers are left: FFmpeg finds no frame either.
    "et_QuickTime.mov": "its video stream is empty",
    "gpmf_karma.mp4": 362,
    "mutagen_covr.m4a": NO_PICTURE,
}
VIDEOS = [(ZOO / name, wanted) for name, wanted in EXPECTED.items()] + [(METADATA / name, wanted) for name, wanted in EXPECTED_METADATA.items()]
DONE = [pytest.param(path, wanted, id=path.name) for path, wanted in VIDEOS if isinstance(wanted, int)]
REFUSED = [pytest.param(path, wanted, id=path.name) for path, wanted in VIDEOS if isinstance(wanted, str)]
MOST_FRAMES = 20
WRITTEN_TAGS = {"language", "handler_name", "vendor_id", "DURATION", "encoder", "ENCODER", "ALPHA_MODE", "alpha_mode"}  # by the muxers themselves


@needs_shared
def test_the_table_names_every_file() -> None:
    assert {path.name for path in ZOO.iterdir()} == set(EXPECTED)
    assert {path.name for path in METADATA.iterdir() if path.suffix in (".mp4", ".mov", ".m4a", ".mts")} == set(EXPECTED_METADATA)


@needs_shared
@pytest.mark.parametrize(("path", "words"), REFUSED)
def test_refused_and_why(path: Path, words: str) -> None:
    with pytest.raises(SourceError) as refused:
        probe(path)
    assert words in refused.value.problem
    assert refused.value.problem.startswith(path.name)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(("path", "frames"), DONE)
def test_every_frame_is_read(path: Path, frames: int) -> None:
    info = probe(path)
    with VideoReader(info, pixel_format=info.pixel_format) as reader:
        times = [frame.time_s for frame in reader.frames()]
    assert len(times) == reader.frames_read == frames
    assert all(later > earlier for earlier, later in pairwise(times))
    # What is whole has no frame that is covered for nothing: the one file that was cut has its last ones marked.
    assert (reader.frames_damaged > 0) == (path.name == "mb_annex-b.mp4")


@needs_shared
@pytest.mark.parametrize(("path", "frames"), DONE)
def test_done_like_its_source(path: Path, frames: int, tmp_path: Path) -> None:
    """Its first frames, its sound, and nothing else."""
    wanted = min(frames, MOST_FRAMES if probe(path).size_wh[0] < 1000 else 5)
    target = tmp_path / f"out{path.suffix}"
    choice = EncodingChoice(preset="ultrafast") if probe(path).codec in ("h264", "hevc") else None
    done = run(path, target, choice=choice, carry=CarryPolicy(audio="keep"), most_frames=wanted)
    before, after = done.source, done.output
    assert len(done.frames) == count_packets(target) == wanted
    assert after.size_wh == before.size_wh
    assert after.geometry == before.geometry
    assert after.color == before.color or path.name in ("fq_hevc.mkv", "fw_video-1s.avi")
    said = " ".join(done.encoding.notes)
    assert NOTES.get(path.name, "") in said
    assert bool(said) == (path.name in NOTES)
    if not said:
        assert after.codec == before.codec
        assert base_format(after.pixel_format) == base_format(before.pixel_format)

    tick = max(float(before.time_base), 0.001)
    moved = 0.0 if path.suffix != ".avi" else times_s(target)[0] - done.frames[0].time_s
    assert [time - moved for time in times_s(target)] == pytest.approx([frame.time_s for frame in done.frames], abs=tick)

    theirs, ours = side_packets(path, "audio"), side_packets(target, "audio")
    assert len(theirs) == len(ours)
    for one, other in zip(theirs, ours, strict=True):
        heard = [entry for entry in one if path.suffix in (".mp4", ".mov") or entry[0] >= 0]
        assert [payload for _, payload in other] == [payload for _, payload in heard]
        assert [time - moved for time, _ in other] == pytest.approx([time for time, _ in heard], abs=0.002)

    with av.open(str(target)) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio"] * len(theirs) + ["video"]
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"}
        assert all(
            set(stream.metadata) <= {"language", "handler_name", "vendor_id", "DURATION", "encoder", "ENCODER", "ALPHA_MODE", "alpha_mode"}
            for stream in container.streams
        )
    fates = {(carrier.kind, carrier.fate) for carrier in done.carriers}
    assert fates <= {("video", "anonymized"), ("video", "dropped"), ("audio", "copied")} | {(carrier.kind, "dropped") for carrier in done.carriers}


@needs_shared
def test_telemetry_and_manifests_are_listed_and_gone(tmp_path: Path) -> None:
    camera = run(METADATA / "gpmf_karma.mp4", tmp_path / "camera.mp4", most_frames=5)
    assert {"data", "side_data", "box", "tag"} <= {carrier.kind for carrier in camera.carriers if carrier.fate == "dropped"}
    assert any(carrier.detail.startswith("camera serial number") for carrier in camera.carriers)
    written = camera.path.read_bytes()
    assert not any(word in written for word in (b"gpmd", b"GPMF", b"GoPro", b"HD5.", b"CAME"))

    manifest = run(METADATA / "c2pa_video1.mp4", tmp_path / "manifest.mp4", most_frames=5)
    assert any("C2PA manifest" in carrier.detail for carrier in manifest.carriers)
    written = manifest.path.read_bytes()
    assert b"c2pa" not in written
    assert b"jumb" not in written
    assert b"uuid" not in written

    phone = run(METADATA / "c2pa_C_recorded_as.mov", tmp_path / "phone.mov", most_frames=5)
    written = phone.path.read_bytes()
    assert not any(word in written for word in (b"Apple", b"Mac15"))


@needs_shared
def test_of_several_cameras_the_largest_default_one_is_taken() -> None:
    info = probe(ZOO / "tc_nasa_13013.mp4")
    assert info.size_wh == (480, 270)
    assert [(carrier.name, carrier.fate) for carrier in info.carriers if carrier.kind == "video"] == [("0:0", "dropped"), ("0:3", "anonymized")]
