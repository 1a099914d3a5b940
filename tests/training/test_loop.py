"""Stages: what follows from what, also when a training goes on between them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymizer.errors import ModelError, SourceError
from anonymizer.evaluation import Naming, load_data
from anonymizer.training import Recipe, Stage, checkpoint
from anonymizer.training.canvas import Composer
from anonymizer.training.pictures import Pictures
from tests.training.marked_sets import draw_boards, needs_extra

pytestmark = needs_extra
LABELS = ("plate",)
TWO = Recipe(stages=(Stage(steps=4, rate=1e-3), Stage(steps=12, rate=1e-3, seed=1, blend_before=0.25)), batch=1, side=64)


def loop_in(folder: Path, recipe: Recipe, tell: Any = lambda _: None) -> Any:
    import torch

    from anonymizer.training.base import build, read_base
    from anonymizer.training.loop import Loop

    torch.set_num_threads(1)
    boards = folder.parent / "boards"
    if not boards.exists():
        draw_boards(boards, 4)
    folder.mkdir(exist_ok=True)
    pictures = Pictures(load_data(boards, Naming(LABELS)).pictures, LABELS, recipe)
    model = build(read_base("face_plate", LABELS, {}, 1), LABELS)
    return Loop(model, recipe, Composer(pictures, recipe.side, recipe.augmentation), folder, {}, torch.device("cpu"), tell)


def weights_of(model: Any) -> np.ndarray:
    return np.concatenate([value.numpy().ravel() for name, value in model.state_dict().items() if value.dtype.is_floating_point])


def test_a_training_goes_on_between_its_stages(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(step: Any) -> None:
        if step.stage == 2:
            raise Crash

    whole = loop_in(tmp_path / "whole", TWO).run(None)
    with pytest.raises(Crash):
        loop_in(tmp_path / "cut", TWO, crash).run(None)
    saved = checkpoint.load(tmp_path / "cut", {})
    assert saved is not None
    assert (saved.stage, saved.step, saved.done) == (0, 4, True)
    assert np.array_equal(weights_of(loop_in(tmp_path / "cut", TWO).run(saved)), weights_of(whole))
    finished = checkpoint.load(tmp_path / "cut", {})
    assert np.array_equal(weights_of(loop_in(tmp_path / "cut", TWO).run(finished)), weights_of(whole))


def test_the_stage_before_is_mixed_in(tmp_path: Path) -> None:
    def with_blend(share: float) -> np.ndarray:
        stages = (TWO.stages[0], TWO.stages[1].model_copy(update={"blend_before": share}))
        return weights_of(loop_in(tmp_path / f"blend{share}", TWO.model_copy(update={"stages": stages})).run(None))

    first = weights_of(loop_in(tmp_path / "first", TWO.model_copy(update={"stages": TWO.stages[:1]})).run(None))
    last = with_blend(0.0)
    assert np.abs(last - first).max() > 1e-4
    assert np.array_equal(with_blend(1.0), first)
    assert with_blend(0.25) == pytest.approx(0.75 * last + 0.25 * first, abs=1e-4)


def test_time_ends_a_training_and_the_rate_follows_it(tmp_path: Path) -> None:
    from anonymizer.training.loop import _rate_at, _share_done

    stage = Stage(minutes=2, rate=1e-3)
    assert [_share_done(stage, 999, spent_s) for spent_s in (0, 60, 120, 500)] == [0, 0.5, 1, 1]
    rates = [_rate_at(stage, TWO, 100, share) for share in (0, 0.5, 1)]
    assert rates == pytest.approx([1e-3, 1e-3 * (0.01 + 0.99 / 2), 1e-5])
    assert _rate_at(stage, TWO, 0, 0) == pytest.approx(1e-3 / 60)
    assert _rate_at(stage, TWO, 0, 0.1) > 0.9e-3  # one slow step, and a tenth of the time is over
    assert _rate_at(Stage(steps=10, rate=1.0), TWO, 1, 0) == pytest.approx(1.0)  # few steps leave no room to warm up
    quick = TWO.model_copy(update={"stages": (Stage(minutes=0.002, rate=1e-3),)})
    assert math.isfinite(weights_of(loop_in(tmp_path / "quick", quick).run(None)).sum())


def test_a_picture_that_cannot_be_read_is_named_by_the_training(tmp_path: Path) -> None:
    loop = loop_in(tmp_path / "run", TWO)
    for path in (tmp_path / "boards/images").iterdir():
        path.write_bytes(b"words")
    with pytest.raises(SourceError, match=r"gate_\d\.png") as caught:
        loop.run(None)
    assert caught.value.hint


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    loop = loop_in(tmp_path / "run", TWO)
    saved = checkpoint.State(0, 1, 0.0, {"a": 1}, {}, None, None)
    with pytest.raises(ModelError, match="that of another network"):
        loop.run(saved)
