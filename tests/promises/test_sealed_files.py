"""From the seal to the encoder: videos that differ only under their covers become the same file, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymizer.media import EncodingChoice, VideoReader, VideoWriter, count_packets, plan_encoding, probe
from anonymizer.redaction import seal_frame
from anonymizer.types import Decision, Frame, MediaInfo, Region
from tests.conftest import ClipMaker
from tests.redaction.frames import EFFECT_NAMES, core_of, effect_named, scrambled

FFV1_FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuva420p"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv444p12le", "gbrp10le", "gray"),
]
ENCODERS = [
    *(("ffv1", name, "mkv") for name in FFV1_FORMATS),
    *(("libx264", name, "mp4") for name in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le")),
    ("libx265", "yuv420p10le", "mp4"),
    ("libvpx-vp9", "yuv420p", "webm"),
    ("mjpeg", "yuvj420p", "mov"),
]

# Ellipses, overlaps, odd edges and a frame with nothing on it, at an odd size.
DECISIONS = [
    Decision(0, (Region("face", "ellipse", (10.3, 8.6, 33.1, 37.9)), Region("face", "ellipse", (25, 12, 50, 44.5)))),
    Decision(1, (Region("plate", "box", (40.5, 33.25, 90, 60)), Region("face", "ellipse", (-8, -6, 9.5, 12)))),
    Decision(2),
    Decision(3, (Region("face", "ellipse", (30.1, 20.1, 33.2, 23.2)), Region("zone", "box", (0, 40, 67, 43)))),
]
SIZE_WH = (67, 47)
EVEN_WH = (68, 48)  # x264 and x265 take no odd size with 4:2:0


def written(target: Path, info: MediaInfo, frames: list[Frame], codec: str, kind: str) -> bytes:
    encoding = plan_encoding(info, target, EncodingChoice(codec=codec))
    with VideoWriter(target, info, encoding) as writer:
        for frame, decision in zip(frames, DECISIONS, strict=True):
            writer.write_frame(seal_frame(frame, decision, effect_named(kind)))
        writer.finish()
    assert count_packets(target) == len(frames)
    return target.read_bytes()


def noise(index: int, size_wh: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8)


@pytest.mark.parametrize(("codec", "name", "suffix"), ENCODERS, ids=lambda value: str(value))
def test_what_lies_under_a_cover_changes_no_byte_of_the_file(codec: str, name: str, suffix: str, make_clip: ClipMaker, tmp_path: Path) -> None:
    size_wh = EVEN_WH if codec.startswith("libx") else SIZE_WH
    source = make_clip("in.mkv" if suffix == "webm" else f"in.{suffix}", frames=4, size_wh=size_wh, codec=codec, pixel_format=name, draw=noise)
    info = probe(source)
    encoding = plan_encoding(info, tmp_path / f"out.{suffix}", EncodingChoice(codec=codec))
    with VideoReader(info, pixel_format=encoding.pixel_format) as reader:
        frames = list(reader.frames())
    others = [scrambled(frame, core_of(frame, decision, effect_named("blur")), seed=77) for frame, decision in zip(frames, DECISIONS, strict=True)]
    for kind in EFFECT_NAMES:
        one = written(tmp_path / f"one.{suffix}", info, frames, codec, kind)
        assert one == written(tmp_path / f"other.{suffix}", info, others, codec, kind), kind
    # The comparison can fail: one covered sample that shows is a different file.
    bare = [Decision(decision.frame_index) for decision in DECISIONS]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.promises.test_sealed_files.DECISIONS", bare)
        assert written(tmp_path / f"one.{suffix}", info, frames, codec, "blur") != written(tmp_path / f"other.{suffix}", info, others, codec, "blur")


def test_lossless_output_holds_exactly_the_sealed_planes(make_clip: ClipMaker, tmp_path: Path) -> None:
    info = probe(make_clip("in.mkv", frames=4, size_wh=SIZE_WH, codec="ffv1", pixel_format="yuv420p10le", draw=noise))
    with VideoReader(info, pixel_format="yuv420p10le") as reader:
        frames = list(reader.frames())
    target = tmp_path / "out.mkv"
    written(target, info, frames, "ffv1", "blur")
    with VideoReader(probe(target), pixel_format="yuv420p10le") as reader:
        for back, frame, decision in zip(reader.frames(), frames, DECISIONS, strict=True):
            sealed = seal_frame(frame, decision, effect_named("blur"))
            for mine, yours in zip(back.planes, sealed.frame.planes, strict=True):
                assert np.array_equal(mine, yours)


@pytest.mark.parametrize("thing", ["frame", "planes", "none"])
def test_a_writer_takes_nothing_but_sealed_frames(thing: str, make_clip: ClipMaker, tmp_path: Path) -> None:
    info = probe(make_clip("in.mkv", frames=1, codec="ffv1"))
    with VideoReader(info, pixel_format="yuv420p") as reader:
        frame = next(reader.frames())
    target = tmp_path / "out.mkv"
    clear = {"frame": frame, "planes": frame.planes, "none": None}[thing]
    with VideoWriter(target, info, plan_encoding(info, target, EncodingChoice(codec="ffv1"))) as writer, pytest.raises(TypeError, match="only sealed frames"):
        writer.write_frame(clear)  # type: ignore[arg-type]
