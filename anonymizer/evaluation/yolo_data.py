"""Labelled pictures as YOLO networks are taught with: beside each picture a text file, a line a box.

A picture in a folder `images` has its boxes in the folder `labels` beside it, and undecidable ones in `ignore`;
pictures without such a folder have them beside themselves. A picture without a text file shows no object. Folders named
after a label (`faces`, `plates`) are about that label alone, and what a folder `no_faces` shows are no faces, whatever
else. Where some objects of a folder have no box, `miss_only.json` lists the stems of those pictures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from anonymizer.errors import ConfigError, SourceError
from anonymizer.evaluation.truth import Box, LabelledPicture, Naming, TrueBox, bad_line, free_labels, source_of
from anonymizer.media.images import PICTURE_SUFFIXES
from anonymizer.regular import read_regular

_DEFAULT_CLASSES = ("face", "plate")
_CLASS_LISTS = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
_MOST_BYTES = 1 << 26
_OUTSIDE = 0.5  # An object cut by the edge may be marked beyond it; so far outside lie only pixels that were taken for shares.
_FORM = "a line is: class centre_x centre_y width height, in shares of the picture"


def load_yolo(root: Path, naming: Naming) -> tuple[LabelledPicture, ...]:
    """Every labelled picture below `root`, sorted; the boxes are relative.

    SourceError for label files that cannot be read or have no picture, ConfigError for classes that nothing looks for.
    """
    classes = class_names(root)
    everything = naming.labels_of(classes, root.resolve().name)
    found, used = [], set[Path]()
    misses_only = {folder: _misses_only(folder) for folder in sorted({_group_of(path) for path in picture_files(root)})}
    for path in picture_files(root):
        group, texts = _group_of(path), _label_files(path)
        used.update(texts)
        boxes = tuple(box for text in texts for box in _boxes_in(text, classes, naming, ignored=(group / "ignore") in text.parents))
        subject, is_free = _subject_of(group, naming)
        labelled = everything if subject is None else everything & {subject}
        if is_free:
            free = labelled
        elif subject is None:
            free = free_labels(labelled, boxes)
        else:
            free = frozenset()  # A folder of faces holds faces, marked or not.
        if is_free and any(box.label in free for box in boxes):
            raise SourceError(f"{path.name}: is marked to hold what its folder {group.name} says it does not", hint="move it, or correct its labels")
        found.append(LabelledPicture(path, boxes, labelled, free, source_of(path), relative=True, misses_only=path.stem in misses_only[group]))
    if orphans := sorted(set(_all_label_files(root)) - used):
        raise SourceError(
            f"{orphans[0].name}: there is no picture of that name", hint=f"label files without one: {len(orphans)}; add the pictures or remove them"
        )
    if found and not used and not any(picture.free and _subject_of(_group_of(picture.path), naming)[1] for picture in found):
        hint = "a picture without objects has an empty label file, or lies in a folder like no_faces"
        raise SourceError(f"{root.resolve().name}: holds pictures, and no label file", hint=hint)
    return tuple(found)


def looks_like_yolo(root: Path) -> bool:
    """Whether there is a folder of label files, or text files beside pictures."""
    return any(_all_label_files(root)) or any("images" in path.parts for path in picture_files(root))


def picture_files(root: Path) -> list[Path]:
    """Every picture below a folder, by its suffix, sorted."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())


def class_names(root: Path) -> tuple[str, ...]:
    """The names of classes 0, 1, ..., from a list in `root`; without one, face and plate."""
    for name in _CLASS_LISTS:
        path = root / name
        if not path.is_file():
            continue
        text = _text_of(path)
        if path.suffix != ".yaml":
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        try:
            names = yaml.safe_load(text)["names"]
            return tuple(str(names[index]) for index in (range(len(names)) if isinstance(names, list) else sorted(names)))
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise SourceError(f"{name}: does not tell the names of the classes", hint="write them as YAML: names: [face, plate]") from error
    return _DEFAULT_CLASSES


def _boxes_in(path: Path, classes: tuple[str, ...], naming: Naming, *, ignored: bool) -> Iterator[TrueBox]:
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            index, *values = (float(word) for word in line.split())
        except ValueError as error:
            raise bad_line(path, number, "is not numbers", _FORM) from error
        if index not in range(len(classes)):
            known = ", ".join(f"{at} {name}" for at, name in enumerate(classes))
            raise ConfigError(f"{path.name}: line {number} names the class {index:g}, which has no name", hint=f"name it in classes.txt; known are {known}")
        xyxy = _box_of(values)
        if xyxy is None:
            raise bad_line(path, number, "is no box inside the picture", _FORM)
        if (label := naming.label_of(classes[int(index)], path.name)) is not None:
            yield TrueBox(label, xyxy, ignored)


def _box_of(values: list[float]) -> Box | None:
    """The box of a line's numbers after its class: centre and size, with a score that is not needed, or corners of a shape."""
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        xyxy = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    elif len(values) >= 6 and len(values) % 2 == 0:
        xyxy = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    else:
        return None
    inside = all(math.isfinite(edge) and -_OUTSIDE <= edge <= 1 + _OUTSIDE for edge in xyxy)
    return xyxy if inside and xyxy[0] < xyxy[2] and xyxy[1] < xyxy[3] else None


def _group_of(path: Path) -> Path:
    """The folder that a picture's folder `images` lies in, or the picture's own."""
    inside = [parent for parent in path.parents if parent.name == "images"]
    return inside[0].parent if inside else path.parent


def _label_files(path: Path) -> list[Path]:
    """The files that hold a picture's boxes, where there are any."""
    group = _group_of(path)
    if (group / "images") in path.parents:
        below = path.relative_to(group / "images").with_suffix(".txt")
        candidates = [group / "labels" / below, group / "ignore" / below]
    else:
        candidates = [path.with_suffix(".txt")]
    return [text for text in candidates if text.is_file()]


def _all_label_files(root: Path) -> Iterator[Path]:
    groups = {_group_of(path) for path in picture_files(root)} | {folder.parent for folder in root.rglob("labels") if folder.is_dir()}
    for group in sorted(groups):
        folders = [group / name for name in ("labels", "ignore")] if (group / "labels").is_dir() else []
        for folder in folders:
            yield from (path for path in sorted(folder.rglob("*.txt")) if path.name not in _CLASS_LISTS)
        if not folders:  # A readme may lie beside pictures; it does not begin with a number.
            yield from (path for path in sorted(group.glob("*.txt")) if path.name not in _CLASS_LISTS and _text_of(path).strip()[:1].isdigit())


def _subject_of(group: Path, naming: Naming) -> tuple[str | None, bool]:
    """The one label that a folder is about by its name, and whether it is about its absence."""
    name = group.resolve().name.lower()
    bare = name.removeprefix("no_")
    subject = next((label for label in naming.labels if bare in (label, f"{label}s")), None)
    return subject, subject is not None and bare != name


def _misses_only(folder: Path) -> frozenset[str]:
    stems: set[str] = set()
    for path in sorted(folder.glob("*miss_only.json")):
        try:
            listed: Any = json.loads(_text_of(path))
        except ValueError as error:
            raise SourceError(f"{path.name}: is not JSON", hint="write a list of the pictures' names without suffix") from error
        stems.update(str(stem) for stem in listed)
    return frozenset(stems)


def _text_of(path: Path) -> str:
    try:
        return read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else "is not text"
        raise SourceError(f"{path.name}: {words.lower()}", hint="label files are UTF-8 text") from error
