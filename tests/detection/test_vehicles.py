"""What vehicles say of plates that a network is not sure of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.detection import LookPlan, load_vehicles, observe, vehicle_trust
from anonymizer.detection.doubt import doubted
from anonymizer.detection.vehicles import LABEL, weighed
from anonymizer.equipment import Equipment
from anonymizer.errors import ModelError
from anonymizer.evaluation import rgb_of
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture
from tests.conftest import SHARED, needs_shared
from tests.detection.found import Found

USUAL_TRUST, WARY_TRUST = vehicle_trust(0.5), vehicle_trust(0.5, is_wary=True)
SIDE = 1000  # of the picture: shares are thousandths
CAR = (100, 100, 300, 300)
HERE = (180, 240, 220, 256)  # in the car, 4 % of the picture wide


def plates(*boxes_and_scores):
    boxes, scores = zip(*boxes_and_scores, strict=True)
    return Detections.of(boxes, scores, "plate")


def scores_beside(seen, *vehicles, score=0.9, trust=USUAL_TRUST):
    around = Detections.of(vehicles, [score] * len(vehicles), LABEL) if vehicles else Detections.none()
    return weighed(seen, doubted(seen, SIDE).score, around, (SIDE, SIDE), trust).score


def apart(seen, trust=USUAL_TRUST):
    """What the plates count beside the road."""
    share = np.maximum(*(seen.xyxy[:, 2:] - seen.xyxy[:, :2]).T) / SIDE
    return doubted(seen, SIDE).score * np.interp(share, *zip(*trust.outside, strict=True))


INSIDE = [
    pytest.param(HERE, 0.1, 0.4, id="faint"),
    pytest.param(HERE, 0.3, 0.6, id="never-as-sure-by-that-alone"),
    pytest.param((180, 240, 200, 250), 0.1, 0.1, id="small-as-in-wide-views"),
]


@pytest.mark.parametrize(("box", "score", "counts"), INSIDE)
def test_a_faint_plate_in_a_vehicle_counts_more(box, score, counts):
    assert scores_beside(plates((box, score)), CAR) == pytest.approx([counts], abs=0.001)


@pytest.mark.parametrize("box", [(180, 110, 220, 126), (105, 240, 118, 246), (110, 240, 290, 290)], ids=["in-a-window", "narrow", "wide"])
def test_what_is_no_vehicle_s_plate_counts_as_beside_the_road(box):
    seen = plates((box, 0.1))
    assert scores_beside(seen, CAR) == pytest.approx(apart(seen))


def test_a_vehicle_with_a_sure_plate_has_no_other():
    seen = plates((HERE, 0.1), ((120, 200, 160, 216), 0.8))
    assert scores_beside(seen, CAR) == pytest.approx(doubted(seen, SIDE).score)
    assert scores_beside(seen, CAR, trust=WARY_TRUST) == pytest.approx(doubted(seen, SIDE).score)
    assert scores_beside(seen, CAR, (150, 180, 400, 400))[0] == pytest.approx(0.4)  # but the one behind it may


def test_of_two_faint_plates_a_vehicle_speaks_for_the_likelier_where_little_is_believed():
    seen = plates((HERE, 0.1), ((120, 200, 160, 216), 0.09))
    assert scores_beside(seen, CAR) == pytest.approx([0.4, doubted(seen, SIDE).score[1]])
    assert scores_beside(seen, CAR, trust=WARY_TRUST) == pytest.approx([0.5, 0.45])


def test_beside_the_road_unsure_plates_count_less_and_sure_ones_do_not():
    large = (600, 100, 640, 116)
    seen = plates((large, 0.3), (large, 0.7), ((600, 100, 620, 108), 0.3))
    less = doubted(seen, SIDE).score
    assert scores_beside(seen, CAR) == pytest.approx([apart(seen)[0], 0.7, apart(seen)[2]])
    assert (apart(seen)[[0, 2]] < less[[0, 2]]).all()
    assert (scores_beside(seen, CAR, score=0.2) == scores_beside(seen)).all()  # a vehicle that does not count is none
    assert scores_beside(seen, CAR, trust=WARY_TRUST) == pytest.approx(less)  # nothing is less believed where much is


def test_a_plate_that_hides_its_vehicle_is_believed_as_before():
    seen = plates(((300, 300, 400, 330), 0.3))
    assert scores_beside(seen) == pytest.approx(doubted(seen, SIDE).score)


EDGES = [(2, 500, 42, 516), (500, 1, 540, 17), (958, 500, 998, 516), (500, 983, 540, 999)]


@pytest.mark.parametrize("box", EDGES)
def test_a_plate_whose_vehicle_the_picture_s_edge_may_have_cut_is_believed_as_before(box):
    seen = plates((box, 0.3))
    assert scores_beside(seen, CAR) == pytest.approx(doubted(seen, SIDE).score)
    far = plates(((300, 500, 340, 516), 0.3))
    assert scores_beside(far, CAR) == pytest.approx(apart(far))


@pytest.mark.parametrize(("strictness", "share"), [(0.0, 0.45), (0.5, 0.45), (0.75, 0.725), (1.0, 1.0)])
def test_nothing_speaks_against_a_plate_at_the_highest_strictness(strictness, share):
    seen = plates(((300, 500, 340, 516), 0.3))
    assert scores_beside(seen, trust=vehicle_trust(strictness)) == pytest.approx(share * doubted(seen, SIDE).score)
    equipment = Equipment.of(load_config({"threads": 1, "strictness": strictness, "detect": ["plate"]}).config)
    assert equipment.look.vehicles == vehicle_trust(strictness)


def test_a_vehicle_never_makes_its_plate_count_less():
    seen = plates((HERE, 0.59), (HERE, 0.7), ((150, 200, 220, 228), 0.3))
    for at in range(len(seen)):
        one = seen.where(np.arange(len(seen)) == at)
        assert scores_beside(one, CAR) >= doubted(one, SIDE).score - 1e-6


def test_faces_are_not_asked_about():
    seen = Detections.of([HERE, HERE], [0.1, 0.7], "face")
    assert scores_beside(seen, CAR) == pytest.approx(doubted(seen, SIDE).score)


PICTURE = Picture(0, np.zeros((SIDE // 2, SIDE, 3), np.uint8), Geometry((SIDE, SIDE // 2)))
LOOK = LookPlan(SIDE, vehicles=USUAL_TRUST, deadline_s=30)


@pytest.mark.parametrize(("score", "looks"), [(0.1, 1), (0.8, 0)])
def test_vehicles_are_looked_for_where_a_plate_is_unsure(score, looks):
    vehicles = Found(Detections.of([CAR], [0.9], LABEL))
    observe(PICTURE, [Found(plates((HERE, score)))], LOOK, vehicles=vehicles)
    assert vehicles.looks == looks


def test_vehicles_are_never_covered_themselves():
    seen = observe(PICTURE, [Found(plates((HERE, 0.1)))], LOOK, vehicles=Found(Detections.of([CAR], [0.9], LABEL)))
    assert seen.detections.label.tolist() == ["plate"]


@pytest.mark.parametrize("error", [ValueError("broken"), ModelError("broken", hint="none")])
def test_a_frame_whose_vehicles_could_not_be_looked_for_has_failed(error):
    vehicles = Found(Detections.of([CAR], [0.9], LABEL), error=error)
    seen = observe(PICTURE, [Found(plates((HERE, 0.1)))], LOOK, vehicles=vehicles)
    assert seen.detections is None
    assert "broken" in seen.failure


NONSENSE = [
    pytest.param(Found(Detections.of([CAR], [0.9], LABEL), takes_s=5), 0.2, id="too-late"),
    pytest.param(Found(Detections.of([CAR], [1.5], LABEL)), 30, id="score-beyond-1"),
]


@pytest.mark.parametrize(("vehicles", "deadline_s"), NONSENSE)
def test_a_frame_whose_vehicles_are_nonsense_or_late_has_failed(vehicles, deadline_s):
    seen = observe(PICTURE, [Found(plates((HERE, 0.1)))], replace(LOOK, deadline_s=deadline_s), vehicles=vehicles)
    assert seen.detections is None
    assert "drawn" in seen.failure


def test_a_frame_whose_vehicles_nobody_looked_for_has_failed():
    assert "vehicles" in observe(PICTURE, [Found(plates((HERE, 0.1)))], LOOK).failure
    assert observe(PICTURE, [Found(plates((HERE, 0.8)))], LOOK).failure is None


def test_a_run_asks_its_own_vehicles():
    equipment = replace(Equipment.of(load_config({"threads": 1}).config), detectors=(Found(plates((HERE, 0.1))),))
    for around in (Found(Detections.of([CAR], [0.9], LABEL)), Found()):
        seen = replace(equipment, vehicles=around).observe(PICTURE)
        assert around.looks == 1
        assert seen.detections.score.tolist() == pytest.approx([0.4] if len(around.found) else apart(plates((HERE, 0.1))), abs=0.001)


@pytest.mark.parametrize(("preset", "is_wary"), [("balanced", False), ("thorough", True)])
def test_plates_are_returned_from_the_score_that_a_vehicle_can_make_enough(preset, is_wary):
    equipment = Equipment.of(load_config({"threads": 1, "preset": preset}).config)
    trust = vehicle_trust(0.5, is_wary=is_wary)
    assert equipment.look.vehicles == trust
    assert equipment.look.weak["plate"] == pytest.approx(equipment.policy.labels["plate"].weak_score / trust.most)
    assert equipment.look.weak["face"] == pytest.approx(equipment.policy.labels["face"].weak_score / 2)
    alone = equipment.for_picture((640, 480))
    assert alone.look.weak["plate"] == pytest.approx(alone.policy.labels["plate"].weak_score / 2)


SAID = [
    pytest.param({}, True, id="as-it-comes"),
    pytest.param({"preset": "thorough"}, True, id="thorough"),
    pytest.param({"preset": "fast"}, False, id="fast"),
    pytest.param({"detect": ["face"]}, False, id="no-plates-wanted"),
]


@pytest.mark.parametrize(("said", "has"), SAID)
def test_who_looks_for_plates_in_videos_looks_for_vehicles(said, has):
    equipment = Equipment.of(load_config({"threads": 1, **said}).config)
    assert (equipment.vehicles is not None, equipment.look.vehicles is not None, "people_vehicles" in equipment.hashes[1]) == (has,) * 3
    assert equipment.for_picture((640, 480)).look.vehicles is None


def test_somebody_s_own_plates_mean_what_they_say():
    own = Equipment.of(load_config({"threads": 1}).config, [Found(plates((HERE, 0.1)))])
    assert own.vehicles is None
    assert own.look.vehicles is None


@needs_shared
def test_shipped_weights_find_the_vehicles_of_a_street():
    """Cars in traffic, a lorry among them, of a marked picture: where its plates are marked there are vehicles."""
    picture = rgb_of(SHARED / "data/dev/plates/images/jf_tr_Video8_14.jpg")
    (found,) = load_vehicles(threads=1).detect([picture])
    assert np.count_nonzero(found.score > USUAL_TRUST.vehicle_score) >= 4
    assert set(found.label.tolist()) == {LABEL}
