from __future__ import annotations

import itertools

import numpy as np
import pytest

from anonymizer.config import PRESETS
from anonymizer.detection.tiling import View, both_ways, merged, views
from anonymizer.types import Detections

WH = (200, 100)
LEFT, RIGHT = View((0, 0, 120, 100)), View((80, 0, 200, 100))
WHOLE = View((0, 0, 200, 100), 0.5)


def seen_by(view: View, *boxes: tuple[float, float, float, float], label: str = "face", score: float = 0.5) -> tuple[View, Detections]:
    """What a perfect detector sees of the picture's boxes in one view: clipped to it, in its pixels."""
    left, top, right, bottom = view.xyxy
    clipped = [(max(b[0], left) - left, max(b[1], top) - top, min(b[2], right) - left, min(b[3], bottom) - top) for b in boxes]
    visible = [box for box in clipped if box[0] < box[2] and box[1] < box[3]]
    return view, Detections.of(np.asarray(visible, np.float32).reshape(-1, 4) * view.scale, np.full(len(visible), score), label)


@pytest.mark.parametrize("size_wh", [(1920, 1080), (961, 540), (640, 2000), (100, 100), (1, 5000)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_tiles_cover_every_pixel_and_neighbours_share_their_overlap(size_wh, overlap):
    whole, *tiles = views(size_wh, (320, 256), overlap)
    assert whole.xyxy == (0, 0, *size_wh)
    covered = np.zeros((size_wh[1], size_wh[0]), bool)
    for tile in tiles:
        left, top, right, bottom = tile.xyxy
        assert right - left <= 320
        assert bottom - top <= 256
        covered[top:bottom, left:right] = True
    assert covered.all() or not tiles
    columns = sorted({(tile.xyxy[0], tile.xyxy[2]) for tile in tiles})
    assert all(one[1] - two[0] >= int(320 * overlap) for one, two in itertools.pairwise(columns))


@pytest.mark.parametrize("size_wh", [(1920, 1080), (1080, 1920), (3840, 2160)])
def test_thorough_looks_at_every_pixel_of_1080p_and_4k_in_its_own_size(size_wh):
    preset = PRESETS["thorough"]
    assert preset.long_side >= max(size_wh)  # a frame is shrunk to that
    seen = np.zeros(size_wh[::-1], bool)
    for view in views(size_wh, preset.tile_wh, preset.tile_overlap):
        left, top, right, bottom = view.xyxy
        seen[top:bottom, left:right] |= view.scale == 1
    assert seen.all()


def test_small_picture_is_looked_at_once():
    assert views((300, 200), (320, 256), 0.2) == (View((0, 0, 300, 200)),)
    assert views((3000, 2000), None, 0.2) == (View((0, 0, 3000, 2000)),)


def test_view_shrinks_its_part():
    assert View((10, 20, 110, 80), 0.5).of(np.zeros((100, 200, 3), np.uint8)).shape == (30, 50, 3)


@pytest.mark.parametrize("view", [View((40, 20, 200, 100)), View((0, 0, 200, 100), 0.5), View((40, 20, 140, 100), 1.5)])
def test_what_is_found_in_a_mirrored_view_lies_where_it_is_in_the_picture(view):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[40:60, 60:80] = 255
    for seen in both_ways((view,)):
        rows, columns = np.nonzero(seen.of(picture)[..., 0] > 127)
        found = Detections.of([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], [0.5], "face")
        assert seen.placed(found).xyxy[0].tolist() == pytest.approx([60, 40, 80, 60], abs=1)


WHOLE_BOX = (60.0, 20.0, 150.0, 70.0)
SCENES = [
    pytest.param([WHOLE_BOX], [seen_by(LEFT, WHOLE_BOX), seen_by(RIGHT, WHOLE_BOX)], id="cut-by-both-tiles"),
    pytest.param([WHOLE_BOX], [seen_by(WHOLE, WHOLE_BOX), seen_by(LEFT, WHOLE_BOX), seen_by(RIGHT, WHOLE_BOX)], id="and-seen-whole"),
    pytest.param([(85.0, 20, 118, 60)], [seen_by(LEFT, (85.0, 20, 118, 60)), seen_by(RIGHT, (85.0, 20, 118, 60))], id="whole-in-both"),
    pytest.param([(100.0, 20, 140, 60)], [seen_by(LEFT, (100.0, 20, 140, 60)), seen_by(RIGHT, (100.0, 20, 140, 60))], id="cut-by-one"),
    pytest.param([(0.0, 20, 20, 60)], [seen_by(LEFT, (0.0, 20, 20, 60))], id="at-the-picture's-own-edge"),
    pytest.param(
        [(70.0, 5, 119, 30), (82.0, 60, 130, 90)],
        [seen_by(LEFT, (70.0, 5, 119, 30), (82.0, 60, 130, 90)), seen_by(RIGHT, (70.0, 5, 119, 30), (82.0, 60, 130, 90))],
        id="two-above-each-other",
    ),
    pytest.param([], [seen_by(LEFT), seen_by(RIGHT)], id="nothing"),
]


@pytest.mark.parametrize(("truth", "parts"), SCENES)
def test_each_thing_is_one_box_around_all_of_it(truth, parts):
    found = merged(parts, WH)
    assert sorted(map(tuple, found.xyxy.tolist())) == sorted(truth)


def test_labels_are_never_merged_with_each_other():
    found = merged([seen_by(LEFT, WHOLE_BOX), seen_by(RIGHT, WHOLE_BOX, label="plate")], WH)
    assert sorted(found.label.tolist()) == ["face", "plate"]


def test_joined_box_has_the_best_score():
    found = merged([seen_by(LEFT, WHOLE_BOX, score=0.4), seen_by(RIGHT, WHOLE_BOX, score=0.9)], WH)
    assert found.score == pytest.approx([0.9])


def test_merging_never_uncovers_a_pixel():
    rng = np.random.default_rng(3)
    for _ in range(40):
        corners = rng.uniform(0, 150, (6, 2)) * (1, 0.5)
        boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, rng.uniform(5, 50, (6, 2)), strict=True)]
        parts = [seen_by(view, *boxes) for view in (LEFT, RIGHT)]
        after = _painted(merged(parts, WH).xyxy)
        before = _painted(np.concatenate([found.xyxy + np.array([view.xyxy[0], 0] * 2) for view, found in parts]))
        # Suppression may take a near-copy's rim; merging itself takes nothing.
        assert (before & ~after).sum() <= 0.25 * before.sum()
        assert np.array_equal(after, after & _painted(np.array([[0, 0, *WH]])))


def _painted(xyxy: np.ndarray) -> np.ndarray:
    painted = np.zeros((WH[1], WH[0]), bool)
    for left, top, right, bottom in np.rint(xyxy).astype(int):
        painted[top:bottom, left:right] = True
    return painted
