"""A labelled picture through the same door as any other: what is found in it, and what would be sealed.

Every picture is decided twice from one look of the networks. First as configured, which gives the plan that a run would
seal. Then with every threshold at a low floor, which gives all boxes that any threshold could choose, each with its score
and the cover it would get.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection import Detector
from anonymizer.equipment import Equipment
from anonymizer.evaluation.measured import measured_attributes
from anonymizer.evaluation.shifts import SHIFTS, TURNED, Rgb, shrunk, turned_truth
from anonymizer.evaluation.truth import LabelledPicture, TrueBox, require_size
from anonymizer.geometry import Geometry
from anonymizer.media import picture_of, read_image
from anonymizer.pipeline import Look, decided_frames
from anonymizer.tracking import glimpse_of
from anonymizer.types import Detections, Frame, Region

SCORE_FLOOR = 0.02  # Below it boxes come by the hundred a picture, and no useful threshold lies there.


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One picture as it was looked at: its truth, the boxes found from the floor on, and their covers."""

    picture: LabelledPicture
    size_wh: tuple[int, int]
    truth: tuple[TrueBox, ...]  # in pixels of the picture looked at; only boxes of its labelled labels
    found: Detections
    covers: tuple[Region, ...]  # of every box found, each with its score
    planned: tuple[Region, ...]  # what a run would seal

    def truth_of(self, label: str, *, ignored: bool = False) -> list[TrueBox]:
        """The counted (or the ignored) boxes of one label."""
        return [box for box in self.truth if box.label == label and box.ignored == ignored]


class _Remembering:
    """A detector that answers the same until it is told to forget: networks look once, thresholds choose twice."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._answer: list[Detections] | None = None
        self.name, self.labels = detector.name, detector.labels

    def forget(self) -> None:
        """Look anew at the next picture."""
        self._answer = None

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """What the detector said of these pictures."""
        if self._answer is None:
            self._answer = self._detector.detect(pictures)
        return self._answer


class Looker:
    """Looks at labelled pictures with a run's own equipment, at a scale and under a shift."""

    def __init__(self, equipment: Equipment, *, scale: float = 1.0, shift: str | None = None, floor: float = SCORE_FLOOR) -> None:
        self._detectors = tuple(_Remembering(detector) for detector in equipment.detectors)
        self._equipment = replace(equipment, detectors=self._detectors)
        self._floor = floor
        self._scale = scale
        self._shift = shift

    def look_at(self, picture: LabelledPicture) -> Seen:
        """One picture; SourceError if it cannot be read, ModelError if a detector fails."""
        shown, truth = shown_with_truth(picture, self._scale, self._shift)
        size_wh = (shown.shape[1], shown.shape[0])
        for detector in self._detectors:
            detector.forget()
        configured = self._equipment.for_picture(size_wh)
        planned, _ = self._decided(shown, configured)
        covers, found = self._decided(shown, _floored(configured, self._floor))
        return Seen(picture, size_wh, truth, found, covers, planned)

    def look_at_all(self, pictures: Iterable[LabelledPicture]) -> Iterator[Seen]:
        """Every picture, in order."""
        yield from map(self.look_at, pictures)

    @staticmethod
    def _decided(rgb: Rgb, equipment: Equipment) -> tuple[tuple[Region, ...], Detections]:
        geometry = Geometry((rgb.shape[1], rgb.shape[0]))
        frame = Frame(0, 0, Fraction(1, 1000), "rgb24", (rgb,))
        picture = picture_of(frame, geometry, equipment.look.long_side)
        observation = equipment.observe(picture)
        tracker = equipment.tracker_for(geometry, None)
        ((_, decision),) = decided_frames(iter([Look(frame, observation, glimpse_of(picture.rgb))]), tracker)
        return decision.regions, observation.detections or Detections.none()


def shown_with_truth(picture: LabelledPicture, scale: float = 1.0, shift: str | None = None) -> tuple[Rgb, tuple[TrueBox, ...]]:
    """A picture at a scale and under a shift, and the boxes of its labelled labels in it; SourceError if it cannot be read."""
    original = rgb_of(picture.path)
    was_wh = (original.shape[1], original.shape[0])
    require_size(picture.path, was_wh, picture.marked_wh)
    rgb = shrunk(original, scale)
    rgb = rgb if shift is None else SHIFTS[shift](rgb)
    # What a picture tells of an object is told by the original: groups stay the same under every shift.
    gray = np.asarray(cv2.cvtColor(original, cv2.COLOR_RGB2GRAY), np.uint8)
    known = tuple(_with_attributes(box, gray) for box in picture.boxes_in(was_wh, was_wh) if box.label in picture.labelled)
    if shift == TURNED:
        known, was_wh = turned_truth(known, was_wh)
    return rgb, replace(picture, boxes=known, relative=False).boxes_in((rgb.shape[1], rgb.shape[0]), was_wh)


def rgb_of(path: Path) -> Rgb:
    """The first page of a picture, upright, RGB uint8 [H, W, 3]."""
    frame = read_image(path).frame
    return picture_of(frame, Geometry(frame.size_wh), max(frame.size_wh)).rgb


def _floored(equipment: Equipment, floor: float) -> Equipment:
    """The same equipment, believing everything from the floor on."""
    labels = {label: replace(policy, strong_score=floor, weak_score=floor) for label, policy in equipment.policy.labels.items()}
    look = replace(equipment.look, weak=dict.fromkeys(equipment.look.weak, floor))
    return replace(equipment, look=look, policy=replace(equipment.policy, labels=labels))


def _with_attributes(box: TrueBox, gray: NDArray[np.uint8]) -> TrueBox:
    """The box with what can be measured of it, where the data set does not tell."""
    known: Mapping[str, str] = {**measured_attributes(gray, box.xyxy), **box.attributes}
    return replace(box, attributes=known)
