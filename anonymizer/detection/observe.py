"""One frame looked at by every detector: an Observation, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.detector import Detector
from anonymizer.detection.doubt import doubted
from anonymizer.detection.heads import without_known_heads
from anonymizer.detection.nms import fused, in_company, middles_in
from anonymizer.detection.schedule import LookPlan
from anonymizer.detection.second_look import confirmed
from anonymizer.detection.tiling import both_ways, by_size, coarse_view, merged, views, without_near_faces, without_unsure_large
from anonymizer.detection.vehicles import unsure_plates, weighed
from anonymizer.detection.watchdog import answer_within
from anonymizer.errors import ModelError
from anonymizer.types import Detections, Observation, Part, Picture


def observe(picture: Picture, detectors: Sequence[Detector], look: LookPlan, part: Part = "all", vehicles: Detector | None = None) -> Observation:
    """Look at the whole frame with every detector; one that raises, hangs or answers nonsense fails the frame.

    `part` leaves out one of the look's two sizes (`Turns`), never a part of the picture; where there are tiles, nothing. `vehicles` tells what speaks
    for unsure plates and against them, and is asked only where there are some.

    Boxes are those of the coded frame, clipped to it. No detectors found nothing: that is what `--detect none` asks.
    A failed observation is the last one: a detector that hangs is left behind in its thread and must not be asked again.
    """
    found: list[Detections] = []
    asked = ""
    try:
        for detector in detectors:
            asked = detector.name
            found.append(_seen(picture.rgb, detector, look, part))
        asked = asked if vehicles is None else vehicles.name
        seen = _weighed(Detections.joined(found), picture.rgb, vehicles, look)
    except ModelError as error:
        return Observation(picture.frame_index, None, failure=error.problem)
    except Exception as error:  # a detector is anybody's code: whatever it raises, it has not looked
        return Observation(picture.frame_index, None, failure=f"{asked}: {type(error).__name__}: {error}")
    seen = without_known_heads(seen, look.face_from)
    wanted = ~_in_zones(seen.xyxy, picture, look)
    return Observation(picture.frame_index, _coded(seen.where(wanted), picture), ignored=int(np.count_nonzero(~wanted)), part=part)


def _seen(rgb: NDArray[np.uint8], detector: Detector, look: LookPlan, part: Part) -> Detections:
    """What one detector sees in a picture, in its pixels, from the weak thresholds on, each thing once."""
    size_wh = (rgb.shape[1], rgb.shape[0])
    coarse = coarse_view(size_wh, look.coarse_side)
    fine = views(size_wh, look.tile_wh, look.tile_overlap)
    # What a tile shows no other frame's look does.
    part = part if coarse and len(fine) == 1 else "all"
    too_near = len(fine) == 1 and look.is_near(size_wh)
    fine = () if part == "coarse" else fine
    coarse = () if part == "fine" else coarse
    mirrored = [label for label in look.mirrored if label in detector.labels]
    if mirrored:
        fine, coarse = both_ways(fine), both_ways(coarse)
    answer = _answered([view.of(rgb) for view in (*fine, *coarse)], detector, look)
    strong_enough = [
        one.where(np.asarray([score >= look.weak.get(label, 0.0) for score, label in zip(one.score, one.label, strict=True)], bool)) for one in answer
    ]
    # What is written on a plate is not read backwards: there, networks see less and take more for one.
    strong_enough = [one.where(np.isin(one.label, mirrored)) if view.mirrored else one for view, one in zip((*fine, *coarse), strong_enough, strict=True)]
    seen_fine = merged(list(zip(fine, strong_enough, strict=False)), size_wh)
    seen_fine = without_near_faces(seen_fine, max(size_wh)) if too_near else seen_fine
    seen_coarse = merged(list(zip(coarse, strong_enough[len(fine) :], strict=True)), size_wh)
    if fine and coarse:
        seen = by_size(seen_fine, seen_coarse, max(size_wh))
    elif part == "fine":
        seen = without_unsure_large(seen_fine, max(size_wh))
    else:
        seen = seen_fine if fine else seen_coarse
    seen = fused(seen)
    if look.is_confirmed:
        seen = confirmed(seen, rgb, look.coarse_side, lambda small: _answered([small], detector, look)[0])
    return in_company(seen)


def _weighed(seen: Detections, rgb: NDArray[np.uint8], vehicles: Detector | None, look: LookPlan) -> Detections:
    """The same boxes with the scores that count: what is doubtful has less, a faint plate that a vehicle speaks for has more."""
    size_wh = (rgb.shape[1], rgb.shape[0])
    doubtful = doubted(seen, max(size_wh), is_confirmed=look.is_confirmed)
    if look.vehicles is None or not unsure_plates(seen).any():
        return doubtful
    if vehicles is None:
        raise ModelError("plates: nobody looked for vehicles", hint="this is a bug, please report it")
    (around,) = _answered([rgb], vehicles, look)
    return weighed(seen, doubtful.score, around, size_wh, look.vehicles)


def _answered(pictures: list[NDArray[np.uint8]], detector: Detector, look: LookPlan) -> list[Detections]:
    """A detector's answer for each picture, in time."""
    answer = answer_within(look.deadline_s, detector.name, lambda: detector.detect(pictures))
    check_answer(answer, len(pictures), detector)
    return answer


def check_answer(answer: list[Detections], pictures: int, detector: Detector) -> None:
    """ModelError unless the answer is one Detections for each picture, with known labels and scores in 0..1."""
    if not isinstance(answer, list) or len(answer) != pictures or not all(isinstance(part, Detections) for part in answer):
        raise ModelError(f"{detector.name}: the detector did not answer for every picture", hint="this is a bug in the detector")
    for part in answer:
        # Looked at again: their arrays can be written to after the first check, and NaN is below every threshold.
        part.__post_init__()
        if ((part.score < 0) | (part.score > 1)).any():
            raise ModelError(f"{detector.name}: the detector gives scores outside 0..1", hint="this is a bug in the detector")
        if unknown := set(part.label.tolist()) - set(detector.labels):
            raise ModelError(
                f"{detector.name}: the detector gives labels it does not list ({', '.join(sorted(unknown))})", hint="this is a bug in the detector"
            )


def _in_zones(xyxy: NDArray[np.float32], picture: Picture, look: LookPlan) -> NDArray[np.bool_]:
    """Which boxes of the picture have their centre in an ignore zone."""
    displayed = np.asarray(picture.geometry.displayed_wh * 2, np.float32)
    scale = displayed / np.tile((picture.rgb.shape[1], picture.rgb.shape[0]), 2)
    zones = np.asarray(look.ignore_zones_xyxy, np.float32).reshape(-1, 4)
    return np.asarray(np.logical_or.reduce(middles_in(zones, np.asarray(xyxy * scale, np.float32)), axis=0), np.bool_)


def _coded(seen: Detections, picture: Picture) -> Detections:
    """The picture's boxes as boxes of the coded frame, clipped to it; what lies outside of it is nowhere."""
    limits = np.asarray(picture.geometry.coded_wh * 2, np.float32)
    xyxy = np.clip(picture.to_coded(seen.xyxy), 0, limits)
    visible = np.flatnonzero((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))
    return Detections(xyxy[visible], seen.score[visible], seen.label[visible])
