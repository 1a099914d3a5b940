"""From marked pictures to weights with a card: READ FIRST. Everything that needs torch is imported when it is needed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anonymizer.detection import Detector
from anonymizer.detection.canary import FOREIGN_MIN_IOU, canary, require_canary
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.session import TIMEOUT_S, available_cores
from anonymizer.detection.ultralytics_engine import ready_ultralytics
from anonymizer.detection.yolo import YoloDetector
from anonymizer.errors import ConfigError, ModelError, SourceError, TargetError
from anonymizer.evaluation import DataSet, LabelledPicture, hold_out
from anonymizer.evaluation.figures import Json
from anonymizer.heap import keep_freed_memory
from anonymizer.publishing import staged
from anonymizer.training import checkpoint
from anonymizer.training.card import card_of, recipe_facts
from anonymizer.training.evaluate import measured
from anonymizer.training.pictures import Pictures, doubtful_boxes
from anonymizer.training.recipe import Recipe

if TYPE_CHECKING:
    from anonymizer.training.base import Base
    from anonymizer.training.loop import Step

MODEL, MODEL_INT8 = "model.onnx", "model_int8.onnx"
_INT8_CANVASES = 24
_SETTLING_BATCHES = 4
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainingWishes:
    """What a training is asked for, beside its pictures. `renamed` names classes of the base as it does those of the data."""

    labels: tuple[str, ...]
    recipe: Recipe
    base: str = "face_plate"
    renamed: Mapping[str, str] = field(default_factory=dict)
    held_out: float = 0.2
    device: str = "cpu"
    threads: int | None = None
    data_licence: str | None = None
    full_weights: bool = False
    int8: bool = False
    int8_tolerance: float = 0.5  # points of cover that the int8 network may miss more

    def __post_init__(self) -> None:
        """ConfigError for numbers that mean nothing."""
        if not 0 < self.held_out < 1:
            raise ConfigError(f"--held-out: {self.held_out:g} is not between 0 and 1", hint="0.2 keeps a fifth of the pictures for measuring")
        if not self.labels:
            raise ConfigError("--labels: nothing would be learned", hint="name what the data is marked with: --labels face,plate")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads: {self.threads} is not above 0", hint="leave it out for one a core")
        if not 0 <= self.int8_tolerance <= 100:
            raise ConfigError(f"--int8-tolerance: {self.int8_tolerance:g} is not between 0 and 100", hint="it is in points of cover")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training has written. `before` are the base's figures for the labels that it knew, on the same pictures."""

    model: Path
    card: Json
    before: Mapping[str, Json]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """One training: what it learns from, what it is measured on, what it begins with, where it goes."""

    data: DataSet
    val: DataSet | None
    learned: Sequence[LabelledPicture]
    held: Sequence[LabelledPicture]
    wishes: TrainingWishes
    base: Base
    identity: Mapping[str, Any]
    folder: Path
    tell: Tell

    def measured(self, detector: Detector, labels: Sequence[str]) -> dict[str, Json]:
        """The figures of a network on the pictures held out."""
        return measured([detector], self.held, labels, tell=self.tell)


def train(data: DataSet, folder: Path, wishes: TrainingWishes, *, val: DataSet | None = None, tell: Tell = lambda _: None) -> Trained:
    """Train on marked pictures, measure on those held out (or on `val`), and write model and card into `folder`.

    The same call goes on where a killed one stopped. SourceError for data that cannot be learned from, ConfigError for wishes
    that cannot be met or that differ from those of the training in the folder, ModelError for a base or checkpoint that
    is not whole and for a result that finds nothing; then the folder holds no new model.
    """
    learned, held = _sides(data, val, wishes)
    ready_ultralytics("training", needs="training needs")
    from anonymizer.training.base import read_base
    from anonymizer.training.export import exported, halved
    from anonymizer.training.loop import device_named

    device = device_named(wishes.device)
    base = read_base(wishes.base, wishes.labels, wishes.renamed, wishes.threads)
    notes = [f"{label}: learned from nothing, {base.name} does not know it" for label in wishes.labels if label not in base.classes]
    for note in notes:
        tell(note)
    job = _Job(data, val, learned, held, wishes, base, _identity(learned, held, wishes, base), folder, tell)
    with _owned(folder):
        saved = checkpoint.load(folder, job.identity)
        if saved is None and (folder / MODEL).exists():
            raise ConfigError(f"{folder.name}: holds a {MODEL}, and no training to go on with", hint="name another folder with -o")
        known = tuple(base.classes)
        doubtful = doubtful_boxes(learned, base.detector(), known, tell) if known else {}
        pictures = Pictures(learned, wishes.labels, wishes.recipe, doubtful)
        full = exported(_trained(job, pictures, device, saved), wishes.labels, base.architecture)
        stored = full if wishes.full_weights else halved(full)
        before = job.measured(base.detector(), known) if known else {}
        card = _card(job, stored, before)
        _publish(folder / MODEL, stored, card)
        if wishes.int8:
            notes.append(_int8(job, full, card, pictures))
    return Trained(folder / MODEL, card, before, tuple(notes))


