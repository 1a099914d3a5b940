"""Scores that mean less than they say."""

from __future__ import annotations

import pytest

from anonymizer.detection.doubt import doubted
from anonymizer.types import Detections

CASES = [
    pytest.param("face", (40, 40), 0.3, 0.3, id="a-small-face-is-believed"),
    pytest.param("face", (300, 300), 0.3, 0.18, id="a-large-unsure-face-is-doubted"),
    pytest.param("face", (300, 300), 0.7, 0.7, id="a-large-sure-face-is-believed"),
    pytest.param("head", (300, 300), 0.3, 0.18, id="so-are-heads"),
    pytest.param("plate", (32, 11), 0.45, 0.45, id="a-small-plate-is-believed"),
    pytest.param("plate", (90, 30), 0.45, 0.1575, id="a-large-unsure-plate-is-doubted"),
    pytest.param("plate", (90, 30), 0.7, 0.7, id="a-large-sure-plate-is-believed"),
    pytest.param("plate", (20, 20), 0.45, 0.45, id="two-lines-make-a-square"),
    pytest.param("plate", (20, 30), 0.45, 0.27, id="a-tall-unsure-plate-is-doubted"),
    pytest.param("plate", (60, 90), 0.45, 0.0945, id="a-tall-and-large-one-twice"),
    pytest.param("plate", (60, 90), 0.65, 0.65, id="a-tall-sure-one-is-believed"),
    pytest.param("badge", (300, 300), 0.3, 0.3, id="other-labels-are-not-judged"),
]


@pytest.mark.parametrize(("label", "size_wh", "score", "told"), CASES)
def test_what_is_doubted(label: str, size_wh: tuple[int, int], score: float, told: float) -> None:
    found = doubted(Detections.of([[10, 10, 10 + size_wh[0], 10 + size_wh[1]]], [score], label), 960)
    assert found.score.tolist() == pytest.approx([told], abs=1e-6)
    assert found.xyxy.tolist() == [[10, 10, 10 + size_wh[0], 10 + size_wh[1]]]


def test_of_faces_that_a_second_look_could_confirm_less_is_doubted() -> None:
    found = Detections.of([[0, 0, 300, 300], [0, 0, 90, 30]], [0.45, 0.45], ["face", "plate"])
    assert doubted(found, 960, is_confirmed=True).score.tolist() == pytest.approx([0.36, 0.1575], abs=1e-6)


def test_nothing_is_dropped_by_doubt() -> None:
    assert len(doubted(Detections.none(), 960)) == 0
    many = Detections.of([[0, 0, 400, 600]] * 3, [0.01, 0.3, 0.59], ["plate", "face", "plate"])
    assert (doubted(many, 960).score > 0).all()
