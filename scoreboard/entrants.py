"""Who is measured: our presets with a run's own equipment, and single networks, ours and peers', at one input size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import anonymizer
from anonymizer.config import PRESETS, load_config
from anonymizer.detection import Detector, load_detectors, weights_sha256
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.evaluation import SCORE_FLOOR, LabelledPicture, Looker, Seen
from anonymizer.evaluation.looking import shown_with_truth
from anonymizer.types import Detections, Region
from scoreboard.peers import PEERS, Shelf, SizedDetector, find_of

SIDES = (320, 480, 640, 960, 1280)
# A single network's boxes are covered with customary margins, in shares of width and height on every side.
MARGINS: Mapping[str, float] = {"face": 0.12, "plate": 0.10}
OURS = "face_plate"
Look = Callable[[LabelledPicture], Seen]


@dataclass(frozen=True, slots=True)
class Entrant:
    """Something to measure. Presets know their sizes; networks are asked at each of `sides`."""

    name: str
    about: str
    labels: tuple[str, ...]
    fingerprint: Mapping[str, str]  # hashes of all that its figures depend on
    sides: tuple[int | None, ...]
    detector_at: Callable[[int | None, float], Detector] | None = None  # of networks: input size, lowest score
    equipment: Equipment | None = None  # of presets
    customary_score: float | None = None

    def look(self, side: int | None, scale: float, shift: str | None) -> tuple[Look, Look | None]:
        """What looks at a picture so, with margins, and for networks a second look without them."""
        if self.equipment is not None:
            return Looker(self.equipment, scale=scale, shift=shift).look_at, None
        assert self.detector_at is not None
        network = _NetworkLooker(self.detector_at(side, SCORE_FLOOR), self.customary_score, scale, shift)
        return network.look_at, network.look_again_without_margin


class _NetworkLooker:
    """Looks with one network alone: its boxes as they come, grown by the customary margin; no fusion, no tracker."""

    def __init__(self, detector: Detector, customary_score: float | None, scale: float, shift: str | None) -> None:
        self._detector, self._customary, self._scale, self._shift = detector, customary_score, scale, shift
        self._last: Seen | None = None

    def look_at(self, picture: LabelledPicture) -> Seen:
        """One picture, covers with margins."""
        rgb, truth = shown_with_truth(picture, self._scale, self._shift)
        (found,) = self._detector.detect([rgb])
        size_wh = (rgb.shape[1], rgb.shape[0])
        self._last = self._with_covers(Seen(picture, size_wh, truth, found, (), ()), MARGINS)
        return self._last

    def look_again_without_margin(self, picture: LabelledPicture) -> Seen:
        """The picture that was looked at last, with its plain boxes as covers."""
        assert self._last is not None
        assert self._last.picture is picture
        return self._with_covers(self._last, {})

    def _with_covers(self, seen: Seen, margins: Mapping[str, float]) -> Seen:
        covers = tuple(grown(xyxy, score, label, margins.get(label, 0.0)) for xyxy, score, label in zip(*_columns(seen.found), strict=True))
        planned = () if self._customary is None else tuple(cover for cover in covers if (cover.score or 0) >= self._customary)
        return replace(seen, covers=covers, planned=planned)


def _columns(found: Detections) -> tuple[list[list[float]], list[float], list[str]]:
    return found.xyxy.tolist(), found.score.tolist(), found.label.tolist()


def grown(xyxy: Sequence[float], score: float, label: str, margin: float) -> Region:
    """A box as cover, with a margin on every side.

    >>> grown((10, 20, 20, 40), 0.5, "plate", 0.1).xyxy
    (9.0, 18.0, 21.0, 42.0)
    """
    left, top, right, bottom = xyxy
    across, down = margin * (right - left), margin * (bottom - top)
    return Region(label, "box", (left - across, top - down, right + across, bottom + down), score=score)


class ResizingDetector:
    """A detector that is shown every picture with its longer side at `side`, enlarged too, as peers are."""

    def __init__(self, detector: Detector, side: int, lowest_score: float) -> None:
        self._detector, self._side, self._lowest_score = detector, side, lowest_score
        self.name, self.labels = detector.name, detector.labels

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Boxes in the pixels of the pictures as given."""
        return [self._detected(picture) for picture in pictures]

    def _detected(self, rgb: NDArray[np.uint8]) -> Detections:
        scale = self._side / max(rgb.shape[:2])
        size_wh = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
        resized = cv2.resize(rgb, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        (found,) = self._detector.detect([np.asarray(resized, np.uint8)])
        found = found.where(found.score >= self._lowest_score)
        return Detections(found.xyxy / np.float32(scale), found.score, found.label)


def preset(name: str) -> Entrant:
    """A preset of ours, with its shipped weights, on one thread."""
    equipment = Equipment.of(load_config({"preset": name, "threads": 1}).config)
    config_hash, weights = equipment.hashes
    about = f"preset {name}: {PRESETS[name].about}"
    fingerprint = {"config": config_hash, "weights": weights["plate"], "code": code_digest()}
    return Entrant(name, about, tuple(equipment.config.detect), fingerprint, (None,), equipment=equipment)


def code_digest() -> str:
    """A hash of the code between a picture and its covers: sizes, margins and fusion stand in no configuration."""
    package = Path(anonymizer.__file__).parent
    sources = [
        package / "equipment.py",
        package / "config/presets.py",
        *sorted(path for step in ("detection", "tracking") for path in (package / step).glob("*.py")),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def our_network() -> Entrant:
    """The shipped network alone, without what a preset adds."""
    labels = ("face", "plate")
    (detector,) = load_detectors(labels, {}, threads=1)
    at: Callable[[int | None, float], Detector] = lambda side, low: ResizingDetector(detector, side or 0, low)  # noqa: E731
    return Entrant(OURS, "our network alone, without what presets add", labels, {"weights": weights_sha256(labels, {})["plate"]}, SIDES, at)


def peer(name: str, shelf: Shelf) -> Entrant:
    """Somebody else's network, its weights fetched where they are not there."""
    known = PEERS[name]
    find = find_of(known, shelf.weights_of(known))
    at: Callable[[int | None, float], Detector] = lambda side, low: SizedDetector(name, known.label, find, side or 0, low)  # noqa: E731
    about = f"{known.about} ({known.licence})"
    return Entrant(name, about, (known.label,), {"weights": known.file_sha256}, SIDES, at, customary_score=known.customary_score)


def names_of(only: str | None) -> list[str]:
    """Which entrants are meant by --only: names, `presets`, `peers`, `networks`; None is all."""
    groups = {"presets": [*PRESETS], "peers": [*PEERS], "networks": [OURS, *PEERS]}
    every = [*PRESETS, OURS, *PEERS]
    if only is None:
        return every
    wanted = [name for word in only.split(",") for name in groups.get(word, [word])]
    if unknown := [name for name in wanted if name not in every]:
        raise ConfigError(f"--only: there is no {unknown[0]!r}", hint=f"there are {', '.join([*groups, *every])}")
    return list(dict.fromkeys(wanted))


def entrant_of(name: str, shelf: Shelf) -> Entrant:
    """The entrant of that name."""
    return preset(name) if name in PRESETS else our_network() if name == OURS else peer(name, shelf)
