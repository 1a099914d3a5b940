"""A detector that knows: it reads the counter off the picture and answers with the true places of the secrets.

It lives here alone; no release can select it. A control file that a test writes (`set_trouble`) makes it go wrong at every look, as
long as the file says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection import Detector
from anonymizer.detection.canary import canary
from anonymizer.types import Detections
from tests.streaming.bench.painted import counter_of, secret_boxes
from tests.streaming.bench.scan import readable_secrets

CONTROL = "BENCH_ORACLE_CONTROL"  # the environment variable that names the control file
KEEN = "BENCH_ORACLE_KEEN"  # "1": the detector's process gets a keen one
PROGRAM = Path(__file__).with_name("oracle_detector.py")  # the detector's process with this oracle in it
LABEL, SCORE = "face", 0.99
_GROWTH = 1.45  # from a code's side to its disc's, for what is found by looking

Trouble = Literal[
    "raise",
    "hang",
    "nan",  # boxes that are no numbers
    "shape",  # arrays that do not fit together
    "few",  # fewer answers than pictures
    "label",  # a label that it does not list
    "nothing",  # looks, and finds nothing, whatever is there
    "slow",  # answers `ms` milliseconds late
    "exit",  # the process ends
]


class CounterError(Exception):
    """The picture shows no counter that can be read: the oracle does not know what is in it."""


class Oracle:
    """Answers for painted pictures of any size, and for the canary.

    `keen`: it also finds what can be read in the picture, wherever it is, as a real detector does, and without a counter that
    is all; else the counter alone counts, and a picture without one raises.
    """

    name = "oracle"
    labels: tuple[str, ...] = (LABEL,)

    def __init__(self, control: Path | None = None, *, keen: bool = False) -> None:
        named = os.environ.get(CONTROL)
        self._control = control or (Path(named) if named else None)
        self._keen = keen
        self.looks = 0

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """The truth about each RGB picture, or the trouble that is asked for."""
        self.looks += 1
        asked = self._asked()
        before = _BEFORE.get(asked.get("trouble", ""))
        if before is not None:
            before(asked)
        answers = [self._truth(picture) for picture in pictures]
        after = _AFTER.get(asked.get("trouble", ""))
        return answers if after is None else after(answers, asked)

    def _asked(self) -> dict[str, Any]:
        """What the control file says now; a test replaces it as a whole."""
        if self._control is None or not self._control.exists():
            return {}
        return dict(json.loads(self._control.read_text("utf-8") or "{}"))

    def _truth(self, rgb: NDArray[np.uint8]) -> Detections:
        known, marked = canary()
        if rgb.shape == known.shape and np.array_equal(rgb, known):
            labels = [label for label in self.labels if label in marked]
            return Detections.of([marked[label] for label in labels], [SCORE] * len(labels), labels)
        luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        counter = counter_of(luma)
        if counter is None and not self._keen:
            raise CounterError("the picture shows no counter")
        boxes = [] if counter is None else list(secret_boxes(counter, (rgb.shape[1], rgb.shape[0])))
        if self._keen:
            boxes += [_grown(one.xyxy) for one in readable_secrets(luma)]
        return Detections.of(boxes, [SCORE] * len(boxes), LABEL)


def _grown(xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """From the code that was found to the disc around it."""
    left, top, right, bottom = xyxy
    across, down = (right - left) * (_GROWTH - 1) / 2, (bottom - top) * (_GROWTH - 1) / 2
    return left - across, top - down, right + across, bottom + down


def set_trouble(control: Path, trouble: Trouble | None, **values: float) -> None:
    """Let the oracle that reads this file go wrong from its next look on, or be well again."""
    fresh = control.with_name(f".{control.name}.new")
    fresh.write_text(json.dumps({"trouble": trouble, **values} if trouble else {}), "utf-8")
    fresh.replace(control)


def oracles(config: object = None) -> list[Detector]:
    """What the detector's process takes in the place of the configured models; the environment names the control file."""
    return [Oracle(keen=os.environ.get(KEEN) == "1")]


# --- troubles before the look


def _raise(asked: dict[str, Any]) -> None:
    raise RuntimeError("the oracle was told to fail")


def _hang(asked: dict[str, Any]) -> None:
    time.sleep(float(asked.get("seconds", 3600)))


def _slow(asked: dict[str, Any]) -> None:
    time.sleep(float(asked["ms"]) / 1000)


def _exit(asked: dict[str, Any]) -> None:
    os._exit(13)


_BEFORE: dict[str, Callable[[dict[str, Any]], None]] = {"raise": _raise, "hang": _hang, "slow": _slow, "exit": _exit}


# --- and after it


def _forged(xyxy: NDArray[np.float32], score: NDArray[np.float32], label: NDArray[np.str_]) -> Detections:
    """Detections that no constructor would have let through."""
    forged = object.__new__(Detections)
    for name, value in (("xyxy", xyxy), ("score", score), ("label", label)):
        object.__setattr__(forged, name, value)
    return forged


def _nan(answers: list[Detections], asked: dict[str, Any]) -> list[Detections]:
    return [_forged(np.full((1, 4), np.nan, np.float32), np.full(1, SCORE, np.float32), np.full(1, LABEL)) for _ in answers]


def _shape(answers: list[Detections], asked: dict[str, Any]) -> list[Detections]:
    return [_forged(np.zeros((2, 3), np.float32), np.full(1, SCORE, np.float32), np.full(1, LABEL)) for _ in answers]


def _few(answers: list[Detections], asked: dict[str, Any]) -> list[Detections]:
    return answers[:-1]


def _label(answers: list[Detections], asked: dict[str, Any]) -> list[Detections]:
    return [Detections.of([[10, 10, 60, 60]], [SCORE], "unicorn") for _ in answers]


def _nothing(answers: list[Detections], asked: dict[str, Any]) -> list[Detections]:
    return [Detections.none() for _ in answers]


_AFTER: dict[str, Callable[[list[Detections], dict[str, Any]], list[Detections]]] = {
    "nan": _nan,
    "shape": _shape,
    "few": _few,
    "label": _label,
    "nothing": _nothing,
}
