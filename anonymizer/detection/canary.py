"""The canary: a picture in which a face and a plate must be found before the first frame is looked at.

The hash proves that the weights are ours; the canary proves that here, on this machine and with this runtime, they
still see. Its picture and where that is from: `pictures/canary.json`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.detector import Detector
from anonymizer.detection.nms import areas, intersections, middles_in
from anonymizer.detection.observe import check_answer
from anonymizer.detection.watchdog import answer_within
from anonymizer.errors import ModelError
from anonymizer.types import Detections

PICTURES = Path(__file__).parent / "pictures"
MIN_SCORE = 0.25  # What Ultralytics calls a detection: a sharp frontal face of 100 px has to reach that.
MIN_IOU = 0.5
FOREIGN_MIN_IOU = 0.25  # Somebody else may mean the whole head by a face, or the plate with its frame.
_HINT = "the installation is broken: reinstall onnxruntime and video-anonymizer"


@cache
def canary() -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    """The picture, RGB, and the box [4] of each label that is in it."""
    try:
        rgb = cv2.imdecode(np.frombuffer((PICTURES / "canary.jpg").read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
        boxes = {label: np.asarray(box, np.float32) for label, box in json.loads((PICTURES / "canary.json").read_text("utf-8"))["xyxy"].items()}
    except (OSError, ValueError, KeyError, cv2.error) as error:
        raise ModelError("canary.jpg: the test picture cannot be read", hint=_HINT) from error
    if rgb is None:
        raise ModelError("canary.jpg: the test picture cannot be read", hint=_HINT)
    return np.asarray(rgb, np.uint8), boxes


def require_running(detector: Detector, timeout_s: float) -> Detections:
    """What a detector finds in the canary, whatever that is; ModelError unless its answer is whole and in time."""
    rgb, _ = canary()
    try:
        answer = answer_within(timeout_s, detector.name, lambda: detector.detect([rgb]))
        check_answer(answer, 1, detector)
    except ModelError:
        raise
    except Exception as error:  # a detector is anybody's code
        raise ModelError(f"{detector.name}: the detector failed on the test picture ({type(error).__name__}: {error})") from error
    return answer[0]


def require_canary(detector: Detector, timeout_s: float, *, min_iou: float = MIN_IOU, hint: str = _HINT) -> None:
    """ModelError unless a detector finds all of its labels that are in the canary."""
    found = require_running(detector, timeout_s)
    _, boxes = canary()
    for label in detector.labels:
        if label in boxes and not _is_found(found, label, boxes[label], min_iou):
            raise ModelError(f"{detector.name}: the model does not find the {label} in the test picture", hint=hint)


def require_head(detector: Detector, timeout_s: float) -> None:
    """ModelError unless a detector of heads finds the one that the canary's face is in."""
    found = require_running(detector, timeout_s)
    if not np.any(middles_in(found.xyxy[found.score >= MIN_SCORE], canary()[1]["face"][None])):
        raise ModelError(f"{detector.name}: the model does not find the head in the test picture", hint=_HINT)


def _is_found(found: Detections, label: str, box: NDArray[np.float32], min_iou: float) -> bool:
    likely = found.where((found.label == label) & (found.score >= MIN_SCORE))
    shared = intersections(box, likely.xyxy)
    return bool((shared >= min_iou * (areas(likely.xyxy) + areas(box[None]) - shared)).any())
