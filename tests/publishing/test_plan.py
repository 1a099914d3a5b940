"""A plan comes back exactly as it was written, or is refused with the reason."""

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymizer.errors import ConfigError, SourceError, TargetError
from anonymizer.geometry import Geometry
from anonymizer.publishing import PlanHeader, PlanWriter, file_sha256, read_plan
from anonymizer.publishing.plan import LONGEST_LINE_BYTES
from anonymizer.publishing.plan_lines import FARTHEST_PX
from anonymizer.types import Decision, Origin, Region, Shape

FINITE = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.floats(-FARTHEST_PX, FARTHEST_PX)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    left, right = sorted(draw(st.lists(EDGES, min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(EDGES, min_size=2, max_size=2, unique=True)))
    return Region(
        draw(st.text()),
        draw(st.sampled_from(get_args(Shape))),
        (left, top, right, bottom),
        draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        draw(st.sampled_from(get_args(Origin))),
        draw(st.none() | FINITE),
    )


def header_for(source: Path) -> PlanHeader:
    geometry = Geometry((720, 576), 6, Fraction(16, 15))
    return PlanHeader(source.name, file_sha256(source), geometry, Fraction(1, 12800), ("face", "plate"), {"padding": {"face": 0.1}, "span": None})


def write_plan(path: Path, source: Path, decisions: list[Decision]) -> None:
    with PlanWriter(path, header_for(source), overwrite=True) as writer:
        for decision in decisions:
            writer.write(decision, decision.frame_index * 512 - 100)
        writer.finish()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    path.write_bytes(b"a video")
    return path


@given(frames=st.lists(st.lists(regions(), max_size=3), max_size=4))
def test_decisions_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, frames: list[list[Region]]) -> None:
    folder = tmp_path_factory.mktemp("plan")
    source = folder / "in.mp4"
    source.write_bytes(b"a video")
    decisions = [Decision(index, tuple(found)) for index, found in enumerate(frames)]
    write_plan(folder / "p.jsonl", source, decisions)
    plan = read_plan(folder / "p.jsonl", source)
    assert list(plan) == decisions
    assert [pts for pts, _ in plan.frames()] == [index * 512 - 100 for index in range(len(frames))]
    assert plan.header == header_for(source)
    assert plan.frame_count == len(frames)


def test_numbers_of_numpy_come_back_exactly(tmp_path: Path, source: Path) -> None:
    edges = np.array([0.1, 0.2, 1 / 3, 1e9], np.float32)
    region = Region("face", "ellipse", tuple(edges), np.int64(7), "detected", np.float32(0.7))  # type: ignore[arg-type]
    write_plan(tmp_path / "p.jsonl", source, [Decision(0, (region,))])
    (decision,) = read_plan(tmp_path / "p.jsonl", source)
    assert decision == Decision(0, (region,))
    assert all(type(edge) is float for edge in decision.regions[0].xyxy)


def test_every_line_is_one_json_object_without_pixels(tmp_path: Path, source: Path) -> None:
    write_plan(tmp_path / "p.jsonl", source, [Decision(0), Decision(1, (Region("plate", "box", (1.5, 2, 3, 4)),))])
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert lines[0]["displayed_wh"] == [576, 768]
    assert lines[1] == {"frame": 0, "pts": -100, "regions": []}
    box = {"label": "plate", "shape": "box", "xyxy": [1.5, 2.0, 3.0, 4.0], "track_id": None, "origin": "detected", "score": None}
    assert lines[2] == {"frame": 1, "pts": 412, "regions": [box]}
    assert lines[3] == {"frames": 2}


