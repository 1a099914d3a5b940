"""Gather public sets of labelled pictures into one folder, for `mine`: `images` and `labels` of YOLO form, 0 face, 1 plate.

Each set is a checkout in a folder of its tag. Pictures are shrunk to 1280 px; those that also lie in the development set
(``--exclude``, by name and by content) and thumbnails are left out. `SOURCES` says where each set is from, and its licence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from anonymizer.training.arrays import Array, corners_of
from anonymizer.training.prepare import Excluded, yolo_text
from anonymizer.training.teachers import read_image

MOST_SIDE_PX, LEAST_SIDE_PX = 1280, 200
_PICTURES_OF = {"annots": "images", "annotations": "images", "trainlabels": "train", "validlabels": "valid"}  # of folders of VOC files
Found = Iterator[tuple[Path, Array]]
Reader = Callable[[Path, str], Found]


def voc(folder: Path, pattern: str) -> Found:
    """Pascal VOC files beside their pictures' folder; boxes in shares of the size that they state."""
    for text in sorted(folder.rglob(pattern)):
        root = ElementTree.parse(text).getroot()
        size = np.array([float(root.findtext(f"size/{key}", "0")) for key in ("width", "height")])
        rows = [[float(box.findtext(key, "0")) for key in ("xmin", "ymin", "xmax", "ymax")] for box in root.iter("bndbox")]
        home = text.parent.parent / _PICTURES_OF.get(text.parent.name, text.parent.name)
        for suffix in (".jpg", ".png"):
            if (picture := home / f"{text.name.removesuffix('.xml')}{suffix}").exists():
                yield picture, np.array(rows, np.float32).reshape(-1, 4) / np.tile(size, 2)


def yolo(folder: Path, pattern: str) -> Found:
    """YOLO files, boxes or outlines; a leading digit and a bar in the pattern (``1|*``) name the class that is meant."""
    only, pattern = pattern.split("|") if "|" in pattern else ("", pattern)
    for text in sorted(folder.rglob(f"labels/{pattern}")):
        home = Path(*("images" if part == "labels" else part for part in text.parent.parts))
        pictures = [path for suffix in (".jpg", ".png", ".jpeg") if (path := home / f"{text.stem}{suffix}").exists()]
        rows = []
        for line in text.read_text().splitlines():
            kind, *numbers = line.split() or [""]
            if not kind.isdigit() or only not in ("", kind) or len(numbers) < 4:  # lists of class names lie beside the labels
                continue
            points = np.array(numbers, np.float32).reshape(-1, 2)
            rows.append(corners_of(points[:1], points[1:])[0] if len(points) == 2 else np.concatenate([points.min(0), points.max(0)]))
        if pictures and rows:
            yield pictures[0], np.array(rows, np.float32)


def via(folder: Path, pattern: str) -> Found:
    """A project of the VGG Image Annotator, or the marks that it exports; a word and a bar in the pattern (``CAR|*``) name a class that is not meant."""
    other, pattern = pattern.split("|") if "|" in pattern else (None, pattern)
    for text in sorted(folder.glob(pattern)):
        project = json.loads(text.read_text())
        for entry in project.get("_via_img_metadata", project).values():
            regions = entry["regions"].values() if isinstance(entry["regions"], dict) else entry["regions"]
            meant = [region for region in regions if other is None or other not in region["region_attributes"].values()]
            shapes = [shape for region in meant if "width" in (shape := region["shape_attributes"])]
            if (picture := folder / entry["filename"]).exists():
                size = read_image(picture).shape[1::-1]
                rows = [[one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]] for one in shapes]
                yield picture, np.array(rows, np.float32).reshape(-1, 4) / np.tile(size, 2)


