"""From marked pictures to own weights: `anonymizer train`. Needs the extra `ultralytics`; start with `fine_tuning.py`.

How the shipped weights were made is `recipes/face_plate.yaml`, from there on `face_plate_wider.yaml`, and from there on
`face_plate_turned.yaml`. The makers' own tools are modules with a command line each: `prepare` (teachers complete the labels of a
set), `gather` (one set of many public ones), `mine` (finds what an earlier network got wrong in a set), `export` (a teacher's
checkpoint as ONNX), `evaluate` and `card` (figures and card of the shipped weights).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anonymizer.training.fine_tuning import Trained, TrainingWishes, train
    from anonymizer.training.recipe import Recipe, Stage, load_recipe, recipe_names

# Loaded when they are first used: a module that is run by its name must not have been imported before.
_WHERE = {
    "Recipe": "recipe",
    "Stage": "recipe",
    "Trained": "fine_tuning",
    "TrainingWishes": "fine_tuning",
    "load_recipe": "recipe",
    "recipe_names": "recipe",
    "train": "fine_tuning",
}

__all__ = ["Recipe", "Stage", "Trained", "TrainingWishes", "load_recipe", "recipe_names", "train"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"anonymizer.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'anonymizer.training' has no attribute {name!r}")
