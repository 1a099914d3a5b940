"""Canvases: the same for the same numbers, boxes where their objects are, and nothing drawn for labels that nobody trains."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from anonymizer.evaluation import Naming, load_data
from anonymizer.training.canvas import Composer
from anonymizer.training.occlusions import LEAST_SIDE, PLATE_SHARE, occlude_faces, occlude_plates
from anonymizer.training.pictures import Pictures
from anonymizer.training.plates import replace_plates
from anonymizer.training.recipe import Augmentation, Recipe, Stage
from tests.evaluation.marked import COLORS, write_yolo

BARE = Augmentation(occluded_faces=0, occluded_plates=0, synthetic_plates=0, signs=0, hard_places=0, turned=0, light=False, camera=False)
RECIPE = Recipe(stages=(Stage(steps=1),))


def pictures_of(folder: Path, labels: tuple[str, ...], **renamed: str) -> Pictures:
    for at in range(3):
        write_yolo(folder, f"gate_{at}", (200, 120), face=[(20.0, 20.0, 60.0, 70.0)], plate=[(100.0, 50.0, 170.0, 80.0)])
    return Pictures(load_data(folder, Naming(labels, renamed)).pictures, labels, RECIPE)


def test_a_step_decides_what_is_shown(tmp_path: Path) -> None:
    composer = Composer(pictures_of(tmp_path, ("face", "plate")), 160)
    (one, rows), (same, same_rows), (other, _) = (composer(np.random.default_rng((3, step))) for step in (5, 5, 6))
    assert np.array_equal(one, same)
    assert np.array_equal(rows, same_rows)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("late", [False, True])
def test_boxes_lie_on_their_objects(tmp_path: Path, late: bool) -> None:
    composer = Composer(pictures_of(tmp_path, ("face", "plate")), 320, BARE)
    seen = 0
    for step in range(12):
        canvas, rows = composer(np.random.default_rng(step), late)
        assert canvas.shape == (320, 320, 3)
        for kind, left, top, right, bottom in rows:
            assert 0 <= left < right <= 320
            assert 0 <= top < bottom <= 320
            middle = canvas[int((top + bottom) / 2), int((left + right) / 2), ::-1].astype(int)
            seen += bool(np.abs(middle - COLORS["plate" if kind else "face"]).max() < 40)
        seen -= len(rows)
    assert seen >= -2  # a neighbouring cell's edge may lie in the middle of a sliver


class OneSquare:
    """A dark picture with one bright square, of which the edges are known to a fraction of a pixel."""

    labels = ("face",)
    share = np.ones(1)

    def __len__(self) -> int:
        return 1

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        picture = np.zeros((300, 300, 3), np.uint8)
        picture[100:200, 120:200] = 255
        return picture, np.array([[0, 120, 100, 200, 200]], np.float32), np.zeros((0, 5), np.float32)


def test_boxes_lie_on_their_objects_to_a_fraction_of_a_pixel() -> None:
    """A picture that is mirrored, shrunk or enlarged must not move against its boxes: networks learn every half pixel."""
    composer, off = Composer(OneSquare(), 128, BARE), []
    for step in range(200):
        canvas, rows = composer.cell(np.random.default_rng(step), 128, 128, 1)
        if len(rows) == 1 and rows[0, 1:3].min() > 2 and rows[0, 3:].max() < 126:
            light = (canvas[..., 0] > 127).astype(float) if rows[0, 3] - rows[0, 1] < 8 else canvas[..., 0].astype(float)
            light[:, : int(rows[0, 1]) - 1] = light[:, int(rows[0, 3]) + 2 :] = light[: int(rows[0, 2]) - 1] = light[int(rows[0, 4]) + 2 :] = 0
            middle = [(light.sum(axis) * (np.arange(128) + 0.5)).sum() / light.sum() for axis in (0, 1)]
            off.append(np.array(middle) - (rows[0, 1:3] + rows[0, 3:]) / 2)
    assert len(off) > 40
    assert np.abs(np.mean(off, axis=0)).max() < 0.1
    assert np.abs(np.median(np.abs(off), axis=0)).max() < 0.2


class OneHead(OneSquare):
    """A bright ellipse in a dark picture."""

    def at(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        picture = cv2.ellipse(np.zeros((300, 300, 3), np.uint8), (160, 150), (30, 55), 0, 0, 360, (255, 255, 255), -1)
        return picture, np.array([[0, 130, 95, 191, 206]], np.float32), np.zeros((0, 5), np.float32)


def test_a_turned_head_has_the_box_around_itself() -> None:
    """The box around the turned corners of its box would be up to 1.4 times as wide."""
    composer, lying, off = Composer(OneHead(), 128, BARE.model_copy(update={"turned": 1.0})), 0, []
    for step in range(100):
        canvas, rows = composer.cell(np.random.default_rng(step), 128, 128, 1)
        if len(rows) == 1 and rows[0, 1:3].min() > 2 and rows[0, 3:].max() < 126:
            painted = np.argwhere(canvas.min(axis=2) > 180)
            off.append(np.array([*(painted.min(0)[::-1] - rows[0, 1:3]), *(painted.max(0)[::-1] + 1 - rows[0, 3:])]))
            lying += rows[0, 3] - rows[0, 1] > rows[0, 4] - rows[0, 2]
    assert len(off) > 30
    assert lying > 5
    assert np.mean(np.abs(off).max(axis=1) < 2) > 0.9  # a light colour around a picture is painted, too


def test_nothing_is_drawn_for_labels_that_are_not_trained(tmp_path: Path) -> None:
    """Boards that were marked as plates are no plates here: none may be painted over with one."""
    always = Augmentation(occluded_faces=1, occluded_plates=1, synthetic_plates=1, signs=1, hard_places=0, light=False, camera=False)
    pictures = pictures_of(tmp_path, ("board",), plate="board", face="none")
    drawn, bare = (Composer(pictures, 160, wish)(np.random.default_rng(1)) for wish in (always, BARE))
    assert np.array_equal(drawn[0], bare[0])
    assert np.array_equal(drawn[1], bare[1])


def test_occluded_faces_change_inside_their_box_alone() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (100, 160, 3), dtype=np.uint8)
    rows = np.array([[0, 20, 20, 60, 70], [1, 90, 30, 140, 60], [0, 5, 80, 5 + LEAST_SIDE - 1, 99]], np.float32)
    before = image.copy()
    changed = np.zeros((100, 160), bool)
    for _ in range(20):
        changed |= (occlude_faces(rng, image, rows, share=1.0) != before).any(axis=2)
    assert np.array_equal(image, before)  # a copy is painted on
    assert changed[20:70, 20:60].mean() > 0.8
    changed[20:70, 20:60] = False
    assert not changed.any()
    assert occlude_faces(rng, image, rows, share=0.0) is image
    assert occlude_faces(rng, image, rows, share=1.0, face=2) is image


def test_a_synthetic_plate_has_its_box() -> None:
    rng = np.random.default_rng(1)
    image = np.full((120, 200, 3), 90, np.uint8)
    rows = np.array([[4, 60, 40, 130, 70]], np.float32)
    drawn, boxes = replace_plates(rng, image, rows, plate=4)
    painted = np.argwhere((drawn != image).any(axis=2))
    assert len(painted) > 500
    (low_y, low_x), (high_y, high_x) = painted.min(0), painted.max(0)
    assert boxes[0, 1] <= low_x + 2
    assert boxes[0, 2] <= low_y + 2
    assert boxes[0, 3] >= high_x - 2
    assert boxes[0, 4] >= high_y - 2
    assert replace_plates(rng, image, rows, plate=1)[0] is image


def test_of_an_occluded_plate_what_is_left_is_labelled() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (200, 300, 3), dtype=np.uint8)
    rows = np.array([[1, 120, 90, 180, 110], [0, 5, 5, 25, 30]], np.float32)
    sides = set()
    for _ in range(40):
        painted, labels = occlude_plates(rng, image, rows, share=1.0)
        if painted is image or np.array_equal(labels, rows):
            continue
        changed = (painted != image).any(axis=2)
        x1, y1, x2, y2 = np.rint(labels[0, 1:]).astype(int)
        assert not changed[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].any()  # what is labelled is bare
        assert changed[91:109, 121:179].mean() > PLATE_SHARE[0] * 0.8  # the rest is hidden
        assert not changed[5:30, 5:25].any()  # and no other object
        assert np.array_equal(labels[1], rows[1])
        sides |= set(np.flatnonzero(labels[0, 1:] != rows[0, 1:]))
    assert sides == {0, 1, 2, 3}
    assert occlude_plates(rng, image, rows, share=0.0)[0] is image
    assert occlude_plates(rng, image, rows, share=1.0, plate=2)[1] is rows
