from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.detection import label_thresholds, load_detectors, shipped_models, untested_labels, weights_sha256
from anonymizer.detection.loading import classes_of
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, ModelError
from anonymizer.pipeline import anonymize_video, detect_video
from tests.detection.networks import anchors_last, answering, seeing


@pytest.fixture
def my_onnx(tmp_path):
    """Somebody's network with the classes face and license_plate."""
    path = tmp_path / "my.onnx"
    path.write_bytes(answering(seeing(), names="{0: 'face', 1: 'license_plate'}"))
    return str(path)


def test_no_labels_load_nothing():
    assert load_detectors((), {}) == ()
    assert label_thresholds((), {}, 0.5) == {}
    assert weights_sha256((), {}) == {}


def test_one_shipped_network_serves_both_labels():
    (detector,) = load_detectors(("face", "plate"), {}, threads=1)
    assert detector.labels == ("face", "plate")


def test_only_the_labels_that_are_asked_for_are_given():
    (detector,) = load_detectors(("plate",), {}, threads=1)
    assert detector.labels == ("plate",)


@pytest.mark.parametrize(
    ("settings", "cores", "frames_at_once"),
    [({}, 2, 2), ({}, 16, 2), ({}, 1, 1), ({"threads": 2}, 2, 1), ({"preset": "thorough"}, 2, 1), ({"weights": {"face": "my.PT"}, "detect": "face"}, 2, 1)],
    ids=["two cores", "many", "one core", "threads are told", "tiles", "torch"],
)
def test_two_frames_are_looked_at_side_by_side_where_there_is_room(settings, cores, frames_at_once, monkeypatch):
    monkeypatch.setattr("anonymizer.equipment.available_cores", lambda: cores)
    monkeypatch.setattr("anonymizer.equipment.load_detectors", lambda *_, **__: ())
    monkeypatch.setattr("anonymizer.equipment.untested_labels", lambda *_: ())
    monkeypatch.setattr("anonymizer.equipment.label_thresholds", lambda *_, **__: {})
    assert Equipment.of(load_config(settings).config).frames_at_once == frames_at_once


def test_detectors_of_somebody_s_own_are_asked_by_one_thread_at_a_time():
    assert Equipment.of(load_config({}).config, []).frames_at_once == 1


def test_own_weights_take_the_place_of_the_shipped_ones_for_their_label(my_onnx):
    mine, shipped = load_detectors(("face", "plate"), {"face": my_onnx}, threads=1)
    assert (mine.name, mine.labels) == ("my.onnx", ("face",))
    assert (shipped.name, shipped.labels) == ("face_plate", ("plate",))


def test_one_file_for_two_labels_is_loaded_once(my_onnx):
    for weights in ({"face,plate": my_onnx}, {"face": my_onnx, "plate": my_onnx}):
        (detector,) = load_detectors(("face", "plate"), weights, threads=1)
        assert detector.labels == ("face", "plate")


def test_shipped_model_can_be_named():
    (detector,) = load_detectors(("face",), {"face": "face_plate"}, threads=1)
    assert detector.name == "face_plate"


REFUSED = [
    pytest.param(("face", "dog"), {}, ConfigError, "no model finds 'dog'", id="unknown-label"),
    pytest.param(("face",), {"plate": "my.onnx"}, ConfigError, "'plate', which is not looked for", id="weights-for-nothing"),
    pytest.param(("face",), {"face": "/nowhere/my.onnx"}, ModelError, r"my\.onnx: the weights cannot be read", id="missing-file"),
    pytest.param(("dog",), {"dog": "face_plate"}, ConfigError, "face_plate does not find 'dog'", id="shipped-model-for-another-label"),
]


@pytest.mark.parametrize(("labels", "weights", "error", "problem"), REFUSED)
def test_wrong_request_is_refused_with_a_hint(labels, weights, error, problem):
    with pytest.raises(error, match=problem) as caught:
        load_detectors(labels, weights)
    assert caught.value.hint


def test_refusal_of_an_unknown_label_lists_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        load_detectors(("dog",), {})
    assert "face, head, plate" in (caught.value.hint or "")


