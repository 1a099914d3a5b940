"""Labelled faces as WIDER FACE has them (Yang et al. 2016): one text file for all pictures.

    0--Parade/0_Parade_marchingband_1_849.jpg       a picture, below the text file or a folder images beside it
    2                                               how many faces; with 0 a line of zeros follows
    449 330 122 149 0 0 0 0 0 0                     left top width height blur expression illumination invalid occlusion pose

The numbers after the box may be missing. An invalid face is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anonymizer.errors import SourceError
from anonymizer.evaluation.truth import LabelledPicture, Naming, TrueBox, bad_line, free_labels, source_of
from anonymizer.media.images import PICTURE_SUFFIXES
from anonymizer.regular import open_regular, read_regular

_MOST_BYTES = 1 << 28
_MOST_NAME_BYTES = 4096
_LABEL = "face"
_FORM = "after a picture's name comes the number of its faces, then for each: left top width height"
_FOLDERS = ("", "images", "WIDER_train/images", "WIDER_val/images", "WIDER_test/images")
# Position after the box -> what we call it, and the words for 0, 1, 2 of the data set's readme.
_ATTRIBUTES = {
    0: ("blur", ("clear", "normal", "heavy")),
    2: ("light", ("normal", "extreme")),
    4: ("occlusion", ("none", "partial", "heavy")),
    5: ("pose", ("typical", "atypical")),
}
_INVALID = 3


def load_wider(path: Path, naming: Naming) -> tuple[LabelledPicture, ...]:
    """Every picture of one annotation file; SourceError for lines that cannot be read and pictures that are not there."""
    label = naming.label_of(_LABEL, path.name)
    labelled = frozenset() if label is None else frozenset({label})
    found = []
    for name, rows in _entries(path):
        picture = _picture_at(path.parent, name)
        if picture is None:
            raise SourceError(f"{path.name}: the picture {name} is not there", hint=f"put it in {path.parent / 'images'}, or beside the text file")
        boxes = tuple(_true_box(label, row) for row in rows if label is not None and row[2] > 0 and row[3] > 0)
        source = picture.parent.name if "/" in name else source_of(picture)
        found.append(LabelledPicture(picture, boxes, labelled, free_labels(labelled, boxes), source))
    return tuple(found)


def looks_like_wider(path: Path) -> bool:
    """Whether a text file begins with a picture's name and a number."""
    try:
        with open_regular(path) as file:
            first, second = (file.readline(_MOST_NAME_BYTES).decode("utf-8").strip() for _ in range(2))
    except (OSError, UnicodeDecodeError):
        return False
    return Path(first).suffix.lower() in PICTURE_SUFFIXES and second.isdigit()


def _entries(path: Path) -> Iterator[tuple[str, list[list[float]]]]:
    try:
        lines = [line.strip() for line in read_regular(path, _MOST_BYTES).decode("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name}: cannot be read as text", hint="name the annotation file, wider_face_val_bbx_gt.txt for instance") from error
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        name = lines[at]
        if at + 1 >= len(lines) or not lines[at + 1].isdigit():
            raise bad_line(path, at + 2, f"is not the number of faces in {name}", _FORM)
        count = int(lines[at + 1])
        at += 2
        rows = []
        for number in range(at, at + count):
            rows.append(_numbers(path, number, lines[number] if number < len(lines) else ""))
        at += count
        # The data set writes a line of zeros where there is no face.
        if not count and at < len(lines) and Path(lines[at]).suffix.lower() not in PICTURE_SUFFIXES:
            at += 1
        yield name, rows


def _numbers(path: Path, at: int, line: str) -> list[float]:
    try:
        row = [float(word) for word in line.split()]
    except ValueError as error:
        raise bad_line(path, at + 1, "is not numbers", _FORM) from error
    if len(row) < 4:
        raise bad_line(path, at + 1, "is no box", _FORM)
    return row


def _true_box(label: str, row: list[float]) -> TrueBox:
    left, top, width, height = row[:4]
    marks = [int(value) for value in row[4:]]
    given = {name: words[marks[at]] for at, (name, words) in _ATTRIBUTES.items() if at < len(marks) and 0 <= marks[at] < len(words)}
    return TrueBox(label, (left, top, left + width, top + height), ignored=len(marks) > _INVALID and marks[_INVALID] == 1, attributes=given)


def _picture_at(folder: Path, name: str) -> Path | None:
    candidates = [base / below / name for base in (folder, folder.parent) for below in _FOLDERS]
    return next((path for path in candidates if path.is_file()), None)
