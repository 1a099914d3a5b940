"""`anonymizer train`: weights of your own, from pictures that you have marked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonymizer.cli import flags
from anonymizer.cli.printing import exit_codes, say, say_rows, tell
from anonymizer.errors import ConfigError

if TYPE_CHECKING:
    from anonymizer.training import Trained

EPILOG = exit_codes(0, 1, 2, 3, 4, 6, 130, 143)
_BETWEEN_LINES_S = 10.0


def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of labelled pictures, or their label file.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the weights go; the same command again goes on there.")],
    labels: Annotated[str, typer.Option("--labels", metavar="face,plate", help="What to learn.")] = "face,plate",
    format: Annotated[str, typer.Option("--format", metavar="yolo|wider|coco", help="How they are labelled; default: what it looks like.")] = "auto",
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="NAME=LABEL", help="A class of the data or base is this label; none leaves it out, * is all others; repeatable."),
    ] = None,
    val: Annotated[Path | None, typer.Option("--val", metavar="DATA", help="Measure on these pictures, and learn from all of the others.")] = None,
    held_out: Annotated[float, typer.Option("--held-out", metavar="SHARE", help="Without --val: the share of pictures to measure on.")] = 0.2,
    base: Annotated[str, typer.Option("--base", metavar="NAME|FILE", help="Weights to begin with: a shipped model, an .onnx or a .pt.")] = "face_plate",
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME|FILE", help="How to train: own_data, face_plate, or a YAML file.")] = "own_data",
    minutes: Annotated[float | None, typer.Option("--minutes", metavar="N", help="How long to train.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="How many steps to train, instead of minutes.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", metavar="NUMBER", help="The highest learning rate.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", metavar="N", help="Canvases in a step.")] = None,
    side: Annotated[int | None, typer.Option("--side", metavar="PX", help="Width and height of a canvas, a multiple of 32.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Another one shows the pictures in another order.")] = None,
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda:0", help="Where to train.")] = "cpu",
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="Threads; default: one a core.")] = None,
    data_licence: Annotated[str | None, typer.Option("--data-licence", metavar="WORDS", help="Whose the pictures are; the model's card says it.")] = None,
    full_weights: Annotated[bool, typer.Option("--full-weights", help="Store weights as float32: twice the size, nothing gained that was measured.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also write model_int8.onnx, if it covers as much.")] = False,
    int8_tolerance: Annotated[float, typer.Option("--int8-tolerance", metavar="POINTS", help="How many points of cover it may lose.")] = 0.5,
    quiet: flags.Quiet = False,
) -> None:
    """Make weights of your own from marked pictures."""
    from anonymizer.evaluation import Naming, load_data
    from anonymizer.training import TrainingWishes, load_recipe
    from anonymizer.training import train as trained

    wanted = tuple(dict.fromkeys(name.strip() for name in labels.split(",") if name.strip()))
    renamed = flags.pairs(rename or [], "--rename")
    wishes = TrainingWishes(
        labels=wanted,
        recipe=load_recipe(recipe).said(minutes=minutes, steps=steps, rate=rate, seed=seed, batch=batch, side=side),
        base=base,
        renamed=renamed,
        held_out=held_out,
        device=device,
        threads=threads,
        data_licence=data_licence,
        full_weights=full_weights,
        int8=int8,
        int8_tolerance=int8_tolerance,
    )
    if val is not None and val.resolve() == data.resolve():
        raise ConfigError(f"--val: {val.name} is what is learned from", hint="figures of pictures that were learned say nothing; leave --val out")
    naming = Naming(wanted, renamed)
    found = trained(load_data(data, naming, format), output, wishes, val=None if val is None else load_data(val, naming), tell=_Lines(quiet=quiet))
    if not quiet:
        _tell_result(found, licence_stated=data_licence is not None)


class _Lines:
    """What a training says, on stderr: of lines that begin alike only one now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._last_s = quiet, dict[str, float]()

    def __call__(self, words: str) -> None:
        now_s, kind = time.monotonic(), words.split(" ", 1)[0]
        if not self._quiet and now_s - self._last_s.get(kind, -_BETWEEN_LINES_S) >= _BETWEEN_LINES_S:
            self._last_s[kind] = now_s
            tell(words)


def _tell_result(found: Trained, *, licence_stated: bool) -> None:
    from anonymizer.training.fine_tuning import cover_of

    say(f"measured on {found.card['more']['measured_on']}; cover at 0.25 false boxes a picture, one picture alone")
    rows = []
    for key, part in found.card["figures"].items():
        label, side, _ = key.split()
        was = cover_of(found.before[key]) if key in found.before else None
        before = "" if was is None else f", before {was} %"
        rows.append((f"{label} at {side} px", f"{cover_of(part)} % of {part['objects']}{before}"))
    say_rows(rows)
    for note in found.notes:
        tell(f"note: {note}")
    if not licence_stated:
        tell("note: the card says that the pictures' licence is not stated; --data-licence states it")
    labels = ",".join(found.card["labels"])
    tell(f"wrote {found.model} and its card; use it: anonymizer run VIDEO --detect {labels} --weights {labels}={found.model}")
