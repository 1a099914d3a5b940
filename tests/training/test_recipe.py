"""Recipes are checked before anything is trained by them."""

from __future__ import annotations

import pytest

from anonymizer.errors import ConfigError
from anonymizer.training import Recipe, Stage, load_recipe, recipe_names

TWO = Recipe(stages=(Stage(minutes=60, rate=1e-3), Stage(minutes=20, rate=1e-4, seed=3)))


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_of_the_package_can_be_read(name: str) -> None:
    assert load_recipe(name).about


def test_the_shipped_weights_have_their_recipe() -> None:
    made = load_recipe("face_plate")
    assert len(made.stages) >= 3
    assert made.sampling["plates__jf*"] > made.sampling["faces__*"]


def test_time_is_shared_out_among_the_stages() -> None:
    assert [stage.minutes for stage in TWO.said(minutes=4).stages] == [3, 1]
    steps = TWO.said(steps=40, seed=7, batch=2)
    assert [(stage.minutes, stage.steps, stage.seed) for stage in steps.stages] == [(None, 30, 7), (None, 10, 7)]
    assert (steps.batch, steps.side) == (2, 640)
    assert TWO.said() == TWO


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"minutes": 1.0, "steps": 1}, "--minutes and --steps: both were said", id="both-ends"),
        pytest.param({"minutes": -1.0}, "minutes", id="no-time"),
        pytest.param({"steps": 1}, "stages.1", id="fewer-steps-than-stages"),
        pytest.param({"side": 100}, "side: input should be a multiple of 32", id="odd-side"),
        pytest.param({"rate": float("nan")}, "rate", id="rate-of-nan"),
        pytest.param({"batch": 0}, "batch", id="empty-batch"),
    ],
)
def test_wrong_wishes_are_refused(said: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TWO.said(**said)  # type: ignore[arg-type]
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("stages: []", "stages", id="no-stages"),
        pytest.param("stages: [{rate: 1}]", "minutes or after steps", id="endless-stage"),
        pytest.param("stages: [{minutes: 1}]\nrates: 3", "rates: extra inputs", id="unknown-key"),
        pytest.param("- 1", "holds no keys", id="a-list"),
        pytest.param("a: [", "line 1: expected the node content", id="no-yaml"),
    ],
)
def test_wrong_recipe_is_refused(text: str, words: str, tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as caught:
        load_recipe(str(path))
    assert words in caught.value.problem


def test_unknown_recipe_hints_at_the_nearest(tmp_path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("own_date")
    assert caught.value.hint == "did you mean own_data?"
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(str(tmp_path / "gone.yaml"))
