"""The demo clip, end to end: what samples/expected.json promises, held against a real run; and the examples, run as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from build_sample import Scene, write_sample

from anonymizer import Report, anonymize_video, read_plan
from anonymizer.equipment import Equipment
from anonymizer.library import config_with
from anonymizer.pipeline import detect_video
from anonymizer.types import Region
from tests.conftest import REPO
from tests.masks import cover_mask

pytestmark = pytest.mark.slow

EXPECTED = json.loads((REPO / "samples/expected.json").read_text())
BACKGROUND_PSNR_DB = 30.0  # Outside the covers only the encoder speaks; x264 at CRF 18 stays well above.


@dataclass(frozen=True)
class Run:
    """The clip, its plan, and the clip sealed by that plan."""

    source: Path
    plan: Path
    target: Path
    report: Report

    def regions(self) -> list[tuple[Region, ...]]:
        return [decision.regions for _, decision in read_plan(self.plan, self.source).frames()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sample")
    source = write_sample(folder / "street.mp4")
    plan, target = folder / "plan.jsonl", folder / "street_anonymized.mp4"
    detect_video(source, Equipment.of(config_with(None, {})), plan=plan)
    return Run(source, plan, target, anonymize_video(source, target, plan=plan))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def secret_mask(label: str, xyxy: Sequence[float], size_wh: tuple[int, int]) -> np.ndarray:
    """The pixels that must be covered: of a face the ellipse in its box, of a plate the box."""
    return cover_mask([Region(label, "ellipse" if label == "face" else "box", tuple(xyxy))], size_wh)  # type: ignore[arg-type]


def test_every_face_and_the_plate_are_covered_as_expected(run: Run, scene: Scene) -> None:
    size_wh = tuple(EXPECTED["size_wh"])
    covered = dict.fromkeys(EXPECTED["covered_frames_min"], 0)
    for index, regions in enumerate(run.regions()):
        mask = cover_mask(regions, size_wh)
        faces = sorted((xyxy for label, xyxy in scene.truth(index) if label == "face"), key=lambda xyxy: xyxy[3] - xyxy[1])
        plates = [xyxy for label, xyxy in scene.truth(index) if label == "plate"]
        for name, label, xyxy in (("far face", "face", faces[0]), ("near face", "face", faces[1]), ("plate", "plate", plates[0])):
            covered[name] += mask[secret_mask(label, xyxy, size_wh)].mean() >= 0.95
    assert {name: count for name, count in covered.items() if count < EXPECTED["covered_frames_min"][name]} == {}


def test_the_rest_of_the_street_stays(run: Run) -> None:
    shares, errors = [], []
    for before, after, regions in list(zip(pictures(run.source), pictures(run.target), run.regions(), strict=True))[::10]:
        mask = cover_mask(regions, (before.shape[1], before.shape[0]))
        far = cv2.dilate(mask.astype(np.uint8), np.ones((61, 61))) == 0
        shares.append(mask.mean())
        errors.append(np.square(before[far].astype(np.float32) - after[far]).mean())
    assert np.mean(shares) <= EXPECTED["picture_covered_max"]
    assert 10 * np.log10(255**2 / np.mean(errors)) >= BACKGROUND_PSNR_DB


def test_what_is_covered_looks_like_nothing_that_was_there(run: Run, scene: Scene) -> None:
    size_wh = tuple(EXPECTED["size_wh"])
    before, after = pictures(run.source), pictures(run.target)
    for index in range(0, EXPECTED["frames"], 10):
        for label, xyxy in scene.truth(index):
            mask = secret_mask(label, xyxy, size_wh)
            was, now = (picture[mask].astype(np.float32).mean(axis=1) for picture in (before[index], after[index]))
            assert abs(np.corrcoef(was, now)[0, 1]) < 0.6, f"the {label} of frame {index} can be recognized"


def test_the_file_is_the_same_but_for_what_tells_who_and_where(run: Run) -> None:
    with av.open(str(run.target)) as container:
        video = container.streams.video[0]
        assert (video.frames, (video.width, video.height), video.codec_context.name) == (EXPECTED["frames"], tuple(EXPECTED["size_wh"]), "h264")
        left = set(container.metadata) | {stream.type for stream in container.streams}
    assert left & set(EXPECTED["gone"]) == set()
    dropped = {carrier.name for carrier in run.report.carriers if carrier.fate == "dropped"} | {carrier.kind for carrier in run.report.carriers}
    assert {name for name in EXPECTED["gone"] if not any(name in known for known in dropped)} == set(), "the report must say what was there"
    assert {label: count for label, count in EXPECTED["tracks_min"].items() if run.report.coverage.tracks.get(label, 0) < count} == {}


def test_examples_run_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos/one.png"), pictures(run.source)[140])
    short = write_sample(tmp_path / "short.mp4", frames=8)
    examples = {
        "library_array.py": ([str(short), "array.mp4"], "8 frames"),
        "blur_folder.py": (["photos", "covered"], "one.png: done"),
        "own_detector.py": ([str(short), "car.png"], "covers 1 blue car"),
        "before_after.py": ([str(run.source), str(run.target), "stills"], ""),
    }
    for name, (arguments, words) in examples.items():
        command = [sys.executable, str(REPO / "samples" / name), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(REPO)})
        assert (done.returncode, words in done.stdout) == (0, True), f"{name}: {done.stdout}{done.stderr}"
    assert (tmp_path / "array.mp4").stat().st_size > 0
    assert not np.array_equal(cv2.imread(str(tmp_path / "covered/one.png")), cv2.imread(str(tmp_path / "photos/one.png")))
    assert {path.name for path in (tmp_path / "stills").iterdir()} == {"before.jpg", "after.jpg"}
