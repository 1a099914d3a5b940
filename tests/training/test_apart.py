"""A label taught in a branch of its own: nothing else that the network answers changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anonymizer.detection.canary import canary
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.errors import ConfigError, ModelError
from anonymizer.evaluation import Naming, load_data
from anonymizer.training import Trained, TrainingWishes, train
from anonymizer.training.recipe import Recipe, Stage
from tests.evaluation.marked import write_yolo
from tests.training.marked_sets import needs_extra

pytestmark = needs_extra

LABELS = ("face", "plate")


def learned(here: Path, recipe: Recipe) -> Trained:
    """A training on copies of the test picture, whose face and plate the base knows."""
    rgb, boxes = canary()
    for at in range(5):
        path = write_yolo(here / "data", f"gate_{at}", (rgb.shape[1], rgb.shape[0]), **{label: [tuple(box)] for label, box in boxes.items()})
        Image.fromarray(rgb).save(path)
    wishes = TrainingWishes(labels=LABELS, recipe=recipe, held_out=0.4, threads=1)
    return train(load_data(here / "data", Naming(LABELS)), here / "out", wishes)


def built(source: str = "face_plate", labels: tuple[str, ...] = LABELS) -> Any:
    from anonymizer.training.base import build, read_base

    base = read_base(source, labels, {}, 1)
    return base, build(base, labels).eval()


def answers(model: Any) -> np.ndarray:
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        return np.asarray(model(torch.rand(1, 3, 96, 128))[0])


def shaken(model: Any) -> None:
    import torch

    from anonymizer.training.apart import taught_apart

    with torch.no_grad():
        for weights in taught_apart(model):
            weights += 0.05 * torch.randn_like(weights)


@pytest.mark.parametrize("at", [0, 1])
def test_only_the_label_that_is_set_apart_changes(at: int) -> None:
    from anonymizer.training.apart import joined, set_apart

    _, model = built()
    before = answers(model)
    assert joined(model) is model
    set_apart(model, at)
    assert np.abs(answers(model) - before).max() < 1e-4
    shaken(model)
    after, whole = answers(model), answers(joined(model))
    assert np.abs(after - whole).max() < 1e-4
    moved = np.abs(whole - before).max((0, 2))
    assert moved[4 + at] > 1e-4
    assert np.delete(moved, 4 + at).max() < 1e-4


def test_a_widened_network_is_exported_and_can_be_a_base_and_be_set_apart_again(tmp_path: Path) -> None:
    from anonymizer.training.apart import joined, set_apart
    from anonymizer.training.export import exported

    base, model = built()
    set_apart(model, 1)
    shaken(model)
    wide = joined(model)
    (tmp_path / "wide.onnx").write_bytes(exported(wide, LABELS, base.architecture))
    expected = answers(wide)
    _, again = built(str(tmp_path / "wide.onnx"))
    assert np.abs(answers(again) - expected).max() < 1e-3
    set_apart(again, 1)
    assert np.abs(answers(again) - expected).max() < 1e-3
    for wide_branch, branch in zip(joined(again).model[-1].cv3, wide.model[-1].cv3, strict=True):
        assert wide_branch[1].conv.weight.shape == branch[1].conv.weight.shape  # it does not grow with every training
    _, alone = built(str(tmp_path / "wide.onnx"), ("plate",))
    assert np.abs(answers(alone)[:, 4] - expected[:, 5]).max() < 1e-4


def test_a_training_apart_leaves_boxes_and_other_scores_as_they_were(tmp_path: Path) -> None:
    made = learned(tmp_path, Recipe(stages=(Stage(steps=2, rate=1e-3),), batch=2, side=96, apart="plate"))
    base, _ = built()
    blob = np.random.default_rng(0).random((1, 3, 96, 128), np.float32)
    before, after = base.network.run(blob), OnnxNetwork(made.model.read_bytes(), "model.onnx", threads=1).run(blob)
    moved = np.abs(after - before).max((0, 2))
    assert moved[:5].max() < 1e-4
    assert moved[5] > 0


def test_what_cannot_be_set_apart_is_refused(tmp_path: Path) -> None:
    from anonymizer.training.apart import set_apart

    with pytest.raises(ConfigError, match="sets sign apart"):
        learned(tmp_path, Recipe(stages=(Stage(steps=1),), batch=2, side=96, apart="sign"))
    _, model = built()
    set_apart(model, 1)
    with pytest.raises(ModelError, match="no label of this network"):
        set_apart(model, 1)
