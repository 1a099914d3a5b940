"""Two moments of the demo clip, as it was and as it is published, as two pictures.

    python samples/before_after.py samples/out/street.mp4 samples/out/street_anonymized.mp4 samples/out

Writes before.jpg and after.jpg. The README's pictures are made this way, with docs/images as the folder.
"""

import sys
from pathlib import Path

import av
import cv2
import numpy as np
from backdrop import Image

MOMENTS = (40, 149)  # frames
WIDTH = 640


def still(clip: str) -> Image:
    """The moments side by side."""
    with av.open(clip) as container:
        frames = [frame.to_ndarray(format="bgr24") for index, frame in enumerate(container.decode(video=0)) if index in MOMENTS]
    return np.hstack([cv2.resize(frame, (WIDTH, WIDTH * frame.shape[0] // frame.shape[1]), interpolation=cv2.INTER_AREA) for frame in frames])


def main(before: str, after: str, folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, clip in (("before", before), ("after", after)):
        cv2.imwrite(str(Path(folder) / f"{name}.jpg"), still(clip), (cv2.IMWRITE_JPEG_QUALITY, 82))


if __name__ == "__main__":
    main(*sys.argv[1:4])
