from __future__ import annotations

import json
import shutil

import pytest

from anonymizer.detection import model_store
from anonymizer.detection.loading import load_detectors
from anonymizer.detection.model_store import TRUSTED_SHA256, WEIGHTS, shipped_models, verify
from anonymizer.errors import ModelError


@pytest.fixture
def other_store(tmp_path, monkeypatch):
    """A copy of the shipped weights that a test may spoil."""
    copy = shutil.copytree(WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr(model_store, "WEIGHTS", copy)
    return copy


def test_every_network_has_a_card_and_every_card_a_network():
    assert {path.stem for path in WEIGHTS.glob("*.onnx")} == {path.stem for path in WEIGHTS.glob("*.json")} == set(TRUSTED_SHA256)


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_card_speaks_of_its_file(card):
    assert len(verify(card)) == card.size_bytes
    assert card.licence == {"face_plate": "AGPL-3.0-or-later", "people_vehicles": "Apache-2.0"}[card.name]
    assert card.data
    assert card.recipe
    assert set(card.calibration) == set(card.labels)
    for calibration in card.calibration.values():
        assert 0 < calibration.normal_score < 1
        for points in calibration.maps.values():
            assert all(0 <= score <= 1 and 0 <= share <= 1 for score, share in points)
            assert list(points) == sorted(points)


def flip_a_bit(store):
    path = store / "face_plate.onnx"
    model = bytearray(path.read_bytes())
    model[len(model) // 2] ^= 1
    path.write_bytes(model)


def cut_in_half(store):
    path = store / "face_plate.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove(store):
    (store / "face_plate.onnx").unlink()


def put_another_network_with_a_matching_card(store):
    """The card and the file agree with each other, and with nobody else."""
    import hashlib

    from tests.detection.networks import anchors_last, answering

    model = answering(anchors_last())
    (store / "face_plate.onnx").write_bytes(model)
    card = json.loads((store / "face_plate.json").read_text())
    card["sha256"] = hashlib.sha256(model).hexdigest()
    (store / "face_plate.json").write_text(json.dumps(card))


def break_the_card(store):
    (store / "face_plate.json").write_text("{")


def remove_the_card(store):
    (store / "face_plate.json").unlink()


@pytest.mark.parametrize("spoil", [flip_a_bit, cut_in_half, remove, put_another_network_with_a_matching_card, break_the_card, remove_the_card])
def test_spoiled_model_is_never_loaded(spoil, other_store):
    spoil(other_store)
    with pytest.raises(ModelError, match="face_plate") as caught:
        load_detectors(("face",), {})
    assert "reinstall" in (caught.value.hint or "")
