"""Labelled pictures as COCO has them (Lin et al. 2014): one JSON file with images, annotations and categories.

Crowds and what is marked `ignore` count neither as right nor as wrong. `attributes` of an annotation that are words or
yes and no (labelling tools export occluded, blurred, ...) become groups of their own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonymizer.errors import SourceError
from anonymizer.evaluation.truth import LabelledPicture, Naming, TrueBox, free_labels, source_of
from anonymizer.regular import read_regular

_MOST_BYTES = 1 << 30
_HINT = "it needs images (id, file_name), annotations (image_id, category_id, bbox) and categories (id, name)"
_FOLDERS = ("", "images", "val", "train", "test", "val2017", "train2017")


def load_coco(path: Path, naming: Naming) -> tuple[LabelledPicture, ...]:
    """Every picture of one JSON file; SourceError for what is missing in it, ConfigError for categories nothing looks for."""
    read = read_json(path)
    try:
        names = {int(category["id"]): str(category["name"]) for category in read["categories"]}
        files = {int(image["id"]): str(image["file_name"]) for image in read["images"]}
        sizes = {int(image["id"]): (int(image["width"]), int(image["height"])) for image in read["images"] if "width" in image and "height" in image}
        labelled = naming.labels_of(names.values(), path.name)
        boxes: dict[int, list[TrueBox]] = defaultdict(list)
        for annotation in read["annotations"]:
            owner = int(annotation["image_id"])
            if owner not in files:
                raise SourceError(f"{path.name}: annotation {annotation.get('id', '?')} belongs to image {owner}, which it does not list", hint=_HINT)
            label = naming.label_of(names[int(annotation["category_id"])], path.name)
            if label is not None and (box := _true_box(label, annotation)) is not None:
                boxes[owner].append(box)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path.name}: is not a COCO data set ({type(error).__name__}: {error})", hint=_HINT) from error
    found = []
    for key, name in sorted(files.items(), key=lambda item: item[1]):
        picture = next((place for place in _places(path, name) if place.is_file()), None)
        if picture is None:
            raise SourceError(f"{path.name}: the picture {name} is not there", hint=f"put it in {path.parent / 'images'}, or beside the JSON file")
        found.append(LabelledPicture(picture, tuple(boxes[key]), labelled, free_labels(labelled, boxes[key]), source_of(picture), marked_wh=sizes.get(key)))
    return tuple(found)


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file holds images and annotations."""
    try:
        read = json.loads(read_regular(path, _MOST_BYTES))
    except (OSError, ValueError):
        return False
    return isinstance(read, dict) and {"images", "annotations"} <= set(read)


def read_json(path: Path) -> Any:
    """What a JSON file holds; SourceError if it holds none."""
    try:
        return json.loads(read_regular(path, _MOST_BYTES))
    except OSError as error:
        raise SourceError(f"{path.name}: {(error.strerror or 'cannot be read').lower()}", hint="check the path") from error
    except ValueError as error:
        raise SourceError(f"{path.name}: is not JSON ({error})", hint="export it again") from error


def _true_box(label: str, annotation: Mapping[str, Any]) -> TrueBox | None:
    left, top, width, height = (float(value) for value in annotation["bbox"])
    if width <= 0 or height <= 0:
        return None
    marks = annotation.get("attributes") or {}
    given = {str(name): value if isinstance(value, str) else "yes" if value else "no" for name, value in marks.items() if isinstance(value, bool | str)}
    ignored = bool(annotation.get("iscrowd") or annotation.get("ignore"))
    return TrueBox(label, (left, top, left + width, top + height), ignored, given)


def _places(path: Path, name: str) -> list[Path]:
    folders = (*_FOLDERS, path.stem.removeprefix("instances_"))
    return [base / below / name for base in (path.parent, path.parent.parent) for below in folders]
