"""Sources that say less, more or other things than most: what FFmpeg makes of them is what we make of them."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from anonymizer.errors import SourceError
from anonymizer.media import CarryPolicy, VideoReader, plan_encoding, probe
from anonymizer.media.conversion import Converter
from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Color, Decision, Frame, Region
from tests.conftest import draw_picture
from tests.media.clips import Clip, run, times_s, write

LEFT_TURNED = 6  # Exif: to be shown turned right


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "mpeg1video"])
def test_b_frames_in_avi_have_a_place_each(codec: str, tmp_path: Path) -> None:
    """Such files have times for key frames alone, and those are decoding times."""
    source = write(Clip("in.avi", codec=codec, options={"bf": "2"}, frames=15), tmp_path)
    info = probe(source)
    with VideoReader(info, pixel_format=info.pixel_format) as reader:
        frames = list(reader.frames())
    step = round(1 / (25 * info.time_base))
    assert [frame.pts - frames[0].pts for frame in frames] == [step * n for n in range(15)]
    done = run(source, tmp_path / "out.avi")
    assert done.output.frame_rate == info.frame_rate
    assert not done.warnings


@pytest.mark.parametrize(("name", "codec"), [("in.h264", "libx264"), ("in.mpg", "mpeg1video"), ("in.mpg", "mpeg2video")])
def test_a_rate_of_fields_is_not_that_of_frames(name: str, codec: str, tmp_path: Path) -> None:
    source = write(Clip(name, codec=codec, frames=25, options={"bf": "0"}), tmp_path)
    done = run(source, tmp_path / f"out-{name}")
    with av.open(str(done.path)) as container:
        assert container.streams.video[0].average_rate == 25
    assert len(times_s(done.path)) == 25


@pytest.mark.parametrize(("name", "pixel_format"), [("rgb.mov", "rgb24"), ("gray.mov", "gray"), ("uyvy.mov", "uyvy422"), ("planar.avi", "yuv422p")])
def test_uncompressed_pictures_are_read_back_as_what_they_are(name: str, pixel_format: str, tmp_path: Path) -> None:
    source = write(Clip(name, codec="rawvideo", pixel_format=pixel_format), tmp_path)
    pictures = []
    for path in (source, run(source, tmp_path / f"out-{name}").path):
        with av.open(str(path)) as container:
            pictures.append(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 4


def exif_clip(path: Path, orientation: int) -> Path:
    """Motion JPEG as cameras write it: Exif in each picture."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "SECRET CAMERA", orientation
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p"
        for index in range(5):
            buffer = io.BytesIO()
            Image.fromarray(draw_picture(index, (64, 48))).save(buffer, "JPEG", exif=exif, quality=95)
            packet = av.Packet(buffer.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
            container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".avi", ".mov", ".mkv"])
def test_motion_jpeg_with_exif_is_turned_as_it_says_and_loses_it(suffix: str, tmp_path: Path) -> None:
    source = exif_clip(tmp_path / f"in{suffix}", LEFT_TURNED)
    assert b"SECRET" in source.read_bytes()
    done = run(source, tmp_path / f"out{suffix}")
    assert done.source.geometry.orientation == LEFT_TURNED
    assert len(done.frames) == 5
    assert b"SECRET" not in done.path.read_bytes()
    assert ("side_data", "EXIF", "dropped") in [(carrier.kind, carrier.name, carrier.fate) for carrier in done.carriers]


def test_a_bayer_mosaic_is_covered_as_far_as_its_colours_reach() -> None:
    """A colour is made of neighbouring samples: what lay under the cover must not tint what lies beside it."""
    common, hidden = np.random.default_rng(1).integers(0, 256, (48, 64), np.uint8), np.random.default_rng(2).integers(0, 256, (16, 32), np.uint8)
    zone = (16, 12, 48, 28)
    sealed = []
    for secret in (None, hidden):
        samples = common.copy()
        if secret is not None:
            samples[zone[1] : zone[3], zone[0] : zone[2]] = secret
        mosaic = av.VideoFrame(64, 48, "bayer_rggb8")
        mosaic.planes[0].update(np.pad(samples, ((0, 0), (0, mosaic.planes[0].line_size - 64))).tobytes())
        planes, spread_px, color = Converter("gbrp", (64, 48)).planes(mosaic, Color())
        frame = Frame(0, 0, Fraction(1, 25), "gbrp", tuple(np.array(plane) for plane in planes), spread_px=spread_px, color=color)
        sealed.append(seal_frame(frame, Decision(0, (Region("zone", "box", tuple(map(float, zone)), origin="zone"),)), Effect("blur")).frame)  # type: ignore[arg-type]
    assert all(np.array_equal(one, other) for one, other in zip(sealed[0].planes, sealed[1].planes, strict=True))


def test_pictures_that_nothing_converts_are_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "in.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "rgb4"
        frame = av.VideoFrame(64, 48, "rgb4")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info = probe(path)
    encoding = plan_encoding(info, tmp_path / "out.mkv")
    with VideoReader(info, pixel_format=encoding.pixel_format) as reader, pytest.raises(SourceError) as refused:
        list(reader.frames())
    assert "rgb4" in refused.value.problem


@pytest.mark.parametrize(
    ("suffix", "tag_fate", "attachment_fate"), [(".mkv", "copied", "copied"), (".webm", "copied", "dropped"), (".ts", "dropped", "dropped")]
)
def test_what_a_file_type_does_not_hold_is_not_called_kept(suffix: str, tag_fate: str, attachment_fate: str, tmp_path: Path) -> None:
    source = write(Clip("in.mkv", tags={"LOCATION": "+48.8577+002.2950/"}, attachment=b"the attached words"), tmp_path)
    done = run(source, tmp_path / f"out{suffix}", carry=CarryPolicy(keep=frozenset({"metadata", "attachments"})))
    fates = {(carrier.kind, carrier.name): carrier.fate for carrier in done.carriers}
    assert fates["tag", "LOCATION"] == tag_fate
    assert (b"+48.8577" in done.path.read_bytes()) == (tag_fate == "copied")
    assert next(fate for (kind, _), fate in fates.items() if kind == "attachment") == attachment_fate
    assert (b"the attached words" in done.path.read_bytes()) == (attachment_fate == "copied")
