"""From marked pictures to own weights: `anonymizer train`. Needs the extra `ultralytics`; start with `fine_tuning.py`.

How the shipped weights were made is `recipes/face_plate.yaml`. The makers' own tools are modules with a command line each:
`prepare` (teachers complete the labels of a set), `mine` (finds what an earlier network got wrong in it), `export` (a teacher's
checkpoint as ONNX), `evaluate` and `card` (figures and card of the shipped weights).
"""

from anonymizer.training.fine_tuning import Trained, TrainingWishes, train
from anonymizer.training.recipe import Recipe, Stage, load_recipe, recipe_names

__all__ = ["Recipe", "Stage", "Trained", "TrainingWishes", "load_recipe", "recipe_names", "train"]
