"""Many files into one folder: found in a fixed order, each done alone, finished ones skipped, failures remembered.

Outputs keep the path below the folder they were found in, their name and, where such files can be written, their
suffix. What is neither a picture nor a video is named and left where it is: nothing is ever copied. Hidden files and
folders are passed over; among them are the staging files of killed runs.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from anonymizer.errors import AnonymizerError, CancelledError, ConfigError, ModelError, SourceError, TargetError
from anonymizer.media.kinds import Kind, kind_of
from anonymizer.publishing import LEDGER_NAME, Ledger, Report, Settings, sweep_leftovers

State = Literal["done", "finished", "failed", "skipped"]

# What an output cannot be made of is everywhere the same: so many in a row, and the fault is not the files'.
FAULTS_IN_A_ROW = 3
# Which failure's exit code stands for the whole batch, gravest first; a bug (1) outranks them all.
_GRAVITY = (1, 7, 5, 4, 6, 3, 2)


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be done."""

    source: Path
    target: Path
    kind: Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: done now, finished by an earlier run, failed, or skipped because it is no media."""

    source: Path
    state: State
    target: Path | None = None
    report: Report | None = None
    error: Exception | None = None
    reason: str = ""


@dataclass(slots=True)
class Summary:
    """Counts outcomes as they come by; keeps words of the failed and the skipped, not their reports."""

    done: int = 0
    finished: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    _codes: set[int] = field(default_factory=set)

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        if outcome.state == "done":
            self.done += 1
        elif outcome.state == "finished":
            self.finished += 1
        elif outcome.state == "skipped":
            self.skipped.append((outcome.source, outcome.reason))
        else:
            self.failed.append((outcome.source, outcome.reason))
            self._codes.add(outcome.error.exit_code if isinstance(outcome.error, AnonymizerError) else 1)

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, else the code of the gravest failure: 1, 7, 5, 4, 6, 3, 2."""
        return next((code for code in _GRAVITY if code in self._codes), max(self._codes, default=0))


def find_jobs(
    sources: Sequence[str | Path],
    target_folder: Path,
    *,
    name_of: Callable[[Path, Kind], str] = lambda source, kind: source.name,
    hidden: list[Path] | None = None,
) -> tuple[list[Job], list[Outcome]]:
    """What there is to do for files, folders and patterns, in order, and what is passed over with the reason.

    `name_of` gives the output's name, for where a file type forces another suffix; hidden files and folders, which nobody
    looks into, are added to `hidden`. ConfigError if two sources would get one
    output or an output would lie on a source, SourceError if something named does not exist or nothing is found.
    """
    found: dict[tuple[Path, Path], Kind] = {}
    passed: list[Outcome] = []
    for source in sources:
        for path, relative in _expanded(source, target_folder, passed, [] if hidden is None else hidden):
            kind = kind_of(path)
            if kind is None:
                passed.append(Outcome(path, "skipped", reason="is neither a picture nor a video"))
            else:
                found.setdefault((path, target_folder / relative.parent / name_of(path, kind)), kind)
    jobs = [Job(path, target, kind) for (path, target), kind in found.items()]
    if not jobs and not any(outcome.state == "failed" for outcome in passed):
        names = ", ".join(str(source) for source in sources)
        raise SourceError(f"{names}: no picture and no video found", hint="hidden files and folders are passed over")
    _require_own_targets(jobs)
    return jobs, passed


