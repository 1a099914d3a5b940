"""The report: a stable schema, tables that hold every figure, a plot, and an extra that may not be installed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anonymizer.errors import ConfigError
from anonymizer.evaluation import Naming, Wishes, evaluate, load_data, plot_png, report_text, require_plot
from anonymizer.publishing import Progress
from tests.evaluation.marked import ColorDetector, equipment_of, write_yolo

FACE, PLATE = (40.0, 30.0, 70.0, 70.0), (100.0, 90.0, 150.0, 110.0)
SIZE = (200, 150)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at in range(4):
        write_yolo(tmp_path / "gate", f"gate_{at}", SIZE, face=[FACE], plate=[PLATE])
        write_yolo(tmp_path / "gate", f"empty_{at}", SIZE)
    return tmp_path / "gate"


def report_of(folder: Path, detector: ColorDetector | None = None, **wishes: Any) -> Any:
    return evaluate(load_data(folder, Naming(("face", "plate"))), equipment_of(detector or ColorDetector()), Wishes(**wishes))


def test_report_is_json_and_says_what_it_is(folder: Path) -> None:
    report = json.loads(json.dumps(report_of(folder), allow_nan=False))
    assert (report["schema"], report["version"]) == ("anonymizer-evaluation", 1)
    assert list(report) == ["schema", "version", "program", "data", "settings", "measure", "hidden_share", "labels"]
    assert report["data"] == {"name": "gate", "format": "yolo", "pictures": {"total": 8}}
    assert report["hidden_share"] == {"face": 0.7, "plate": 0.9}
    label = ["pictures", "objects", "ignored", "object_free_pictures", "as_configured", "at_false_boxes", "ap50", "ar50", "curve"]
    assert list(report["labels"]["face"]) == label
    point = ["threshold", "cover", "false_boxes", "area", "by_size", "by_attribute", "recall"]
    assert list(report["labels"]["face"]["as_configured"]) == point
    assert sorted(report["labels"]["face"]["at_false_boxes"]["0.25"]) == sorted([*point, "at_floor"])
    assert list(report["labels"]["face"]["as_configured"]["cover"]) == ["percent", "interval", "right", "objects"]


def test_perfect_detector_reads_100_in_every_row(folder: Path) -> None:
    text = report_text(report_of(folder))
    assert text.startswith("gate: 8 pictures (yolo), preset fast, strictness 0.5\n")
    assert "face: 4 objects in 4 pictures, 0 ignored, 4 pictures without one" in text
    assert "AP50 100.0 (100.0-100.0), AR50 100.0 (100.0-100.0)" in text
    for name in ("as configured", "0.1 false boxes", "0.25 false boxes", "0.5 false boxes", "1 false boxes"):
        (row, _) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert "100.0 (51.0-100.0)" in row
    assert "…" not in text


def test_split_is_told_and_sets_thresholds_elsewhere(folder: Path) -> None:
    report = report_of(folder, split="half")
    assert report["data"]["pictures"] == {"total": 8, "set_on": 4, "reported": 4}
    assert report["labels"]["face"]["objects"] == 2
    assert "thresholds set on 4 pictures, figures of the other 4" in report_text(report)


def test_split_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, "a_1", SIZE, face=[FACE])
    with pytest.raises(ConfigError, match="--split half: leaves no object-free pictures to set thresholds on for face"):
        report_of(tmp_path, split="half")


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"scale": 0}, "--at: 0 is not above 0"),
        ({"scale": 2}, "--at: 2 is not"),
        ({"shift": "fog"}, "'fog' is not one of jpeg"),
        ({"split": "x"}, "'x' is not one"),
    ],
)
def test_wishes_that_cannot_be_are_refused(wishes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Wishes(**wishes)


def test_progress_is_told_for_every_picture(folder: Path) -> None:
    told: list[Progress] = []
    evaluate(load_data(folder, Naming(("face", "plate"))), equipment_of(ColorDetector()), Wishes(), told.append)
    assert [(one.frames_done, one.frames_expected) for one in told] == [(at, 8) for at in range(1, 9)]
    assert told[-1].covered == 8


@pytest.mark.parametrize("blind", [False, True])
def test_plot_is_a_picture(folder: Path, blind: bool) -> None:
    with Image.open(io.BytesIO(plot_png(report_of(folder, ColorDetector(blind=blind))))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400


def test_clips_have_no_plot() -> None:
    with pytest.raises(ConfigError, match="clips have no curve"):
        require_plot("clips")


def test_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    detector = ColorDetector()
    with pytest.raises(ConfigError) as raised:
        report_of(folder, detector)
    assert (raised.value.problem, raised.value.hint) == ("pycocotools is not installed", "evaluating needs it: pip install 'video-anonymizer[evaluate]'")
    assert detector.looks == []
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib is not installed"):
        require_plot("yolo")