@dataclass(frozen=True, slots=True)
class Source:
    """A public set: where, under which licence, its files of labels.

    Of pictures that look alike every `nth` is taken. `reach` moves the edges left, top, right and bottom of boxes that are drawn otherwise than
    the rest outwards, in shares of their width and height: masks with the eyes above, where all others hold the forehead.
    """

    tag: str
    label: str
    repository: str
    commit: str
    licence: str
    read: Reader
    pattern: str
    nth: int = 1
    reach: tuple[float, float, float, float] = (0, 0, 0, 0)

    def boxes(self, shares: Array) -> Array:
        """Boxes (N, 4), left top right bottom in shares of a picture, as all other sets draw them."""
        wide_high = shares[:, 2:] - shares[:, :2]
        outwards = np.array(self.reach, np.float32) * (-1, -1, 1, 1)
        return np.asarray(np.clip(shares + np.tile(wide_high, 2) * outwards, 0, 1), np.float32)


SOURCES = (
    Source("rl", "plate", "RobertLucian/license-plate-dataset", "f00f309e4564", "MIT", voc, "*.xml"),
    Source("lpr", "plate", "unknowncz/LP_recognition", "ecd25180ff57", "CC BY 4.0", voc, "*.xml"),
    Source("vcp", "plate", "kratoscordoba7/VCP4 (Kaggle andrewmvd/car-plate-detection)", "3e9dbc9099ea", "as on Kaggle", voc, "*.xml"),
    Source("efm", "plate", "efm092000/Visi-n-por-Computador", "17e2d11936c7", "none stated", yolo, "**/*.txt"),
    Source("carl", "plate", "carlosfc02/VC_P4", "8052a03d4b36", "none stated", yolo, "*.txt"),
    Source("van", "plate", "vanshri28/tractor_dashboard", "62c8e5a4f6cc", "CC BY 4.0", yolo, "*.txt"),
    Source("snow", "plate", "70Null07/plateyolov8train", "8abc5cf2659b", "MIT", yolo, "*.txt"),
    Source("abd", "plate", "abdulaziz567/assignment", "9e342760c06d", "CC BY 4.0", yolo, "[!C]*.txt"),
    Source("abdcar", "plate", "abdulaziz567/assignment", "9e342760c06d", "CC BY 4.0", yolo, "C*.txt", 8),
    Source("qch", "plate", "Carlosqchao/VC_P4", "c64733adecfb", "none stated", yolo, "1|*.txt"),
    Source("rick", "plate", "pradeepelavarasan/Auto-Rickshaw-Number-Plate-Dataset", "b0c0e3ee19ba", "none stated", via, "AUTO|*.json"),
    Source("ece", "face", "SaltyfishQAQQ/ECE342-CV_Model", "b39671543d7c", "CC BY 4.0", yolo, "*.txt", 2),
    Source(
        "msk",
        "face",
        "marellanoc/MaskON (Kaggle andrewmvd/face-mask-detection)",
        "b6c6b2dad140",
        "as on Kaggle",
        voc,
        "maksssksksss*.xml",
        reach=(0.06, 0.36, 0.04, 0.03),
    ),
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path, help="a folder with one folder for each tag of SOURCES")
    parser.add_argument("out", type=Path)
    parser.add_argument("--exclude", type=Path, help="the development set")
    args = parser.parse_args()
    for name in ("images", "labels"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    excluded, count = Excluded(args.exclude), 0
    for source in SOURCES:
        for number, (path, shares) in enumerate(source.read(args.checkouts / source.tag, source.pattern)):
            if number % source.nth:
                continue
            image = read_image(path)
            if max(image.shape[:2]) < LEAST_SIDE_PX or excluded.holds(path, image):
                continue
            scale = min(1.0, MOST_SIDE_PX / max(image.shape[:2]))
            size = tuple(round(side * scale) for side in image.shape[1::-1])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image, np.uint8)
            rows = np.insert(source.boxes(shares) * np.tile(size, 2), 0, source.label == "plate", axis=1)
            name = f"{source.label}s__{source.tag}_{number:04d}"
            cv2.imwrite(str(args.out / "images" / f"{name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            (args.out / "labels" / f"{name}.txt").write_text(yolo_text(rows, *size))
            count += 1
    print(f"{count} pictures", flush=True)


if __name__ == "__main__":
    main()