def run_batch(
    jobs: Iterable[Job],
    target_folder: Path,
    *,
    run_one: Callable[[Job, bool], Report],
    settings_of: Callable[[Path], Settings],
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Do each job with `run_one(job, overwrite)` and tell what became of it as soon as it is known.

    An output that the folder's ledger knows is skipped if it was made of the same source with the same
    configuration and weights, and made again if not; any other file in the way needs `overwrite`. Sources are known by
    their hash, not by size and time: programs that edit a file and put its time back (exiftool -P) must not leave an
    output of what the file was. Folders are swept of what killed runs left as they are met. A failure does not
    stop the rest, unless `FAULTS_IN_A_ROW` files in a row fail by the models or the output folder: then the last one
    is raised. Ctrl-C and CancelledError pass through; what was finished until then stays.
    """
    _make_folder(target_folder)
    ledger = Ledger(target_folder)
    faults = 0
    swept: set[Path] = set()
    for job in jobs:
        if job.target.parent not in swept:
            swept.add(job.target.parent)
            sweep_leftovers(job.target.parent)
        try:
            outcome = _one(job, ledger, run_one, settings_of, overwrite)
        except CancelledError:
            raise
        except Exception as error:  # A bug met by one file must not cost the others; it is told, with the highest rank.
            _remove_empty_folders(job.target.parent, target_folder)
            outcome = Outcome(job.source, "failed", job.target, error=error, reason=_words(error))
        yield outcome
        faults = faults + 1 if isinstance(outcome.error, ModelError | TargetError) else 0
        if faults == FAULTS_IN_A_ROW and outcome.error is not None:
            raise outcome.error


def _one(job: Job, ledger: Ledger, run_one: Callable[[Job, bool], Report], settings_of: Callable[[Path], Settings], overwrite: bool) -> Outcome:
    if os.path.lexists(job.target):
        if ledger.is_finished(job.target, settings_of(job.source)):  # Asked first: what is finished is read only once.
            return Outcome(job.source, "finished", job.target)
        # Made by us with other settings or of another source: nobody else's work is lost.
        overwrite = overwrite or ledger.is_ours(job.target)
    _make_folder(job.target.parent)
    report = run_one(job, overwrite)
    ledger.add(job.target, report)
    return Outcome(job.source, "done", job.target, report)


def _words(error: Exception) -> str:
    return error.problem if isinstance(error, AnonymizerError) else f"{type(error).__name__}: {error}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else (error.strerror or str(error)).lower()
        raise TargetError(f"{folder.name}: {reason}", hint="choose another output folder with -o") from error


def _remove_empty_folders(folder: Path, up_to: Path) -> None:
    """A folder made for an output that never came is no use to anyone."""
    while folder != up_to:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _expanded(source: str | Path, target_folder: Path, passed: list[Outcome], hidden: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Files that a source stands for, each with its path below the folder that was named."""
    path = Path(source)
    if not str(source):
        raise SourceError("'': an empty name names no input", hint="name a file or a folder; a variable of the shell may be empty")
    if path.is_dir():
        yield from _files_below(path, path, target_folder, passed, hidden)
    elif os.path.lexists(path):
        yield path, Path(path.name)
    elif glob.has_magic(str(source)):
        matches = sorted(Path(match) for match in glob.glob(str(source), recursive=True))
        if not matches:
            raise SourceError(f"{source}: nothing matches", hint="check the pattern; ** stands for any number of folders")
        top = _fixed_part(path)
        for match in matches:
            if match.is_dir():
                yield from () if "**" in path.parts else _files_below(match, top, target_folder, passed, hidden)
            elif not _is_inside(match, target_folder):
                yield match, match.relative_to(top)
    else:
        raise SourceError(f"{path.name}: no such file or folder", hint="check the path; patterns need quotes: 'photos/*.jpg'")


def _fixed_part(pattern: Path) -> Path:
    """The folder before the first part of a pattern that is one."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _files_below(
    folder: Path, top: Path, target_folder: Path, passed: list[Outcome], hidden: list[Path], above: tuple[str, ...] = ()
) -> Iterator[tuple[Path, Path]]:
    """Files of a folder and those below it, sorted; links to folders are followed, but never upwards or into the outputs.

    `above` holds the real paths on the way here: two links into each other's folders would otherwise never end.
    """
    real = os.path.realpath(folder)
    if real == os.path.realpath(target_folder):
        if folder == top:
            raise ConfigError(f"{target_folder.name}: is the input itself", hint="outputs keep their names: choose another folder with -o")
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problem = SourceError(f"{folder.name}: {(error.strerror or str(error)).lower()}", hint="check the permissions of the folder")
        passed.append(Outcome(folder, "failed", error=problem, reason=problem.problem))
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            hidden.append(path)
            continue
        if entry.name == LEDGER_NAME:
            continue
        if not entry.is_dir():
            yield path, path.relative_to(top)
        elif entry.is_symlink() and any(Path(one).is_relative_to(os.path.realpath(path)) for one in (*above, real)):
            passed.append(Outcome(path, "skipped", reason="is a link to a folder above it"))
        else:
            yield from _files_below(path, top, target_folder, passed, hidden, (*above, real))


def _require_own_targets(jobs: Sequence[Job]) -> None:
    """One output for one source, and none of them a source."""
    by_target: dict[Path, Path] = {}
    for job in jobs:
        other = by_target.setdefault(job.target, job.source)
        if other != job.source:
            raise ConfigError(f"{other} and {job.source} would both become {job.target}", hint="run them one after the other, with different folders for -o")
    sources = {_identity(job.source) for job in jobs}
    for job in jobs:
        if os.path.lexists(job.target) and (identity := _identity(job.target)) is not None and identity in sources:
            raise ConfigError(f"{job.target}: would be written over a source", hint="choose a folder for -o that holds none of the inputs")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
