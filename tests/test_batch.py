"""Folders, files and patterns into one folder: what is found, what is skipped, and what a failure costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from anonymizer.batch import FAULTS_IN_A_ROW, Job, Outcome, Summary, find_jobs, run_batch
from anonymizer.errors import AnonymizerError, CancelledError, ConfigError, ModelError, SourceError, TargetError, UndecidedFrameError, VerificationError
from anonymizer.publishing import LEDGER_NAME, Coverage, Report, Settings, file_sha256, staged
from anonymizer.types import Tally
from tests.conftest import draw_picture


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_picture(shade, (16, 12))).save(path)
    return path


def plain(path: Path, content: bytes = b"text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def targets(sources: list[str | Path], folder: str = "out") -> list[str]:
    return [job.target.as_posix() for job in find_jobs(sources, Path(folder))[0]]


class Runner:
    """Stands in for the pipeline: publishes the source's bytes upside down, and fails where it is told to."""

    def __init__(self, config: str = "one") -> None:
        self.config = config
        self.seen: list[str] = []
        self.failures: dict[str, BaseException] = {}

    def settings_of(self, source: Path) -> Settings:
        return Settings(file_sha256(source), self.config, {"face": "abc"})

    def run_one(self, job: Job, overwrite: bool) -> Report:
        self.seen.append(job.source.name)
        with staged(job.target, overwrite=overwrite) as staging:
            staging.write_bytes(job.source.read_bytes()[::-1])
            if failure := self.failures.get(job.source.name):
                raise failure
        return Report(str(job.source), str(job.target), Tally(1, 1, 1, 1), 0.1, self.settings_of(job.source), Coverage())

    def outcomes(self, sources: list[str | Path], *, overwrite: bool = False) -> Iterator[Outcome]:
        jobs, _ = find_jobs(sources, Path("out"))
        return run_batch(jobs, Path("out"), run_one=self.run_one, settings_of=self.settings_of, overwrite=overwrite)

    def states(self, sources: list[str | Path], *, overwrite: bool = False) -> list[str]:
        return [f"{outcome.source.name} {outcome.state}" for outcome in self.outcomes(sources, overwrite=overwrite)]


# --- What is found


def test_folder_keeps_its_structure_its_names_and_an_order(here: Path) -> None:
    for name in ("in/b.jpg", "in/a.png", "in/deep/er/c.webp", "in/deep/a.png", "in/B.JPG"):
        picture(here / name)
    plain(here / "in/z.mp4")
    assert targets(["in"]) == ["out/B.JPG", "out/a.png", "out/b.jpg", "out/deep/a.png", "out/deep/er/c.webp", "out/z.mp4"]
    assert targets([here / "in"]) == targets(["in/"]) == targets(["in"])


def test_kinds_are_told_apart_by_content_then_by_name(here: Path) -> None:
    picture(here / "in/photo.jpg").rename(here / "in/no_suffix")
    plain(here / "in/text.jpg")
    plain(here / "in/text.mp4")
    plain(here / "in/movie.bin", b"\0\0\0\x18ftypisom\0\0\0\0")
    plain(here / "in/song.m4a", b"\0\0\0\x18ftypM4A \0\0\0\0")
    plain(here / "in/notes.txt")
    plain(here / "in/dive.srt")
    os.mkfifo(here / "in/pipe.mp4")
    (here / "in/lost.jpg").symlink_to("nowhere.jpg")
    jobs, passed = find_jobs(["in"], Path("out"))
    assert {job.source.name: job.kind for job in jobs} == {
        "lost.jpg": "image",
        "movie.bin": "video",
        "no_suffix": "image",
        "text.jpg": "image",
        "text.mp4": "video",
    }
    assert [(outcome.source.name, outcome.state) for outcome in passed] == [(name, "skipped") for name in ("dive.srt", "notes.txt", "pipe.mp4", "song.m4a")]
    assert {outcome.reason for outcome in passed} == {"is neither a picture nor a video"}


def test_hidden_files_and_staging_leftovers_are_passed_over(here: Path) -> None:
    picture(here / "in/a.png")
    picture(here / "in/.hidden.png")
    picture(here / "in/.folder/b.png")
    picture(here / "in/.c.png.anonymizer-0123456789ab.part.png")
    plain(here / "in" / LEDGER_NAME)
    jobs, passed = find_jobs(["in"], Path("out"))
    assert [job.source.name for job in jobs] == ["a.png"]
    assert passed == []
    assert targets(["in/.hidden.png"]) == ["out/.hidden.png"]
    hidden: list[Path] = []
    find_jobs(["in"], Path("out"), hidden=hidden)
    assert [path.name for path in hidden] == [".c.png.anonymizer-0123456789ab.part.png", ".folder", ".hidden.png"]


