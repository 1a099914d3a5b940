"""What every detector is, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anonymizer.types import Detections


class Detector(Protocol):
    """Finds things in pictures.

    `detect` gives one Detections for each picture, in order, in pixels of that picture, with labels out of `labels`.
    It may return more than anyone will want: thresholds are the caller's. It raises ModelError when it cannot answer;
    an empty Detections always means that it looked and found nothing. It is called by one thread
    at a time, unless `for_threads` says otherwise of what `load_detectors` gave.
    """

    @property
    def name(self) -> str:
        """How messages and reports name it: a shipped model's name, or a file name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that it may give."""

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Look at RGB pictures [H, W, 3], of any and of different sizes."""
