"""Clips whose every figure can be counted: an object that walks, a detector that looks away for a while."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymizer.errors import ConfigError, SourceError
from anonymizer.evaluation import Naming, Wishes, evaluate, load_data
from anonymizer.types import Detections
from tests.conftest import write_clip
from tests.evaluation.marked import Box, ColorDetector, draw, equipment_of

FRAMES, SIZE = 12, (160, 120)


def box_at(index: int) -> Box:
    left = 20.0 + 2 * index
    return (left, 40.0, left + 24, 72.0)


def write_labelled(folder: Path, *, truth_frames: int = FRAMES, ignored: Sequence[int] = ()) -> Path:
    def picture(index: int, size_wh: tuple[int, int]) -> np.ndarray:
        return draw(size_wh, face=[box_at(index)])

    write_clip(folder / "walk.mp4", frames=FRAMES, size_wh=SIZE, draw=picture, options={"crf": "10"})
    frames = [[{"id": 1, "label": "face", "xyxy": box_at(index), "ignore": index in ignored}] for index in range(truth_frames)]
    (folder / "walk.json").write_text(json.dumps({"label": "face", "frames": frames}))
    return folder


class ForgetfulDetector(ColorDetector):
    """Sees nothing from its fifth call on."""

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Detections]:
        self.blind = len(self.looks) >= 5
        return super().detect(pictures)


def faces(folder: Path, detector: ColorDetector, **values: object) -> Any:
    data = load_data(folder, Naming(("face", "plate")))
    return evaluate(data, equipment_of(detector, threads=1, **values), Wishes())["labels"]["face"]


def test_object_that_is_always_seen_is_always_covered(tmp_path: Path) -> None:
    found = faces(write_labelled(tmp_path), ColorDetector())
    assert (found["objects"], found["tracks"], found["longest_uncovered_frames"]) == (FRAMES, 1, 0)
    assert found["cover"]["percent"] == 100
    assert found["tracks_ever_uncovered"]["percent"] == 0
    assert 1 < found["area"]["value"] < 2


def test_object_that_is_never_seen_is_never_covered(tmp_path: Path) -> None:
    found = faces(write_labelled(tmp_path), ColorDetector(blind=True))
    assert found["cover"]["percent"] == 0
    assert found["tracks_ever_uncovered"]["percent"] == 100
    assert (found["longest_uncovered_frames"], found["longest_uncovered_in"]) == (FRAMES, "walk.mp4")
    assert found["area"]["value"] == 0


def test_what_the_tracker_holds_counts_and_what_it_lets_go_does_not(tmp_path: Path) -> None:
    write_labelled(tmp_path)
    times = {"tracking.hold_s": 0, "tracking.vanished_hold_s": 0}
    let_go = faces(tmp_path, ForgetfulDetector(), **times)
    assert let_go["cover"]["right"] == 5
    assert let_go["longest_uncovered_frames"] == FRAMES - 5
    held = faces(tmp_path, ForgetfulDetector())
    assert held["cover"]["right"] > 5


def test_ignored_sightings_count_for_nothing_and_part_a_run(tmp_path: Path) -> None:
    found = faces(write_labelled(tmp_path, ignored=(3,)), ColorDetector(blind=True))
    assert (found["objects"], found["ignored"], found["longest_uncovered_frames"]) == (FRAMES - 1, 1, FRAMES - 4)


def test_labels_of_another_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"walk\.mp4: has 12 frames, and its labels 11"):
        faces(write_labelled(tmp_path, truth_frames=11), ColorDetector())


def test_labels_for_another_size_are_refused(tmp_path: Path) -> None:
    truth = write_labelled(tmp_path) / "walk.json"
    truth.write_text(json.dumps(json.loads(truth.read_text()) | {"width": 640, "height": 480}))
    with pytest.raises(SourceError, match=r"walk\.mp4: is 160x120, and its labels are for 640x480"):
        faces(tmp_path, ColorDetector())


def test_clips_are_evaluated_as_they_are(tmp_path: Path) -> None:
    data = load_data(write_labelled(tmp_path), Naming(("face",)))
    with pytest.raises(ConfigError, match="are for labelled pictures"):
        evaluate(data, equipment_of(ColorDetector()), Wishes(scale=0.5))
