"""Prepare the training set: complete the labels with teachers, mask what nobody can decide.

In: folders ``faces plates no_faces no_plates`` of ``images/*.jpg`` and ``labels/*.txt`` (YOLO form,
0 face, 1 plate), ``faces`` also ``ignore/*.txt``. Out: ``images`` and ``labels`` in one folder.

* plates in every picture but ``no_plates``: fastanpr; score >= 0.5 is a label, 0.15-0.5 is masked.
* faces in ``plates`` and ``no_plates``: YuNet-n and CenterFace; both strong and overlapping is a
  label, anything weaker that either reports is masked.
* boxes of ``ignore`` are masked. A mask is a heavily blurred, mean-coloured area.
* pictures that also lie in the development set (``--exclude``, by name and by content) are left out.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from multiprocessing import Process
from pathlib import Path

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image, corners_of, mask, overlap
from anonymizer.training.teachers import CenterFace, Yolo, YuNet, read_image

SAME_BITS = 2  # of 64, by which two fingerprints of one picture may differ
PREFIX = re.compile(r"^(neg_alpr_(us|br|eu)_|oa(us|br|eu)_)")


def stem_key(path: Path) -> str:
    """A name without the prefix its collection got, to find the same picture elsewhere."""
    return re.sub(r"[^a-z0-9]", "", PREFIX.sub("", path.stem).lower())


def fingerprint(image: Image) -> int:
    """A 64-bit difference hash of a picture."""
    grey = cv2.cvtColor(cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int("".join("1" if b else "0" for b in bits), 2)


def read_boxes(path: Path, width: int, height: int) -> Array:
    """Rows class x1 y1 x2 y2 in pixels of a YOLO text file."""
    if not path.exists() or not path.read_text().strip():
        return np.zeros((0, 5), np.float32)
    rows = np.loadtxt(path, ndmin=2, dtype=np.float32)[:, :5]
    size = np.array([width, height], np.float32)
    return np.concatenate([rows[:, :1], corners_of(rows[:, 1:3] * size, rows[:, 3:5] * size)], 1)


def yolo_text(rows: Array, width: int, height: int) -> str:
    """Rows class x1 y1 x2 y2 in pixels as the text that `read_boxes` reads, clipped to the picture."""
    size = np.array([width, height], np.float32)
    low, high = (np.clip(rows[:, at : at + 2], 0, size) for at in (1, 3))
    shares = np.concatenate([(low + high) / 2 / size, (high - low) / size], 1)
    return "".join(f"{int(row[0])} " + " ".join(f"{value:.6f}" for value in xywh) + "\n" for row, xywh in zip(rows, shares, strict=True))


class Excluded:
    """The pictures that a set to learn from must not hold: those of the development set, by name and by content."""

    def __init__(self, folder: Path | None) -> None:
        paths = sorted(folder.glob("*/images/*")) if folder else []
        self._names = {stem_key(path) for path in paths}
        self._marks = [fingerprint(read_image(path)) for path in paths]

    def holds(self, path: Path, image: Image) -> bool:
        """Whether a picture is one of them."""
        mark = fingerprint(image)
        return stem_key(path) in self._names or any((mark ^ other).bit_count() <= SAME_BITS for other in self._marks)


class Teachers:
    """The three teachers and the rules by which they are believed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.plate = Yolo(args.plate_model)
        self.yunet, self.centre = YuNet(args.yunet), CenterFace(args.centerface)

    def plates(self, image: Image, side: int, known: Array) -> tuple[Array, Array]:
        """New plate labels, and boxes to mask."""
        sure: list[Array] = []
        unsure: list[Array] = []
        for box in self.plate(image, side, 0.15)[0]:
            if overlap(box, known).max() > 0.25:
                continue
            (sure if box[4] >= 0.5 else unsure).append(box[:4])
        return np.array(sure).reshape(-1, 4), np.array(unsure).reshape(-1, 4)

    def faces(self, image: Image, side: int) -> tuple[Array, Array]:
        """New face labels, and boxes to mask."""
        one, two = self.yunet(image, side, 0.4), self.centre(image, side, 0.25)
        sure: list[Array] = []
        unsure: list[Array] = []
        for box in one:
            best = overlap(box, two)
            other = two[int(best.argmax())] if len(two) else None
            agreed = other is not None and best.max() > 0.6 and box[4] >= 0.65 and other[4] >= 0.4
            (sure if agreed else unsure).append(box[:4])
        for box in two:
            if overlap(box, one).max() < 0.3:
                unsure.append(box[:4])
        return np.array(sure).reshape(-1, 4), np.array(unsure).reshape(-1, 4)


def work(args: argparse.Namespace, files: list[tuple[str, Path]], part: int) -> None:
    """Prepare some pictures; writes counts to ``counts_<part>.json``."""
    cv2.setNumThreads(1)
    teachers, count = Teachers(args), Counter[str]()
    for folder, path in files:
        image = read_image(path)
        height, width = image.shape[:2]
        texts = path.parents[1]
        labels = read_boxes(texts / "labels" / f"{path.stem}.txt", width, height)
        masks = [*read_boxes(texts / "ignore" / f"{path.stem}.txt", width, height)[:, 1:]]
        if folder != "no_plates":
            side = args.plate_side if folder == "plates" else args.plate_side_elsewhere
            sure, unsure = teachers.plates(image, side, labels[labels[:, 0] == 1, 1:])
            labels = np.concatenate([labels, np.insert(sure, 0, 1, axis=1)])
            masks += [*unsure]
            count[f"{folder}: plates added"] += len(sure)
            count[f"{folder}: plates masked"] += len(unsure)
        if folder in ("plates", "no_plates"):
            sure, unsure = teachers.faces(image, args.face_side)
            labels = np.concatenate([labels, np.insert(sure, 0, 0, axis=1)])
            masks += [*unsure]
            count[f"{folder}: faces added"] += len(sure)
            count[f"{folder}: faces masked"] += len(unsure)
        for box in masks:
            mask(image, box, labels[:, 1:])
        name = f"{folder}__{path.stem}"
        cv2.imwrite(str(args.out / "images" / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 94])
        (args.out / "labels" / f"{name}.txt").write_text(yolo_text(labels, width, height))
        count[f"{folder}: pictures"] += 1
    (args.out / f"counts_{part}.json").write_text(json.dumps(count, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exclude", type=Path, help="the development set")
    parser.add_argument("--plate-model", type=Path, required=True, help="fastanpr as ONNX")
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--centerface", type=Path, required=True)
    parser.add_argument("--plate-side", type=int, default=1280)
    parser.add_argument("--plate-side-elsewhere", type=int, default=960)
    parser.add_argument("--face-side", type=int, default=640)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    for name in ("images", "labels"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    excluded = Excluded(args.exclude)
    files, left_out = [], []
    for folder in ("plates", "faces", "no_faces", "no_plates"):
        for path in sorted((args.train / folder / "images").glob("*")):
            if excluded.holds(path, read_image(path)):
                left_out.append(f"{folder}/{path.name}")
            else:
                files.append((folder, path))
    (args.out / "left_out.json").write_text(json.dumps(left_out, indent=1))
    print(f"{len(files)} pictures, {len(left_out)} left out", flush=True)
    parts = [Process(target=work, args=(args, files[i :: args.processes], i)) for i in range(args.processes)]
    for process in parts:
        process.start()
    for process in parts:
        process.join()


if __name__ == "__main__":
    main()
