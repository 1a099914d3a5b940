from __future__ import annotations

import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest

from anonymizer.detection import LookPlan, load_detectors, observe
from anonymizer.detection.canary import canary
from anonymizer.errors import ModelError
from anonymizer.geometry import Geometry
from anonymizer.types import Detections, Picture

GEOMETRY = Geometry((200, 100))
PICTURE = Picture(7, np.zeros((50, 100, 3), np.uint8), GEOMETRY)
LOOK = LookPlan(deadline_s=30)


class Detector:
    """A detector made of a function of one picture."""

    name = "mine"
    labels = ("face", "plate")

    def __init__(self, look):
        self.look = look

    def detect(self, pictures):
        return [self.look(picture) for picture in pictures]


def seeing(*boxes, score=0.9, label="face"):
    return Detector(lambda picture: Detections.of(boxes, [score] * len(boxes), label))


def test_boxes_are_those_of_the_coded_frame():
    observation = observe(PICTURE, [seeing((10, 10, 20, 30)), seeing((1, 2, 3, 4), label="plate")], LOOK)
    assert (observation.frame_index, observation.how, observation.failure, observation.ignored) == (7, "full", None, 0)
    assert observation.detections.xyxy.tolist() == [[20, 20, 40, 60], [2, 4, 6, 8]]
    assert observation.detections.label.tolist() == ["face", "plate"]


def test_no_detectors_find_nothing():
    observation = observe(PICTURE, [], LOOK)
    assert observation.detections is not None
    assert len(observation.detections) == 0


def test_boxes_are_clipped_and_those_outside_are_nowhere():
    observation = observe(PICTURE, [seeing((-5, 40, 20, 70), (120, 0, 130, 9), (100, 10, 110, 20))], LOOK)
    assert observation.detections.xyxy.tolist() == [[0, 80, 40, 100]]


def test_weak_thresholds_are_per_label_and_a_label_without_one_gives_all():
    look = LookPlan(weak={"face": 0.5}, deadline_s=30)
    detectors = [seeing((1, 1, 5, 5), score=0.49), seeing((1, 1, 5, 5), score=0.5), seeing((1, 1, 5, 5), score=0.01, label="plate")]
    assert observe(PICTURE, detectors, look).detections.score.tolist() == pytest.approx([0.5, 0.01])


def raising(error):
    def look(picture):
        raise error

    return Detector(look)


def with_nan(picture):
    broken = Detections.of([[1, 1, 5, 5]], [0.9], "face")
    broken.score[0] = np.nan  # after its own check
    return broken


class Answering(Detector):
    """A detector that gives one whole answer, whatever it is."""

    def detect(self, pictures):
        return self.look


FAILING = [
    pytest.param(raising(ModelError("mine: out of order")), "mine: out of order", id="model-error"),
    pytest.param(raising(RuntimeError("oh")), "mine: RuntimeError: oh", id="any-error"),
    pytest.param(raising(MemoryError()), "mine: MemoryError", id="out-of-memory"),
    pytest.param(Detector(with_nan), "NaN", id="nan-score"),
    pytest.param(seeing((1, 1, np.inf, 5)), "NaN or infinity", id="infinite-box"),
    pytest.param(seeing((5, 5, 1, 1)), "without area", id="crossed-box"),
    pytest.param(seeing((1, 1, 5, 5), score=1.5), "outside 0..1", id="score-above-1"),
    pytest.param(seeing((1, 1, 5, 5), label="dog"), "does not list", id="unknown-label"),
    pytest.param(Answering(None), "did not answer", id="none"),
    pytest.param(Answering([]), "did not answer", id="no-picture-answered"),
    pytest.param(Answering([Detections.none()] * 2), "did not answer", id="too-many-answers"),
    pytest.param(Answering([[(1, 1, 5, 5)]]), "did not answer", id="not-detections"),
]


@pytest.mark.parametrize(("detector", "problem"), FAILING)
def test_failing_detector_fails_the_frame(detector, problem):
    for detectors in ([detector], [seeing((1, 1, 5, 5)), detector], [detector, seeing((1, 1, 5, 5))]):
        observation = observe(PICTURE, detectors, LOOK)
        assert observation.detections is None
        assert problem in observation.failure


