"""The models inside the package: a card each, and the proof that the file is the one the card speaks of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonymizer.detection.thresholds import Calibration
from anonymizer.errors import ModelError
from anonymizer.regular import read_regular

WEIGHTS = Path(__file__).parent / "weights"
# A card and its weights could be replaced together; what is written here cannot be without changing code.
TRUSTED_SHA256 = {
    "face_plate": "31a2ca6f2658f7cb314792f0e86a489564a522fa9050c71947d7f6cf5934fe35",
    "people_vehicles": "a92d5b53e3a1dc134db10705cdb6573e1dc2aec9d8f6632c0e8a725111fd039d",
}
_MOST_BYTES = 1 << 24  # of a card; ours has 12 KB
_HINT = "reinstall the package: pip install --force-reinstall --no-deps video-anonymizer"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known about a shipped model; `weights/<name>.json` holds it, and says where each figure is from."""

    name: str
    file: Path
    task: str
    labels: tuple[str, ...]
    architecture: str
    licence: str
    sha256: str
    size_bytes: int
    input: Mapping[str, Any]
    data: tuple[str, ...]
    recipe: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)


def shipped_models() -> tuple[ModelCard, ...]:
    """The cards of all models in the package, by name. Nothing is loaded and no weights are read."""
    return tuple(_card(WEIGHTS / f"{name}.json") for name in sorted(TRUSTED_SHA256))


def card_beside(weights: Path, sha256: str) -> ModelCard | None:
    """The card that `anonymizer train` wrote beside somebody's weights; None without one, ModelError if it speaks of other weights.

    Thresholds of another network would miss what this one sees.
    """
    path = weights.with_suffix(".json")
    if path == weights or not path.is_file() or not _is_card(path):
        return None
    hint = f"remove or rename {path.name} to use the weights without it, or train again"
    card = _card(path, hint)
    if card.sha256 != sha256:
        raise ModelError(f"{path.name}: this card speaks of other weights than {weights.name}", hint=hint)
    return card


def verify(card: ModelCard) -> bytes:
    """The bytes of a shipped model; ModelError unless they are exactly those that the card and this code speak of.

    The network is made of these very bytes, so nothing can be exchanged between this look and its use.
    """
    try:
        model = card.file.read_bytes()
    except OSError as error:
        raise ModelError(f"{card.file.name}: the shipped model cannot be read ({error.strerror})", hint=_HINT) from error
    found = hashlib.sha256(model).hexdigest()
    if found != card.sha256 or found != TRUSTED_SHA256.get(card.name):
        raise ModelError(f"{card.file.name}: the shipped model was altered (sha256 {found[:12]}..., expected {card.sha256[:12]}...)", hint=_HINT)
    return model


def _is_card(path: Path) -> bool:
    """Whether a JSON file is meant as a card at all: other programs, too, write one beside weights."""
    try:
        read = json.loads(read_regular(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(read, dict) and "score_to_precision" in read


def _card(path: Path, hint: str = _HINT) -> ModelCard:
    """One card; ModelError if it does not hold what every card holds."""
    try:
        read = json.loads(path.read_text("utf-8"))
        maps = {
            label: {int(side): tuple((float(score), float(share)) for score, share in points) for side, points in sides.items()}
            for label, sides in read["score_to_precision"].items()
        }
        normal, alone = ({label: float(score) for label, score in scores.items()} for scores in (read["normal_score"], read.get("picture_score", {})))
        if not all(sides and all(sides.values()) for sides in maps.values()) or not all(0 < score < 1 for score in (*normal.values(), *alone.values())):
            raise ValueError("scores that are none")
        return ModelCard(
            name=path.stem,
            file=path.with_suffix(".onnx"),
            task=read["task"],
            labels=tuple(read["labels"]),
            architecture=read["architecture"],
            licence=read["licence"],
            sha256=read["sha256"],
            size_bytes=int(read["size_bytes"]),
            input=read["input"],
            data=tuple(read["data"]),
            recipe=read["recipe"],
            figures=read["figures"],
            calibration={label: Calibration(normal[label], sides, alone.get(label)) for label, sides in maps.items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path.name}: the model card cannot be read ({type(error).__name__}: {error})", hint=hint) from error
