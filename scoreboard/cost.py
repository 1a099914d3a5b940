"""What a look at a 720p frame costs, one thread, all in turn: a machine that slows down in between slows every one.

From the decoded frame in memory to boxes: shrinking, network and decoding count. Counted is the processor's time of the
whole process, so that other programs on the machine count little.
"""

from __future__ import annotations

import itertools
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection import Turns
from anonymizer.detection.canary import canary
from anonymizer.equipment import Equipment
from anonymizer.evaluation.figures import Json
from anonymizer.geometry import Geometry
from anonymizer.media import picture_of
from anonymizer.types import Frame, Picture
from scoreboard.entrants import Entrant

FRAME_WH = (1280, 720)
# Boxes below are not decoded: a program that runs does not ask for them.
_LOWEST_SCORE = 0.1
_LOOKS = 3  # as many as take turns (`Turns`): of two the large one would be half
_FRAME_TIME = Fraction(1, 25)


def street_frame() -> NDArray[np.uint8]:
    """What is looked at: the test picture that every run looks at first, with a face and a plate in it, as a 720p frame."""
    rgb, _ = canary()
    return np.asarray(cv2.resize(rgb, FRAME_WH, interpolation=cv2.INTER_AREA), np.uint8)


def programs_of(entrants: Sequence[Entrant], frame: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    """What is timed, by unit name: presets as they are, networks at every size."""
    programs: dict[str, Callable[[], object]] = {}
    for entrant in entrants:
        for side in entrant.sides:
            programs[unit_name(entrant.name, side)] = _look_of(entrant, side, frame)
        if entrant.equipment is not None and entrant.equipment.look.in_turn:
            programs[in_video(entrant.name)] = _watch_of(entrant.equipment, frame)
    return programs


def unit_name(name: str, side: int | None) -> str:
    """How a network at a size is called in figures.

    >>> unit_name("balanced", None), unit_name("yunet", 640)
    ('balanced', 'yunet 640')
    """
    return name if side is None else f"{name} {side}"


def in_video(name: str) -> str:
    """How a preset whose frames share its looks is called where it watches a video."""
    return f"{name} in a video"


def _watch_of(equipment: Equipment, rgb: NDArray[np.uint8]) -> Callable[[], object]:
    """A look at the next frame of a video."""
    turns, frames = Turns(equipment.look), itertools.count()

    def watch() -> object:
        frame = Frame(0, next(frames), _FRAME_TIME, "rgb24", (rgb,))
        return equipment.observe(_picture(frame, equipment), part=turns.next(frame.time_s, (rgb.shape[1], rgb.shape[0])))

    return watch


def _look_of(entrant: Entrant, side: int | None, rgb: NDArray[np.uint8]) -> Callable[[], object]:
    if (equipment := entrant.equipment) is not None:
        frame = Frame(0, 0, _FRAME_TIME, "rgb24", (rgb,))
        alone = equipment.for_picture((rgb.shape[1], rgb.shape[0]))
        return lambda: alone.observe(_picture(frame, alone))
    assert entrant.detector_at is not None
    detector = entrant.detector_at(side, _LOWEST_SCORE)
    return lambda: detector.detect([rgb])


def _picture(frame: Frame, equipment: Equipment) -> Picture:
    height, width = frame.planes[0].shape[:2]
    return picture_of(frame, Geometry((width, height)), equipment.look.long_side)


def timed(programs: Mapping[str, Callable[[], object]], rounds: int) -> Json:
    """Milliseconds of processor time of a look of each, the median and the best of all rounds.

    Of three looks in each round, which may take turns, after one that is not counted.
    """
    cv2.setNumThreads(1)
    spent_ms: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            program()  # Not timed: the caches still hold what the program before left, a large network or a small one.
            begin_s = time.process_time()
            for _ in range(_LOOKS):
                program()
            if turn:  # The first one warms up.
                spent_ms[name].append(1000 / _LOOKS * (time.process_time() - begin_s))
    return {name: {"median_ms": round(statistics.median(spent), 2), "best_ms": round(min(spent), 2)} for name, spent in spent_ms.items()}


def machine() -> dict[str, Any]:
    """What the times were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"processor": names[0] if names else platform.machine(), "threads": 1, "onnxruntime": version("onnxruntime"), "frame_wh": list(FRAME_WH)}
