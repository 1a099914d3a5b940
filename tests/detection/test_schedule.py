"""Frames of a video share the two sizes of a look; whoever has no neighbour in time gets both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymizer.detection import LookPlan, Turns, observe
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture

IN_TURN = LookPlan(960, coarse_side=480, in_turn=True)

STREAMS = [
    pytest.param(IN_TURN, [0, 0.04, 0.08, 0.12, 0.16], ["all", "coarse", "fine", "coarse", "fine"], id="25-a-second"),
    pytest.param(IN_TURN, [0, 0.2, 0.4], ["all"] * 3, id="5-a-second"),
    pytest.param(IN_TURN, [0, 0.04, 0.5, 0.54, 0.58], ["all", "coarse", "all", "fine", "coarse"], id="a-pause"),
    pytest.param(IN_TURN, [0, 0.04, 0.02, 0.06], ["all", "coarse", "all", "fine"], id="time-goes-back"),
    pytest.param(LookPlan(960, coarse_side=480), [0, 0.04, 0.08], ["all"] * 3, id="not-asked-for"),
    pytest.param(LookPlan(960, in_turn=True), [0, 0.04, 0.08], ["all"] * 3, id="one-size-alone"),
]


@pytest.mark.parametrize(("look", "times_s", "parts"), STREAMS)
def test_neighbours_in_time_take_turns(look: LookPlan, times_s: list[float], parts: list[str]) -> None:
    turns = Turns(look)
    assert [turns.next(time_s) for time_s in times_s] == parts


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