def test_plan_that_was_never_finished_is_not_published(tmp_path: Path, source: Path) -> None:
    with pytest.raises(TargetError, match=r"p\.jsonl: the plan was left"), PlanWriter(tmp_path / "p.jsonl", header_for(source)) as writer:
        writer.write(Decision(0), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_failed_run_publishes_no_plan(tmp_path: Path, source: Path) -> None:
    def interrupted() -> None:
        with PlanWriter(tmp_path / "p.jsonl", header_for(source)) as writer:
            writer.write(Decision(0), 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(("frame", "pts"), [(0, 9), (2, 9), (1, 5), (1, 4)])
def test_only_the_next_frame_can_be_written(tmp_path: Path, source: Path, frame: int, pts: int) -> None:
    with PlanWriter(tmp_path / "p.jsonl", header_for(source)) as writer:
        writer.write(Decision(0), 5)
        with pytest.raises(ValueError, match="frame"):
            writer.write(Decision(frame), pts)
        writer.finish()


def test_plan_for_another_file_is_refused(tmp_path: Path, source: Path) -> None:
    write_plan(tmp_path / "p.jsonl", source, [Decision(0)])
    source.write_bytes(b"another video")
    with pytest.raises(ConfigError, match=r"^p\.jsonl: was made for another file than in\.mp4"):
        read_plan(tmp_path / "p.jsonl", source)


def edited(number: int, **changes: Any) -> Callable[[list[str]], list[str]]:
    """Change keys of a line; None as a value removes the key."""

    def edit(lines: list[str]) -> list[str]:
        line = {**json.loads(lines[number]), **changes}
        lines[number] = json.dumps({key: value for key, value in line.items() if value is not None})
        return lines

    return edit


def region_with(**changes: Any) -> Callable[[list[str]], list[str]]:
    line = {"label": "face", "shape": "box", "xyxy": [1, 2, 3, 4], "track_id": 1, "origin": "detected", "score": 0.5}
    return edited(2, regions=[{key: value for key, value in {**line, **changes}.items() if value != "gone"}])


BROKEN = [
    pytest.param(lambda lines: [], "line 1: not the header", id="empty"),
    pytest.param(lambda lines: ["just words"], "line 1: not JSON as a plan has it", id="not-json"),
    pytest.param(lambda lines: ['{"frames":0}'], "line 1: not the header", id="no-header"),
    pytest.param(lambda lines: lines[:-1], "does not end as a plan does", id="footer-cut-off"),
    pytest.param(lambda lines: [*lines[:-1], lines[-1][:-1]], "does not end as a plan does", id="footer-cut-in-two"),
    pytest.param(lambda lines: [*lines[:2], lines[-1]], "line 3: frame 1 is missing", id="a-frame-cut-out"),
    pytest.param(lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 3: frame 2 stands where frame 1 belongs", id="frames-exchanged"),
    pytest.param(lambda lines: [*lines[:3], lines[2], *lines[4:]], "line 4: frame 1 stands where frame 2 belongs", id="a-frame-twice"),
    pytest.param(lambda lines: [*lines[:4], lines[3], lines[4]], "line 5: the plan does not end after its 3 frames", id="a-frame-too-many"),
    pytest.param(edited(0, anonymizer_plan=2), "line 1: not the header", id="another-version"),
    pytest.param(edited(0, coded_wh=[0, 0]), "line 1: not the header", id="a-frame-without-pixels"),
    pytest.param(edited(0, sample_aspect_ratio="1/0"), "line 1: not the header", id="an-aspect-ratio-of-infinity"),
    pytest.param(edited(0, source={"name": "in.mp4"}), "line 1: not the header", id="no-hash"),
    pytest.param(edited(0, extra=1), "line 1: not the header", id="an-unknown-key-in-the-header"),
    pytest.param(edited(2, frame=True), "line 3: True is not a whole number", id="a-truth-value-for-a-number"),
    pytest.param(edited(2, pts=1.5), "line 3: 1.5 is not a whole number", id="a-broken-pts"),
    pytest.param(edited(2, pts=-100), "line 3: frame 1 is shown at -100, not after", id="time-stands-still"),
    pytest.param(edited(2, regions=None), "line 3: frame 1 is missing", id="no-regions"),
    pytest.param(edited(2, regions={}), "line 3: its regions are not a list", id="regions-of-the-wrong-kind"),
    pytest.param(edited(2, region=[]), "line 3: region is unknown", id="a-key-mistyped"),
    pytest.param(region_with(xyxy=[1, 2, 3]), "line 3: a region's xyxy is not a list of four numbers", id="three-edges"),
    pytest.param(region_with(xyxy=[1, 2, 3, "4"]), "line 3: '4' is not a number", id="text-for-a-number"),
    pytest.param(region_with(xyxy=[1, 2, 1, 4]), "line 3: a region needs an area", id="no-area"),
    pytest.param(region_with(xyxy=[1, 2, 10**400, 4]), "line 3: int too large", id="a-number-beyond-all"),
    pytest.param(region_with(shape="circle"), "line 3: a region has no shape 'circle'", id="unknown-shape"),
    pytest.param(region_with(origin=["zone"]), "line 3: a region has no shape", id="origin-of-the-wrong-kind"),
    pytest.param(region_with(label=7), "line 3: 7 is not text", id="label-of-the-wrong-kind"),
    pytest.param(region_with(score="gone"), "line 3: score is missing", id="a-key-missing"),
    pytest.param(region_with(xyxy=[-1e300, -1e300, 1e300, 1e300]), "line 3: -1e\\+300 is an edge beyond every picture", id="a-box-beyond-every-picture"),
    pytest.param(region_with(xyxy=[1, 2, 1e308, 4]), "line 3: 1e\\+308 is an edge beyond every picture", id="the-last-float"),
    pytest.param(region_with(xyxy=[1, 2, 1.1e9, 4]), "line 3: 1.1e\\+09 is an edge beyond every picture", id="an-edge-just-beyond-every-picture"),
    pytest.param(region_with(track_id=2**63), "line 3: 9223372036854775808 is a number beyond", id="a-track-id-of-64-bits"),
    pytest.param(region_with(track_id=10**4000), "line 3: 1000+\\.\\.\\.0+ is a number beyond", id="a-track-id-of-pages"),
    pytest.param(region_with(label="\ud800"), "line 3: 'utf-8' codec can't encode", id="half-a-character"),
    pytest.param(region_with(shape="x" * 10**6), "line 3: a region has no shape 'x{200,300}\\.\\.\\.$", id="an-unknown-shape-of-pages"),
    pytest.param(lambda lines: [line.replace("412", "1e999") for line in lines], "line 3: inf is not a whole number", id="a-pts-of-infinity"),
    pytest.param(lambda lines: [*edited(2, pts=10**4000)(lines)], "line 3: 1000+\\.\\.\\.0+ is a number beyond", id="a-pts-of-pages"),
    pytest.param(edited(4, frames=10**4000), "does not end as a plan does", id="a-frame-count-of-pages"),
    pytest.param(edited(0, time_base="1e999999999"), "line 1: not the header .*'1e999999999' is not a ratio", id="a-time-base-that-fills-the-memory"),
    pytest.param(edited(0, coded_wh=[10**400, 2]), "line 1: not the header", id="a-width-of-pages"),
    pytest.param(edited(1, regions=[[]] * (LONGEST_LINE_BYTES // 3)), "line 2: is longer than 2 MiB", id="a-line-that-fills-the-memory"),
    pytest.param(lambda lines: [lines[0], " " * 10**8, *lines[1:]], "line 2: is longer than 2 MiB", id="a-line-of-100-mb"),
    pytest.param(lambda lines: [line.replace("[]", '[],"regions":[]') for line in lines], "line 2: .*twice", id="a-key-twice"),
    pytest.param(lambda lines: [line.replace("412", "NaN") for line in lines], "line 3: .*NaN is not a number", id="nan"),
    pytest.param(lambda lines: [line.replace("412", "-Infinity") for line in lines], "line 3: .*-Infinity is not a number", id="infinity"),
    pytest.param(lambda lines: [lines[0], "[" * 100000, *lines[1:]], "line 2: not JSON", id="nested-without-end"),
    pytest.param(lambda lines: [lines[0], "[1]", *lines[1:]], "line 2: the line is not an object", id="a-list-for-a-line"),
    pytest.param(lambda lines: [lines[0], "", *lines[1:]], "line 2: not JSON", id="an-empty-line"),
    pytest.param(lambda lines: [lines[0], "\udcff", *lines[1:]], "line 2: not JSON as a plan has it .*utf-8", id="not-text"),
]


@pytest.mark.parametrize(("edit", "problem"), BROKEN)
def test_broken_plan_is_refused_with_the_line(tmp_path: Path, source: Path, edit: Callable[[list[str]], list[str]], problem: str) -> None:
    path = tmp_path / "p.jsonl"
    write_plan(path, source, [Decision(0), Decision(1), Decision(2)])
    lines = edit(path.read_text().splitlines())
    path.write_bytes("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=f"^p\\.jsonl: {problem}") as caught:
        list(read_plan(path, source))
    assert caught.value.hint


def test_missing_plan_and_missing_source(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ConfigError, match=r"^p\.jsonl: no such file"):
        read_plan(tmp_path / "p.jsonl", source)
    with pytest.raises(SourceError, match=r"^gone\.mp4: no such file"):
        file_sha256(tmp_path / "gone.mp4")


def test_source_whose_name_is_no_text_can_be_planned(tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xfcro.mp4"))
    source.write_bytes(b"a video")
    write_plan(tmp_path / "p.jsonl", source, [Decision(0)])
    assert read_plan(tmp_path / "p.jsonl", source).header.source_name == source.name


def test_score_of_infinity_is_refused(tmp_path: Path, source: Path) -> None:
    write_plan(tmp_path / "p.jsonl", source, [Decision(0, (Region("face", "box", (1, 2, 3, 4), score=0.5),))])
    path = tmp_path / "p.jsonl"
    path.write_text(path.read_text().replace('"score":0.5', '"score":1e999'))
    with pytest.raises(ConfigError, match=r"^p\.jsonl: line 2: inf is not a number"):
        list(read_plan(path, source))


def test_zero_below_zero_is_an_edge_like_any_other(tmp_path: Path, source: Path) -> None:
    decision = Decision(0, (Region("face", "box", (-0.0, -0.0, 3, 4)),))
    write_plan(tmp_path / "p.jsonl", source, [decision])
    assert list(read_plan(tmp_path / "p.jsonl", source)) == [decision]


def test_line_that_could_not_be_read_again_is_not_written(tmp_path: Path, source: Path) -> None:
    crowd = (Region("face", "box", (1.0, 2.0, 3.0, 4.0)),) * (LONGEST_LINE_BYTES // 64)
    with pytest.raises(TargetError, match=r"^p\.jsonl: has no room for all that is covered in frame 0"):
        write_plan(tmp_path / "p.jsonl", source, [Decision(0, crowd)])
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "endless-device"])
def test_plan_that_is_no_file_is_refused_at_once(tmp_path: Path, source: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "p.jsonl")
    with pytest.raises(ConfigError, match=r"^p\.jsonl: is (not a regular file|a directory)"):
        read_plan(tmp_path / "p.jsonl", source)