def _sides(data: DataSet, val: DataSet | None, wishes: TrainingWishes) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """The pictures to learn from and those to measure on, each with objects of every label."""
    for one in (data, val):
        if one is not None and one.clips:
            raise SourceError(f"{one.name}: holds clips, and a training learns from pictures", hint="mark single frames of them")
    learned, held = hold_out(data.pictures, wishes.held_out) if val is None else (list(data.pictures), list(val.pictures))
    for name, side in ((data.name, learned), ((val or data).name, held)):
        for label in wishes.labels:
            if not any(box.label == label and not box.ignored for picture in side for box in picture.boxes):
                if any(box.label == label and not box.ignored for picture in data.pictures for box in picture.boxes):
                    held_name = "the pictures held out" if side is held else "the pictures left to learn from"
                    raise SourceError(f"{name}: {held_name} show no {label}", hint="mark more pictures, or name others to measure on: --val DATA")
                known = sorted({box.label for picture in data.pictures for box in picture.boxes})
                raise ConfigError(f"{name}: no {label} is marked in it", hint=f"leave it out: --labels {','.join(known)}" if known else None)
    return learned, held


def _trained(job: _Job, pictures: Pictures, device: Any, saved: checkpoint.State | None) -> Any:
    """The network at the end of the recipe."""
    import torch

    from anonymizer.training.base import build, is_folded, settle
    from anonymizer.training.batches import Batches, as_input
    from anonymizer.training.canvas import Composer
    from anonymizer.training.loop import Loop

    base, recipe, tell = job.base, job.wishes.recipe, job.tell
    torch.set_num_threads(job.wishes.threads or available_cores())
    keep_freed_memory()
    torch.manual_seed(recipe.stages[0].seed)
    composer = Composer(pictures, recipe.side, recipe.augmentation)
    model = build(base, job.wishes.labels)
    if is_folded(base) and saved is None:
        tell("unfolding the base's normalization on some of the pictures")
        batches = Batches(composer, min(recipe.batch, 8), recipe.stages[0].seed)
        settle(model, (as_input(batches.at(step), "cpu") for step in range(_SETTLING_BATCHES)))
    if saved is not None:
        tell("trained before" if saved.done and saved.stage + 1 == len(recipe.stages) else f"going on at stage {saved.stage + 1}, step {saved.step}")
    return Loop(model, recipe, composer, job.folder, job.identity, device, lambda step: tell(_words_of(step))).run(saved)


def _card(job: _Job, model: bytes, before: Mapping[str, Json]) -> Json:
    """Look with the exported network at the pictures held out, and say what came of it; ModelError if a run would refuse it."""
    data, val, base, wishes = job.data, job.val, job.base, job.wishes
    count = len(job.held)
    return card_of(
        model,
        wishes.labels,
        job.measured(_detector_of(model, wishes), wishes.labels),
        architecture=f"{Path(base.architecture).stem} (Ultralytics), decoded head, no NMS",
        licence=f"built with Ultralytics (AGPL-3.0) from {base.name} (licence: {base.licence})",
        data=[f"{data.name}: {len(job.learned)} pictures", f"licence of the pictures: {wishes.data_licence or 'not stated'}"],
        recipe=recipe_facts(wishes.recipe),
        more={
            "base_weights": {"name": base.name, "sha256": base.sha256},
            "measured_on": f"{val.name}, {count} pictures" if val else f"{count} pictures of {data.name} held out, chosen by their names",
            "base_cover_percent": {key: cover_of(part) for key, part in before.items()},
            "training": dict(job.identity),
        },
    )


