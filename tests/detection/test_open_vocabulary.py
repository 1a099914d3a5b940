from __future__ import annotations

import importlib

import numpy as np
import pytest

from anonymizer.detection import load_detectors, untested_labels
from anonymizer.errors import ConfigError, ModelError
from tests.detection import checkpoints
from tests.detection.test_ultralytics_engine import needs_extra

pytestmark = [needs_extra, pytest.mark.slow]
BLACK = np.zeros((96, 160, 3), np.uint8)
YOLOE = [pytest.param("yoloe-v8n.yaml", "YOLOEModel", id="8"), pytest.param("yoloe-11n-seg.yaml", "YOLOESegModel", id="11-with-masks")]


@pytest.mark.parametrize(("config", "kind"), YOLOE)
@pytest.mark.parametrize("told", [{"screen": 1.0, "document": -1.0}, {"document": -1.0, "screen": 1.0}], ids=["first", "second"])
def test_yoloe_that_was_told_words_finds_the_labels_of_those_names(tmp_path, config, kind, told):
    weights = {"screen,document": str(checkpoints.save(tmp_path / "told.pt", checkpoints.looking_for(config, kind, told)))}
    (detector,) = load_detectors(("screen", "document"), weights, threads=1)
    (found,) = detector.detect([BLACK])
    assert set(found.label) == {"screen"}
    assert found.score.max() > 0.99
    assert untested_labels(("screen", "document"), weights) == ("screen", "document")


def as_downloaded(model):
    """Without embeddings."""


def of_zeros(model):
    model.pe = importlib.import_module("torch").zeros(1, 80, 512)


def of_another_number(model):
    torch = importlib.import_module("torch")
    model.pe, model.names = torch.nn.functional.normalize(torch.ones(1, 3, 512), dim=-1), {0: "screen", 1: "document"}


@pytest.mark.parametrize("spoil", [as_downloaded, of_zeros, of_another_number])
@pytest.mark.parametrize("labels", [("screen",), ("screen", "document")])
def test_yoloe_without_words_is_refused_with_the_way_to_tell_it(tmp_path, spoil, labels):
    model = checkpoints.looking_for("yoloe-v8n.yaml", "YOLOEModel", {})
    spoil(model)
    path = checkpoints.save(tmp_path / "yoloe.pt", model)
    with pytest.raises(ModelError, match=r"^yoloe\.pt: this network (looks for words, and was not told any|has 2 class names, and was told 3 words)") as caught:
        load_detectors(labels, {",".join(labels): str(path)}, threads=1)
    assert f"m = YOLO('yoloe.pt'); m.set_classes({list(labels)}); m.save('told_yoloe.pt')" in (caught.value.hint or "")


def test_word_that_it_was_not_told_is_refused_even_alone(tmp_path):
    path = checkpoints.save(tmp_path / "told.pt", checkpoints.looking_for("yoloe-v8n.yaml", "YOLOEModel", {"screen": 1.0, "document": -1.0}))
    with pytest.raises(ConfigError, match=r"^told\.pt: the network has no class for 'sticky note'") as caught:
        load_detectors(("sticky note",), {"sticky note": str(path)}, threads=1)
    assert "m.set_classes(['sticky note'])" in (caught.value.hint or "")


def test_what_the_hint_says_makes_a_checkpoint_that_is_taken(tmp_path, monkeypatch):
    """The command of the hint, with a text encoder that gives noise."""
    checkpoints.save(tmp_path / "yoloe.pt", checkpoints.looking_for("yoloe-v8n.yaml", "YOLOEModel", {}))
    with pytest.raises(ModelError) as caught:
        load_detectors(("screen", "document"), {"screen,document": str(tmp_path / "yoloe.pt")}, threads=1)
    code = (caught.value.hint or "").split('python -c "')[1].removesuffix('"')
    torch, tasks = importlib.import_module("torch"), importlib.import_module("ultralytics.nn.tasks")
    monkeypatch.setattr(tasks.YOLOEModel, "get_text_pe", lambda self, words: torch.nn.functional.normalize(torch.randn(1, len(words), 512), dim=-1))
    monkeypatch.chdir(tmp_path)
    exec(code)
    (detector,) = load_detectors(("screen", "document"), {"screen,document": "told_yoloe.pt"}, threads=1)
    assert detector.labels == ("screen", "document")


MANY = {f"thing {number}": -1.0 for number in range(60)} | {"computer screen": 1.0, "document": -1.0}


@pytest.mark.parametrize(("config", "kind"), YOLOE)
def test_prompt_free_yoloe_finds_labels_by_name_and_by_word(tmp_path, config, kind):
    path = checkpoints.save(tmp_path / "pf.pt", checkpoints.prompt_free(config, kind, MANY))
    (detector,) = load_detectors(("screen", "document"), {"screen,document": str(path)}, threads=1)
    (found,) = detector.detect([BLACK])
    assert set(found.label) == {"screen"}
    assert 0 < len(found) <= 5 * 3  # of the coarsest level
    for label, hint in (("documents", "did you mean document?"), ("badge", "it knows thing 0, ")):
        with pytest.raises(ConfigError, match=rf"^pf\.pt: the network has no class for '{label}'") as caught:
            load_detectors((label,), {label: str(path)}, threads=1)
        assert hint in (caught.value.hint or "")


def test_yolo_world_is_taken_with_words_and_refused_with_the_noise_it_is_built_with(tmp_path):
    torch = importlib.import_module("torch")
    model = checkpoints.build("yolov8n-worldv2.yaml", "WorldModel")
    with pytest.raises(ModelError, match=r"^world\.pt: this network looks for words, and was not told any"):
        load_detectors(("screen",), {"screen": str(checkpoints.save(tmp_path / "world.pt", model))}, threads=1)
    model.txt_feats, model.names, model.model[-1].nc = torch.nn.functional.normalize(torch.randn(1, 2, 512), dim=-1), ["screen", "document"], 2
    (detector,) = load_detectors(("document",), {"document": str(checkpoints.save(tmp_path / "told.pt", model))}, threads=1)
    assert {*detector.detect([BLACK])[0].label} <= {"document"}