def test_patterns_keep_the_path_below_their_fixed_part(here: Path) -> None:
    for name in ("in/a.png", "in/one/b.png", "in/one/two/c.png", "in/one/d.jpg"):
        picture(here / name)
    assert targets(["in/**/*.png"]) == ["out/a.png", "out/one/b.png", "out/one/two/c.png"]
    assert targets(["in/*"]) == ["out/a.png", "out/one/b.png", "out/one/d.jpg", "out/one/two/c.png"]
    assert targets([f"{here}/in/on?/*.png"]) == ["out/one/b.png"]
    assert targets(["in/a.png", "in/*.png", "in"])[:2] == ["out/a.png", "out/one/b.png"]
    picture(here / "a[1].png")  # A name that exists is a file before it is a pattern.
    assert targets(["a[1].png"]) == ["out/a[1].png"]
    with pytest.raises(SourceError, match=r"in/\*\.bmp: nothing matches"):
        find_jobs(["in/*.bmp"], Path("out"))


def test_what_is_missing_or_holds_nothing_is_refused(here: Path) -> None:
    (here / "empty").mkdir()
    plain(here / "texts/a.txt")
    with pytest.raises(SourceError, match=r"none\.png: no such file or folder"):
        find_jobs(["none.png"], Path("out"))
    with pytest.raises(SourceError, match="an empty name names no input"):
        find_jobs([""], Path("out"))
    for folder in ("empty", "texts"):
        with pytest.raises(SourceError, match=f"{folder}: no picture and no video found"):
            find_jobs([folder], Path("out"))


def test_links_in_circles_end(here: Path) -> None:
    picture(here / "in/one/a.png")
    picture(here / "in/two/b.png")
    picture(here / "elsewhere/c.png")
    (here / "in/one/up").symlink_to("..")
    (here / "in/one/other").symlink_to("../two")
    (here / "in/two/other").symlink_to("../one")
    (here / "in/linked").symlink_to("../elsewhere")
    jobs, passed = find_jobs(["in"], Path("out"))
    assert "out/linked/c.png" in [job.target.as_posix() for job in jobs]
    assert len(jobs) < 10
    assert {outcome.reason for outcome in passed} == {"is a link to a folder above it"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folder_that_cannot_be_read_is_a_failure_of_its_own(here: Path) -> None:
    picture(here / "in/a.png")
    picture(here / "in/locked/b.png")
    (here / "in/locked").chmod(0)
    jobs, passed = find_jobs(["in"], Path("out"))
    (here / "in/locked").chmod(0o755)
    assert [job.source.name for job in jobs] == ["a.png"]
    assert [(outcome.source.name, outcome.state) for outcome in passed] == [("locked", "failed")]


def test_outputs_never_lie_on_inputs(here: Path) -> None:
    picture(here / "in/a.png")
    (here / "same").symlink_to("in")
    for folder in ("in", "in/../in", "same"):
        with pytest.raises(ConfigError, match="is the input itself"):
            find_jobs(["in"], Path(folder))
    with pytest.raises(ConfigError, match="would be written over a source"):
        find_jobs(["in/a.png"], Path("in"))
    (here / "out").mkdir()
    (here / "out/a.png").hardlink_to(here / "in/a.png")
    with pytest.raises(ConfigError, match="would be written over a source"):
        find_jobs(["in"], Path("out"))


def test_output_folder_inside_the_input_is_not_searched(here: Path) -> None:
    picture(here / "in/a.png")
    picture(here / "in/out/a.png")
    assert targets(["in"], "in/out") == ["in/out/a.png"]
    assert targets(["in/**/*.png"], "in/out") == ["in/out/a.png"]


def test_two_sources_of_one_output_are_refused(here: Path) -> None:
    picture(here / "one/a.png")
    picture(here / "two/a.png")
    with pytest.raises(ConfigError, match=r"one/a\.png and two/a\.png would both become out/a\.png"):
        find_jobs(["one", "two"], Path("out"))
    plain(here / "three/a.rm")
    plain(here / "three/a.mp4")
    with pytest.raises(ConfigError, match="would both become"):
        find_jobs(["three"], Path("out"), name_of=lambda source, kind: source.stem + ".mp4")


# --- What is done


def test_outputs_appear_and_a_second_run_skips_them(here: Path) -> None:
    picture(here / "in/a.png")
    picture(here / "in/deep/b.png", 3)
    runner = Runner()
    assert runner.states(["in"]) == ["a.png done", "b.png done"]
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*")) == ["a.png", LEDGER_NAME, "deep", "deep/b.png"]
    assert Runner().states(["in"]) == ["a.png finished", "b.png finished"]


REDONE: list[tuple[str, Callable[[Path, Runner], object]]] = [
    ("other-settings", lambda here, runner: setattr(runner, "config", "two")),
    ("other-source", lambda here, runner: picture(here / "in/a.png", 7)),
    ("output-vanished", lambda here, runner: (here / "out/a.png").unlink()),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in REDONE])
def test_own_output_made_otherwise_is_made_again_without_asking(change: Callable[[Path, Runner], object], here: Path) -> None:
    picture(here / "in/a.png")
    assert Runner().states(["in"]) == ["a.png done"]
    runner = Runner()
    change(here, runner)
    assert runner.states(["in"]) == ["a.png done"]
    assert (here / "out/a.png").read_bytes() == (here / "in/a.png").read_bytes()[::-1]


