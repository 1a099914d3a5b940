"""From a folder or file to labelled pictures or clips, whatever form they are labelled in."""

from __future__ import annotations

import difflib
from pathlib import Path

from anonymizer.errors import ConfigError, SourceError
from anonymizer.evaluation.clip_data import load_clips, looks_like_clips
from anonymizer.evaluation.coco_data import load_coco, looks_like_coco
from anonymizer.evaluation.truth import FORMATS, DataSet, Format, Naming
from anonymizer.evaluation.wider_data import load_wider, looks_like_wider
from anonymizer.evaluation.yolo_data import load_yolo, looks_like_yolo

_HINT = "labels are YOLO text files, WIDER FACE text, COCO JSON, or JSON beside clips; say which with --format"


def load_data(path: Path, naming: Naming, wanted: str = "auto") -> DataSet:
    """The labelled pictures or clips at `path`, in the `wanted` format or the one they look like.

    ConfigError for an unknown format and for class names that nothing looks for; SourceError for everything that is
    wrong with the data: not there, empty, unreadable, labels without pictures.
    """
    if not path.exists():
        raise SourceError(f"{path.name}: there is no such file or folder", hint="name a folder of labelled pictures or clips")
    kind, root = _found(path, wanted)
    name = path.resolve().name
    if kind == "clips":
        clips = load_clips(root, naming)
        if not any(box.label in clip.labelled for clip in clips for frame in clip.frames for box in frame):
            raise SourceError(f"{name}: holds no labelled clip with {_any_of(naming)}", hint=_otherwise(naming))
        return DataSet(name, kind, clips=clips)
    pictures = {"yolo": load_yolo, "wider": load_wider, "coco": load_coco}[kind](root, naming)
    if not pictures:
        raise SourceError(f"{name}: holds no picture", hint=_HINT)
    if not any(picture.boxes or picture.free for picture in pictures):
        raise SourceError(f"{name}: holds no label of {_any_of(naming)}", hint=_otherwise(naming))
    return DataSet(name, kind, pictures=pictures)


def _found(path: Path, wanted: str) -> tuple[Format, Path]:
    """The format, and the file or folder to read it from."""
    if wanted not in ("auto", *FORMATS):
        near = difflib.get_close_matches(wanted, FORMATS, n=1)
        raise ConfigError(f"--format: {wanted!r} is not one of auto, {', '.join(FORMATS)}", hint=f"did you mean {near[0]}?" if near else _HINT)
    texts = [path] if path.is_file() else sorted(path.glob("*.txt"))
    files = [path] if path.is_file() else sorted(path.glob("*.json")) + sorted(path.glob("annotations/*.json"))
    if wanted in ("auto", "clips") and looks_like_clips(path):
        return "clips", path
    if wanted in ("auto", "coco"):
        candidates = [file for file in files if file.suffix == ".json" and looks_like_coco(file)]
        if candidates:
            return "coco", _only(candidates)
    if wanted in ("auto", "wider"):
        candidates = [file for file in texts if file.suffix == ".txt" and looks_like_wider(file)]
        if candidates:
            return "wider", _only(candidates)
    if wanted in ("auto", "yolo") and path.is_dir() and (wanted == "yolo" or looks_like_yolo(path)):
        return "yolo", path
    words = "no labelled pictures or clips were found" if wanted == "auto" else f"no labels in the form {wanted} were found"
    raise SourceError(f"{path.resolve().name}: {words}", hint=_HINT)


def _only(candidates: list[Path]) -> Path:
    if len(candidates) > 1:
        raise ConfigError(f"{candidates[0].parent.name}: holds several label files", hint=f"name one: {', '.join(path.name for path in candidates)}")
    return candidates[0]


def _any_of(naming: Naming) -> str:
    return " or ".join(naming.labels)


def _otherwise(naming: Naming) -> str:
    return f"look for what it marks, or say which of its classes is meant: --rename NAME={naming.labels[0] if naming.labels else 'LABEL'}"
