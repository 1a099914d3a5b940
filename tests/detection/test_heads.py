"""Heads of people whose face is not seen, from a network of whole people."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import cv2
import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.detection import LookPlan, load_detectors, observe
from anonymizer.detection.canary import canary
from anonymizer.detection.heads import HeadDetector
from anonymizer.equipment import Equipment
from anonymizer.geometry import Geometry
from anonymizer.tracking import glimpse_of
from anonymizer.types import Detections, Picture
from tests.detection.found import Found


@pytest.fixture(scope="module")
def thorough() -> Equipment:
    return Equipment.of(load_config({"preset": "thorough", "threads": 1}).config)


HEADS = [
    pytest.param((0, 0, 40, 100), (0, 0, 40, 30), id="who-stands"),
    pytest.param((10, 20, 110, 120), (10, 20, 110, 80), id="who-is-seen-to-the-chest"),
]


@pytest.mark.parametrize(("person", "head"), HEADS)
def test_a_head_is_the_uppermost_part_of_a_person(person, head):
    (found,) = HeadDetector(Found(Detections.of([person], [0.8], "person"))).detect([np.zeros((200, 200, 3), np.uint8)])
    assert found.xyxy.tolist() == [list(head)]
    assert found.label.tolist() == ["head"]
    assert found.score.tolist() == pytest.approx([0.8])


def test_shipped_weights_find_the_head_of_somebody_whose_face_is_blurred():
    """The portrait with a blurred face."""
    rgb, boxes = canary()
    left, top, right, bottom = boxes["face"].astype(int)
    rgb = rgb.copy()
    rgb[top:bottom, left:right] = cv2.GaussianBlur(rgb[top:bottom, left:right], (0, 0), 4)
    (detector,) = load_detectors(("head",), {}, threads=1)
    (found,) = detector.detect([rgb])
    (head,) = found.xyxy[found.score > 0.5]
    assert (head[:2] < (left, top)).all()
    assert (head[2:] > (right, (top + bottom) / 2)).all()


def test_who_names_weights_for_faces_gets_no_heads_besides():
    told = load_config({"preset": "thorough", "weights": {"face,plate": "mine.onnx"}}).config
    assert told.in_videos == ("face", "plate")
    assert told.own_labels == {"face", "plate"}


def test_a_head_whose_face_is_seen_is_not_covered_besides(thorough):
    rgb, _ = canary()
    observation = thorough.observe(Picture(0, rgb, Geometry((rgb.shape[1], rgb.shape[0]))))
    assert set(observation.detections.label.tolist()) == {"face", "plate"}


def test_a_head_stays_beside_a_face_that_is_only_weakly_seen(thorough):
    """Of such a face nobody knows yet whether its track is believed."""
    face = thorough.policy.labels["face"]
    picture = Picture(0, np.zeros((400, 400, 3), np.uint8), Geometry((400, 400)))
    kept = []
    for score in (face.weak_score + 0.001, face.strong_score + 0.001):
        seen = Found(Detections.of([[10, 10, 50, 60]], [0.9], "head"), Detections.of([[25, 20, 35, 32]], [score], "face"))
        kept.append(observe(picture, [seen], LookPlan(deadline_s=30, face_from=thorough.look.face_from)).detections.label.tolist())
    assert kept == [["head", "face"], ["face"]]


def test_heads_found_by_somebody_s_own_weights_stay():
    seen = Found(Detections.of([[10, 10, 50, 60]], [0.9], "head"), Detections.of([[20, 20, 40, 50]], [0.9], "face"))
    picture = Picture(0, np.zeros((80, 80, 3), np.uint8), Geometry((80, 80)))
    kept = [observe(picture, [seen], LookPlan(deadline_s=30, face_from=face_from)).detections.label.tolist() for face_from in (inf, 0.1)]
    assert kept == [["face", "head"], ["face"]]
    assert Equipment.of(load_config({"detect": ["face", "head"], "weights": {"head": "mine.onnx"}, "threads": 1}).config, [seen]).look.face_from == inf


def test_thorough_looks_for_heads_in_videos_and_not_in_pictures(thorough):
    assert thorough.labels == ("face", "plate", "head")
    assert thorough.hashes[1].keys() == {"face", "plate", "head", "people_vehicles"}
    names = [detector.name for detector in thorough.detectors]
    assert names == ["face_plate", "people_vehicles"]
    assert [detector.name for detector in thorough.for_picture((640, 480)).detectors] == ["face_plate"]


SAID = [
    pytest.param({"preset": "balanced"}, ("face", "plate"), id="another-preset"),
    pytest.param({"preset": "thorough", "detect": ["plate"]}, ("plate",), id="no-faces-wanted"),
    pytest.param({"preset": "thorough", "detect": ["head", "face"]}, ("head", "face"), id="asked-for"),
    pytest.param({"preset": "balanced", "detect": ["head"]}, ("head",), id="asked-for-alone"),
]


@pytest.mark.parametrize(("said", "labels"), SAID)
def test_heads_are_looked_for_where_somebody_says_so(said, labels):
    equipment = Equipment.of(load_config({"threads": 1, **said}).config)
    assert equipment.labels == labels
    assert {label for detector in equipment.detectors for label in detector.labels} == set(labels)
    asked = {"head"} & set(equipment.config.detect)
    assert asked <= {label for detector in equipment.for_picture((640, 480)).detectors for label in detector.labels}


@pytest.mark.parametrize(("score", "covered"), [(0.7, True), (0.3, False)])
def test_somebody_who_looks_away_is_covered_with_an_ellipse(thorough, score, covered):
    geometry = Geometry((320, 240))
    tracker, found = thorough.tracker_for(geometry, Fraction(25)), Found(Detections.of([[40, 40, 120, 120]], [score], "head"))
    picture = np.zeros((240, 320, 3), np.uint8)
    decided = []
    for at in range(50):
        decided += tracker.push(observe(Picture(at, picture, geometry), [found], LookPlan(deadline_s=30)), at / 25, glimpse_of(picture))
    decided += tracker.flush()
    assert {(region.label, region.shape) for one in decided for region in one.regions} == ({("head", "ellipse")} if covered else set())