CLASSES = [
    pytest.param("face", ["face", "plate"], True, [0], id="by-name"),
    pytest.param("face", ["plate", "FACE"], True, [1], id="by-name-in-capitals"),
    pytest.param("plate", ["car", "license-plate", "motorcycle plate"], True, [1, 2], id="by-word"),
    pytest.param("licence plate", ["licence_plate", "plate"], True, [0], id="two-words-by-name"),
    pytest.param("licence plate", ["car-licence-plate", "plate"], True, [0], id="two-words-beside-each-other"),
    pytest.param("screen", ["monitor/screen", "document"], False, [0], id="one-of-two-words-for-it"),
    pytest.param("face", ["mask", "no mask"], True, None, id="all"),
    pytest.param("head", ["heads"], True, None, id="all-of-one"),
    pytest.param("face", [], True, None, id="all-of-a-nameless"),
    pytest.param("face", ["surface"], True, None, id="part-of-a-word-is-no-name"),
    pytest.param("plate", ["face", "plate"], False, [1], id="by-name-among-several"),
]


@pytest.mark.parametrize(("label", "names", "alone", "expected"), CLASSES)
def test_classes_that_count_as_a_label(label, names, alone, expected):
    assert classes_of(label, names, "my.onnx", alone=alone) == expected


COCO = [f"thing {number}" for number in range(80)]
NO_CLASSES = [
    pytest.param("screan", ["screen", "document"], "did you mean screen?", id="nearly-one-of-two"),
    pytest.param("screen", COCO, "it knows thing 0, .*, thing 11 and 68 more", id="none-of-eighty"),
    pytest.param("think 7", COCO, "did you mean thing 7", id="nearly-one-of-eighty"),
]


@pytest.mark.parametrize(("label", "names", "hint"), NO_CLASSES)
def test_label_that_is_no_class_does_not_stand_for_all_of_them(label, names, hint):
    with pytest.raises(ConfigError, match=f"my.onnx: the network has no class for '{label}'") as caught:
        classes_of(label, names, "my.onnx", alone=True)
    assert re.search(hint, caught.value.hint or "")


def test_word_that_an_open_vocabulary_export_was_not_told_is_refused_with_the_way_to_tell_it(tmp_path):
    path = tmp_path / "yoloe.onnx"
    path.write_bytes(answering(anchors_last(), names="{0: 'screen', 1: 'document'}", head="YOLOESegment"))
    (detector,) = load_detectors(("document",), {"document": str(path)}, threads=1)
    assert detector.detect([np.zeros((64, 96, 3), np.uint8)])[0].label.tolist() == ["document"]
    with pytest.raises(ConfigError, match=r"^yoloe\.onnx: the network has no class for 'sticky note'") as caught:
        load_detectors(("sticky note",), {"sticky note": str(path)}, threads=1)
    assert "m = YOLO('yoloe.pt'); m.set_classes(['sticky note'])" in (caught.value.hint or "")


def test_weights_for_labels_that_are_not_looked_for_name_all_of_them(my_onnx):
    with pytest.raises(ConfigError, match="'screen', which is not looked for") as caught:
        load_detectors(("face",), {"screen,sticky note": my_onnx})
    assert caught.value.hint == 'add them: --detect "face,screen,sticky note"'


def test_heads_are_covered_with_an_ellipse_by_own_weights_beside_the_shipped_ones(tmp_path, make_clip):
    raw = np.zeros((1, 6, 7), np.float32)
    raw[0, :4, 0], raw[0, 5, 0] = (48, 32, 24, 30), 0.9
    (tmp_path / "heads.onnx").write_bytes(answering(raw, names="{0: 'person', 1: 'head'}"))
    settings = {"detect": ["face", "plate", "head"], "weights": {"head": str(tmp_path / "heads.onnx")}, "preset": "fast", "threads": 1}
    decisions = []
    report = detect_video(
        make_clip(frames=2, size_wh=(96, 64)), Equipment.of(load_config(settings).config), on_frame=lambda frame, decision, geometry: decisions.append(decision)
    )
    covers = [region for decision in decisions for region in decision.regions]
    assert [(cover.label, cover.shape) for cover in covers] == [("head", "ellipse")] * 2
    for left, top, right, bottom in (cover.xyxy for cover in covers):
        assert max(left - 36, top - 17, 60 - right, 47 - bottom) < 0  # a margin on every side
    assert any("'head'" in warning for warning in report.warnings)


def test_several_labels_need_a_class_each(my_onnx):
    with pytest.raises(ConfigError, match="no class for 'dog'") as caught:
        load_detectors(("face", "dog"), {"face,dog": my_onnx})
    assert "license_plate" in (caught.value.hint or "")


