"""What every test may use: where the shared data lies, tiny clips, and the rule that nothing logs an error unseen."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import hypothesis
import numpy as np
import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the folder ../shared, whose files may not be copied into the project")

# No deadline: a busy machine is not a bug.
hypothesis.settings.register_profile("project", deadline=None, max_examples=30, print_blob=True)
hypothesis.settings.load_profile("project")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes hours, unless it is asked for."""
    if "soak" not in str(config.option.markexpr):
        skip = pytest.mark.skip(reason="runs only with -m soak")
        for item in items:
            if item.get_closest_marker("soak") is not None:
                item.add_marker(skip)


class _ErrorRecords(logging.Handler):
    """Keeps what was logged at ERROR or above."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def no_error_logged() -> Iterator[None]:
    """Fail a test during which anything was logged at ERROR, whatever else it found."""
    handler = _ErrorRecords()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
    assert not handler.records, [record.getMessage() for record in handler.records]


def draw_picture(index: int, size_wh: tuple[int, int]) -> np.ndarray:
    """A smooth picture RGB uint8 [H, W, 3] that differs from frame to frame: a gradient with a bright square that walks."""
    width, height = size_wh
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    rgb = np.stack([columns * 200 // max(1, width - 1), rows * 200 // max(1, height - 1), np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    side = max(2, min(width, height) // 4)
    left = index * 3 % max(1, width - side)
    rgb[height // 3 : height // 3 + side, left : left + side] = (250, 240, 200)
    return rgb


def write_clip(
    path: Path,
    *,
    frames: int = 10,
    size_wh: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 25,
    audio: str | None = None,
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    draw: Callable[[int, tuple[int, int]], np.ndarray] = draw_picture,
) -> Path:
    """Write a clip of drawn pictures; `audio` names an encoder ("aac", "pcm_s16le") for a stereo tone as long as the picture."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        video = container.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height = size_wh
        video.pix_fmt = pixel_format
        sound = container.add_stream(audio, rate=48000, layout="stereo") if audio else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(index, size_wh), format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for packet in _tone_packets(sound, frames / rate):
                container.mux(packet)
    return path


def _tone_packets(stream: av.AudioStream, duration_s: float) -> Iterator[list[av.Packet]]:
    """A quiet 440 Hz tone, left and right half a turn apart."""
    rate, chunk = 48000, 1024
    for start in range(0, max(1, round(duration_s * rate)), chunk):
        phase = 2 * np.pi * 440 * np.arange(start, start + chunk) / rate
        samples = np.stack([np.sin(phase), -np.sin(phase)]).astype(np.float32) * 0.2
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate)
        for ready in resampler.resample(frame):
            yield stream.encode(ready)
    yield stream.encode(None)


ClipMaker = Callable[..., Path]


@pytest.fixture
def make_clip(tmp_path: Path) -> ClipMaker:
    """`make_clip("in.mp4", frames=10, size_wh=(64, 48), codec="libx264", audio="aac", ...)` writes it under tmp_path."""

    def make(name: str = "in.mp4", **wishes: object) -> Path:
        return write_clip(tmp_path / name, **wishes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader of the documents has it: street.mp4, the first 10 frames of the demo clip, and photos/one.png.

    Both have what they show marked: street.json, and marked/ with one picture of the scene and one of the empty street. In
    camera/ are more of them, smaller.
    """
    from build_sample import Scene, write_sample

    folder = tmp_path_factory.mktemp("demo")
    write_sample(folder / "street.mp4", frames=10)
    (folder / "photos").mkdir()
    picture = cv2.resize(Scene().picture(149), (640, 360), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photos/one.png"), picture)
    mark_demo(folder, Scene())
    mark_pictures(folder / "camera", Scene(), range(10, 150, 14), empty=4, most_side=640)
    return folder


def mark_demo(folder: Path, scene: Any) -> None:
    """The truth of the demo clip beside it, and two marked pictures as YOLO wants them."""
    frames = [[{"id": label + str(at), "label": label, "xyxy": xyxy} for at, (label, xyxy) in enumerate(scene.truth(index))] for index in range(10)]
    (folder / "street.json").write_text(json.dumps({"frames": frames}))
    mark_pictures(folder / "marked", scene, [149], empty=1)


def mark_pictures(folder: Path, scene: Any, indices: Sequence[int], *, empty: int, most_side: int | None = None) -> None:
    """Pictures of the scene, and so many of the empty street at growing brightness, marked as YOLO wants them."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    height, width = scene.picture(indices[0]).shape[:2]
    scale = min(1.0, (most_side or width) / width)
    pictures = {f"street_{index}": scene.picture(index) for index in indices}
    pictures |= {f"empty_{at + 1}": cv2.convertScaleAbs(scene.background, alpha=1 + at / 10) for at in range(empty)}
    for name, picture in pictures.items():
        small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"images/{name}.png"), small)
    for index in indices:
        lines = []
        for label, (left, top, right, bottom) in scene.truth(index):
            middle, size = ((left + right) / 2 / width, (top + bottom) / 2 / height), ((right - left) / width, (bottom - top) / height)
            lines.append(f"{int(label == 'plate')} {middle[0]} {middle[1]} {size[0]} {size[1]}")
        (folder / f"labels/street_{index}.txt").write_text("\n".join(lines))
