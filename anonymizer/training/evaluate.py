"""Cover and false boxes of a detector on labelled stills, as model cards hold them.

Cover is the share of marked objects that the covers hide (anonymizer.evaluation), at the lowest threshold, not below 0.05,
with at most that number of false boxes in a picture without such objects. One frame, no tracking. Pictures are brought to
the input size, also enlarged. What is counted is counted by anonymizer.evaluation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.config import load_config
from anonymizer.detection import Detector, load_detectors
from anonymizer.equipment import Equipment
from anonymizer.evaluation import LabelledPicture, LabelScores, Looker, Naming, Seen, load_data, precision_map, score_label
from anonymizer.evaluation.figures import Json, at_threshold, figure, thresholds_at
from anonymizer.types import Detections

FLOOR = 0.05  # no threshold below this is of use, whatever the false boxes
RATES = (0.25, 0.5, 1.0)
SIDES = (640, 960)
FIXED_THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
PARTLY_LABELLED = ("jf",)  # sources of ours in which what is found beside the labels may be right


class EnlargingDetector:
    """A detector that is shown every picture with its longer side at `side`: a run enlarges none, calibration has no others."""

    def __init__(self, detector: Detector, side: int) -> None:
        self._detector, self._side = detector, side
        self.name, self.labels = detector.name, detector.labels

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Boxes in the pixels of the pictures as given."""
        scales = [self._side / max(picture.shape[:2]) for picture in pictures]
        shown = [
            np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8) if scale > 1 else picture
            for picture, scale in zip(pictures, scales, strict=True)
        ]
        answers = self._detector.detect(shown)
        return [Detections(found.xyxy / np.float32(max(scale, 1.0)), found.score, found.label) for found, scale in zip(answers, scales, strict=True)]


def equipment_of(detectors: Sequence[Detector], labels: Sequence[str], side: int) -> Equipment:
    """A run's equipment with these networks alone, looking once at pictures of that size."""
    # The configuration wants to know where labels that are not ours come from, and nobody looks there.
    config = load_config({"detect": list(labels), "weights": dict.fromkeys(labels, detectors[0].name)}).config
    loaded = Equipment.of(config, [EnlargingDetector(detector, side) for detector in detectors])
    return replace(
        loaded,
        look=replace(loaded.look, long_side=side, tile_wh=None, near_side=None, coarse_side=None, least_alone=None),
        policy=replace(loaded.policy, look_long_side=side),
    )


def measured(
    detectors: Sequence[Detector],
    pictures: Sequence[LabelledPicture],
    labels: Sequence[str],
    *,
    sides: Iterable[int] = SIDES,
    scale: float = 1.0,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """A report for each label and size of picture, by "face 640 1x"."""
    found: dict[str, Json] = {}
    for side in sides:
        looker = Looker(equipment_of(detectors, labels, side), scale=scale)
        seen = []
        for one in looker.look_at_all(pictures):
            seen.append(one)
            if len(seen) % 50 == 0:
                tell(f"measuring at {side} px: {len(seen)} of {len(pictures)} pictures")
        found |= {f"{label} {side} {scale:g}x": report(seen, label) for label in labels}
    return found


def report(seen: Sequence[Seen], label: str) -> Json:
    """Thresholds, cover overall, by size and by source, and the precision map."""
    scores = score_label(seen, label, matching=False)
    out: Json = {"objects": len(scores.hidden), "found_at_all": _percent(figure(scores.hidden > 0, scores.picture))}
    for rate, threshold in thresholds_at(scores, RATES, lowest=FLOOR).items():
        point = at_threshold(scores, threshold)
        groups = {"by_size": point["by_size"], "by_source": point["by_attribute"].get("source", {})}
        shares = {name: {key: [_percent(known), known["objects"]] for key, known in group.items()} for name, group in groups.items()}
        out[f"at_{rate}"] = {"threshold": point["threshold"], "cover": _percent(point["cover"]), **shares}
    out["at_threshold"] = {f"{threshold:g}": _at(scores, threshold) for threshold in FIXED_THRESHOLDS}
    fully = [one for one in seen if one.picture.source not in PARTLY_LABELLED]
    out["precision"] = precision_map(fully, label)
    if not any(point["precision"] for point in out["precision"]):
        # No object stands in a picture that is marked completely: then what is found beside the marks counts as wrong.
        out["precision"] = precision_map([replace(one, picture=replace(one.picture, misses_only=False)) for one in seen], label)
    return out


def _at(scores: LabelScores, threshold: float) -> dict[str, float | None]:
    point = at_threshold(scores, threshold)
    false = point["false_boxes"]
    return {"cover": _percent(point["cover"]), "false_boxes": None if false is None else round(false["value"], 3)}


def _percent(known: Any) -> float | None:
    return None if known is None else round(known["percent"], 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("out", type=Path, help="JSON report")
    parser.add_argument("--sides", type=int, nargs="+", default=[640, 960, 1280])
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--classes", nargs="+", default=["face", "plate"])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    data, result = load_data(args.dev, Naming(tuple(args.classes)), "yolo"), dict[str, Json]()
    detectors = load_detectors(args.classes, {",".join(args.classes): str(args.model)}, threads=args.threads)
    for scale in args.scales:
        for side in args.sides:
            result |= measured(detectors, data.pictures, args.classes, sides=[side], scale=scale)
            for label in args.classes:
                key = f"{label} {side} {scale:g}x"
                now = [result[key][f"at_{rate}"] for rate in RATES]
                print(key, [(part["cover"], part["threshold"]) for part in now], now[0]["by_size"], now[0]["by_source"], flush=True)
            args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
