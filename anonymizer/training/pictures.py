"""The pictures of a training: read when first shown, kept as long as there is room, with all that nobody can decide masked.

What is masked, so that it is neither taught nor punished: boxes that the data ignores, and what the base network believes
to see of a label where the data does not say whether there is any (`doubtful_boxes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection import Detector
from anonymizer.evaluation import LabelledPicture, rgb_of
from anonymizer.evaluation.truth import Box, require_size
from anonymizer.training.arrays import Array, Image, mask, overlap
from anonymizer.training.recipe import Recipe

MOST_SIDE_PX = 1280  # larger pictures are shrunk: no canvas shows more of them
ROOM_BYTES = 3 << 30  # of all processes together
_SEEN_FROM = 0.1  # the score from which an unmarked thing may be one
_SEEN_SIDE_PX = 960
_BESIDE = 0.25  # the share of the smaller box up to which two boxes are two things
Tell = Callable[[str], None]


class Pictures:
    """What canvases are composed of: `at` gives a picture, its boxes, and places where an earlier network was wrong."""

    def __init__(
        self, pictures: Sequence[LabelledPicture], labels: Sequence[str], recipe: Recipe, doubtful: Mapping[Path, Sequence[Box]] | None = None
    ) -> None:
        self.labels = tuple(labels)
        self._pictures, self._doubtful = tuple(pictures), dict(doubtful or {})
        self._kept: dict[int, tuple[Image, Array, Array]] = {}
        self._room = ROOM_BYTES
        self.share = _shares(self._pictures, recipe)

    def __len__(self) -> int:
        return len(self._pictures)

    def share_room(self, processes: int) -> None:
        """Keep no more than a share of what there is room for: each process will have pictures of its own."""
        self._room = ROOM_BYTES // processes

    def at(self, index: int) -> tuple[Image, Array, Array]:
        """The picture (not to be written to), rows class left top right bottom in its pixels, and rows of hard places.

        SourceError if it cannot be read.
        """
        known = self._kept.get(index)
        if known is None:
            known = self._read(self._pictures[index])
            if self._room >= known[0].nbytes:
                self._room -= known[0].nbytes
                self._kept[index] = known
        return known

    def _read(self, picture: LabelledPicture) -> tuple[Image, Array, Array]:
        image, was_wh = _shown(picture)
        size_wh = (image.shape[1], image.shape[0])
        boxes = picture.boxes_in(size_wh, was_wh)
        rows = [[self.labels.index(box.label), *box.xyxy] for box in boxes if not box.ignored and box.label in self.labels]
        labels = np.array(rows, np.float32).reshape(-1, 5)
        scale = np.array([*size_wh, *size_wh], np.float32)
        ignored = [np.array(box.xyxy, np.float32) for box in boxes if box.ignored]
        doubtful = [np.array(box, np.float32) * scale for box in self._doubtful.get(picture.path, ())]
        for box in (*ignored, *doubtful):
            mask(image, box, labels[:, 1:])
        image.setflags(write=False)
        hard = _hard_places(picture.path)
        hard[:, 1:] *= size_wh[0] / was_wh[0]
        return image, labels, hard


def doubtful_boxes(pictures: Sequence[LabelledPicture], detector: Detector, labels: Sequence[str], tell: Tell) -> dict[Path, list[Box]]:
    """What the base sees of labels that a picture is not marked for, or not completely; boxes in shares of the picture."""
    unsure = [picture for picture in pictures if picture.misses_only or not set(labels) <= picture.labelled]
    found: dict[Path, list[Box]] = {}
    for at, picture in enumerate(unsure):
        if at % 100 == 0:
            tell(f"looking for what nobody marked: {at} of {len(unsure)} pictures")
        image, was_wh = _shown(picture, _SEEN_SIDE_PX)
        high, wide = image.shape[:2]
        marked = np.array([box.xyxy for box in picture.boxes_in((wide, high), was_wh)], np.float32).reshape(-1, 4)
        (seen,) = detector.detect([np.ascontiguousarray(image[:, :, ::-1])])
        for box, score, label in zip(seen.xyxy, seen.score, seen.label, strict=True):
            undecided = label in labels and (picture.misses_only or label not in picture.labelled)
            if undecided and score >= _SEEN_FROM and overlap(box, marked).max() < _BESIDE:
                left, top, right, bottom = (float(edge) for edge in box)
                found.setdefault(picture.path, []).append((left / wide, top / high, right / wide, bottom / high))
    return found


def _shown(picture: LabelledPicture, most_side: int = MOST_SIDE_PX) -> tuple[Image, tuple[int, int]]:
    """The picture, shrunk where it is larger than that, and the size it had."""
    rgb = rgb_of(picture.path)
    was_wh = (rgb.shape[1], rgb.shape[0])
    require_size(picture.path, was_wh, picture.marked_wh)
    scale = most_side / max(was_wh)
    if scale < 1:
        rgb = np.asarray(cv2.resize(rgb, (max(1, round(was_wh[0] * scale)), max(1, round(was_wh[1] * scale))), interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1]), was_wh


def _hard_places(path: Path) -> Array:
    """What `mine` wrote of a prepared set's picture: rows class left top right bottom in pixels."""
    text = path.parents[1] / "hard" / f"{path.stem}.txt" if path.parent.name == "images" else None
    return np.loadtxt(text, np.float32, ndmin=2) if text is not None and text.is_file() else np.zeros((0, 5), np.float32)


def _shares(pictures: Sequence[LabelledPicture], recipe: Recipe) -> NDArray[np.float64]:
    """How often each picture is shown."""
    weights = np.array([next((weight for pattern, weight in recipe.sampling.items() if fnmatchcase(one.path.stem, pattern)), 1.0) for one in pictures])
    empty = np.array([not any(not box.ignored for box in one.boxes) for one in pictures])
    most = recipe.object_free_most
    if most is not None and empty.any() and not empty.all():
        now = weights[empty].sum() / weights.sum()
        if now > most:
            weights[empty] *= most / now
            weights[~empty] *= (1 - most) / (1 - now)
    return np.asarray(weights / weights.sum(), np.float64)
