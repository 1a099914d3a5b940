"""The fault matrix, continued: what happens to a run that is under way, to its plan, and inside the program."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable

import pytest

from anonymizer import pipeline
from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import AnonymizerError, CancelledError, ConfigError, SourceError, TargetError, UndecidedFrameError
from anonymizer.types import Detections
from tests.conftest import write_clip
from tests.promises.cases import Case, assert_nothing_left, listing
from tests.promises.secret import FRAMES, Oracle, readable_frames

AT = 5  # the look at which the trouble begins


def in_mid_run(action: Callable[[Case], object]) -> Callable[[Case], None]:
    def arrange(case: Case) -> None:
        def trouble(look: int, found: Detections) -> Detections:
            if look == AT:
                action(case)
            return found

        case.oracle = Oracle(trouble)

    return arrange


def takes_the_name(case: Case) -> None:
    case.target.write_text("somebody else's")


def test_file_that_takes_the_output_name_meanwhile_is_not_replaced(case: Case) -> None:
    in_mid_run(takes_the_name)(case)
    with pytest.raises(AnonymizerError):
        case.run()
    assert case.target.read_text() == "somebody else's"
    assert listing(case.folder) == ["in.mp4", "out.mp4"]


def test_output_folder_that_vanishes_is_an_error(case: Case) -> None:
    case.target = case.folder / "there" / "out.mp4"
    case.target.parent.mkdir()
    in_mid_run(lambda case: shutil.rmtree(case.target.parent))(case)
    with pytest.raises(TargetError):
        case.run()
    assert_nothing_left(case)


def replaces_the_input(case: Case) -> None:
    write_clip(case.folder / "other.mp4").replace(case.source)


def overwrites_the_input_and_puts_its_time_back(case: Case) -> None:
    before = case.source.stat()
    with case.source.open("r+b") as file:
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))
    os.utime(case.source, ns=(before.st_atime_ns, before.st_mtime_ns))


def plan_of(case: Case) -> object:
    return pipeline.detect_video(case.source, Equipment.of(load_config({}).config, [case.oracle]), plan=case.folder / "plan.jsonl")


CHANGES = [
    pytest.param(replaces_the_input, id="replaced"),
    pytest.param(overwrites_the_input_and_puts_its_time_back, id="overwritten-with-its-time-put-back"),
    pytest.param(lambda case: case.source.write_bytes(case.source.read_bytes() + b"more"), id="grown"),
    pytest.param(lambda case: os.truncate(case.source, case.source.stat().st_size // 2), id="cut"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("door", [Case.run, plan_of])
def test_input_that_changes_meanwhile_publishes_nothing(case: Case, change: Callable[[Case], object], door: Callable[[Case], object]) -> None:
    """The report and a plan speak of one file by its hash; what was decided for it says nothing of another."""
    in_mid_run(change)(case)
    with pytest.raises(SourceError, match=r"in\.mp4: was changed or replaced while it was read"):
        door(case)
    assert_nothing_left(case)


def test_second_run_at_the_same_output_is_refused_and_the_first_ends_well(case: Case) -> None:
    refused: list[BaseException] = []

    def second(case: Case) -> None:
        other = Case(case.folder, case.source, case.target)
        try:
            other.run()
        except AnonymizerError as error:
            refused.append(error)

    in_mid_run(second)(case)
    assert case.run().tally.written == FRAMES
    assert isinstance(refused[0], TargetError)
    assert readable_frames(case.target) == 0


def test_cancelled_run_publishes_nothing(case: Case) -> None:
    cancel = threading.Event()
    in_mid_run(lambda case: cancel.set())(case)
    case.wishes = {"cancel": cancel}
    with pytest.raises(CancelledError):
        case.run()
    assert_nothing_left(case)


def test_caller_that_fails_in_its_progress_ends_the_run(case: Case) -> None:
    def progress(now: object) -> None:
        raise ZeroDivisionError

    case.wishes = {"progress": progress}
    with pytest.raises(ZeroDivisionError):
        case.run()
    assert_nothing_left(case)


BROKEN_STEPS = [
    pytest.param("seal_frame", id="seal-raises"),
    pytest.param("picture_of", id="scaling-raises"),
    pytest.param("glimpse_of", id="glimpse-raises"),
    pytest.param("count_packets", id="re-opening-raises"),
]


@pytest.mark.parametrize("step", BROKEN_STEPS)
def test_bug_in_a_step_publishes_nothing(case: Case, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"{step} is broken")

    monkeypatch.setattr(pipeline, step, broken)
    with pytest.raises(RuntimeError, match="is broken"):
        case.run()
    assert_nothing_left(case)


def test_file_that_lost_a_packet_is_not_published(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "count_packets", lambda path: FRAMES - 1)
    with pytest.raises(TargetError, match="the finished file holds 23"):
        case.run()
    assert_nothing_left(case)


def test_plan_for_another_file_is_refused(case: Case) -> None:
    plan = case.folder / "plan.jsonl"
    other = write_clip(case.folder / "other.mp4")
    pipeline.detect_video(other, Equipment.of(load_config({}).config, [Oracle()]), plan=plan)
    case.wishes = {"plan": plan}
    with pytest.raises(ConfigError, match="another file"):
        case.run()
    assert not case.target.exists()


@pytest.mark.parametrize("lines_lost", [1, 2, 10])
def test_cut_plan_is_refused(case: Case, lines_lost: int) -> None:
    plan = case.folder / "plan.jsonl"
    pipeline.detect_video(case.source, Equipment.of(load_config({}).config, [Oracle()]), plan=plan)
    plan.write_text("".join(plan.read_text().splitlines(keepends=True)[:-lines_lost]))
    case.wishes = {"plan": plan}
    with pytest.raises(ConfigError, match="cut"):
        case.run()
    assert not case.target.exists()


def test_plan_of_a_span_cannot_seal_the_whole(case: Case) -> None:
    plan = case.folder / "plan.jsonl"
    pipeline.detect_video(case.source, Equipment.of(load_config({"span": "0-0.4"}).config, [Oracle()]), plan=plan)
    case.wishes = {"plan": plan}
    with pytest.raises(UndecidedFrameError):
        case.run()
    assert not case.target.exists()


def test_run_without_faults_is_published_sealed_and_whole(case: Case) -> None:
    """The matrix proves nothing if its scanner is blind or its oracle does not see."""
    assert readable_frames(case.source) == FRAMES
    report = case.run()
    assert (report.tally.read, report.tally.decided, report.tally.sealed, report.tally.written) == (FRAMES,) * 4
    assert readable_frames(case.target) == 0
    assert listing(case.folder) == ["in.mp4", "out.mp4"]
