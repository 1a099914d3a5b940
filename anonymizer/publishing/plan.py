"""The plan: every decision about one source as JSON Lines, without a pixel; the seam between looking and covering.

    {"anonymizer_plan": 1, "source": {"name": "in.mp4", "sha256": "..."}, "coded_wh": [1920, 1080], ...}
    {"frame": 0, "pts": 0, "regions": [{"label": "face", "shape": "ellipse", "xyxy": [8.5, 9.0, 40.0, 52.25], ...}]}
    {"frames": 1}

Boxes are those of the coded frame, so that floats come back bit by bit; the header says how it is turned and
stretched for display. The last line proves that the plan is whole. Whatever is not understood is refused: a plan
read wrongly would leave someone in clear.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, TextIO

from anonymizer.errors import ConfigError, SourceError, TargetError
from anonymizer.publishing.plan_lines import FRAME_KEYS, PlanHeader, frame_of, header_line, header_of, region_line, whole
from anonymizer.publishing.staging import staged
from anonymizer.regular import create_regular, open_regular
from anonymizer.types import Decision

LONGEST_LINE_BYTES = 2**21  # 15,000 regions in one frame; anything longer is not a plan, and read as JSON takes 50 times the memory
_LAST_LINE_BYTES = 4096
_LONGEST_PROBLEM = 300  # characters: what is wrong may itself be megabytes long
_HINT = "make the plan again with: anonymizer detect IN --plan PLAN"


class PlanWriter:
    """Write a plan frame by frame; it appears under its name only after `finish` and a clean end of the block."""

    def __init__(self, path: Path, header: PlanHeader, *, overwrite: bool = False) -> None:
        self._path = path
        self._header = header
        self._overwrite = overwrite
        self._frames = 0
        self._finished = False
        self._last_pts: int | None = None
        self._stack = ExitStack()
        self._file: TextIO | None = None

    def __enter__(self) -> PlanWriter:
        with ExitStack() as stack:  # Closed, and the staging file with it, if the header cannot be written.
            staging = stack.enter_context(staged(self._path, overwrite=self._overwrite))
            self._file = stack.enter_context(_created(staging, self._path.name))
            self._write(header_line(self._header))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and not self._finished:
            error = TargetError(f"{self._path.name}: the plan was left before it was finished", hint="nothing was published")
            self._stack.__exit__(type(error), error, None)
            raise error
        self._stack.__exit__(kind, error, trace)

    def write(self, decision: Decision, pts: int) -> None:
        """Add the decision for the next frame; ValueError for any other frame than the next."""
        if self._finished:
            raise ValueError("the plan is finished")
        if decision.frame_index != self._frames:
            raise ValueError(f"the plan waits for frame {self._frames}, not {decision.frame_index}")
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"frame {self._frames} is shown at {pts}, not after the frame before it ({self._last_pts})")
        self._write({"frame": decision.frame_index, "pts": int(pts), "regions": [region_line(region) for region in decision.regions]})
        self._frames += 1
        self._last_pts = pts

    def finish(self) -> None:
        """Say that the last frame has been written: without it the plan is refused as cut."""
        self._write({"frames": self._frames})
        self._finished = True

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            raise ValueError("a plan is written inside its with block")
        text = json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n"
        if len(text) > LONGEST_LINE_BYTES:
            raise TargetError(f"{self._path.name}: has no room for all that is covered in frame {self._frames}", hint="cover the whole frame with one zone")
        self._file.write(text)


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan for one source: iterate it for its decisions, in order, one for every frame, read as they are needed.

    Iteration raises ConfigError at the first line that is not what it should be.
    """

    path: Path
    header: PlanHeader
    frame_count: int

    def __iter__(self) -> Iterator[Decision]:
        return (decision for _, decision in self.frames())

    def frames(self) -> Iterator[tuple[int, Decision]]:
        """The pts and the decision of every frame."""
        with _opened(self.path) as file:
            lines = _lines(file, self.path)
            next(lines)
            last_pts: int | None = None
            for index in range(self.frame_count):
                number, line = next(lines, (index + 2, None))
                if line is None or FRAME_KEYS - line.keys():
                    _refuse(self.path, number, f"frame {index} is missing, the plan may be cut")
                try:
                    pts, decision = frame_of(line)
                except (ValueError, TypeError, OverflowError) as error:
                    _refuse(self.path, number, str(error))
                if decision.frame_index != index:
                    _refuse(self.path, number, f"frame {decision.frame_index} stands where frame {index} belongs")
                if last_pts is not None and pts <= last_pts:
                    _refuse(self.path, number, f"frame {index} is shown at {pts}, not after the frame before it")
                last_pts = pts
                yield pts, decision
            number, line = next(lines, (self.frame_count + 2, None))
            if line != {"frames": self.frame_count} or next(lines, None) is not None:
                _refuse(self.path, number, f"the plan does not end after its {self.frame_count} frames")


