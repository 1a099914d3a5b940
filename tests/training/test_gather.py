"""Public sets in the forms that they come in, gathered into one folder."""

import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from anonymizer.training import gather
from anonymizer.training.prepare import read_boxes

WIDE, HIGH = 400, 300
BOX = (100, 60, 180, 120)  # left, top, right, bottom in px
SHARES = (0.35, 0.3, 0.2, 0.2)  # the same as middle and size, in shares of the picture


def picture(path: Path, seed: int, size: tuple[int, int] = (WIDE, HIGH)) -> Path:
    """A picture like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    return path


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def voc(of: str) -> str:
    corners = "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True))
    return f"<annotation><size><width>{WIDE}</width><height>{HIGH}</height></size><object><name>{of}</name><bndbox>{corners}</bndbox></object></annotation>"


def yolo(kind: int) -> str:
    return f"{kind} " + " ".join(str(value) for value in SHARES) + "\n"


def voc_set(folder: Path) -> None:
    picture(folder / "images" / "one.png", 1)
    text(folder / "annotations" / "one.xml", voc("plate"))


def voc_set_in_split_folders(folder: Path) -> None:
    picture(folder / "train" / "one.jpg", 1)
    text(folder / "trainlabels" / "one.xml", voc("0"))


def yolo_set(folder: Path) -> None:
    picture(folder / "valid" / "images" / "one.jpg", 1)
    text(folder / "valid" / "labels" / "one.txt", yolo(0))
    picture(folder / "valid" / "images" / "none.jpg", 2)
    text(folder / "valid" / "labels" / "none.txt", "")
    picture(folder / "valid" / "images" / "classes.jpg", 3)
    text(folder / "valid" / "labels" / "classes.txt", "plate of a car\n\n")


def yolo_set_of_outlines_in_nested_folders(folder: Path) -> None:
    left, top, right, bottom = (value / side for value, side in zip(BOX, (WIDE, HIGH) * 2, strict=True))
    picture(folder / "images" / "train" / "one.jpg", 1)
    text(folder / "labels" / "train" / "one.txt", f"0 {left} {top} {right} {top} {right} {bottom} {left} {bottom}\n")


def via_set(folder: Path) -> None:
    picture(folder / "one.jpg", 1)
    shape = {"name": "rect", "x": BOX[0], "y": BOX[1], "width": BOX[2] - BOX[0], "height": BOX[3] - BOX[1]}
    line = {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}
    regions = [{"shape_attributes": shape}, {"shape_attributes": line}]
    text(folder / "project.json", json.dumps({"one": {"filename": "one.jpg", "regions": regions}, "lost": {"filename": "lost.jpg", "regions": []}}))


def via_set_of_cars_too(folder: Path) -> None:
    """Whole vehicles are marked beside the plates, and taken for those a network learns to cover the vehicle."""
    via_set(folder)
    project = json.loads((folder / "project.json").read_text())
    car = {"name": "rect", "x": 0, "y": 0, "width": 100, "height": 90}
    for region in project["one"]["regions"]:
        region["region_attributes"] = {"kind": "KA 01"}
    project["one"]["regions"].append({"shape_attributes": car, "region_attributes": {"kind": "CAR"}})
    text(folder / "project.json", json.dumps(project))


def via_project(folder: Path) -> None:
    via_set(folder)
    text(folder / "project.json", json.dumps({"_via_settings": {}, "_via_img_metadata": json.loads((folder / "project.json").read_text())}))


def source(read: gather.Reader, pattern: str, label: str = "plate", nth: int = 1) -> gather.Source:
    return gather.Source("tag", label, "somebody/something", "0123", "MIT", read, pattern, nth)


def gathered(monkeypatch: pytest.MonkeyPatch, folder: Path, one: gather.Source, *more: str) -> dict[str, list[list[float]]]:
    """What the command writes: rows class left top right bottom by the name of the picture."""
    monkeypatch.setattr(gather, "SOURCES", (one,))
    monkeypatch.setattr(sys, "argv", ["gather", str(folder / "sets"), str(folder / "out"), *more])
    gather.main()
    found = {}
    for path in sorted((folder / "out" / "images").iterdir()):
        high, wide = cv2.imread(str(path)).shape[:2]
        found[path.stem] = read_boxes(folder / "out" / "labels" / f"{path.stem}.txt", wide, high).tolist()
    return found


@pytest.mark.parametrize(
    ("make", "read", "pattern"),
    [
        (voc_set, gather.voc, "*.xml"),
        (voc_set_in_split_folders, gather.voc, "*.xml"),
        (yolo_set, gather.yolo, "*.txt"),
        (yolo_set_of_outlines_in_nested_folders, gather.yolo, "**/*.txt"),
        (via_set, gather.via, "*.json"),
        (via_project, gather.via, "*.json"),
        (via_set_of_cars_too, gather.via, "CAR|*.json"),
    ],
)
@pytest.mark.parametrize(("label", "index"), [("face", 0), ("plate", 1)])
def test_every_form_gives_the_same_box(make, read, pattern: str, label: str, index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "sets" / "tag")
    (rows,) = gathered(monkeypatch, tmp_path, source(read, pattern, label)).values()
    assert rows == [pytest.approx([index, *BOX], abs=0.01)]


def test_one_class_alone_is_taken_where_a_pattern_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sets" / "tag"
    for number, kind in enumerate((0, 1)):
        picture(folder / "images" / f"{kind}.jpg", number)
        text(folder / "labels" / f"{kind}.txt", yolo(kind))
    assert list(gathered(monkeypatch, tmp_path, source(gather.yolo, "1|*.txt"))) == ["plates__tag_0000"]


def test_large_pictures_shrink_and_small_ones_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sets" / "tag"
    for name, size in (("large", (2 * gather.MOST_SIDE_PX, 960)), ("small", (gather.LEAST_SIDE_PX - 8, 96))):
        picture(folder / "images" / f"{name}.jpg", len(name), size)
        text(folder / "labels" / f"{name}.txt", yolo(0))
    found = gathered(monkeypatch, tmp_path, source(gather.yolo, "*.txt"))
    middle, size = np.array(SHARES[:2]) * (gather.MOST_SIDE_PX, 480), np.array(SHARES[2:]) * (gather.MOST_SIDE_PX, 480)
    assert found == {"plates__tag_0000": [pytest.approx([1, *(middle - size / 2), *(middle + size / 2)], abs=0.01)]}


def test_what_lies_in_the_development_set_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sets" / "tag"
    for number in range(4):
        picture(folder / "images" / f"{'abcd'[number]}.jpg", number)
        text(folder / "labels" / f"{'abcd'[number]}.txt", yolo(0))
    picture(tmp_path / "dev" / "plates" / "images" / "of_another_name.jpg", 0, (WIDE // 2, HIGH // 2))
    picture(tmp_path / "dev" / "plates" / "images" / "oaus_B.jpg", 99)
    found = gathered(monkeypatch, tmp_path, source(gather.yolo, "*.txt"), "--exclude", str(tmp_path / "dev"))
    assert list(found) == ["plates__tag_0002", "plates__tag_0003"]


def test_every_nth_of_pictures_that_look_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sets" / "tag"
    for number in range(5):
        picture(folder / "images" / f"{number}.jpg", number)
        text(folder / "labels" / f"{number}.txt", yolo(0))
    assert list(gathered(monkeypatch, tmp_path, source(gather.yolo, "*.txt", nth=3))) == ["plates__tag_0000", "plates__tag_0003"]


def test_boxes_drawn_otherwise_are_drawn_as_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc_set(tmp_path / "sets" / "tag")
    one = dataclasses.replace(source(gather.voc, "*.xml", "face"), reach=(0.1, 2.0, 0.05, 0.5))
    left, top, right, bottom = BOX
    assert top - 2.0 * (bottom - top) < 0  # above the picture: cut at its edge
    (rows,) = gathered(monkeypatch, tmp_path, one).values()
    assert rows == [pytest.approx([0, left - 8, 0, right + 4, bottom + 30], abs=0.01)]
