"""Frames of a video share the two sizes of a look; whoever has no neighbour in time gets both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymizer.detection import LookPlan, Turns, observe
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture

IN_TURN = LookPlan(960, coarse_side=480, in_turn=True)
NEAR = LookPlan(960, near_side=640, coarse_side=480, in_turn=True)

STREAMS = [
    pytest.param(IN_TURN, [0, 0.04, 0.08, 0.12, 0.16], ["all", "coarse", "fine", "coarse", "fine"], id="25-a-second"),
    pytest.param(IN_TURN, [0, 0.2, 0.4], ["all"] * 3, id="5-a-second"),
    pytest.param(IN_TURN, [0, 0.04, 0.5, 0.54, 0.58], ["all", "coarse", "all", "fine", "coarse"], id="a-pause"),
    pytest.param(IN_TURN, [0, 0.04, 0.02, 0.06], ["all", "coarse", "all", "fine"], id="time-goes-back"),
    pytest.param(LookPlan(960, coarse_side=480), [0, 0.04, 0.08], ["all"] * 3, id="not-asked-for"),
    pytest.param(LookPlan(960, in_turn=True), [0, 0.04, 0.08], ["all"] * 3, id="one-size-alone"),
    pytest.param(NEAR, [0, 0.04, 0.08, 0.12, 0.16], ["all", "coarse", "fine", "coarse", "coarse"], id="a-fine-look-that-costs-most-is-one-in-three"),
    pytest.param(replace(NEAR, near_side=1000), [0, 0.04, 0.08, 0.12], ["all", "coarse", "fine", "coarse"], id="but-not-in-a-picture-hardly-larger"),
]


@pytest.mark.parametrize(("look", "times_s", "parts"), STREAMS)
def test_neighbours_in_time_take_turns(look: LookPlan, times_s: list[float], parts: list[str]) -> None:
    turns = Turns(look)
    assert [turns.next(time_s, (960, 540)) for time_s in times_s] == parts


class Sizes:
    """A detector that notes the widths it was shown, and finds the whole picture."""

    name, labels = "sizes", ("face",)

    def __init__(self) -> None:
        self.widths: list[int] = []

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.widths += [picture.shape[1] for picture in pictures]
        return [Detections.of([[0, 0, picture.shape[1], picture.shape[0]]], [0.4], "face") for picture in pictures]


@pytest.mark.parametrize(
    ("part", "mirrored", "widths", "found"),
    [
        ("all", (), [960, 480], 1),
        ("fine", (), [960], 0),  # large and unsure: the fine look's word alone is not taken for it
        ("coarse", (), [480], 1),
        ("all", ("face",), [960, 960, 480, 480], 1),
        ("coarse", ("face",), [480, 480], 1),
        ("coarse", ("plate",), [480], 1),
    ],
)
def test_each_part_looks_at_the_whole_picture(part: str, mirrored: tuple[str, ...], widths: list[int], found: int) -> None:
    sizes = Sizes()
    picture = Picture(0, np.zeros((480, 960, 3), np.uint8), Geometry((960, 480)))
    seen = observe(picture, [sizes], LookPlan(960, coarse_side=480, mirrored=mirrored), part).detections  # type: ignore[arg-type]
    assert seen is not None
    assert sizes.widths == widths
    assert len(seen) == found


def test_every_frame_that_needs_tiles_gets_all_of_them() -> None:
    sizes = Sizes()
    picture = Picture(0, np.zeros((400, 960, 3), np.uint8), Geometry((960, 400)))
    for part in ("all", "fine", "coarse"):
        observe(picture, [sizes], LookPlan(960, (640, 640), coarse_side=480), part)  # type: ignore[arg-type]
    assert sizes.widths == [640, 640, 640, 480] * 3


def test_a_picture_too_small_for_a_coarse_look_gets_the_fine_one_in_every_turn() -> None:
    sizes = Sizes()
    picture = Picture(0, np.zeros((60, 100, 3), np.uint8), Geometry((100, 60)))
    for part in ("all", "fine", "coarse"):
        assert len(observe(picture, [sizes], LookPlan(960, coarse_side=480), part).detections or ()) == 1  # type: ignore[arg-type]
    assert sizes.widths == [100, 100, 100]


class EitherWay:
    """Finds a face and a plate, both on the left of whatever it is shown."""

    name, labels = "either way", ("face", "plate")

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [Detections.of([[10, 10, 40, 40], [10, 60, 40, 70]], [0.9, 0.9], ["face", "plate"]) for _ in pictures]


def test_what_is_seen_mirrored_counts_for_the_labels_that_were_named() -> None:
    picture = Picture(0, np.zeros((100, 200, 3), np.uint8), Geometry((200, 100)))
    seen = observe(picture, [EitherWay()], LookPlan(960, mirrored=("face",))).detections
    assert seen is not None
    assert sorted(zip(seen.label.tolist(), seen.xyxy[:, 0].tolist(), strict=True)) == [("face", 10.0), ("face", 160.0), ("plate", 10.0)]


class Sees:
    """Finds a face and a plate, both in the middle and large as `share` of the width, with a score for each width of picture."""

    name, labels = "sees", ("face", "plate")

    def __init__(self, share: float, score_of: dict[int, float]) -> None:
        self._share, self._score_of, self.widths = share, score_of, list[int]()

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.widths += [picture.shape[1] for picture in pictures]
        return [self._one(picture.shape[1]) for picture in pictures]

    def _one(self, width: int) -> Detections:
        if width not in self._score_of:
            return Detections.none()
        left, side = 0.4 * width, self._share * width
        return Detections.of([[left, 0, left + side, side], [left, 0, left + side, side / 3]], [self._score_of[width]] * 2, ["face", "plate"])


def scores(share: float, score_of: dict[int, float], look: LookPlan, part: str) -> tuple[dict[str, float], list[int]]:
    """What is left of each label's score in a picture 960 pixels wide, and which widths were looked at."""
    sees = Sees(share, score_of)
    picture = Picture(0, np.zeros((540, 960, 3), np.uint8), Geometry((960, 540)))
    seen = observe(picture, [sees], look, part).detections  # type: ignore[arg-type]
    assert seen is not None
    return {str(label): round(float(score), 3) for label, score in zip(seen.label, seen.score, strict=True)}, sees.widths


