"""A zone that covers nothing is never passed over: the run is refused, or the report warns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.library import Anonymizer
from anonymizer.pipeline import anonymize_video, detect_video
from anonymizer.publishing import Report
from anonymizer.stills import anonymize_still, detect_still
from tests.conftest import ClipMaker, draw_picture


def equipment_with(*zones: str, **settings: Any) -> Equipment:
    return Equipment.of(load_config({"detect": "none", "zones": list(zones), **settings}).config)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(source: Path, equipment: Equipment, name: str = "out", **wishes: Any) -> Report:
    anonymize = anonymize_still if source.suffix in (".png", ".tif") else anonymize_video
    return anonymize(source, source.with_name(name + source.suffix), equipment, **wishes)


OUTSIDE = ["64,0,9,9", "0,48,9,9", "-9,0,9,9", "0,-9.5,9,9.5", "5000,5000,10,10", "70,10,5,5@0-1"]
PARTLY_INSIDE = ["63.5,47.5,9,9", "-9,-9,9.5,9.5", "-100,-100,1000,1000", "0,0,64,48"]


@pytest.mark.parametrize("zone", OUTSIDE)
@pytest.mark.parametrize("name", ["in.mkv", "in.png"])
def test_zone_outside_the_picture_is_refused_with_the_pictures_size(name: str, zone: str, make_clip: ClipMaker, tmp_path: Path) -> None:
    source = make_clip(name, frames=3) if name.endswith(".mkv") else tmp_path / name
    if name.endswith(".png"):
        Image.fromarray(draw_picture(0, (64, 48))).save(source)
    equipment = equipment_with("0,0,9,9", zone)
    with pytest.raises(ConfigError) as caught:
        run(source, equipment)
    assert caught.value.problem == f"{name}: the zone {zone} lies outside the picture and would cover nothing"
    assert caught.value.hint == "a zone is x,y,w,h in pixels of the picture as displayed, which has 64x48"
    detect = detect_still if name.endswith(".png") else detect_video
    with pytest.raises(ConfigError, match="outside the picture"):
        detect(source, equipment, plan=tmp_path / "p.jsonl")
    assert listing(tmp_path) == [name]


@pytest.mark.parametrize("zone", PARTLY_INSIDE)
def test_zone_partly_outside_covers_what_is_inside(zone: str, make_clip: ClipMaker) -> None:
    report = run(make_clip("in.mkv", frames=2), equipment_with(zone))
    assert (report.coverage.regions, report.warnings) == (2, ())


def test_a_zone_is_measured_in_the_picture_as_displayed(tmp_path: Path) -> None:
    """A phone's upright picture is stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(draw_picture(0, (64, 48))).save(tmp_path / "in.tif", exif=exif)
    assert run(tmp_path / "in.tif", equipment_with("10,55,9,9")).coverage.regions == 1
    with pytest.raises(ConfigError, match=r"in\.tif: the zone 50,10,9,9 lies outside") as caught:
        run(tmp_path / "in.tif", equipment_with("50,10,9,9"), "other")
    assert caught.value.hint
    assert "48x64" in caught.value.hint


def test_page_that_a_zone_lies_beside_refuses_the_whole_file(tmp_path: Path) -> None:
    pages = [Image.fromarray(draw_picture(0, size_wh)) for size_wh in ((64, 48), (32, 24))]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ConfigError, match=r"in\.tif: the zone 40,30,9,9 lies outside"):
        run(tmp_path / "in.tif", equipment_with("40,30,9,9"))
    assert listing(tmp_path) == ["in.tif"]


def test_arrays_are_refused_alike() -> None:
    with Anonymizer(detect="none", zones=["64,0,9,9"]) as anonymizer, pytest.raises(ConfigError, match="the zone 64,0,9,9 lies outside the picture"):
        anonymizer.image(np.zeros((48, 64, 3), np.uint8))


TIMED = [
    pytest.param("0,0,9,9@60-", {}, True, id="after-the-end"),
    pytest.param("0,0,9,9@0.4-0.5", {}, True, id="just-after-the-last-frame"),
    pytest.param("0,0,9,9@0.36-0.5", {}, False, id="at-the-last-frame"),
    pytest.param("0,0,9,9@0.01-0.03", {}, True, id="between-two-frames"),
    pytest.param("0,0,9,9@0-0.1", {"span": "0.2-"}, True, id="before-the-part-that-is-written"),
    pytest.param("0,0,9,9@0.3-", {"span": "0.2-"}, False, id="inside-the-part-that-is-written"),
    pytest.param("0,0,9,9", {}, False, id="always"),
]


@pytest.mark.parametrize(("zone", "settings", "warned"), TIMED)
def test_zone_in_whose_time_no_frame_is_shown_is_warned_of(zone: str, settings: dict[str, str], warned: bool, make_clip: ClipMaker, tmp_path: Path) -> None:
    source = make_clip("in.mkv", frames=10)  # 25 frames a second: the last one at 0.36 s
    equipment = equipment_with("20,20,9,9", zone, **settings)
    for report in (run(source, equipment), detect_video(source, equipment, plan=tmp_path / "p.jsonl")):
        warnings = [warning for warning in report.warnings if warning.startswith("the zone")]
        assert warnings == ([f"the zone {zone} covered nothing: no frame was shown in its time"] if warned else [])
        covered_by_both = report.coverage.by_label["zone"] > report.tally.written
        assert covered_by_both is not warned
        assert report.to_json()["warnings"] == list(report.warnings)


def test_picture_has_no_later(tmp_path: Path) -> None:
    Image.fromarray(draw_picture(0, (64, 48))).save(tmp_path / "in.png")
    report = run(tmp_path / "in.png", equipment_with("0,0,9,9", "20,20,9,9@5-"))
    assert report.warnings == ("the zone 20,20,9,9@5- covered nothing: no frame was shown in its time",)


@pytest.mark.parametrize("name", ["in.mkv", "in.png"])
def test_zone_that_a_plan_was_made_without_is_refused(name: str, make_clip: ClipMaker, tmp_path: Path) -> None:
    source, plan = tmp_path / name, tmp_path / "p.jsonl"
    if name == "in.png":
        Image.fromarray(draw_picture(0, (64, 48))).save(source)
        detect_still(source, equipment_with("0,0,9,9"), plan=plan)
    else:
        detect_video(make_clip(name, frames=3), equipment_with("0,0,9,9"), plan=plan)
    with pytest.raises(ConfigError, match=r"^p\.jsonl: was made without the zone 20,20,9,9, which would not be covered"):
        run(source, equipment_with("0,0,9,9", "20,20,9,9"), plan=plan)
    assert listing(tmp_path) == sorted([name, "p.jsonl"])
    assert run(source, equipment_with("0,0,9,9"), plan=plan).coverage.by_label["zone"] > 0
