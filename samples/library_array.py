"""Frames as arrays, from any source, through the anonymizer and on to any sink.

    python samples/library_array.py samples/out/street.mp4 samples/out/array.mp4

Here OpenCV reads and writes; a camera, a simulator or another program's frames work the same way. What comes out is
delayed by the look-ahead (one second) and flushed at the end.
"""

import sys
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer import Anonymizer


def frames_of(capture: cv2.VideoCapture) -> Iterator[NDArray[np.uint8]]:
    """BGR uint8 [H, W, 3] until the stream ends."""
    while True:
        more, frame = capture.read()
        if not more:
            return
        yield frame.astype(np.uint8, copy=False)


def main(source: str, target: str) -> None:
    capture = cv2.VideoCapture(source)
    fps = capture.get(cv2.CAP_PROP_FPS)
    size_wh = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(target, cv2.VideoWriter.fourcc(*"mp4v"), fps, size_wh)
    count = 0
    with Anonymizer(preset="fast") as anonymizer:
        for frame in anonymizer.process(frames_of(capture), fps=fps):
            writer.write(frame)
            count += 1
    writer.release()
    print(f"{count} frames, every one of them sealed before it reached the writer")


if __name__ == "__main__":
    main(*sys.argv[1:3])