@pytest.mark.parametrize(
    ("share", "score", "left"),
    [
        pytest.param(0.03, 0.3, {"face": 0.18, "plate": 0.3}, id="unsure-faces-are-less-sure"),
        pytest.param(0.03, 0.7, {"face": 0.7, "plate": 0.7}, id="sure-ones-stay"),
        pytest.param(0.35, 0.7, {"plate": 0.7}, id="large-ones-are-the-other-look-s-matter"),
    ],
)
def test_faces_that_are_seen_too_near_count_less(share: float, score: float, left: dict[str, float]) -> None:
    assert scores(share, {960: score}, NEAR, "fine")[0] == left
    assert scores(share, {960: score}, replace(NEAR, near_side=None), "fine")[0] == {"face": score, "plate": score}


CONFIRMED = LookPlan(960, coarse_side=480, is_confirmed=True)


@pytest.mark.parametrize(
    ("share", "score_of", "face", "widths"),
    [
        pytest.param(0.14, {480: 0.3}, 0.4 * 0.3, [480, 240], id="what-the-small-look-does-not-see-counts-less"),
        pytest.param(0.14, {480: 0.3, 240: 0.7}, 0.7, [480, 240], id="what-it-is-sure-of-is-sure"),
        pytest.param(0.14, {480: 0.3, 240: 0.3}, 0.3, [480, 240], id="what-it-sees-too-stays"),
        pytest.param(0.14, {480: 0.6}, 0.6, [480], id="what-is-sure-is-not-asked-for"),
        pytest.param(0.1, {480: 0.3}, 0.3, [480], id="nor-what-is-small"),
    ],
)
def test_a_small_look_confirms_large_faces(share: float, score_of: dict[int, float], face: float, widths: list[int]) -> None:
    left, looked = scores(share, score_of, CONFIRMED, "coarse")
    # A little doubt of large ones is left, whatever confirms them.
    assert face * 0.97 < left["face"] + 1e-6
    assert left["face"] <= face + 1e-6
    assert looked == widths


def test_a_small_look_that_fails_fails_the_frame() -> None:
    class Breaks(Sees):
        def _one(self, width: int) -> Detections:
            if width < 480:
                raise RuntimeError("out of memory")
            return super()._one(width)

    picture = Picture(0, np.zeros((540, 960, 3), np.uint8), Geometry((960, 540)))
    observation = observe(picture, [Breaks(0.2, {480: 0.3})], CONFIRMED, "coarse")
    assert observation.detections is None
    assert "out of memory" in str(observation.failure)
