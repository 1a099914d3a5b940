"""The shipped network of people and vehicles is Megvii's, decoded, and its card says what it was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from anonymizer.detection.model_store import TRUSTED_SHA256
from anonymizer.evaluation import LabelledPicture, TrueBox
from anonymizer.types import Detections
from tests.conftest import SHARED, needs_shared
from tests.detection.found import Found
from tests.evaluation.marked import draw
from tests.training.marked_sets import needs_extra

pytestmark = needs_extra


@needs_shared
def test_the_shipped_weights_can_be_made_again() -> None:
    from anonymizer.training.people_vehicles import people_and_vehicles_of

    assert hashlib.sha256(people_and_vehicles_of((SHARED / "weights/yolox_nano.onnx").read_bytes())).hexdigest() == TRUSTED_SHA256["people_vehicles"]


@pytest.fixture
def street(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "street.png"
    Image.fromarray(draw((128, 64))).save(path)
    return path


def test_a_head_is_right_if_a_marked_face_lies_in_it(street: Path) -> None:
    from anonymizer.training.people_vehicles import measured

    face = frozenset({"face"})
    marked = LabelledPicture(street, (TrueBox("face", (10, 10, 30, 30)), TrueBox("face", (45, 45, 55, 55))), face, frozenset(), "street")
    empty = LabelledPicture(street, (), face, face, "street")
    figures = measured(Found(Detections.of([[0, 0, 40, 40], [60, 0, 100, 40]], [0.9, 0.7], "head")), [marked, empty])
    assert (figures["faces"], figures["faces_in_a_head_percent"], figures["heads_a_picture_without_faces"]) == (2, 50.0, 2.0)
    assert np.isclose([point["precision"] for point in figures["precision"]], [0.0, 1.0]).all()


def test_a_marked_plate_lies_in_a_vehicle_that_counts_and_where_its_plate_may_be(street: Path) -> None:
    from anonymizer.training.people_vehicles import share_in_vehicles

    label = frozenset({"plate"})
    boxes = ((20, 30, 35, 36), (20, 2, 35, 8), (80, 30, 95, 36), (100, 50, 115, 56))  # at its bumper, on its roof, on one unsure, beside
    marked = LabelledPicture(street, tuple(TrueBox("plate", box) for box in boxes), label, frozenset(), "street")
    assert share_in_vehicles(Found(Detections.of([[0, 0, 60, 40], [60, 0, 120, 40]], [0.9, 0.1], "vehicle")), [marked]) == 25.0
