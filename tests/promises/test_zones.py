"""A zone that covers nothing is never passed over: the run is refused, or the report warns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, SourceError
from anonymizer.library import Anonymizer, anonymize_image
from anonymizer.pipeline import anonymize_video, detect_video
from anonymizer.publishing import Report
from anonymizer.stills import anonymize_still, detect_still
from anonymizer.types import Detections
from tests.conftest import ClipMaker, draw_picture


def equipment_with(*zones: str, **settings: Any) -> Equipment:
    return Equipment.of(load_config({"detect": "none", "zones": list(zones), **settings}).config)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(source: Path, equipment: Equipment, name: str = "out", **wishes: Any) -> Report:
    anonymize = anonymize_still if source.suffix in (".png", ".tif", ".gif") else anonymize_video
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
    pytest.param("0,0,9,9@0.01-0.03", {}, False, id="while-the-first-frame-is-shown"),
    pytest.param("0,0,9,9@0.37-0.5", {}, False, id="while-the-last-frame-is-shown"),
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


def slides(path: Path, times_ms: tuple[int, ...] = (0, 6000, 12000), rate: Fraction | int = 25) -> Path:
    """A video of few frames, each long on the screen; as GIF and PNG each lasts until the next, the last 3 s."""
    pictures = [draw_picture(index, (64, 48)) for index in range(len(times_ms))]
    if path.suffix in (".gif", ".png"):
        lasts_ms = [later - time for time, later in pairwise((*times_ms, times_ms[-1] + 3000))]
        images = [Image.fromarray(picture) for picture in pictures]
        images[0].save(path, save_all=True, append_images=images[1:], duration=lasts_ms)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_with_zone(source: Path, equipment: Equipment, plan: Path | None = None) -> tuple[list[int], Report]:
    """Which frames of a file are covered where its zone lies, and the report."""
    covered: list[int] = []
    detect = detect_still if source.suffix in (".gif", ".png") else detect_video
    detect(source, equipment, on_frame=lambda frame, decision, _: covered.extend([frame.index] if decision.regions else []))
    report = run(source, equipment, overwrite=True, plan=plan)
    assert report.coverage.by_label.get("zone", 0) == len(covered) or plan is not None
    return covered, report


ON_SCREEN = [
    pytest.param("0,0,9,9@1-4", {}, [0], id="while-the-first-is-shown"),
    pytest.param("0,0,9,9@6-7", {}, [1], id="from-its-first-moment"),
    pytest.param("0,0,9,9@5.9-6", {}, [0, 1], id="to-its-first-moment"),
    pytest.param("0,0,9,9@1-7", {}, [0, 1], id="over-a-change"),
    pytest.param("0,0,9,9@13-14", {}, [2], id="while-the-last-is-shown"),
    pytest.param("0,0,9,9@1-4", {"tracking.lookahead_s": 0, "tracking.backfill_s": 0}, [0], id="without-look-ahead"),
    pytest.param("0,0,9,9@60-", {}, [], id="after-all"),
]


@pytest.mark.parametrize(("zone", "settings", "frames"), ON_SCREEN)
@pytest.mark.parametrize("name", ["in.mkv", "in.gif", "in.png"])
def test_zone_covers_every_frame_that_is_on_the_screen_in_its_time(name: str, zone: str, settings: dict[str, Any], frames: list[int], tmp_path: Path) -> None:
    covered, report = frames_with_zone(slides(tmp_path / name), equipment_with(zone, **settings))
    assert covered == frames
    assert len([warning for warning in report.warnings if warning.startswith("the zone")]) == (not frames)


def test_last_frame_of_a_span_is_on_the_screen_until_its_end(tmp_path: Path) -> None:
    source = slides(tmp_path / "in.mkv")
    assert frames_with_zone(source, equipment_with("0,0,9,9@3-4", span="0-5"))[0] == [0]
    assert frames_with_zone(source, equipment_with("0,0,9,9@5.5-5.9", span="0-5"))[0] == []


def test_last_frame_stays_while_the_sound_goes_on(make_clip: ClipMaker) -> None:
    source = make_clip("in.mkv", frames=2, audio="pcm_s16le")
    with av.open(str(source)) as container:
        ends_s = (container.duration or 0) / av.time_base
    assert ends_s > 0.08
    assert frames_with_zone(source, equipment_with(f"0,0,9,9@{(0.08 + ends_s) / 2:.4f}-"))[0] == [1]


def test_zone_over_arrays_covers_what_is_shown_in_its_time() -> None:
    frames = [np.full((48, 64, 3), 200, np.uint8) for _ in range(4)]
    with Anonymizer(detect="none", zones=["8,8,16,16@0.7-1.2"], effect={"kind": "solid"}) as anonymizer:
        sealed = list(anonymizer.process(frames, fps=2))
    assert [bool((image != 200).any()) for image in sealed] == [False, True, True, False]


@pytest.mark.parametrize("name", ["in.mkv", "in.gif"])
def test_zone_given_with_a_plan_is_covered_too(name: str, tmp_path: Path) -> None:
    source, plan = slides(tmp_path / name), tmp_path / "p.jsonl"
    detect = detect_still if name == "in.gif" else detect_video
    detect(source, equipment_with("0,0,9,9"), plan=plan)
    anonymize = anonymize_still if name == "in.gif" else anonymize_video
    report = anonymize(source, tmp_path / f"out{source.suffix}", equipment_with("20,20,9,9@1-4", "0,0,9,9", "40,0,9,9@60-"), plan=plan)
    assert report.coverage.by_label["zone"] == 3 + 1  # "0,0,9,9" is in the plan already
    assert report.warnings == ("the zone 40,0,9,9@60- covered nothing: no frame was shown in its time",)
    with pytest.raises(ConfigError, match="lies outside the picture"):
        anonymize(source, tmp_path / f"no{source.suffix}", equipment_with("64,0,9,9"), plan=plan)


@pytest.mark.parametrize("name", ["in.mkv", "in.gif", "in.tif"])
def test_zones_of_a_plans_header_are_covered_where_its_lines_lost_them(name: str, tmp_path: Path) -> None:
    if name == "in.tif":
        pages = [Image.fromarray(draw_picture(index, (64, 48))) for index in range(3)]
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        source = tmp_path / name
    else:
        source = slides(tmp_path / name)
    plan = tmp_path / "p.jsonl"
    detect = detect_video if name == "in.mkv" else detect_still
    detect(source, equipment_with("0,0,9,9", "20,20,9,9@7-8"), plan=plan)
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    plan.write_text("".join(json.dumps({**line, "regions": []} if "regions" in line else line) + "\n" for line in lines))
    anonymize = anonymize_video if name == "in.mkv" else anonymize_still
    report = anonymize(source, tmp_path / f"out{source.suffix}", equipment_with("40,0,9,9"), plan=plan)
    assert report.coverage.by_label["zone"] == 2 * 3 + (name != "in.tif")  # a page has no seventh second


@pytest.mark.parametrize("zones", ["0,0,9,9", [7], ["0,0,9"], None])
def test_plan_whose_zones_cannot_be_read_is_refused(zones: Any, tmp_path: Path) -> None:
    source, plan = slides(tmp_path / "in.mkv"), tmp_path / "p.jsonl"
    detect_video(source, equipment_with("0,0,9,9"), plan=plan)
    header, *lines = plan.read_text().splitlines()
    changed = json.loads(header)
    changed["policy"]["zones"] = zones
    plan.write_text("\n".join([json.dumps(changed), *lines, ""]))
    with pytest.raises(ConfigError, match=r"^p\.jsonl: line 1: the zones of its policy"):
        run(source, equipment_with("0,0,9,9"), plan=plan)
    assert listing(tmp_path) == ["in.mkv", "p.jsonl"]


@pytest.mark.parametrize("frames", [[None], [None, np.zeros((8, 8, 3), np.uint8)], [np.zeros((8, 8, 3), np.uint8), None]])
def test_missing_frame_is_refused_wherever_it_stands(frames: list[Any]) -> None:
    """What cv2.imread gives for a file that is not there."""
    with Anonymizer(detect="none", zones=["0,0,9,9"]) as anonymizer:
        with pytest.raises(SourceError, match=r"^frame \d: not a BGR uint8 array .* but NoneType"):
            list(anonymizer.process(frames))
        assert list(anonymizer.process([])) == []


def test_missing_picture_is_refused() -> None:
    missing: Any = None
    with Anonymizer(detect="none", zones=["0,0,9,9"]) as anonymizer, pytest.raises(SourceError, match="NoneType"):
        anonymizer.image(missing)
    with pytest.raises(SourceError, match="NoneType"):
        anonymize_image(missing, detect="none", zones=["0,0,9,9"])


@pytest.mark.parametrize("fps", [float("nan"), float("inf"), "x", None, 0, -1, 1e-12])
def test_impossible_frame_rate_is_refused(fps: Any) -> None:
    with Anonymizer(detect="none", zones=["0,0,9,9"]) as anonymizer, pytest.raises(ConfigError, match="frames a second") as caught:
        list(anonymizer.process([np.zeros((8, 8, 3), np.uint8)], fps=fps))
    assert caught.value.hint


class SeesOne:
    """A detector that finds one face, in the same place of every picture."""

    name, labels = "sees-one", ("face",)

    def detect(self, pictures: Sequence[Any]) -> list[Detections]:
        return [Detections.of([[8, 8, 24, 24]], [0.9], "face") for _ in pictures]


IGNORED = [
    pytest.param("0,0,64,48", [], id="always"),
    pytest.param("0,0,64,48@2-6", [0, 3, 4, 5], id="for-a-time"),
    pytest.param("0,0,64,48@2.5-6.5", [0, 1, 3, 4, 5], id="for-parts-of-frames"),
    pytest.param("0,0,64,48@60-61", [0, 1, 2, 3, 4, 5], id="later"),
]


@pytest.mark.parametrize(("zone", "covered"), IGNORED)
@pytest.mark.parametrize("name", ["in.gif", "arrays", "in.mkv"])
def test_ignore_zone_uncovers_in_its_time_alone(name: str, zone: str, covered: list[int], tmp_path: Path) -> None:
    nothing_held = {f"tracking.{key}": 0 for key in ("lookahead_s", "backfill_s", "hold_s", "vanished_hold_s")}
    equipment = Equipment.of(load_config({"detect": "face", "effect.kind": "solid", "ignore_zones": [zone], **nothing_held}).config, [SeesOne()])
    if name == "arrays":
        frames = [np.full((48, 64, 3), 200, np.uint8) for _ in range(6)]
        with Anonymizer(equipment.config, detectors=[SeesOne()]) as anonymizer:
            found = [index for index, image in enumerate(anonymizer.process(frames, fps=0.5)) if (image != 200).any()]
    else:
        found = []
        detect = detect_still if name == "in.gif" else detect_video
        source = slides(tmp_path / name, tuple(range(0, 12000, 2000)), rate=Fraction(1, 2))
        detect(source, equipment, on_frame=lambda frame, decision, _: found.extend([frame.index] if decision.regions else []))
    assert found == covered
