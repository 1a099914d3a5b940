"""One picture through every step: covered, upright, clean, or not written at all."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonymizer import Anonymizer
from anonymizer.config import PRESETS, load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import AnonymizerError, CancelledError, ConfigError, ModelError, SourceError, TargetError
from anonymizer.geometry import Geometry
from anonymizer.media.image_carriers import list_carriers
from anonymizer.stills import anonymize_still, detect_still
from anonymizer.types import Decision, Detections, Frame

GREY, RED = (120, 130, 140), (250, 20, 30)
SIZE_WH = (96, 64)
SPOT = (24, 16, 44, 40)  # left, top, right, bottom of the red spot


def spotted(spot: tuple[int, int, int, int] | None = SPOT, size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    """A grey picture with one round red spot: what the detector of these tests looks for."""
    picture = np.full((size_wh[1], size_wh[0], 3), GREY, np.uint8)
    if spot is not None:
        # Round, as faces are: what an ellipse is to cover must not have corners.
        left, top, right, bottom = spot
        rows, columns = np.mgrid[top:bottom, left:right] + 0.5
        across, down = (2 * columns - left - right) / (right - left), (2 * rows - top - bottom) / (bottom - top)
        picture[top:bottom, left:right][across**2 + down**2 <= 1] = RED
    return picture


class RedSpots:
    """Finds the red spot by its colour: a detector without a model."""

    labels = ("face",)
    name = "red spots"

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.looks += len(pictures)
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: NDArray[np.uint8]) -> Detections:
        red = np.argwhere((picture[..., 0] > 180) & (picture[..., 1] < 90))
        if not len(red):
            return Detections.none()
        (top, left), (bottom, right) = red.min(axis=0), red.max(axis=0) + 1
        return Detections.of([[left, top, right, bottom]], [0.9], "face")


class Blind:
    """Raises when it is asked."""

    labels = ("face",)
    name = "blind"

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        raise ModelError("blind: sees nothing at all")


def equipment(detector: Any = None, **settings: Any) -> Equipment:
    return Equipment.of(load_config({"detect": ["face"], **settings}).config, [detector or RedSpots()])


def saved(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def red_in(path: Path) -> int:
    """Pixels that are still red in any frame."""
    with Image.open(path) as image:
        count = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            pixels = np.asarray(image.convert("RGB")).astype(int)
            count += int(((pixels[..., 0] - pixels[..., 1]) > 60).sum())
        return count


@pytest.mark.parametrize("effect", ["blur", "pixelate", "solid"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".avif", ".heic"])
def test_what_is_found_is_covered_and_the_rest_is_kept(suffix: str, effect: str, tmp_path: Path) -> None:
    source = tmp_path / f"a{suffix}"
    if suffix == ".heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_bytes(mode="RGB", size=SIZE_WH, data=spotted().tobytes()).save(source, quality=95)
    else:
        saved(source, spotted(), **({"quality": 95} if suffix in (".jpg", ".webp", ".avif") else {}))
    target = tmp_path / f"out{suffix}"
    report = anonymize_still(source, target, equipment(effect={"kind": effect}))
    assert (report.tally.read, report.tally.decided, report.tally.sealed, report.tally.written) == (1, 1, 1, 1)
    assert report.coverage.by_label == {"face": 1}
    assert {carrier.kind for carrier in list_carriers(target.read_bytes())} <= {"profile"}
    if suffix == ".heic":
        return
    with Image.open(target) as written:
        pixels = np.asarray(written.convert("RGB")).astype(int)
    inner = pixels[SPOT[1] + 6 : SPOT[3] - 6, SPOT[0] + 6 : SPOT[2] - 6]
    assert np.abs(inner - RED).min(axis=(0, 1)).max() > 40
    assert np.abs(pixels[-10:] - GREY).max() < 6


def test_small_face_of_a_picture_alone_is_covered_wider_than_that_of_a_video() -> None:
    """No neighbour in time makes up for a box that is too short."""
    anonymizer = Anonymizer(detect=["face"], effect={"kind": "solid"}, detectors=[RedSpots()])
    picture = np.ascontiguousarray(spotted(size_wh=(640, 360))[..., ::-1])
    alone, (frame, _) = anonymizer.image(picture), list(anonymizer.process([picture, picture]))
    changed_alone, changed = ((sealed != picture).any(axis=-1) for sealed in (alone, frame))
    assert (changed_alone >= changed).all()
    assert changed_alone.sum() > 1.2 * changed.sum()


def test_a_picture_alone_is_believed_sooner_than_a_frame_of_a_video() -> None:
    frames = Equipment.of(load_config({}).config)
    alone = frames.for_picture((640, 360))
    card = json.loads((Path(__file__).parents[1] / "anonymizer/detection/weights/face_plate.json").read_text())
    for label in ("face", "plate"):
        assert alone.policy.of(label).strong_score == pytest.approx(card["picture_score"][label])
        assert frames.policy.of(label).strong_score == pytest.approx(card["normal_score"][label])
        assert card["picture_score"][label] < card["normal_score"][label]
        assert alone.look.weak[label] < alone.policy.of(label).strong_score
    assert alone.policy.of("face").strong_score > Equipment.of(load_config({"strictness": 1.0}).config).for_picture((640, 360)).policy.of("face").strong_score


@pytest.mark.parametrize(
    ("preset", "size_wh", "sides"),
    [
        ("balanced", (640, 480), (640, 352)),
        ("balanced", (720, 1500), (750, 413)),
        ("balanced", (4000, 3000), (960, 528)),
        ("thorough", (4000, 3000), (3840, 640)),
    ],
)
def test_a_picture_alone_is_looked_at_in_two_sizes_that_grow_with_it(preset: str, size_wh: tuple[int, int], sides: tuple[int, int]) -> None:
    frames = Equipment.of(load_config({"preset": preset}).config, seeing=False)
    alone = frames.for_picture(size_wh)
    assert (alone.look.long_side, alone.look.coarse_side) == sides
    assert alone.policy.look_long_side == sides[0], "margins in pixels are those of the picture looked at"
    assert frames.look.long_side == PRESETS[preset].long_side


def test_orientation_turns_picture_before_it_is_looked_at(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    source = saved(tmp_path / "a.jpg", spotted(), exif=exif, quality=95)
    found: list[tuple[Frame, Decision, Geometry]] = []
    detect_still(source, equipment(), on_frame=lambda *seen: found.append(seen))
    (frame, decision, geometry) = found[0]
    assert frame.size_wh == geometry.displayed_wh == (64, 96)
    left, top, right, bottom = decision.regions[0].xyxy
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((SIZE_WH[1] - 28, 34), abs=3)
    report = anonymize_still(source, tmp_path / "out.jpg", equipment())
    assert red_in(tmp_path / "out.jpg") == 0
    assert ("tag", "camera make", "dropped") in {(carrier.kind, carrier.name, carrier.fate) for carrier in report.carriers}


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animation_is_tracked_as_a_video(suffix: str, tmp_path: Path) -> None:
    """The spot is hidden from the detector in the middle frame, and is covered there too."""

    class Slips(RedSpots):
        def _one(self, picture: NDArray[np.uint8]) -> Detections:
            return Detections.none() if self.looks == 3 else super()._one(picture)

    frames = [Image.fromarray(spotted((20 + 2 * n, 16, 40 + 2 * n, 40))) for n in range(5)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], duration=40, **({"lossless": True} if suffix == ".webp" else {}))
    report = anonymize_still(tmp_path / f"a{suffix}", tmp_path / f"out{suffix}", equipment(Slips()))
    assert report.tally.written == report.coverage.frames == 5
    assert red_in(tmp_path / f"out{suffix}") == 0


def test_every_page_of_a_tiff_is_covered(tmp_path: Path) -> None:
    pages = [Image.fromarray(spotted()), Image.fromarray(spotted((4, 4, 20, 20), (40, 80)))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert anonymize_still(tmp_path / "a.tif", tmp_path / "out.tif", equipment()).coverage.frames == 2
    assert red_in(tmp_path / "out.tif") == 0


@pytest.mark.parametrize("paper", [RED, GREY])
def test_what_only_transparency_shows_is_found_too(paper: tuple[int, int, int], tmp_path: Path) -> None:
    """Stored red under full transparency, and a black picture whose alpha draws a white shape, are both looked at."""

    class WhiteSpots(RedSpots):
        def _one(self, picture: NDArray[np.uint8]) -> Detections:
            flipped = picture.copy()
            flipped[..., 1][(picture > 200).all(axis=2)] = 0
            return super()._one(flipped)

    if paper == RED:
        pixels = np.dstack([spotted(), np.zeros(SIZE_WH[::-1], np.uint8)])
        detector: RedSpots = RedSpots()
    else:
        alpha = np.full(SIZE_WH[::-1], 255, np.uint8)
        alpha[16:40, 24:44] = 0
        pixels = np.dstack([np.zeros((*SIZE_WH[::-1], 3), np.uint8), alpha])
        detector = WhiteSpots()
    report = anonymize_still(saved(tmp_path / "a.png", pixels), tmp_path / "out.png", equipment(detector))
    assert report.coverage.by_label == {"face": 1}
    assert detector.looks == 3
    with Image.open(tmp_path / "out.png") as written:
        assert (np.asarray(written)[24:32, 30:38, 3] == 255).all()


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    import cv2

    deep = spotted().astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    anonymize_still(tmp_path / "a.png", tmp_path / "out.png", equipment())
    written: Any = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert written.dtype == np.uint16
    assert np.array_equal(written[-8:], deep[-8:, :, ::-1])
    assert red_in(tmp_path / "out.png") == 0


def test_zone_is_covered_without_a_detector(tmp_path: Path) -> None:
    bare = Equipment.of(load_config({"detect": "none", "zones": ["24,16,20,24"]}).config, [])
    anonymize_still(saved(tmp_path / "a.png", spotted()), tmp_path / "out.png", bare)
    assert red_in(tmp_path / "out.png") == 0


def test_picture_without_anything_is_written_again_and_never_copied(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", spotted(None), quality=95, comment=b"me at home")
    report = anonymize_still(source, tmp_path / "out.jpg", equipment())
    assert report.coverage.frames == 0
    assert b"me at home" not in (tmp_path / "out.jpg").read_bytes()


def test_plan_is_written_and_used(tmp_path: Path) -> None:
    frames = [Image.fromarray(spotted((20 + 2 * n, 16, 40 + 2 * n, 40))) for n in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    detect_still(tmp_path / "a.gif", equipment(), plan=tmp_path / "p.jsonl")
    blind = RedSpots()
    report = anonymize_still(tmp_path / "a.gif", tmp_path / "out.gif", equipment(blind), plan=tmp_path / "p.jsonl")
    assert blind.looks == 0
    assert report.coverage.frames == 3
    assert red_in(tmp_path / "out.gif") == 0
    saved(tmp_path / "b.gif", spotted())
    with pytest.raises(AnonymizerError):
        anonymize_still(tmp_path / "b.gif", tmp_path / "b_out.gif", equipment(), plan=tmp_path / "p.jsonl")


def test_span_does_not_cut_a_picture(tmp_path: Path) -> None:
    report = anonymize_still(saved(tmp_path / "a.png", spotted()), tmp_path / "out.png", equipment(span="5-9"))
    assert "written whole: a picture has no span" in report.notes
    assert red_in(tmp_path / "out.png") == 0


def test_failing_runs_publish_nothing(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    cut = tmp_path / "cut.png"
    cut.write_bytes(source.read_bytes()[:-3000])
    stopped = threading.Event()
    stopped.set()
    failing: list[tuple[type[AnonymizerError], Path, Path, dict[str, Any], Any]] = [
        (SourceError, cut, tmp_path / "out.png", {}, None),
        (SourceError, tmp_path / "none.png", tmp_path / "out.png", {}, None),
        (ModelError, source, tmp_path / "out.png", {}, Blind()),
        (CancelledError, source, tmp_path / "out.png", {"cancel": stopped}, None),
        (ConfigError, source, tmp_path / "out.mp4", {}, None),
        (ConfigError, source, source, {}, None),
        (ConfigError, source, cut, {}, None),
        (TargetError, source, tmp_path / "none" / "out.png", {}, None),
    ]
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    for error, given, target, options, detector in failing:
        with pytest.raises(error):
            anonymize_still(given, target, equipment(detector), **options)
        assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_picture_that_is_replaced_meanwhile_publishes_nothing(tmp_path: Path) -> None:
    """Its plan and report would speak of another picture."""
    source = saved(tmp_path / "a.png", spotted())

    class Slow(RedSpots):
        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            saved(source, spotted((2, 2, 20, 20), (120, 90)))
            return super().detect(pictures)

    with pytest.raises(SourceError, match="changed or replaced"):
        anonymize_still(source, tmp_path / "out.png", equipment(Slow()))
    saved(source, spotted())
    with pytest.raises(SourceError, match="changed or replaced"):
        detect_still(source, equipment(Slow()), plan=tmp_path / "plan.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    told = []
    anonymize_still(saved(tmp_path / "a.png", spotted()), tmp_path / "out.png", equipment(), progress=told.append)
    assert (told[-1].frames_done, told[-1].frames_expected, told[-1].covered) == (1, 1, 1)


def test_jpeg_outside_the_cover_is_as_good_as_a_plain_copy(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 12, (64, 96, 1))
    clear = np.clip(spotted() + noise, 0, 255).astype(np.uint8)
    source = saved(tmp_path / "a.jpg", clear, quality=85, subsampling=2)
    anonymize_still(source, tmp_path / "out.jpg", equipment())
    with Image.open(source) as before, Image.open(tmp_path / "out.jpg") as after:
        plain = io.BytesIO()
        before.convert("RGB").save(plain, "JPEG", qtables=before.quantization, subsampling=2)  # type: ignore[attr-defined]
        one, other = np.asarray(before.convert("RGB")).astype(float), np.asarray(after.convert("RGB")).astype(float)
        with Image.open(plain) as copied:
            copy = np.asarray(copied).astype(float)
    far = np.s_[48:, 64:]
    assert ((one - other)[far] ** 2).mean() <= ((one - copy)[far] ** 2).mean() + 0.01