def test_thresholds_of_unmeasured_weights_are_the_customary_ones(my_onnx):
    thresholds = label_thresholds(("face",), {"face": my_onnx}, 0.5)
    assert (thresholds["face"].strong, thresholds["face"].weak) == (0.25, 0.10)


def test_hashes_are_those_of_the_files(my_onnx):
    card = next(card for card in shipped_models() if card.name == "face_plate")
    hashes = weights_sha256(("face", "plate"), {"face": my_onnx})
    with open(my_onnx, "rb") as file:
        assert hashes == {"face": hashlib.sha256(file.read()).hexdigest(), "plate": card.sha256}


BLIND = [
    pytest.param(lambda: np.zeros((1, 6, 7), np.float32), "face", id="sees-nothing"),
    pytest.param(lambda: np.zeros((1, 300, 6), np.float32), "face", id="sees-nothing-end-to-end"),
    pytest.param(anchors_last, "face", id="the-same-for-every-picture"),
    pytest.param(lambda: seeing(face=(0, 0, 544, 320)), "face", id="one-box-over-everything"),
    pytest.param(lambda: seeing(plate=(10, 10, 112, 33)), "plate", id="no-plate"),
]


@pytest.mark.parametrize(("answer", "label"), BLIND)
def test_own_weights_that_do_not_see_are_refused_with_the_way_through(tmp_path, answer, label):
    path = tmp_path / "my.onnx"
    path.write_bytes(answering(answer()))
    with pytest.raises(ModelError, match=rf"^my\.onnx: the model does not find the {label} in the test picture") as caught:
        load_detectors(("face", "plate"), {"face,plate": str(path)}, threads=1)
    assert "--detect LABEL --weights LABEL=my.onnx" in (caught.value.hint or "")


def test_own_weights_may_mean_the_whole_head_by_a_face(tmp_path):
    path = tmp_path / "my.onnx"
    path.write_bytes(answering(seeing(face=(60, 50, 190, 220))))
    assert load_detectors(("face",), {"face": str(path)}, threads=1)


def test_weights_for_something_else_pass_untested_and_the_report_says_so(tmp_path, make_clip):
    path = tmp_path / "my.onnx"
    path.write_bytes(answering(np.zeros((1, 5, 7), np.float32), names="{0: 'face'}"))
    weights = {"side_face": str(path)}
    (detector,) = load_detectors(("side_face",), weights, threads=1)
    assert detector.labels == ("side_face",)
    assert untested_labels(("side_face", "plate"), weights) == ("side_face",)
    assert untested_labels(("face", "plate"), {"face": str(path)}) == ()
    equipment = Equipment.of(load_config({"detect": ["side_face"], "weights": weights, "threads": 1}).config)
    report = anonymize_video(make_clip("in.mkv", frames=2), tmp_path / "out.mkv", equipment)
    assert report.warnings == ("whether the weights for 'side_face' see anything was not tested: the test picture shows none",)


def test_network_with_nan_for_the_canary_is_refused(tmp_path):
    path = tmp_path / "nan.onnx"
    path.write_bytes(answering(anchors_last(), bright="nan"))
    with pytest.raises(ModelError, match="NaN"):
        load_detectors(("face",), {"face": str(path)})


def test_network_that_hangs_on_the_canary_is_refused(tmp_path):
    path = tmp_path / "slow.onnx"
    path.write_bytes(answering(anchors_last(), bright="hang"))
    with pytest.raises(ModelError, match="did not answer"):
        load_detectors(("face",), {"face": str(path)}, timeout_s=0.3)


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "endless-device"])
def test_weights_that_are_no_file_are_refused_at_once(tmp_path, make, suffix):
    path = tmp_path / f"my{suffix}"
    make(path)
    with pytest.raises(ModelError, match=rf"^my\{suffix}: ") as caught:
        load_detectors(("face",), {"face": str(path)}, threads=1)
    assert caught.value.hint
    with pytest.raises(ModelError, match=rf"^my\{suffix}: the weights cannot be read \((is not a regular file|Is a directory)\)"):
        weights_sha256(("face",), {"face": str(path)})


def test_weights_longer_than_a_network_can_be_are_not_read(tmp_path):
    path = tmp_path / "my.onnx"
    with path.open("wb") as file:
        file.truncate((1 << 31) + 1)  # A hole: it takes no room.
    with pytest.raises(ModelError, match=r"^my\.onnx: the weights cannot be read \(File too large\)"):
        load_detectors(("face",), {"face": str(path)}, threads=1)
