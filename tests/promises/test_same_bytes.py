"""Two videos that differ only inside a zone become the same file, byte for byte: nothing of the zone is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.media.planes import frame_of
from anonymizer.pipeline import anonymize_video
from anonymizer.pixels import pixel_format
from anonymizer.types import Plane

SIZE_WH = (70, 54)
ZONE_XYWH = (16, 12, 24, 20)  # on the chroma grid, so that whole chroma samples can differ
FRAMES = 6
EFFECTS: dict[str, dict[str, Any]] = {
    "blur": {},
    "pixelate": {"effect.kind": "pixelate"},
    "solid": {"effect.kind": "solid", "effect.color": "#204080"},
    "image": {"effect.kind": "image"},
}
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "gbrp10le"]


def lossless_clip(path: Path, name: str, secret_seed: int | None) -> Path:
    """An FFV1 clip of noise; with a seed, the zone holds other noise."""
    known = pixel_format(name)
    assert known is not None
    common = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, options={"threads": "1"})
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = name
        for index in range(FRAMES):
            planes = []
            for plane in range(len(known.planes)):
                columns, rows = known.plane_wh(plane, SIZE_WH)
                dtype = np.uint8 if known.bits == 8 else np.uint16
                samples: Plane = common.integers(0, 1 << known.bits, (rows, columns), dtype)
                if secret_seed is not None:
                    shift_w, shift_h = known.shift_wh(plane)
                    x, y, w, h = ZONE_XYWH
                    hidden = samples[y >> shift_h : (y + h) >> shift_h, x >> shift_w : (x + w) >> shift_w]
                    hidden[...] = np.random.default_rng([secret_seed, index, plane]).integers(0, 1 << known.bits, hidden.shape, dtype)
                planes.append(samples)
            frame = frame_of(tuple(planes), name)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def anonymized(source: Path, target: Path, settings: dict[str, Any]) -> bytes:
    zone = ",".join(map(str, ZONE_XYWH))
    equipment = Equipment.of(load_config({"detect": "none", "zones": [zone], **settings}).config)
    anonymize_video(source, target, equipment)
    return target.read_bytes()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("name", FORMATS)
def test_files_that_differ_only_inside_a_zone_become_the_same_file(name: str, effect: str, tmp_path: Path) -> None:
    settings = dict(EFFECTS[effect])
    if effect == "image":
        settings["effect.image"] = str(logo(tmp_path))
    one = lossless_clip(tmp_path / "one.mkv", name, None)
    other = lossless_clip(tmp_path / "other.mkv", name, 5)
    assert one.read_bytes() != other.read_bytes()
    first = anonymized(one, tmp_path / "a.mkv", settings)
    assert first == anonymized(other, tmp_path / "b.mkv", settings)


LOSSY = [("libx264", "mp4"), ("libx265", "mp4"), ("libvpx-vp9", "webm"), ("mjpeg", "mov"), ("prores_ks", "mov"), ("mpeg4", "avi")]


@pytest.mark.parametrize(("codec", "suffix"), LOSSY)
def test_so_they_do_through_lossy_encoders(codec: str, suffix: str, tmp_path: Path) -> None:
    """An encoder may convert what it cannot hold before the seal; masks are grown by as far as that reaches."""
    one = lossless_clip(tmp_path / "one.mkv", "yuv444p", None)
    other = lossless_clip(tmp_path / "other.mkv", "yuv444p", 6)
    settings = {"encoding.codec": codec}
    assert anonymized(one, tmp_path / f"a.{suffix}", settings) == anonymized(other, tmp_path / f"b.{suffix}", settings)


def test_how_a_source_coded_what_is_hidden_is_not_to_be_seen(tmp_path: Path) -> None:
    """What lies under a cover decides which frames an encoder predicts and how; lossless H.264, so that nothing else differs."""
    x, y, w, h = ZONE_XYWH
    common, random = np.random.default_rng(3).integers(0, 256, (SIZE_WH[1], SIZE_WH[0]), np.uint8), np.random.default_rng(7)
    outputs, kinds = [], []
    for name, options in (("still", {}), ("busy", {"g": "1"})):
        path = tmp_path / f"{name}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"qp": "0", **options})
            stream.width, stream.height = SIZE_WH
            stream.pix_fmt = "yuv420p"
            for index in range(24):
                luma = common.copy()
                if name == "busy":
                    luma[y : y + h, x : x + w] = random.integers(0, 256, (h, w), np.uint8)
                gray = np.full((SIZE_WH[1] // 2, SIZE_WH[0] // 2), 128, np.uint8)
                frame = frame_of((luma, gray, gray), "yuv420p")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with av.open(str(path)) as container:
            kinds.append([int(frame.pict_type) for frame in container.decode(video=0)])
        outputs.append(anonymized(path, tmp_path / f"{name}_out.mp4", {}))
    assert kinds[0] != kinds[1]
    assert outputs[0] == outputs[1]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """A zone that leaves out a third of what differs gives different files."""
    one = lossless_clip(tmp_path / "one.mkv", "yuv444p", None)
    other = lossless_clip(tmp_path / "other.mkv", "yuv444p", 5)
    x, y, w, h = ZONE_XYWH
    outputs = []
    for source, target in ((one, tmp_path / "a.mkv"), (other, tmp_path / "b.mkv")):
        equipment = Equipment.of(load_config({"detect": "none", "zones": [f"{x + 8},{y},{w - 8},{h}"]}).config)
        anonymize_video(source, target, equipment)
        outputs.append(target.read_bytes())
    assert outputs[0] != outputs[1]


def logo(folder: Path) -> Path:
    """A small picture with transparency."""
    from PIL import Image

    rgba = np.zeros((12, 16, 4), np.uint8)
    rgba[2:10, 3:13] = (250, 200, 40, 255)
    rgba[5:7, 6:10, 3] = 120
    path = folder / "logo.png"
    Image.fromarray(rgba, "RGBA").save(path)
    return path
