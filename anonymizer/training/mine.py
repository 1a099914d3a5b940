"""What the network of an earlier stage reports where a prepared set has no label.

* Faces, and plates in ``no_plates``: mistakes. They are written to ``hard/<name>.txt`` (rows class x1 y1 x2 y2 in
  pixels), and the composer shows those places more often.
* Plates elsewhere: often real ones, small, that neither the source nor the teachers saw. They are masked, in place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from anonymizer.training.canvas import Pictures
from anonymizer.training.prepare import mask, overlap
from anonymizer.training.teachers import Array, Yolo

LOW = (0.12, 0.2)  # scores from which a box of a face, of a plate counts
SIDES = (480, 960)


def mistaken(network: Yolo, pictures: Pictures, index: int) -> Array:
    """Rows class x1 y1 x2 y2 of one picture. Pictures of ``faces`` are left out: their crowds are not fully labelled."""
    name, labels = pictures.names[index], pictures.labels[index]
    if name.startswith("faces__"):
        return np.zeros((0, 5), np.float32)
    rows: list[Array] = []
    for side in SIDES:
        for kind, boxes in enumerate(network(pictures.images[index], side, min(LOW))):
            for box in boxes:
                near = max(overlap(box, labels[:, 1:]).max(), overlap(box, np.array(rows).reshape(-1, 5)[:, 1:]).max())
                if box[4] >= LOW[kind] and near < 0.1:
                    rows.append(np.array([kind, *box[:4]], np.float32))
    return np.array(rows, np.float32).reshape(-1, 5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="what prepare.py wrote")
    parser.add_argument("network", type=Path, help="ONNX of an earlier stage")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    (args.data / "hard").mkdir(exist_ok=True)
    network, pictures, count = Yolo(args.network, args.threads), Pictures(args.data), np.zeros(2, int)
    for index, name in enumerate(pictures.names):
        rows = mistaken(network, pictures, index)
        doubtful = (rows[:, 0] == 1) & (not name.startswith("no_plates__"))
        for box in rows[doubtful, 1:]:
            mask(pictures.images[index], box, pictures.labels[index][:, 1:])
        if doubtful.any():
            cv2.imwrite(str(args.data / "images" / f"{name}.jpg"), pictures.images[index], [cv2.IMWRITE_JPEG_QUALITY, 94])
        if not doubtful.all():
            np.savetxt(args.data / "hard" / f"{name}.txt", rows[~doubtful], "%.1f")
        count += np.count_nonzero(doubtful), np.count_nonzero(~doubtful)
    print(f"{count[0]} doubtful plates masked, {count[1]} mistakes to show more often", flush=True)


if __name__ == "__main__":
    main()
