from __future__ import annotations

import importlib
import os
import warnings

import numpy as np
import pytest

from anonymizer.config import load_config
from anonymizer.detection import label_thresholds, load_detectors
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, ModelError
from anonymizer.pipeline import detect_video
from tests.detection import checkpoints
from tests.documents import HAS_THE_EXTRA

needs_extra = pytest.mark.skipif(not HAS_THE_EXTRA, reason='needs pip install "video-anonymizer[ultralytics]"')
BLACK = np.zeros((96, 160, 3), np.uint8)
SCORES = {"plate": 0.01, "screen": 0.9, "document": 0.01}


@pytest.mark.skipif(HAS_THE_EXTRA, reason="shows what happens without the ultralytics extra")
def test_pt_weights_without_the_extra_name_the_extra(tmp_path):
    (tmp_path / "my.pt").write_bytes(b"weights")
    with pytest.raises(ConfigError, match=r"my\.pt") as caught:
        load_detectors(("face",), {"face": str(tmp_path / "my.pt")})
    assert 'pip install "video-anonymizer[ultralytics]"' in (caught.value.hint or "")


def test_missing_pt_file_is_said_before_the_extra(tmp_path):
    with pytest.raises(ModelError, match=r"my\.pt: there is no such file"):
        load_detectors(("face",), {"face": str(tmp_path / "my.pt")})


BUILDS = [
    pytest.param("yolov8n.yaml", "DetectionModel", id="8"),
    pytest.param("yolo11n-seg.yaml", "SegmentationModel", id="11-with-masks"),
    pytest.param("yolov8n-p2.yaml", "DetectionModel", id="8-with-a-finer-level"),
    pytest.param("yolo26n.yaml", "DetectionModel", id="26"),
    pytest.param("yolov10n.yaml", "DetectionModel", id="10"),
]


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(("config", "kind"), BUILDS)
def test_labels_of_one_checkpoint_are_its_classes_of_that_name(tmp_path, config, kind):
    path = checkpoints.save(tmp_path / "my.pt", checkpoints.scoring(config, SCORES, kind))
    weights = {"document,screen": str(path)}
    (detector,) = load_detectors(("screen", "document"), weights, threads=1, timeout_s=600)  # a box at every place, on a busy machine
    (found,) = detector.detect([BLACK])
    assert set(found.label[found.score > 0.5]) == {"screen"}
    assert found.score.max() == pytest.approx(0.9, abs=0.01)
    assert (found.xyxy[:, 2:] - found.xyxy[:, :2]).max() <= 192
    assert label_thresholds(("screen", "document"), weights, 0.5)["screen"].strong == 0.25  # nobody has measured them


@needs_extra
@pytest.mark.slow
def test_checkpoint_for_faces_has_to_find_the_face_of_the_test_picture(tmp_path):
    sees = checkpoints.save(tmp_path / "sees.pt", checkpoints.scoring("yolov8n.yaml", {"face": 0.9, "plate": 0.01}))
    (detector,) = load_detectors(("face",), {"face": str(sees)}, threads=1)
    assert detector.labels == ("face",)
    blind = checkpoints.save(tmp_path / "blind.pt", checkpoints.scoring("yolov8n.yaml", {"face": 0.01, "plate": 0.9}))
    with pytest.raises(ModelError, match=r"^blind\.pt: the model does not find the face in the test picture"):
        load_detectors(("face",), {"face": str(blind)}, threads=1)


@needs_extra
@pytest.mark.slow
def test_heads_found_by_a_checkpoint_are_covered_with_ellipses(tmp_path, make_clip):
    path = checkpoints.save(tmp_path / "heads.pt", checkpoints.scoring("yolov8n.yaml", {"person": 0.01, "head": 0.9}))
    settings = {"detect": ["face", "plate", "head"], "weights": {"head": str(path)}, "preset": "fast", "threads": 1}
    decisions = []
    detect_video(make_clip(frames=2), Equipment.of(load_config(settings).config), on_frame=lambda frame, decision, geometry: decisions.append(decision))
    for decision in decisions:
        assert {(region.label, region.shape) for region in decision.regions} == {("head", "ellipse")}


class Calling:
    """What pickle would call when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def whole(path):
    torch = importlib.import_module("torch")
    torch.save({"model": torch.zeros(1000)}, path)
    return path.read_bytes()


def cut(path):
    path.write_bytes(whole(path)[:2000])


def altered(path):
    content = bytearray(whole(path))
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def text(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")


def calling(path):
    importlib.import_module("torch").save({"model": Calling(path.with_suffix(".called")), "ema": None}, path)


def program(path):
    torch = importlib.import_module("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), str(path))


def weights_alone(path):
    torch = importlib.import_module("torch")
    torch.save(torch.nn.Conv2d(3, 3, 1).state_dict(), path)


def no_boxes(path):
    checkpoints.save(path, checkpoints.build("yolov8n-cls.yaml", "ClassificationModel", 2))


REFUSED = [
    pytest.param(cut, "the file is cut short or damaged", id="cut"),
    pytest.param(altered, "the file is damaged or was altered, its checksums do not fit", id="one-bit-changed"),
    pytest.param(lambda path: path.touch(), "the file is empty", id="empty"),
    pytest.param(text, "the file is not a PyTorch checkpoint", id="text"),
    pytest.param(calling, r"the checkpoint wants to call (posix|nt|os)\.mkdir, .* nothing of it was run", id="calls-something"),
    pytest.param(program, "a TorchScript program, and programs in files are not run", id="torchscript"),
    pytest.param(weights_alone, "the checkpoint holds no Ultralytics network", id="state-dict"),
    pytest.param(no_boxes, "a network with the head Classify does not give upright boxes", id="classifier"),
]


@needs_extra
@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "problem"), REFUSED)
def test_file_that_is_no_whole_detector_is_refused_and_nothing_of_it_is_run(tmp_path, spoil, problem):
    path = tmp_path / "my.pt"
    spoil(path)
    with pytest.raises(ModelError, match=rf"^my\.pt: {problem}") as caught:
        load_detectors(("thing",), {"thing": str(path)}, threads=1)
    assert caught.value.hint
    assert [entry.name for entry in tmp_path.iterdir()] == ["my.pt"]


@needs_extra
@pytest.mark.slow
def test_torch_that_would_run_code_of_a_checkpoint_is_refused(tmp_path, monkeypatch):
    path = checkpoints.save(tmp_path / "my.pt", checkpoints.scoring("yolov8n.yaml", SCORES))
    monkeypatch.delattr("torch.serialization.get_unsafe_globals_in_checkpoint")
    with pytest.raises(ConfigError, match=r"^my\.pt: the installed torch is too old"):
        load_detectors(("screen",), {"screen": str(path)}, threads=1)


@needs_extra
@pytest.mark.slow
def test_names_that_do_not_fit_the_network_are_refused(tmp_path):
    model = checkpoints.scoring("yolov8n-seg.yaml", SCORES, "SegmentationModel")
    model.names = {0: "screen", 1: "document"}
    with pytest.raises(ModelError, match="with 2 classes"):
        load_detectors(("screen",), {"screen": str(checkpoints.save(tmp_path / "my.pt", model))}, threads=1)
