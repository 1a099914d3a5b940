"""Observations to decisions, looking ahead: tracker.py is the whole story, the other files are its chapters."""

from anonymizer.tracking.cuts import GLIMPSE_WH, glimpse_of
from anonymizer.tracking.policy import (
    DEFAULT_LABELS,
    PART_WITH_HEAD,
    PICTURE_LABELS,
    TRUSTED_AFTER,
    WARY_LABELS,
    WARY_TRUSTED_AFTER,
    LabelPolicy,
    TrackingPolicy,
)
from anonymizer.tracking.tracker import Tracker

__all__ = [
    "DEFAULT_LABELS",
    "GLIMPSE_WH",
    "PART_WITH_HEAD",
    "PICTURE_LABELS",
    "TRUSTED_AFTER",
    "WARY_LABELS",
    "WARY_TRUSTED_AFTER",
    "LabelPolicy",
    "Tracker",
    "TrackingPolicy",
    "glimpse_of",
]
