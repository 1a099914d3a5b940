"""How a training goes, as YAML: stages, rates, what is shown how often, what is done to pictures.

The recipes of this package are in `recipes/`: `own_data` fine-tunes on somebody's pictures; `face_plate`, from there on with more
sources `face_plate_wider`, and from there on `face_plate_turned` made the shipped weights.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anonymizer.config import read_yaml
from anonymizer.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Strict):
    """One descent of the learning rate, over wall time or over steps, from the averaged weights of the stage before."""

    minutes: Positive | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    rate: Positive = 5e-4
    seed: Seed = 0
    blend_before: Share = 0.0  # how much of the stage before is mixed into the weights at the end

    @model_validator(mode="after")
    def _has_one_end(self) -> Stage:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("a stage ends after minutes or after steps, one of them")
        return self


class Augmentation(_Strict):
    """What is done to pictures; each number is the share of pictures (faces, plates) to which it happens."""

    occluded_faces: Share = 0.35
    occluded_plates: Share = 0.0
    synthetic_plates: Share = 0.5
    signs: Share = 0.3
    hard_places: Share = 0.5
    softened: Share = 0.3  # shown with fewer pixels than they have, as if enlarged from a small picture
    turned: Share = 0.1  # shown as lying people and leaning motorcycles are, by 9 to 135 degrees; the rest by less
    light: bool = True
    camera: bool = True  # blur, noise and compression of whole canvases


class Recipe(_Strict):
    """A whole training."""

    about: str = ""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    batch: Annotated[int, Field(ge=1, le=1024)] = 16
    side: Annotated[int, Field(ge=64, le=4096, multiple_of=32)] = 640
    decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-4
    average: Annotated[float, Field(ge=0, lt=1)] = 0.997
    warmup_steps: Annotated[int, Field(ge=0)] = 60
    late_from: Share = 0.86  # the share of a stage from which mostly whole pictures are shown
    sampling: dict[str, Positive] = Field(default_factory=dict)  # pattern of a picture's name -> how often it is shown; the first that fits
    object_free_most: Share | None = None  # of all that is shown
    augmentation: Augmentation = Augmentation()

    def said(self, *, minutes: float | None = None, steps: int | None = None, rate: float | None = None, seed: int | None = None, **keys: Any) -> Recipe:
        """The recipe with what was said on the command line; minutes and steps are shared out among the stages as before."""
        if minutes is not None and steps is not None:
            raise ConfigError("--minutes and --steps: both were said", hint="say one of them: a training ends after some time, or after some steps")
        ends = [stage.minutes or float(stage.steps or 0) for stage in self.stages]
        stages = []
        for stage, end in zip(self.stages, ends, strict=True):
            new: dict[str, Any] = stage.model_dump()
            if minutes is not None:
                new |= {"minutes": minutes * end / sum(ends), "steps": None}
            if steps is not None:
                new |= {"steps": round(steps * end / sum(ends)), "minutes": None}
            new |= {key: value for key, value in (("rate", rate), ("seed", seed)) if value is not None}
            stages.append(new)
        told = {key: value for key, value in keys.items() if value is not None}
        return _checked({**self.model_dump(), **told, "stages": stages}, "the training")


def recipe_names() -> tuple[str, ...]:
    """The recipes of this package."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def load_recipe(name: str) -> Recipe:
    """A recipe of this package by name, or of a YAML file; ConfigError for everything that is wrong with it."""
    if not name.endswith((".yaml", ".yml")):
        if name not in recipe_names():
            near = difflib.get_close_matches(name, recipe_names(), n=1)
            raise ConfigError(f"--recipe: there is none called {name!r}", hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(recipe_names())}")
        path = RECIPES / f"{name}.yaml"
    else:
        path = Path(name)
    return _checked(read_yaml(path, hint="name a YAML file, or a recipe of the package"), path.name)


def _checked(read: Mapping[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(read)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise ConfigError(f"{name}: {key}: {said}"[:300] if key else f"{name}: {said}"[:300], hint="see the recipes of the package for an example") from error
