"""What is evaluated is what a run would seal, and every threshold is chosen from one look of the networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anonymizer.detection.doubt import doubted
from anonymizer.errors import ModelError, SourceError
from anonymizer.evaluation import LabelledPicture, Looker, Seen, TrueBox, score_label
from anonymizer.geometry import Geometry
from anonymizer.stills import detect_still
from anonymizer.types import Decision, Detections, Frame, Region
from tests.evaluation.marked import COLORS, ColorDetector, equipment_of, write_yolo

FACE, EDGE_FACE, PLATE = (40, 30, 70, 70), (0, 100, 20, 130), (100, 90, 150, 110)
BOTH = frozenset({"face", "plate"})


@pytest.fixture
def picture(tmp_path: Path) -> LabelledPicture:
    path = write_yolo(tmp_path, "gate_1", (200, 150), face=[FACE, EDGE_FACE], plate=[PLATE])
    boxes = tuple(TrueBox(label, box) for label, box in (("face", FACE), ("face", EDGE_FACE), ("plate", PLATE)))
    return LabelledPicture(path, boxes, BOTH, frozenset(), "gate")


def by_place(regions: tuple[Region, ...]) -> list[tuple[str, str, tuple[float, ...]]]:
    return sorted((region.label, region.shape, tuple(round(edge, 3) for edge in region.xyxy)) for region in regions)


def test_plan_is_the_one_that_a_run_makes(picture: LabelledPicture) -> None:
    equipment = equipment_of(ColorDetector())
    decisions: list[Decision] = []

    def keep(_: Frame, decision: Decision, __: Geometry) -> None:
        decisions.append(decision)

    detect_still(picture.path, equipment, on_frame=keep)
    seen = Looker(equipment).look_at(picture)
    assert by_place(seen.planned) == by_place(decisions[0].regions)
    assert {region.shape for region in seen.planned if region.label == "face"} == {"ellipse"}


def test_cover_of_a_box_does_not_depend_on_the_thresholds(picture: LabelledPicture) -> None:
    sure = Looker(equipment_of(ColorDetector(score=0.9))).look_at(picture)
    unsure = Looker(equipment_of(ColorDetector(score=0.05))).look_at(picture)
    assert by_place(unsure.covers) == by_place(sure.covers) == by_place(sure.planned)
    assert unsure.planned == ()
    told = doubted(Detections.of([FACE, EDGE_FACE, PLATE], [0.05] * 3, ["face", "face", "plate"]), max(unsure.size_wh))
    assert [region.score for region in unsure.covers] == pytest.approx(told.score.tolist())


def test_perfect_detector_hides_everything_and_a_blind_one_nothing(picture: LabelledPicture) -> None:
    for blind, share in ((False, 1), (True, 0)):
        seen = Looker(equipment_of(ColorDetector(blind=blind))).look_at(picture)
        for label in BOTH:
            scores = score_label([seen], label)
            assert scores.planned.mean() == share
            assert (scores.hidden > 0).mean() == share
            assert scores.matching is not None
            assert scores.matching.ap50 == pytest.approx(share)


def test_networks_look_once_at_each_picture(picture: LabelledPicture) -> None:
    detector = ColorDetector()
    list(Looker(equipment_of(detector, preset="balanced")).look_at_all([picture, picture]))
    assert len(detector.looks) == 2


@pytest.mark.parametrize(("scale", "shift"), [(0.5, None), (1.0, "jpeg"), (0.5, "blur")])
def test_truth_follows_the_picture(picture: LabelledPicture, scale: float, shift: str | None) -> None:
    seen = Looker(equipment_of(ColorDetector()), scale=scale, shift=shift).look_at(picture)
    assert seen.size_wh == (200 * scale, 150 * scale)
    assert seen.truth[0].xyxy == tuple(edge * scale for edge in FACE)
    assert score_label([seen], "face").planned.tolist() == [True, True]


def test_truth_turns_with_the_picture(picture: LabelledPicture) -> None:
    equipment = equipment_of(ColorDetector())
    upright, turned = (Looker(equipment, shift=shift).look_at(picture) for shift in (None, "turned"))
    assert turned.size_wh == (150, 200)
    left, top, right, bottom = FACE
    assert turned.truth[0].xyxy == (top, 200 - right, bottom, 200 - left)
    assert score_label([turned], "face").planned.tolist() == [True, True]
    assert [box.attributes for box in turned.truth] == [box.attributes for box in upright.truth]


def test_groups_are_those_of_the_picture_before_it_was_made_worse(picture: LabelledPicture) -> None:
    equipment = equipment_of(ColorDetector())
    plain, night = (Looker(equipment, shift=shift).look_at(picture) for shift in (None, "night"))
    assert [box.attributes for box in plain.truth] == [box.attributes for box in night.truth]
    assert plain.truth[0].attributes["light"] == "normal"


def test_labels_that_the_picture_is_not_marked_for_do_not_count(picture: LabelledPicture) -> None:
    only_faces = LabelledPicture(picture.path, picture.boxes, frozenset({"face"}), frozenset(), "gate")
    seen = Looker(equipment_of(ColorDetector())).look_at(only_faces)
    assert {box.label for box in seen.truth} == {"face"}
    assert score_label([seen], "plate").pictures == 0


class BrokenDetector(ColorDetector):
    def _found(self, rgb: np.ndarray) -> Detections:
        raise RuntimeError("no answer")


def test_failing_detector_ends_the_evaluation(picture: LabelledPicture) -> None:
    with pytest.raises(ModelError, match="no answer"):
        Looker(equipment_of(BrokenDetector())).look_at(picture)


def test_unreadable_picture_ends_the_evaluation(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff words")
    with pytest.raises(SourceError, match=r"a\.jpg: the picture is damaged"):
        Looker(equipment_of(ColorDetector())).look_at(LabelledPicture(tmp_path / "a.jpg", (), BOTH, BOTH, "a"))


def test_picture_of_another_size_than_was_marked_is_refused(picture: LabelledPicture) -> None:
    with pytest.raises(SourceError, match=r"gate_1\.png: is 200x150, and its labels are for 400x300"):
        Looker(equipment_of(ColorDetector())).look_at(replace(picture, marked_wh=(400, 300)))


def test_boxes_are_clipped_to_the_picture() -> None:
    boxes = (TrueBox("face", (-0.1, 0.5, 0.5, 1.2)), TrueBox("face", (1.5, 0, 1.6, 1)))
    (kept,) = LabelledPicture(Path("a.png"), boxes, BOTH, frozenset(), "a", relative=True).boxes_in((100, 50), (200, 100))
    assert kept.xyxy == (0, 25, 50, 50)


def test_detector_of_the_tests_sees_what_is_drawn() -> None:
    assert set(COLORS) == set(ColorDetector().labels)


def test_seen_tells_counted_from_ignored_boxes() -> None:
    boxes = (TrueBox("face", FACE), TrueBox("face", PLATE, ignored=True))
    seen = Seen(LabelledPicture(Path("a"), boxes, BOTH, frozenset(), "a"), (9, 9), boxes, Detections.none(), (), ())
    assert [box.xyxy for box in seen.truth_of("face")] == [FACE]
    assert [box.xyxy for box in seen.truth_of("face", ignored=True)] == [PLATE]
