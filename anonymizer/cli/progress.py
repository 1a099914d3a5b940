"""How far a run is, on stderr: a moving line on a terminal, now and then a plain line elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from anonymizer.cli.printing import on_one_line, tell

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from anonymizer.publishing import Progress

_BETWEEN_LINES_S = 10.0
_BETWEEN_DRAWINGS_S = 0.1


class ProgressShow:
    """Called with each Progress; shows as much of it as the place it goes to can bear."""

    def __init__(self, name: str, *, quiet: bool, covered: str = "covered") -> None:
        self._name = on_one_line(name)
        self._covered = covered
        self._quiet = quiet
        self._drawn: RichProgress | None = None
        self._task: TaskID | None = None
        self._last_s = time.monotonic()
        self._stack = ExitStack()

    def __enter__(self) -> ProgressShow:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TextColumn("{task.fields[words]}", markup=False))
            self._drawn = self._stack.enter_context(RichProgress(*columns, console=Console(stderr=True), transient=True))
            self._task = self._drawn.add_task(self._name, total=None, words="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if self._quiet or now_s - self._last_s < (_BETWEEN_DRAWINGS_S if self._drawn else _BETWEEN_LINES_S):
            return
        self._last_s = now_s
        if self._drawn is not None and self._task is not None:
            self._drawn.update(self._task, completed=progress.frames_done, total=progress.frames_expected, words=progress_words(progress, self._covered))
        else:
            tell(f"{self._name}: {progress_words(progress, self._covered)}")


def progress_words(progress: Progress, covered: str = "covered") -> str:
    """ "120/300 frames, 24.8 frames/s, 0:07 left, 85 covered"."""
    frames = f"{progress.frames_done}/{progress.frames_expected}" if progress.frames_expected else str(progress.frames_done)
    words = [f"{frames} frames", f"{progress.frames_per_s:.1f} frames/s"]
    if progress.remaining_s is not None:
        words.append(f"{_clock(progress.remaining_s)} left")
    return ", ".join([*words, f"{progress.covered} {covered}"])


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
