"""A detector of your own in the place of the shipped models: here, for blue cars, found by their colour.

    python samples/own_detector.py samples/out/street.mp4 samples/out/car.png

Covers the car in the first frame. Tracking, sealing and failing closed stay as they are: a detector that raises ends
the run, and an empty answer always means that it looked and found nothing.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer import Anonymizer, Detections

BLUE = np.array([98, 105, 30]), np.array([114, 255, 255])  # hue, saturation, value as OpenCV counts them


class BlueCarDetector:
    """Finds large blue things."""

    name = "blue cars"
    labels = ("car",)

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """Boxes in the pixels of each RGB picture, one Detections a picture."""
        return [self._blue_things(picture) for picture in pictures]

    def _blue_things(self, rgb: NDArray[np.uint8]) -> Detections:
        blue = cv2.morphologyEx(cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), *BLUE), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(blue, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)))
        boxes = [(x, y, x + width, y + height) for x, y, width, height, area in stats[1:] if area >= 0.004 * blue.size]
        return Detections.of(boxes, np.ones(len(boxes)), "car")


def main(source: str, target: str) -> None:
    _, frame = cv2.VideoCapture(source).read()
    with Anonymizer(detectors=[BlueCarDetector()]) as anonymizer:
        image = frame.astype(np.uint8, copy=False)
        print(f"covers {len(anonymizer.detect(image))} blue car")
        cv2.imwrite(target, anonymizer.image(image))


if __name__ == "__main__":
    main(*sys.argv[1:3])