def test_detector_that_hangs_fails_the_frame_at_the_deadline():
    forever = threading.Event()

    def hang(picture):
        forever.wait()
        return Detections.none()

    observation = observe(PICTURE, [Detector(hang)], LookPlan(deadline_s=0.2))
    forever.set()
    assert observation.detections is None
    assert "did not answer within 0.2 s" in observation.failure


@pytest.mark.parametrize("orientation", range(1, 9))
def test_ignore_zone_drops_and_counts_what_has_its_centre_in_it(orientation):
    """Zones are those of the displayed picture at full size, whatever the coded frame and the picture's size are."""
    geometry = Geometry((200, 100) if orientation < 5 else (100, 200), orientation)
    picture = Picture(0, np.zeros((50, 100, 3), np.uint8), geometry)
    detector = seeing((10, 10, 20, 20), (30, 10, 40, 20), (12, 12, 60, 60))
    look = LookPlan(ignore_zones_xyxy=((20.0, 20.0, 40.0, 40.0),), deadline_s=30)
    observation = observe(picture, [detector], look)
    assert observation.ignored == 1
    assert len(observation.detections) == 2
    assert len(observe(picture, [detector], LookPlan(deadline_s=30)).detections) == 3


def test_tiles_see_what_one_look_sees_in_one_place():
    """A detector of white squares finds each once, also across tile borders."""

    def white(picture):
        rows, columns = np.nonzero(picture[..., 0] > 200)
        return Detections.of([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else [], [0.9] * bool(len(rows)), "face")

    rgb = np.zeros((300, 600, 3), np.uint8)
    rgb[130:170, 230:310] = 255
    look = LookPlan(tile_wh=(256, 192), tile_overlap=0.2, deadline_s=30)
    observation = observe(Picture(0, rgb, Geometry((600, 300))), [Detector(white)], look)
    (box,) = observation.detections.xyxy
    assert np.abs(box - (230, 130, 310, 170)).max() <= 3


@pytest.fixture(scope="module")
def shipped():
    return load_detectors(("face", "plate"), {}, threads=1)


def coded_from(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The picture that becomes `upright` when Exif's orientation is obeyed, in cv2's words."""
    if orientation == 1:
        return upright
    turned = {
        2: lambda image: cv2.flip(image, 1),
        3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
        4: lambda image: cv2.flip(image, 0),
        5: cv2.transpose,
        6: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
        7: lambda image: cv2.transpose(cv2.rotate(image, cv2.ROTATE_180)),
        8: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    }[orientation](upright)
    return np.ascontiguousarray(turned)


def truth_in(coded: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(coded)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


def best_iou(box: np.ndarray, others: np.ndarray) -> float:
    left_top, right_bottom = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(right_bottom - left_top, 0), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared
    return float((shared / union).max(initial=0))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)], ids=["square", "wide-pixels"])
def test_face_and_plate_are_found_where_they_lie_in_the_coded_frame(orientation, aspect, shipped):
    """Where a box lies in the coded frame is told by painting it there, not by the geometry under test."""
    upright, boxes = canary()
    coded = coded_from(upright, orientation)
    height, width = coded.shape[:2]
    coded_wh = (round(width / aspect), height)
    geometry = Geometry(coded_wh, orientation, aspect)
    narrow = cv2.resize(coded, coded_wh, interpolation=cv2.INTER_AREA)
    rgb = cv2.resize(geometry.upright(narrow), (upright.shape[1], upright.shape[0]), interpolation=cv2.INTER_LINEAR)
    observation = observe(Picture(0, rgb, geometry), shipped, LookPlan(deadline_s=30))
    for label, box in boxes.items():
        painted = np.zeros(upright.shape[:2], np.uint8)
        left, top, right, bottom = box.astype(int)
        painted[top:bottom, left:right] = 255
        truth = truth_in(coded_from(painted, orientation)) / (float(aspect), 1, float(aspect), 1)
        likely = observation.detections.where((observation.detections.label == label) & (observation.detections.score > 0.2))
        assert best_iou(truth, likely.xyxy) > 0.5


def test_look_of_the_shipped_model_is_the_same_every_time(shipped):
    picture = Picture(0, canary()[0], Geometry((544, 320)))
    one, two = (observe(picture, shipped, LookPlan(deadline_s=30)).detections for _ in range(2))
    assert np.array_equal(one.xyxy, two.xyxy)
    assert np.array_equal(one.score, two.score)
