"""Outside the covers the picture is as good as a plain transcode with the same settings."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.frame import PictureType
from numpy.typing import NDArray

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.pipeline import anonymize_video
from tests.conftest import SHARED, needs_shared, write_clip

FRAMES = 40
WITHIN_DB = 0.1


def draw_texture(index: int, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """A window that pans over noise of several scales: as hard to encode as a street."""
    rng = np.random.default_rng(1)
    texture = sum(cv2.resize(rng.normal(0, 60 / k, (400 // k, 500 // k, 3)), (500, 400), interpolation=cv2.INTER_CUBIC) for k in (1, 4, 16))
    window = texture[20 + index // 2 :, 30 + index :][: size_wh[1], : size_wh[0]]
    return np.clip(window + 128, 0, 255).astype(np.uint8)


def transcoded(source: Path, target: Path) -> Path:
    """Decode and encode with the defaults that docs/cli.md names."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = reader.streams.video[0]
        out = writer.add_stream("libx264", rate=stream.average_rate, options={"preset": "veryfast", "crf": "18"})
        out.width, out.height, out.pix_fmt = stream.width, stream.height, "yuv420p"
        for index, frame in enumerate(reader.decode(stream)):
            if index == FRAMES:
                break
            frame.pict_type = PictureType.NONE  # A decoded frame still has its type, and x264 obeys it; FFmpeg's program clears it, too.
            writer.mux(out.encode(frame))
        writer.mux(out.encode(None))
    return target


def psnr_db(source: Path, output: Path, outside: NDArray[np.bool_]) -> float:
    """PSNR of luma where `outside` is true, over all frames."""
    with av.open(str(source)) as one, av.open(str(output)) as other:
        errors = [
            np.mean((a.to_ndarray(format="gray").astype(np.float64) - b.to_ndarray(format="gray"))[outside] ** 2)
            for a, b, _ in zip(one.decode(video=0), other.decode(video=0), range(FRAMES), strict=False)
        ]
    assert len(errors) == FRAMES
    return float(10 * np.log10(255**2 / np.mean(errors)))


def assert_as_good_outside(source: Path, size_wh: tuple[int, int], zone_xywh: tuple[int, int, int, int], folder: Path) -> None:
    settings = {"detect": "none", "zones": [",".join(map(str, zone_xywh))], "span": "0-1.5999"}
    anonymize_video(source, folder / "ours.mp4", Equipment.of(load_config(settings).config))
    outside = np.ones(size_wh[::-1], bool)
    x, y, w, h = zone_xywh
    margin = 32  # the soft edge, and the macroblocks it lies in
    outside[max(0, y - margin) : y + h + margin, max(0, x - margin) : x + w + margin] = False
    plain = psnr_db(source, transcoded(source, folder / "plain.mp4"), outside)
    ours = psnr_db(source, folder / "ours.mp4", outside)
    assert ours >= plain - WITHIN_DB, (ours, plain)


def test_drawn_clip_is_as_good_as_a_transcode(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=FRAMES, size_wh=(320, 240), draw=draw_texture, options={"crf": "10"})
    assert_as_good_outside(source, (320, 240), (100, 80, 80, 60), tmp_path)


@needs_shared
@pytest.mark.slow
def test_street_is_as_good_as_a_transcode(tmp_path: Path) -> None:
    assert_as_good_outside(SHARED / "media/scenes/facenet_street.mp4", (1920, 1080), (500, 300, 200, 240), tmp_path)