@pytest.mark.parametrize("foreign", ["never-ours", "edited-since"])
def test_file_in_the_way_that_is_not_ours_needs_overwrite(foreign: str, here: Path) -> None:
    picture(here / "in/a.png")
    if foreign == "edited-since":
        Runner().states(["in"])
    plain(here / "out/a.png", b"somebody's work")
    assert Runner().states(["in"]) == ["a.png failed"]
    assert (here / "out/a.png").read_bytes() == b"somebody's work"
    assert Runner().states(["in"], overwrite=True) == ["a.png done"]


def test_source_changed_behind_its_time_is_made_again(here: Path) -> None:
    """As exiftool -P does it: the same file, size and time, other content."""
    source = plain(here / "in/a.mp4", b"one")
    before = source.stat()
    assert Runner().states(["in"]) == ["a.mp4 done"]
    with source.open("rb+") as file:
        file.write(b"two")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = source.stat()
    assert (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)
    assert Runner().states(["in"]) == ["a.mp4 done"]
    assert (here / "out/a.mp4").read_bytes() == b"owt"


def test_finished_files_are_read_once_to_know_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(here / "in/a.png")
    Runner().states(["in"])
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.as_posix())
        return file_sha256(path)

    monkeypatch.setattr("anonymizer.publishing.ledger.file_sha256", counted)
    assert Runner().states(["in"]) == ["a.png finished"]
    assert read == ["out/a.png"]


def test_what_a_killed_run_left_is_swept_even_if_all_is_finished(here: Path) -> None:
    picture(here / "in/deep/a.png")
    Runner().states(["in"])
    left = plain(here / "out/deep/.a.png.anonymizer-0123456789ab.part.png")
    assert Runner().states(["in"]) == ["a.png finished"]
    assert not left.exists()


def test_one_bad_file_does_not_stop_the_rest(here: Path) -> None:
    for name in ("a", "b", "c"):
        picture(here / f"in/{name}/{name}.png")
    runner = Runner()
    runner.failures["b.png"] = SourceError("b.png: is cut off")
    summary = Summary()
    for outcome in runner.outcomes(["in"]):
        summary.add(outcome)
    assert (summary.done, summary.failed, summary.exit_code) == (2, [(Path("in/b/b.png"), "b.png: is cut off")], 3)
    assert sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*")) == ["a", "a/a.png", LEDGER_NAME, "c", "c/c.png"]
    del runner.failures["b.png"]
    assert runner.states(["in"]) == ["a.png finished", "b.png done", "c.png finished"]


def test_bug_met_by_one_file_is_told_and_does_not_stop_the_rest(here: Path) -> None:
    for name in ("a", "b"):
        picture(here / f"in/{name}.png")
    runner = Runner()
    runner.failures["a.png"] = ZeroDivisionError("oh")
    outcomes = list(runner.outcomes(["in"]))
    assert [(outcome.state, outcome.reason) for outcome in outcomes] == [("failed", "ZeroDivisionError: oh"), ("done", "")]
    assert isinstance(outcomes[0].error, ZeroDivisionError)


@pytest.mark.parametrize("fault", [ModelError("face: answers nonsense"), TargetError("out: no space left on device")])
def test_faults_that_are_not_the_files_end_the_batch(fault: AnonymizerError, here: Path) -> None:
    for number in range(9):
        picture(here / f"in/{number}.png")
    runner = Runner()
    runner.failures = {f"{number}.png": fault for number in (0, 2, 3, 4, 5)}
    seen = []
    with pytest.raises(type(fault)):
        seen.extend(outcome.state for outcome in runner.outcomes(["in"]))
    assert runner.seen == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert FAULTS_IN_A_ROW == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), CancelledError("stopped")])
def test_stopping_inside_a_file_keeps_what_was_finished(stop: BaseException, here: Path) -> None:
    for name in ("a", "b", "c"):
        picture(here / f"in/{name}.png")
    runner = Runner()
    runner.failures["b.png"] = stop
    with pytest.raises(type(stop)):
        runner.states(["in"])
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", LEDGER_NAME]
    assert Runner().states(["in"]) == ["a.png finished", "b.png done", "c.png done"]


def test_file_where_a_folder_should_be_fails_what_lies_in_it(here: Path) -> None:
    picture(here / "in/a/a.png")
    picture(here / "in/b.png")
    plain(here / "out/a")
    assert Runner().states(["in"]) == ["a.png failed", "b.png done"]
    (here / "out").rename(here / "away")
    plain(here / "out")
    with pytest.raises(TargetError, match="out: is not a folder"):
        Runner().states(["in"])


def test_gravest_failure_gives_the_exit_code() -> None:
    ranked = [ConfigError("x"), SourceError("x"), TargetError("x"), ModelError("x"), UndecidedFrameError("x"), VerificationError("x"), ValueError("x")]
    summary = Summary()
    summary.add(Outcome(Path("a"), "done"))
    summary.add(Outcome(Path("b"), "skipped", reason="is neither"))
    codes = [summary.exit_code]
    for error in ranked:
        summary.add(Outcome(Path("a"), "failed", error=error, reason="x"))
        codes.append(summary.exit_code)
    assert codes == [0, 2, 3, 6, 4, 5, 7, 1]