def read_plan(path: Path, source: Path) -> Plan:
    """Open a plan for `source`; ConfigError if it is no whole plan, or one for another file."""
    with _opened(path) as file:
        _, line = next(_lines(file, path), (1, {}))
        try:
            header = header_of(line)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            _refuse(path, 1, f"not the header of a plan ({error})")
    frame_count = _frame_count(path)
    if header.source_sha256 != file_sha256(source):
        raise ConfigError(
            f"{path.name}: was made for another file than {source.name}",
            hint=f"it was made for {header.source_name[:255]}; {_HINT}",
        )
    return Plan(path, header, frame_count)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in pieces; SourceError if it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path.name}: {(error.strerror or str(error)).lower()}", hint="check the path and its permissions") from error


def _created(staging: Path, name: str) -> TextIO:
    try:
        return io.TextIOWrapper(create_regular(staging), encoding="ascii", newline="\n")
    except OSError as error:
        raise TargetError(f"{name}: {(error.strerror or str(error)).lower()}", hint="nothing was published; look at who writes to the folder") from error


def _opened(path: Path) -> BufferedReader:
    try:
        return open_regular(path)
    except OSError as error:
        raise ConfigError(f"{path.name}: {(error.strerror or str(error)).lower()}", hint=_HINT) from error


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every line as an object, with its number from 1."""
    number = 0
    while True:
        number += 1
        try:
            text = file.readline(LONGEST_LINE_BYTES + 1)
        except OSError as error:
            _refuse(path, number, f"it cannot be read ({error})")
        if not text:
            return
        if len(text) > LONGEST_LINE_BYTES:
            _refuse(path, number, f"is longer than {LONGEST_LINE_BYTES >> 20} MiB, as no line of a plan is")
        if not text.endswith(b"\n"):
            _refuse(path, number, "the line does not end, the plan may be cut")
        yield number, _parsed(text, path, number)


def _parsed(text: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text.decode(), parse_constant=_not_finite, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        _refuse(path, number, f"not JSON as a plan has it ({error})")
    if not isinstance(line, dict):
        _refuse(path, number, "the line is not an object")
    return line


def _frame_count(path: Path) -> int:
    """What the last line says, read from the end: a cut plan is refused before hours of work, not after."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LAST_LINE_BYTES))
            last = file.read().splitlines(keepends=True)[-1]
        line = json.loads(last)
        if last.endswith(b"\n") and line.keys() == {"frames"} and whole(line["frames"]) >= 0:
            return int(line["frames"])
    except (OSError, ValueError, IndexError, AttributeError, RecursionError):
        pass  # All the same: the last line is not the one that a whole plan ends with.
    raise ConfigError(f"{path.name}: does not end as a plan does, it may be cut", hint=_HINT)


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python keeps the last of two equal keys: a second, empty "regions" would uncover a frame.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(path: Path, number: int, problem: str) -> NoReturn:
    said = problem if len(problem) <= _LONGEST_PROBLEM else f"{problem[:_LONGEST_PROBLEM]}..."
    raise ConfigError(f"{path.name}: line {number}: {said}", hint=_HINT)
