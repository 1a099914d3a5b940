"""What vehicles say of plates that a network is not sure of."""

from __future__ import annotations

import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.detection import USUAL_TRUST, WARY_TRUST, LookPlan, load_vehicles, observe
from anonymizer.detection.doubt import doubted
from anonymizer.detection.vehicles import LABEL, weighed
from anonymizer.equipment import Equipment
from anonymizer.errors import ModelError
from anonymizer.evaluation import rgb_of
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture
from tests.conftest import SHARED, needs_shared

SIDE = 1000  # of the picture: shares are thousandths
CAR = (100, 100, 300, 300)
HERE = (180, 240, 220, 256)  # in the car, 4 % of the picture wide


class Found:
    """A detector that finds the same in every picture, and counts them."""

    def __init__(self, *found: Detections, error: Exception | None = None) -> None:
        self.name, self.looks, self.error = "drawn", 0, error
        self.found = Detections.joined(found)
        self.labels = tuple(dict.fromkeys(self.found.label.tolist()))

    def detect(self, pictures):
        self.looks += 1
        if self.error:
            raise self.error
        return [self.found for _ in pictures]


def plates(*boxes_and_scores):
    boxes, scores = zip(*boxes_and_scores, strict=True)
    return Detections.of(boxes, scores, "plate")


def scores_beside(seen, *vehicles, score=0.9, trust=USUAL_TRUST):
    around = Detections.of(vehicles, [score] * len(vehicles), LABEL) if vehicles else Detections.none()
    return weighed(seen, doubted(seen, SIDE).score, around, SIDE, trust).score


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
    seen = plates(((0, 0, 100, 30), 0.3))
    assert scores_beside(seen) == pytest.approx(doubted(seen, SIDE).score)


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


SAID = [
    pytest.param({}, True, id="as-it-comes"),
    pytest.param({"preset": "thorough"}, True, id="thorough"),
    pytest.param({"preset": "fast"}, False, id="fast"),
    pytest.param({"detect": ["face"]}, False, id="no-plates-wanted"),
]


@pytest.mark.parametrize(("said", "has"), SAID)
def test_who_looks_for_plates_in_videos_looks_for_vehicles(said, has):
    equipment = Equipment.of(load_config({"threads": 1, **said}).config)
    assert (equipment.vehicles is not None, equipment.look.vehicles is not None, "vehicle" in equipment.hashes[1]) == (has,) * 3
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
