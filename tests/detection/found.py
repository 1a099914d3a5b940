"""A detector for tests."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonymizer.types import Detections


class Found:
    """A detector that finds the same in every picture, and counts how often it looked."""

    def __init__(self, *found: Detections, error: Exception | None = None, takes_s: float = 0.0) -> None:
        self.name, self.looks, self.error, self.takes_s = "drawn", 0, error, takes_s
        self.found = Detections.joined(found)
        self.labels = tuple(dict.fromkeys(self.found.label.tolist()))

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.looks += 1
        if self.error:
            raise self.error
        time.sleep(self.takes_s)
        return [self.found for _ in pictures]
