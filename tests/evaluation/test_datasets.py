"""Labels as people have them, in four forms, and what is said of labels that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anonymizer.errors import AnonymizerError, ConfigError, SourceError
from anonymizer.evaluation import DataSet, Naming, load_data
from tests.conftest import write_clip
from tests.evaluation.marked import draw, write_yolo, yolo_line

NAMING = Naming(("face", "plate"))
FACE, PLATE = (40.0, 30.0, 70.0, 70.0), (100.0, 90.0, 150.0, 110.0)
SIZE = (200, 150)


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw(SIZE, face=[FACE])).save(path)
    return path


def coco(folder: Path, **changes: Any) -> Path:
    save(folder / "images/a.png")
    save(folder / "images/b.png")
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [40, 30, 30, 40], "iscrowd": 0, "attributes": {"occluded": True, "pose": "side", "score": 0.5}},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"id": 3, "image_id": 1, "category_id": 8, "bbox": [100, 90, 50, 20]},
    ]
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    known: dict[str, Any] = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "face"}, {"id": 8, "name": "plate"}]}
    (folder / "labels.json").write_text(json.dumps(known | changes))
    return folder


def wider(folder: Path, *, last: str = "9 9 0 9") -> Path:
    save(folder / "WIDER_val/images/0--Parade/0_Parade_1.jpg")
    save(folder / "WIDER_val/images/1--Riot/1_Riot_2.jpg")
    lines = ["0--Parade/0_Parade_1.jpg", "3", "40 30 30 40 2 0 1 0 1 1", "0 0 9 9 0 0 0 1 0 0", last, "1--Riot/1_Riot_2.jpg", "0", "0 0 0 0 0 0 0 0 0 0"]
    (folder / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines) + "\n")
    return folder


def clip(folder: Path, frames: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    write_clip(folder / "one.mp4", frames=frames)
    box = {"id": 4, "label": "face", "xyxy": [1, 2, 30, 40], "ignore": False}
    (folder / "one.json").write_text(json.dumps({"label": "face", "frames": [[box], [{**box, "ignore": True}], []]}))
    return folder


def test_yolo_boxes_stand_where_they_were_put(tmp_path: Path) -> None:
    write_yolo(tmp_path, "gate_1", SIZE, face=[FACE], plate=[PLATE])
    (tmp_path / "ignore").mkdir()
    (tmp_path / "ignore/gate_1.txt").write_text(yolo_line(0, (0, 0, 10, 10), SIZE))
    write_yolo(tmp_path, "gate_2", SIZE, face=[FACE])
    write_yolo(tmp_path, "gate_3", SIZE)
    data = load_data(tmp_path, NAMING)
    first, second, third = data.pictures
    assert (data.format, first.source) == ("yolo", "gate")
    marked = [(box.label, tuple(round(edge, 6) for edge in box.xyxy), box.ignored) for box in first.boxes_in(SIZE, SIZE)]
    assert marked == [("face", FACE, False), ("plate", PLATE, False), ("face", (0, 0, 10, 10), True)]
    assert [set(picture.free) for picture in (first, second, third)] == [set(), {"plate"}, {"face", "plate"}]


def test_folders_named_after_a_label_are_about_it_alone(tmp_path: Path) -> None:
    write_yolo(tmp_path / "faces", "a", SIZE, face=[FACE])
    write_yolo(tmp_path / "faces", "b", SIZE)
    write_yolo(tmp_path / "no_plates", "c", SIZE)
    (tmp_path / "faces/crowd_miss_only.json").write_text('["a"]')
    pictures = load_data(tmp_path, NAMING).pictures
    assert [(set(picture.labelled), set(picture.free), picture.misses_only) for picture in pictures] == [
        ({"face"}, set(), True),
        ({"face"}, set(), False),
        ({"plate"}, {"plate"}, False),
    ]


def test_yolo_labels_lie_beside_pictures_or_in_nested_folders(tmp_path: Path) -> None:
    save(tmp_path / "beside/a.png")
    (tmp_path / "beside/a.txt").write_text(yolo_line(0, FACE, SIZE))
    (tmp_path / "beside/readme.txt").write_text("words")
    save(tmp_path / "nested/images/val/b.png")
    (tmp_path / "nested/labels/val").mkdir(parents=True)
    (tmp_path / "nested/labels/val/b.txt").write_text("0 0.1 0.1 0.3 0.1 0.3 0.4\n")
    boxes = [box.xyxy for picture in load_data(tmp_path, NAMING).pictures for box in picture.boxes]
    assert boxes == [pytest.approx((0.2, 0.2, 0.35, 70 / 150)), pytest.approx((0.1, 0.1, 0.3, 0.4))]


@pytest.mark.parametrize(("file", "text"), [("classes.txt", "plate\nFace\n"), ("data.yaml", "names: {0: plate, 1: Face}\n"), ("obj.names", "plate\nFace")])
def test_yolo_classes_have_the_names_they_are_given(tmp_path: Path, file: str, text: str) -> None:
    write_yolo(tmp_path, "a", SIZE, face=[FACE], plate=[PLATE])
    (tmp_path / file).write_text(text)
    (picture,) = load_data(tmp_path, Naming(("face", "plate"), {"Face": "face"})).pictures
    assert [box.label for box in picture.boxes] == ["plate", "face"]


def test_wider_boxes_come_with_what_is_known_of_them(tmp_path: Path) -> None:
    data = load_data(wider(tmp_path), NAMING)
    first, second = data.pictures
    assert (data.format, first.source, second.source) == ("wider", "0--Parade", "1--Riot")
    assert [(box.xyxy, box.ignored) for box in first.boxes] == [(FACE, False), ((0, 0, 9, 9), True)]
    assert first.boxes[0].attributes == {"blur": "heavy", "light": "extreme", "occlusion": "partial", "pose": "atypical"}
    assert (first.labelled, first.free, second.free) == ({"face"}, frozenset(), {"face"})


def test_coco_boxes_come_with_what_is_known_of_them(tmp_path: Path) -> None:
    data = load_data(coco(tmp_path), NAMING)
    first, second = data.pictures
    assert data.format == "coco"
    assert [(box.label, box.xyxy, box.ignored) for box in first.boxes] == [("face", FACE, False), ("face", (0, 0, 9, 9), True), ("plate", PLATE, False)]
    assert first.boxes[0].attributes == {"occluded": "yes", "pose": "side"}
    assert second.free == {"face", "plate"}


def test_clips_are_found_by_folder_and_by_file(tmp_path: Path) -> None:
    folder = clip(tmp_path)
    for path in (folder, folder / "one.json"):
        data = load_data(path, NAMING)
        assert data.format == "clips"
        assert [[(box.track_id, box.ignored) for box in frame] for frame in data.clips[0].frames] == [[("4", False)], [("4", True)], []]
        assert data.clips[0].labelled == {"face"}


def test_labels_nobody_looks_for_now_are_left_out(tmp_path: Path) -> None:
    (first, *_) = load_data(coco(tmp_path), Naming(("plate",))).pictures
    assert [box.label for box in first.boxes] == ["plate"]
    (first, *_) = load_data(tmp_path, Naming(("face",), {"plate": "none"})).pictures
    assert {box.label for box in first.boxes} == {"face"}


@pytest.mark.parametrize(
    ("name", "renamed", "label"),
    [("face", {}, "face"), ("Face ", {}, "face"), ("kopf", {"kopf": "face"}, "face"), ("car", {"*": "none"}, None), ("plate", {"*": "none"}, "plate")],
)
def test_class_names_lead_to_labels(name: str, renamed: dict[str, str], label: str | None) -> None:
    assert Naming(("face", "plate"), renamed).label_of(name, "labels.json") == label


def test_near_label_is_proposed_for_an_unknown_class() -> None:
    with pytest.raises(ConfigError) as raised:
        NAMING.label_of("license_plate", "labels.json")
    assert raised.value.hint == "say which label it is: --rename 'license_plate=plate', or leave it out: --rename 'license_plate=none'"


def empty(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def with_line(line: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_yolo(folder, "a", SIZE)
        (folder / "labels/a.txt").write_text(line)
        return folder

    return make


def orphan(folder: Path) -> Path:
    write_yolo(folder, "a", SIZE, face=[FACE])
    (folder / "labels/b.txt").write_text(yolo_line(0, FACE, SIZE))
    return folder


def forgotten(folder: Path) -> Path:
    write_yolo(folder, "a", SIZE, face=[FACE])
    (folder / "labels/a.txt").unlink()
    return folder


def not_free(folder: Path) -> Path:
    write_yolo(folder / "no_faces", "a", SIZE, face=[FACE])
    return folder


def no_video(folder: Path) -> Path:
    clip(folder)
    (folder / "two.json").write_text('{"frames": []}')
    return folder


def no_frames(folder: Path) -> Path:
    clip(folder)
    (folder / "one.json").write_text('{"label": "face"}')
    return folder


PEOPLE = [{"id": 7, "name": "face"}, {"id": 8, "name": "person"}]
GONE = [{"id": 1, "file_name": "gone.png"}]
WRONG = [
    pytest.param(lambda folder: folder / "gone", SourceError, "gone: there is no such file or folder", id="not-there"),
    pytest.param(empty, SourceError, "data: no labelled pictures or clips were found", id="empty"),
    pytest.param(with_line(""), SourceError, None, id="every-label-file-empty-is-no-error"),
    pytest.param(forgotten, SourceError, "data: holds pictures, and no label file", id="labels-forgotten"),
    pytest.param(orphan, SourceError, "b.txt: there is no picture of that name", id="label-without-picture"),
    pytest.param(with_line("2 0.5 0.5 0.1 0.1"), ConfigError, "a.txt: line 1 names the class 2, which has no name", id="class-without-a-name"),
    pytest.param(with_line("0 0.5 0.5 0.1"), SourceError, "a.txt: line 1 is no box inside the picture", id="three-numbers"),
    pytest.param(with_line("0 0.5 0.5 nan 0.1"), SourceError, "a.txt: line 1 is no box inside the picture", id="nan"),
    pytest.param(with_line("0 40 30 70 70"), SourceError, "a.txt: line 1 is no box inside the picture", id="pixels-instead-of-shares"),
    pytest.param(with_line("face 1 2 3 4"), SourceError, "a.txt: line 1 is not numbers", id="words"),
    pytest.param(not_free, SourceError, "a.png: is marked to hold what its folder no_faces says it does not", id="face-among-no-faces"),
    pytest.param(lambda folder: wider(folder, last="9 9"), SourceError, "wider_face_val_bbx_gt.txt: line 5 is no box", id="wider-half-a-box"),
    pytest.param(lambda folder: coco(folder, categories=PEOPLE), ConfigError, "labels.json: nothing looks for 'person'", id="unknown-category"),
    pytest.param(lambda folder: coco(folder, images=GONE), SourceError, "the picture gone.png is not there", id="coco-no-picture"),
    pytest.param(lambda folder: coco(folder, annotations=[{"image_id": 9}]), SourceError, "belongs to image 9, which it does not list", id="coco-no-image"),
    pytest.param(lambda folder: coco(folder, annotations=[{"image_id": 1}]), SourceError, "is not a COCO data set", id="coco-no-box"),
    pytest.param(no_video, SourceError, "two.json: there is no video of that name", id="truth-without-video"),
    pytest.param(no_frames, SourceError, "one.json: is not the truth of a clip", id="truth-without-frames"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "words"), WRONG)
def test_wrong_data_is_refused_in_words(tmp_path: Path, make: Callable[[Path], Path], kind: type[AnonymizerError], words: str | None) -> None:
    path = make(tmp_path / "data")
    if words is None:
        assert isinstance(load_data(path, NAMING), DataSet)
        return
    with pytest.raises(kind) as raised:
        load_data(path, NAMING)
    assert words in raised.value.problem
    assert raised.value.hint


def test_missing_picture_of_wider_is_named(tmp_path: Path) -> None:
    wider(tmp_path)
    (tmp_path / "WIDER_val/images/1--Riot/1_Riot_2.jpg").unlink()
    with pytest.raises(SourceError, match=r"the picture 1--Riot/1_Riot_2\.jpg is not there"):
        load_data(tmp_path, NAMING)


def test_format_can_be_said(tmp_path: Path) -> None:
    write_yolo(tmp_path, "a", SIZE, face=[FACE])
    assert load_data(tmp_path, NAMING, "yolo").format == "yolo"
    with pytest.raises(SourceError, match="no labels in the form coco were found"):
        load_data(tmp_path, NAMING, "coco")
    with pytest.raises(ConfigError, match="'yoloo' is not one of auto, yolo, wider, coco, clips"):
        load_data(tmp_path, NAMING, "yoloo")