def _detector_of(model: bytes, wishes: TrainingWishes) -> Detector:
    """The network as a run would have it; ModelError if the canary shows that a run would refuse it."""
    detector = YoloDetector(OnnxNetwork(model, MODEL, threads=wishes.threads), {label: [at] for at, label in enumerate(wishes.labels)})
    if any(label in canary()[1] for label in wishes.labels):
        hint = "a run would refuse it, so it was not written; train longer, with a lower --rate, or with more varied pictures"
        require_canary(detector, TIMEOUT_S, min_iou=FOREIGN_MIN_IOU, hint=hint)
    return detector


def _int8(job: _Job, full: bytes, made: Json, pictures: Pictures) -> str:
    """Write the int8 network if it misses hardly more than the other, and say what became of it."""
    from anonymizer.training.batches import Batches, as_input
    from anonymizer.training.canvas import Composer
    from anonymizer.training.export import quantized

    allowed = job.wishes.int8_tolerance
    batches = Batches(Composer(pictures, job.wishes.recipe.side), 1, seed=0, late_step=0)
    small = quantized(full, (as_input(batches.at(step), "cpu").contiguous().numpy() for step in range(_INT8_CANVASES)))
    try:
        card = _card(job, small, {})
    except ModelError as error:
        return f"int8: not written, {error.problem}"
    for key, part in made["figures"].items():
        was, now = cover_of(part), cover_of(card["figures"][key])
        if was is not None and (now is None or was - now > allowed):
            return f"int8: not written, it covers {now} % where {MODEL} covers {was} % ({key}); {allowed:g} points are allowed"
    _publish(job.folder / MODEL_INT8, small, card)
    return f"int8: {MODEL_INT8} covers as much as {MODEL}, to {allowed:g} points"


def cover_of(part: Json) -> float | None:
    """The cover at a quarter of a false box a picture; where no picture is object-free, at a score of 0.2."""
    found: float | None = part["at_0.25"]["cover"] if "at_0.25" in part else part["at_threshold"]["0.2"]["cover"]
    return found


def _publish(path: Path, model: bytes, card: Json) -> None:
    """The card first: weights without one would be used with thresholds of nobody's."""
    for target, content in ((path.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode()), (path, model)):
        with staged(target, overwrite=True) as staging:
            staging.write_bytes(content)


def _identity(learned: Sequence[LabelledPicture], held: Sequence[LabelledPicture], wishes: TrainingWishes, base: Base) -> dict[str, Any]:
    """What a training must have in common with the one that it goes on with."""
    return {
        "labels": list(wishes.labels),
        "base": base.sha256,
        "recipe": hashlib.sha256(wishes.recipe.model_dump_json().encode()).hexdigest(),
        "data": _digest(learned, wishes.labels),
        "measured_on": _digest(held, wishes.labels),
    }


def _digest(pictures: Sequence[LabelledPicture], labels: Sequence[str]) -> str:
    """A hash of the pictures' names and boxes; their pixels are not read."""
    known = [(one.path.name, sorted((box.label, box.xyxy, box.ignored) for box in one.boxes), sorted(one.labelled & set(labels))) for one in pictures]
    return hashlib.sha256(json.dumps(sorted(known)).encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """The folder, made if it is missing, with no other training in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"{folder.name}: the folder cannot be made ({error.strerror})", hint="name another with -o") from error
    # The staging file of this name is locked for as long as it is held, and the kernel lets go of it when the process dies.
    with contextlib.suppress(_FinishedError), staged(folder / "running", overwrite=True):
        yield
        raise _FinishedError


class _FinishedError(Exception):
    """Leaves a staged file unpublished."""


def _words_of(step: Step) -> str:
    stage = f"stage {step.stage} of {step.stages}, " if step.stages > 1 else ""
    return f"{stage}step {step.step}, {100 * step.share:.0f} %, loss {step.loss:.2f}"
