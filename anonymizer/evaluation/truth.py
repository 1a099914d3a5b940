"""What people marked: boxes, the pictures and clips they stand in, and what may be concluded from them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from anonymizer.config import SHIPPED_LABELS
from anonymizer.errors import ConfigError, SourceError

Box = tuple[float, float, float, float]  # left, top, right, bottom
Format = Literal["yolo", "wider", "coco", "clips"]
FORMATS: tuple[Format, ...] = ("yolo", "wider", "coco", "clips")
NOTHING, OTHERS = "none", "*"  # A class that is renamed to the first is left out; the second stands for all other classes.


@dataclass(frozen=True, slots=True)
class TrueBox:
    """One marked object. An ignored one is real or undecidable: finding it is neither right nor wrong."""

    label: str
    xyxy: Box
    ignored: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)  # "blur": "heavy", as the data set gives them


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture and its boxes, in pixels as displayed or (`relative`) in shares of width and height.

    Every object of the `labelled` labels has a box; of the `free` ones there is none. With `misses_only` some have no
    box after all: what is found beside the boxes says nothing.
    """

    path: Path
    boxes: tuple[TrueBox, ...]
    labelled: frozenset[str]
    free: frozenset[str]
    source: str
    relative: bool = False
    misses_only: bool = False
    marked_wh: tuple[int, int] | None = None  # the size it had when it was marked, where the data tells

    def boxes_in(self, size_wh: tuple[int, int], was_wh: tuple[int, int]) -> tuple[TrueBox, ...]:
        """The boxes in pixels of the picture at `size_wh` (`was_wh` in the file), clipped to it; what lies outside is left out."""
        scale = size_wh if self.relative else (size_wh[0] / was_wh[0], size_wh[1] / was_wh[1])
        kept = []
        for box in self.boxes:
            left, right = (min(max(edge * scale[0], 0.0), size_wh[0]) for edge in box.xyxy[::2])
            top, bottom = (min(max(edge * scale[1], 0.0), size_wh[1]) for edge in box.xyxy[1::2])
            if left < right and top < bottom:
                kept.append(TrueBox(box.label, (left, top, right, bottom), box.ignored, box.attributes))
        return tuple(kept)


@dataclass(frozen=True, slots=True)
class ClipBox:
    """One object in one frame of a clip; `track_id` is the same in all its frames."""

    track_id: str
    label: str
    xyxy: Box
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A video and the boxes of each of its frames, in pixels as displayed; every object of the `labelled` labels has one."""

    path: Path
    frames: tuple[tuple[ClipBox, ...], ...]
    labelled: frozenset[str]
    marked_wh: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Labelled pictures, or labelled clips."""

    name: str
    format: Format
    pictures: tuple[LabelledPicture, ...] = ()
    clips: tuple[LabelledClip, ...] = ()


@dataclass(frozen=True, slots=True)
class Naming:
    """From the names that a data set gives its classes to the labels that are looked for; "*" renames all that nothing looks for."""

    labels: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)

    def label_of(self, name: str, where: str) -> str | None:
        """The label, or None for objects that are left out; ConfigError for a name that nobody knows."""
        label = self.renamed.get(name, name.strip().lower())
        if label not in (*self.labels, *SHIPPED_LABELS) and name not in self.renamed:
            label = self.renamed.get(OTHERS, name)
        if label in self.labels:
            return label
        if label == NOTHING or label in SHIPPED_LABELS:
            return None
        near = difflib.get_close_matches(label.lower(), self.labels, n=1, cutoff=0.3)
        target = near[0] if near else self.labels[0] if self.labels else NOTHING
        raise ConfigError(
            f"{where}: nothing looks for '{label}'", hint=f"say which label it is: --rename '{name}={target}', or leave it out: --rename '{name}={NOTHING}'"
        )

    def labels_of(self, names: Iterable[str], where: str) -> frozenset[str]:
        """The labels that a data set with these classes marks."""
        return frozenset(label for name in names if (label := self.label_of(name, where)) is not None)


def free_labels(labelled: Iterable[str], boxes: Sequence[TrueBox]) -> frozenset[str]:
    """Labels that are marked, but not in this picture: it shows none of them, not even an undecidable one."""
    return frozenset(labelled) - {box.label for box in boxes}


def source_of(path: Path) -> str:
    """Where a picture comes from, by its name: what stands before the first separator or number; else its folder.

    >>> [source_of(Path(name)) for name in ("gate/egm_0123.jpg", "gate/street12.jpg", "gate/0001.jpg", "ilc2021_4f.jpg")]
    ['egm', 'street', 'gate', 'ilc2021']
    """
    first, *more = re.split(r"[_\-. ]", path.stem, maxsplit=1)
    word = first if more else first.rstrip("0123456789")
    return word if re.search(r"[^\W\d]", word) else path.parent.name


def require_size(path: Path, size_wh: tuple[int, int], marked_wh: tuple[int, int] | None) -> None:
    """SourceError if boxes were marked in a picture of another size: all of them would lie elsewhere."""
    if marked_wh is not None and marked_wh != size_wh:
        now, then = (f"{width}x{height}" for width, height in (size_wh, marked_wh))
        raise SourceError(f"{path.name}: is {now}, and its labels are for {then}", hint="mark the file as it is displayed, or give the one that was marked")


def bad_line(path: Path, number: int, words: str, hint: str) -> SourceError:
    """The error for one line of a label file."""
    return SourceError(f"{path.name}: line {number} {words}", hint=hint)
