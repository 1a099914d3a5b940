"""Clips as lists of finds, run through the tracker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.tracking import Tracker, TrackingPolicy, glimpse_of
from anonymizer.types import Decision, Detections, Observation

SIZE_WH = (320, 180)
GEOMETRY = Geometry(SIZE_WH)
FPS = 25
STRONG, WEAK = 0.9, 0.3

Box = tuple[float, float, float, float]
Found = tuple[Box, float]


def scene(seed: int = 0) -> NDArray[np.uint8]:
    """A textured glimpse, the same for the same seed."""
    coarse = np.random.default_rng(seed).integers(20, 236, (6, 9, 3)).astype(np.uint8)
    return glimpse_of(np.kron(coarse, np.ones((30, 36, 1), np.uint8)))


SCENE, OTHER_SCENE = scene(0), scene(1)


def look(index: int, found: list[Found], label: str = "face") -> Observation:
    return Observation(index, Detections.of([box for box, _ in found], [score for _, score in found], label))


def run(
    frames: list[list[Found]],
    policy: TrackingPolicy | None = None,
    *,
    times_s: list[float] | None = None,
    glimpses: list[NDArray[np.uint8]] | None = None,
    damaged: frozenset[int] = frozenset(),
    label: str = "face",
) -> list[Decision]:
    """Every decision of a clip, after checking that each frame got exactly one, in order."""
    tracker = Tracker(policy or TrackingPolicy(), GEOMETRY, FPS)
    decisions: list[Decision] = []
    for index, found in enumerate(frames):
        time_s = times_s[index] if times_s else index / FPS
        glimpse = glimpses[index] if glimpses else SCENE
        decisions += tracker.push(look(index, found, label), time_s, glimpse, damaged=index in damaged)
    decisions += tracker.flush()
    assert [decision.frame_index for decision in decisions] == list(range(len(frames)))
    assert tracker.flush() == []
    return decisions


def at(cx: float, cy: float, side: float = 20, score: float = STRONG) -> Found:
    return (cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2), score


def covers(decision: Decision, box: Box) -> bool:
    """Whether one region's box holds the whole of `box`."""
    return any(r.xyxy[0] <= box[0] and r.xyxy[1] <= box[1] and r.xyxy[2] >= box[2] and r.xyxy[3] >= box[3] for r in decision.regions)


def covers_point(decision: Decision, x: float, y: float) -> bool:
    return any(r.xyxy[0] <= x < r.xyxy[2] and r.xyxy[1] <= y < r.xyxy[3] for r in decision.regions)


def covered_frames(decisions: list[Decision]) -> list[int]:
    return [decision.frame_index for decision in decisions if decision.regions]
