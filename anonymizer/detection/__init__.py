"""Frames -> observations: the only package that runs networks."""

from anonymizer.detection.detector import Detector
from anonymizer.detection.loading import for_threads, label_thresholds, load_detectors, load_vehicles, untested_labels, vehicles_card, weights_sha256
from anonymizer.detection.model_store import ModelCard, shipped_models, verify
from anonymizer.detection.observe import observe
from anonymizer.detection.schedule import LookPlan, Turns
from anonymizer.detection.session import available_cores
from anonymizer.detection.thresholds import STRICTNESS_WORDS, Thresholds, strictness_of
from anonymizer.detection.vehicles import VehicleTrust, vehicle_trust

__all__ = [
    "STRICTNESS_WORDS",
    "Detector",
    "LookPlan",
    "ModelCard",
    "Thresholds",
    "Turns",
    "VehicleTrust",
    "available_cores",
    "for_threads",
    "label_thresholds",
    "load_detectors",
    "load_vehicles",
    "observe",
    "shipped_models",
    "strictness_of",
    "untested_labels",
    "vehicle_trust",
    "vehicles_card",
    "verify",
    "weights_sha256",
]
