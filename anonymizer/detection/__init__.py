"""Frames -> observations: the only package that runs networks."""

from anonymizer.detection.detector import Detector
from anonymizer.detection.loading import label_thresholds, load_detectors, untested_labels, weights_sha256
from anonymizer.detection.model_store import ModelCard, shipped_models, verify
from anonymizer.detection.observe import observe
from anonymizer.detection.schedule import LookPlan, Part, Turns
from anonymizer.detection.thresholds import STRICTNESS_WORDS, Thresholds, strictness_of

__all__ = [
    "STRICTNESS_WORDS",
    "Detector",
    "LookPlan",
    "ModelCard",
    "Part",
    "Thresholds",
    "Turns",
    "label_thresholds",
    "load_detectors",
    "observe",
    "shipped_models",
    "strictness_of",
    "untested_labels",
    "verify",
    "weights_sha256",
]
