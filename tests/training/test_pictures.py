"""What is learned from: every box in place, what nobody can decide masked, object-free pictures in measure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from anonymizer.errors import SourceError
from anonymizer.evaluation import DataSet, Naming, load_data
from anonymizer.training.arrays import mask, overlap
from anonymizer.training.pictures import MOST_SIDE_PX, Pictures, doubtful_boxes
from anonymizer.training.recipe import Recipe, Stage
from tests.evaluation.marked import COLORS, ColorDetector, write_yolo, yolo_line

RECIPE = Recipe(stages=(Stage(steps=1),))
LABELS = ("plate", "face")
FACE, PLATE = (10.0, 10.0, 40.0, 50.0), (60.0, 20.0, 90.0, 40.0)


def load(folder: Path) -> DataSet:
    return load_data(folder, Naming(LABELS))


def masked_share(image: np.ndarray, path: Path, box: tuple[float, ...]) -> float:
    """How much of a box is not as it is in the file."""
    left, top, right, bottom = (int(edge) for edge in box)
    changed = (image != cv2.imread(str(path))).any(axis=2)
    return float(changed[top:bottom, left:right].mean())


def test_boxes_come_in_pixels_with_the_numbers_of_the_labels_wanted(tmp_path: Path) -> None:
    write_yolo(tmp_path, "gate_1", (100, 60), face=[FACE], plate=[PLATE])
    image, rows, hard = Pictures(load(tmp_path).pictures, LABELS, RECIPE).at(0)
    assert rows.round(2).tolist() == [[1, *FACE], [0, *PLATE]]
    assert image.shape == (60, 100, 3)
    assert image[30, 25].tolist() == list(COLORS["face"][::-1])
    assert len(hard) == 0


def test_large_pictures_are_shrunk_with_their_boxes(tmp_path: Path) -> None:
    write_yolo(tmp_path, "gate_1", (2 * MOST_SIDE_PX, 600), face=[(100, 100, 300, 400)])
    image, rows, _ = Pictures(load(tmp_path).pictures, LABELS, RECIPE).at(0)
    assert image.shape[:2] == (300, MOST_SIDE_PX)
    assert rows[0, 1:].round(1).tolist() == [50, 50, 150, 200]


def test_ignored_objects_are_masked_and_marked_ones_beside_them_stay(tmp_path: Path) -> None:
    near = (52.0, 14.0, 98.0, 46.0)
    write_yolo(tmp_path, "gate_1", (100, 60), face=[FACE], plate=[PLATE])
    (tmp_path / "ignore").mkdir()
    (tmp_path / "ignore/gate_1.txt").write_text(yolo_line(1, near, (100, 60)))
    (tmp_path / "labels/gate_1.txt").write_text(yolo_line(0, FACE, (100, 60)))
    image, rows, _ = Pictures(load(tmp_path).pictures, LABELS, RECIPE).at(0)
    assert len(rows) == 1
    assert masked_share(image, tmp_path / "images/gate_1.png", PLATE) > 0.5
    assert masked_share(image, tmp_path / "images/gate_1.png", FACE) == 0


def test_what_the_base_sees_of_unmarked_labels_is_masked(tmp_path: Path) -> None:
    """In a folder of faces nobody marked plates: they are neither plates to learn nor none."""
    write_yolo(tmp_path / "faces", "a_1", (100, 60), face=[FACE], plate=[PLATE])
    (tmp_path / "faces/labels/a_1.txt").write_text(yolo_line(0, FACE, (100, 60)))
    write_yolo(tmp_path / "both", "b_1", (100, 60), plate=[PLATE])
    pictures = load(tmp_path).pictures
    found = doubtful_boxes(pictures, ColorDetector(), LABELS, lambda _: None)
    assert {path.stem: len(boxes) for path, boxes in found.items()} == {"a_1": 1}
    shown = Pictures(pictures, LABELS, RECIPE, found)
    shares = {picture.path.stem: masked_share(shown.at(at)[0], picture.path, PLATE) for at, picture in enumerate(pictures)}
    assert shares["b_1"] == 0
    assert shares["a_1"] > 0.5


def test_unmarked_objects_of_pictures_marked_in_part_are_masked(tmp_path: Path) -> None:
    write_yolo(tmp_path, "b_1", (100, 60), plate=[PLATE, (10.0, 10.0, 30.0, 25.0)])
    (tmp_path / "labels/b_1.txt").write_text(yolo_line(1, PLATE, (100, 60)))
    (tmp_path / "miss_only.json").write_text('["b_1"]')
    pictures = load(tmp_path).pictures
    found = doubtful_boxes(pictures, ColorDetector(), LABELS, lambda _: None)
    image, rows, _ = Pictures(pictures, LABELS, RECIPE, found).at(0)
    assert len(rows) == 1
    assert masked_share(image, pictures[0].path, PLATE) == 0
    assert masked_share(image, pictures[0].path, (10, 10, 30, 25)) > 0.5


def test_object_free_pictures_are_shown_in_measure(tmp_path: Path) -> None:
    for at in range(10):
        write_yolo(tmp_path, f"gate_{at}", (32, 32), **({"face": [(4, 4, 20, 20)]} if at < 2 else {}))
    pictures = load(tmp_path).pictures
    shares = Pictures(pictures, LABELS, Recipe(stages=RECIPE.stages, object_free_most=0.2)).share
    assert shares.sum() == pytest.approx(1)
    assert sum(one for one, picture in zip(shares, pictures, strict=True) if not picture.boxes) == pytest.approx(0.2)
    by_name = Pictures(pictures, LABELS, Recipe(stages=RECIPE.stages, sampling={"gate_3": 11.0, "gate_*": 1.0})).share
    assert by_name[[picture.path.stem for picture in pictures].index("gate_3")] == pytest.approx(11 / 20)


def test_unreadable_picture_is_named(tmp_path: Path) -> None:
    path = write_yolo(tmp_path, "gate_1", (32, 32), face=[(4, 4, 20, 20)])
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match=r"gate_1\.png"):
        Pictures(load(tmp_path).pictures, LABELS, RECIPE).at(0)


def test_hard_places_are_read_beside_a_prepared_set(tmp_path: Path) -> None:
    write_yolo(tmp_path, "gate_1", (100, 60), face=[FACE])
    (tmp_path / "hard").mkdir()
    (tmp_path / "hard/gate_1.txt").write_text("1 5 6 7 8\n")
    assert Pictures(load(tmp_path).pictures, LABELS, RECIPE).at(0)[2].tolist() == [[1, 5, 6, 7, 8]]


def test_mask_leaves_nothing_to_be_read_and_overlap_counts_the_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8)
    image = noise.copy()
    mask(image, np.array(PLATE, np.float32), np.zeros((0, 4), np.float32))
    inside = image[20:40, 60:90].astype(float)
    assert np.abs(np.diff(inside, axis=1)).max() < 12
    assert (image[:15] == noise[:15]).all()
    assert overlap(np.array([0, 0, 4, 4], np.float32), np.array([[2, 2, 100, 100], [50, 50, 60, 60]], np.float32)).tolist() == [0.25, 0]
