"""A rerun skips what is finished, and only that."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anonymizer.errors import TargetError
from anonymizer.publishing import LEDGER_NAME, Ledger, Report, Settings, file_sha256
from anonymizer.types import Carrier, Tally

MADE_WITH = Settings("source", "config", {"face": "weights"}, "0.1.0")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "cam 1" / "out.mp4"
    path.parent.mkdir()
    path.write_bytes(b"sealed")
    return path


def note(folder: Path, target: Path) -> None:
    Ledger(folder).add(target, Report("in.mp4", target.name, Tally(1, 1, 1, 1), 1.0, MADE_WITH))


def test_finished_output_is_known_to_the_next_run(tmp_path: Path, target: Path) -> None:
    assert not Ledger(tmp_path).is_finished(target, MADE_WITH)
    note(tmp_path, target)
    assert Ledger(tmp_path).is_finished(target, MADE_WITH)
    assert Ledger(tmp_path).is_finished(target, replace(MADE_WITH, version="0.2.0"))


@pytest.mark.parametrize("change", [{"source_sha256": "x"}, {"config_hash": "x"}, {"weights_sha256": {"face": "x"}}, {"weights_sha256": {}}])
def test_output_of_other_settings_is_redone_and_may_be_replaced(tmp_path: Path, target: Path, change: dict[str, object]) -> None:
    note(tmp_path, target)
    assert not Ledger(tmp_path).is_finished(target, replace(MADE_WITH, **change))  # type: ignore[arg-type]
    assert Ledger(tmp_path).is_ours(target)


@pytest.mark.parametrize("content", [b"sealed and more", b"clear", None])
def test_touched_output_is_neither_finished_nor_ours(tmp_path: Path, target: Path, content: bytes | None) -> None:
    note(tmp_path, target)
    target.unlink() if content is None else target.write_bytes(content)
    assert not Ledger(tmp_path).is_finished(target, MADE_WITH)
    assert not Ledger(tmp_path).is_ours(target)


def test_line_cut_by_a_crash_costs_only_its_own_output(tmp_path: Path, target: Path) -> None:
    note(tmp_path, target)
    other = tmp_path / "other.mp4"
    other.write_bytes(b"sealed too")
    ledger = tmp_path / LEDGER_NAME
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + whole[:40] + b"\xff")
    note(tmp_path, other)
    assert Ledger(tmp_path).is_finished(target, MADE_WITH)
    assert Ledger(tmp_path).is_finished(other, MADE_WITH)


def test_ledger_that_cannot_be_written_is_a_target_error(tmp_path: Path, target: Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / LEDGER_NAME).mkdir()
    with pytest.raises(TargetError, match=LEDGER_NAME):
        ledger.add(target, Report("in.mp4", "out.mp4", Tally(), 1.0, MADE_WITH))


def test_name_that_is_no_text_is_remembered(tmp_path: Path) -> None:
    target = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xfcro.mp4"))
    target.write_bytes(b"sealed")
    note(tmp_path, target)
    assert Ledger(tmp_path).is_finished(target, MADE_WITH)


def test_what_a_dropped_tag_said_does_not_lie_beside_the_output(tmp_path: Path, target: Path) -> None:
    report = Report("in.mp4", target.name, Tally(1, 1, 1, 1), 1.0, MADE_WITH, carriers=(Carrier("tag", "location", "+48.1371+011.5754/"),))
    Ledger(tmp_path).add(target, report)
    told = (tmp_path / LEDGER_NAME).read_text()
    assert '{"kind":"tag","name":"location","fate":"dropped"}' in told
    assert "48.1371" not in told


def test_ledger_names_no_path_of_the_machine(tmp_path: Path, target: Path) -> None:
    report = Report("/srv/erika/cases/4711/in.mp4", str(target), Tally(1, 1, 1, 1), 1.0, MADE_WITH)
    Ledger(tmp_path).add(target, report)
    told = (tmp_path / LEDGER_NAME).read_text()
    assert '"source":"in.mp4","target":"cam 1/out.mp4"' in told
    assert "erika" not in told
    assert str(tmp_path) not in told
    assert Ledger(tmp_path).is_finished(target, MADE_WITH)


def to_a_file(path: Path) -> None:
    path.with_name("victim").write_bytes(b"theirs")
    path.symlink_to(path.with_name("victim"))


def to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("victim"))


@pytest.mark.parametrize(("make", "problem"), [(to_a_file, "is a symbolic link"), (to_nowhere, "is a symbolic link"), (os.mkfifo, "is not a regular file")])
def test_ledger_that_is_no_file_is_neither_read_nor_written(tmp_path: Path, target: Path, make: Callable[[Path], None], problem: str) -> None:
    ledger = Ledger(tmp_path)
    make(tmp_path / LEDGER_NAME)
    with pytest.raises(TargetError, match=f"^{LEDGER_NAME}: {problem}"):
        ledger.add(target, Report("in.mp4", "out.mp4", Tally(), 1.0, MADE_WITH))
    with pytest.raises(TargetError, match=f"^{LEDGER_NAME}: {problem}"):
        Ledger(tmp_path)
    victim = tmp_path / "victim"
    assert not victim.exists() or victim.read_bytes() == b"theirs"


def test_output_that_became_a_pipe_is_not_waited_for(tmp_path: Path, target: Path) -> None:
    note(tmp_path, target)
    target.unlink()
    os.mkfifo(target)
    assert not Ledger(tmp_path).is_ours(target)


@pytest.mark.parametrize("report", ["[]", '{"settings":[]}', "[" * 100000])
def test_ledger_of_another_shape_says_nothing_is_finished(tmp_path: Path, target: Path, report: str) -> None:
    (tmp_path / LEDGER_NAME).write_text(f'{{"target":"cam 1/out.mp4","sha256":"{file_sha256(target)}","report":{report}}}\n')
    assert not Ledger(tmp_path).is_finished(target, MADE_WITH)
