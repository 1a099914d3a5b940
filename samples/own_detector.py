"""A detector of your own in the place of the shipped models: here, for something nobody has trained a network for.

    python samples/own_detector.py samples/out/street.mp4 samples/out/headlamps.png

Covers the brightest spots (the car's headlamps) in the first frame. Tracking, sealing and failing closed stay as they
are: a detector that raises ends the run, and an empty answer always means that it looked and found nothing.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer import Anonymizer, Detections


class LampDetector:
    """Finds lamps: bright spots of some size."""

    name = "lamps"
    labels = ("lamp",)

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Boxes in the pixels of each RGB picture, one Detections a picture."""
        return [self._spots(picture) for picture in pictures]

    def _spots(self, rgb: NDArray[np.uint8]) -> Detections:
        bright = (rgb.min(axis=2) > 222).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        boxes = [(x, y, x + width, y + height) for x, y, width, height, area in stats[1:] if 12 <= area <= 400]
        return Detections.of(boxes, np.ones(len(boxes)), "lamp")


def main(source: str, target: str) -> None:
    _, frame = cv2.VideoCapture(source).read()
    with Anonymizer(detectors=[LampDetector()]) as anonymizer:
        image = frame.astype(np.uint8, copy=False)
        print(f"covers {len(anonymizer.detect(image))} lamps")
        cv2.imwrite(target, anonymizer.image(image))


if __name__ == "__main__":
    main(*sys.argv[1:3])
