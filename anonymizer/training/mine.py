"""What the network of an earlier stage reports where a prepared set has no label.

* Faces that no teacher sees even faintly, and plates in ``no_plates``: mistakes. They are written to
  ``hard/<name>.txt`` (rows class x1 y1 x2 y2 in pixels), and the composer shows those places more often.
* Of all others, those that the network is sure of become labels: far plates and turned faces that neither the source
  nor the teachers marked.
* What is left is masked, in place: often real ones, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image, mask, overlap
from anonymizer.training.prepare import read_boxes, yolo_text
from anonymizer.training.teachers import CenterFace, Yolo, YuNet, read_image

LOW = (0.12, 0.2)  # scores from which a box of a face, of a plate counts
FAINT = (0.2, 0.15)  # scores from which YuNet-n and CenterFace may have seen something
SURE = (0.5, 0.75)  # scores from which nearly all boxes of a face, of a plate are right (the card's precision maps)
SIDES = (480, 960)


def unlabelled(network: Yolo, image: Image, labels: Array) -> Array:
    """Rows class x1 y1 x2 y2 score that the network reports beside all labels, the surest of each thing."""
    seen = [np.array([kind, *box], np.float32) for side in SIDES for kind, boxes in enumerate(network(image, side, min(LOW))) for box in boxes]
    rows: list[Array] = []
    for row in sorted(seen, key=lambda one: -one[5]):
        near = max(overlap(row[1:5], labels[:, 1:]).max(), overlap(row[1:5], np.array(rows).reshape(-1, 6)[:, 1:5]).max())
        if row[5] >= LOW[int(row[0])] and near < 0.1:
            rows.append(row)
    return np.array(rows, np.float32).reshape(-1, 6)


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
    network, count = Yolo(args.network, args.threads), np.zeros(3, int)
    yunet, centre = YuNet(args.yunet, args.threads), CenterFace(args.centerface, args.threads)
    for path in sorted((args.data / "images").glob("*.jpg")):
        name, image = path.stem, read_image(path)
        labels = read_boxes(args.data / "labels" / f"{name}.txt", image.shape[1], image.shape[0])
        rows = unlabelled(network, image, labels)
        if not len(rows):
            continue
        seen = [found for side in SIDES for found in (yunet(image, side, FAINT[0]), centre(image, side, FAINT[1]))]
        faces = np.concatenate(seen)
        real = np.array([overlap(row[1:5], faces).max() > 0.2 if row[0] == 0 else not name.startswith("no_plates__") for row in rows])
        sure = real & (rows[:, 5] >= np.array(SURE)[rows[:, 0].astype(int)])
        doubtful = real & ~sure
        if sure.any():
            text = args.data / "labels" / f"{name}.txt"
            text.write_text(f"{text.read_text().strip()}\n{yolo_text(rows[sure], *image.shape[1::-1])}".lstrip())
            labels = np.concatenate([labels, rows[sure, :5]])
        for box in rows[doubtful, 1:5]:
            mask(image, box, labels[:, 1:])
        if doubtful.any():
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 94])
        if not real.all():
            np.savetxt(args.data / "hard" / f"{name}.txt", rows[~real, :5], "%.1f")
        count += np.count_nonzero(sure), np.count_nonzero(doubtful), np.count_nonzero(~real)
    print(f"{count[0]} places labelled, {count[1]} doubtful ones masked, {count[2]} mistakes to show more often", flush=True)


if __name__ == "__main__":
    main()
