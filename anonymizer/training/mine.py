"""What the network of an earlier stage reports where a prepared set has no label.

* Faces that no teacher sees even faintly, and plates in ``no_plates``: mistakes. They are written to
  ``hard/<name>.txt`` (rows class x1 y1 x2 y2 in pixels), and the composer shows those places more often.
* All others: often real ones, small or turned away, that neither the source nor the teachers marked. They are
  masked, in place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image, mask, overlap
from anonymizer.training.prepare import read_boxes
from anonymizer.training.teachers import CenterFace, Yolo, YuNet, read_image

LOW = (0.12, 0.2)  # scores from which a box of a face, of a plate counts
FAINT = (0.2, 0.15)  # scores from which YuNet-n and CenterFace may have seen something
SIDES = (480, 960)


def unlabelled(network: Yolo, image: Image, labels: Array) -> Array:
    """Rows class x1 y1 x2 y2 that the network reports beside all labels."""
    rows: list[Array] = []
    for side in SIDES:
        for kind, boxes in enumerate(network(image, side, min(LOW))):
            for box in boxes:
                near = max(overlap(box, labels[:, 1:]).max(), overlap(box, np.array(rows).reshape(-1, 5)[:, 1:]).max())
                if box[4] >= LOW[kind] and near < 0.1:
                    rows.append(np.array([kind, *box[:4]], np.float32))
    return np.array(rows, np.float32).reshape(-1, 5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="what prepare.py wrote; its pictures are changed")
    parser.add_argument("network", type=Path, help="ONNX of an earlier stage")
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--centerface", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    (args.data / "hard").mkdir(exist_ok=True)
    network, count = Yolo(args.network, args.threads), np.zeros(2, int)
    yunet, centre = YuNet(args.yunet, args.threads), CenterFace(args.centerface, args.threads)
    for path in sorted((args.data / "images").glob("*.jpg")):
        name, image = path.stem, read_image(path)
        labels = read_boxes(args.data / "labels" / f"{name}.txt", image.shape[1], image.shape[0])
        rows = unlabelled(network, image, labels)
        if not len(rows):
            continue
        seen = [found for side in SIDES for found in (yunet(image, side, FAINT[0]), centre(image, side, FAINT[1]))]
        faces = np.concatenate(seen)
        doubtful = np.array([overlap(row[1:], faces).max() > 0.2 if row[0] == 0 else not name.startswith("no_plates__") for row in rows])
        for box in rows[doubtful, 1:]:
            mask(image, box, labels[:, 1:])
        if doubtful.any():
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 94])
        if not doubtful.all():
            np.savetxt(args.data / "hard" / f"{name}.txt", rows[~doubtful], "%.1f")
        count += np.count_nonzero(doubtful), np.count_nonzero(~doubtful)
    print(f"{count[0]} doubtful places masked, {count[1]} mistakes to show more often", flush=True)


if __name__ == "__main__":
    main()
