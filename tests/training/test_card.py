"""Cards that a training writes are those that a run reads: labels, thresholds, and which weights they speak of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anonymizer.detection import label_thresholds
from anonymizer.errors import ModelError
from anonymizer.training.card import card_of
from anonymizer.training.evaluate import report
from tests.evaluation.marked import seen_by_hand

BOX = (10.0, 10.0, 30.0, 40.0)
WEIGHTS = b"a network"


def figures_of(false_scores: tuple[float, ...]) -> dict[str, Any]:
    seen = [seen_by_hand(f"gate_{at}.jpg", truth=[BOX], found=[(BOX, 0.8)], label="board") for at in range(4)]
    seen += [seen_by_hand(f"neg_{at}.jpg", found=[(BOX, score)], label="board") for at, score in enumerate(false_scores)]
    return {f"board {side} 1x": report(seen, "board") for side in (640, 960)}


def card(figures: dict[str, Any], weights: bytes = WEIGHTS) -> dict[str, Any]:
    facts = {"architecture": "yolov8n", "licence": "ours", "data": ["gate: 8 pictures"], "recipe": {"batch": 1}, "more": {"training": 1}}
    return card_of(weights, ("board",), figures, **facts)  # type: ignore[arg-type]


def write(folder: Path, made: dict[str, Any], weights: bytes = WEIGHTS) -> dict[str, str]:
    (folder / "model.onnx").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(made))
    return {"board": str(folder / "model.onnx")}


def test_thresholds_of_own_weights_are_those_of_the_card_beside_them(tmp_path: Path) -> None:
    weights = write(tmp_path, card(figures_of((0.1, 0.2, 0.3, 0.4))))
    # Half a false box a picture: two of four, so the second best is the last that may not count.
    chosen = label_thresholds(("board",), weights, 0.5)["board"]
    assert chosen.strong == pytest.approx(0.2, abs=0.01)
    assert chosen.weak <= chosen.strong
    assert label_thresholds(("board",), weights, 1.0)["board"].strong <= chosen.strong <= label_thresholds(("board",), weights, 0.0)["board"].strong
    (tmp_path / "model.json").unlink()
    assert label_thresholds(("board",), weights, 0.5)["board"].strong == 0.25


def test_few_pictures_do_not_make_a_threshold_that_misses(tmp_path: Path) -> None:
    """All that was found in them scored 0.8 and was right: nothing says that 0.5 would be wrong."""
    made = card(figures_of((0.02, 0.02)))
    assert made["normal_score"] == {"board": 0.05}
    assert label_thresholds(("board",), write(tmp_path, made), 0.5)["board"].strong == pytest.approx(0.05, abs=0.01)
    assert card(figures_of((0.9, 0.9)))["normal_score"] == {"board": 0.5}


def test_without_object_free_pictures_half_of_the_boxes_have_to_be_right(tmp_path: Path) -> None:
    other = (60.0, 60.0, 90.0, 90.0)
    seen = [seen_by_hand(f"gate_{at}.jpg", truth=[BOX], found=[(BOX, 0.8), (other, 0.1)], label="board") for at in range(4)]
    made = card({"board 960 1x": report(seen, "board")})
    assert 0.1 < made["normal_score"]["board"] <= 0.5


def test_pictures_marked_in_part_still_tell_what_a_score_is_worth() -> None:
    seen = [seen_by_hand(f"gate_{at}.jpg", truth=[BOX], found=[(BOX, 0.8)], label="board", misses_only=True) for at in range(4)]
    seen += [seen_by_hand(f"neg_{at}.jpg", found=[(BOX, 0.1)], label="board") for at in range(4)]
    made = card({"board 960 1x": report(seen, "board")})
    assert made["score_to_precision"]["board"]["960"] == [[0.02, 0.0], [0.1, 0.0], [0.8, 1.0]]
    assert made["normal_score"]["board"] == pytest.approx(0.1, abs=0.001)


def test_a_network_that_finds_nothing_gets_no_card() -> None:
    with pytest.raises(ModelError, match="finds no board"):
        card({"board 640 1x": report([seen_by_hand(truth=[BOX], label="board")], "board")})


def test_the_card_of_other_weights_is_refused(tmp_path: Path) -> None:
    weights = write(tmp_path, card(figures_of((0.1, 0.2))), weights=b"another network")
    with pytest.raises(ModelError, match=r"model\.json: this card speaks of other weights than model\.onnx"):
        label_thresholds(("board",), weights, 0.5)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda made: made.pop("normal_score"), id="key-missing"),
        pytest.param(lambda made: made["score_to_precision"]["board"].update({"960": []}), id="empty-map"),
        pytest.param(lambda made: made["normal_score"].update({"board": 7}), id="no-score"),
        pytest.param(lambda made: made.update({"score_to_precision": {"board": {}}}), id="no-sizes"),
    ],
)
def test_a_spoilt_card_is_refused(spoil: Any, tmp_path: Path) -> None:
    made = card(figures_of((0.1, 0.2)))
    spoil(made)
    with pytest.raises(ModelError, match=r"model\.json: the model card cannot be read") as caught:
        label_thresholds(("board",), write(tmp_path, made), 0.5)
    assert "model.json" in (caught.value.hint or "")


def test_a_file_that_is_no_card_is_left_alone(tmp_path: Path) -> None:
    weights = write(tmp_path, {"epochs": 3})
    assert label_thresholds(("board",), weights, 0.5)["board"].strong == 0.25
    (tmp_path / "model.json").write_text("words")
    assert label_thresholds(("board",), weights, 0.5)["board"].strong == 0.25
