from __future__ import annotations

import json

import numpy as np
import pytest

from anonymizer.detection.canary import PICTURES, canary, require_canary, require_running
from anonymizer.detection.loading import load_detectors
from anonymizer.errors import ModelError
from anonymizer.types import Detections


class Told:
    """A detector that gives the answer it was told."""

    name = "told"
    labels = ("face", "plate")

    def __init__(self, answer):
        self.answer = answer

    def detect(self, pictures):
        return self.answer


def box_of(label: str, shift: float = 0.0, score: float = 0.9) -> Detections:
    return Detections.of(canary()[1][label] + np.float32(shift), [score], label)


def test_picture_is_small_and_says_where_it_is_from():
    card = json.loads((PICTURES / "canary.json").read_text())
    assert (PICTURES / "canary.jpg").stat().st_size < 40_000
    assert "public domain" in card["licence"]
    assert card["source"]


def test_shipped_model_finds_both_in_the_canary():
    (detector,) = load_detectors(("face", "plate"), {}, threads=1)
    require_canary(detector, 30)


BLIND = [
    pytest.param([Detections.none()], "does not find the face", id="sees-nothing"),
    pytest.param([box_of("face")], "does not find the plate", id="sees-faces-only"),
    pytest.param([Detections.joined([box_of("face", 60), box_of("plate")])], "does not find the face", id="sees-it-elsewhere"),
    pytest.param([Detections.joined([box_of("face"), box_of("plate", score=0.1)])], "does not find the plate", id="hardly-sees-it"),
    pytest.param([], "did not answer for every picture", id="no-answer"),
    pytest.param(None, "did not answer for every picture", id="none"),
    pytest.param([box_of("face", score=7)], "scores outside 0..1", id="score-of-7"),
    pytest.param([Detections.of([[0, 0, 9, 9]], 0.5, "dog")], "labels it does not list", id="another-label"),
]


@pytest.mark.parametrize(("answer", "problem"), BLIND)
def test_model_that_fails_the_canary_is_refused(answer, problem):
    with pytest.raises(ModelError, match=problem):
        require_canary(Told(answer), 30)


def test_model_that_sees_both_passes():
    require_canary(Told([Detections.joined([box_of("face"), box_of("plate")])]), 30)


def test_somebody_elses_model_has_to_answer_and_no_more():
    assert len(require_running(Told([Detections.none()]), 30)) == 0
