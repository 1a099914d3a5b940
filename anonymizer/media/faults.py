"""What FFmpeg says when something is wrong: its log lines, and its exceptions in our words.

PyAV throws FFmpeg's log away unless it is captured. It is captured here, once for the whole process, while anyone
listens: the last line explains an error, and lines of a decoder tell of damage it has painted over.
"""

from __future__ import annotations

import errno
import gc
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import av
import av.logging

from anonymizer.errors import AnonymizerError, SourceError, TargetError

_KEPT_LINES = 500  # More than any decoder logs between two frames; a bound, so that hours of damage stay small.


# Sleeping gives the interpreter lock away; a log line needs it for microseconds.
_LEAVING_STEPS, _LEAVING_STEP_S = 5, 0.01


class Ear:
    """Hears FFmpeg's error lines from the moment it is made until it is closed."""

    _lock = threading.Lock()
    _level_lock = threading.Lock()
    _open_ears = 0
    _capture: av.logging.Capture | None = None
    _raw: list[tuple[int, str, str]]
    _lines: ClassVar[deque[tuple[int, int, str, str]]] = deque(maxlen=_KEPT_LINES)  # serial, level, who, what
    _serial = 0
    _level_before: int | None = None
    _hushed = False

    def __init__(self) -> None:
        if Ear._hushed:
            gc.collect()  # What was left at work when the hush began ends here, still unheard.
        with Ear._lock:
            if Ear._open_ears == 0:
                Ear._level_before = None if Ear._hushed else av.logging.get_level()
            if Ear._open_ears == 0 or Ear._hushed:
                Ear._hushed = False
                # Errors only: a codec's worker thread needs the interpreter lock to log, and rarely should.
                av.logging.set_level(av.logging.ERROR)
                # The same words about the next frame are news.
                av.logging.set_skip_repeated(False)
            if Ear._open_ears == 0:
                Ear._lines.clear()  # What an earlier run met explains nothing in this one.
            if Ear._capture is None:
                Ear._capture = av.logging.Capture(local=False)
                Ear._raw = Ear._capture.__enter__()
            Ear._open_ears += 1
            self._closed = False
            self._heard = Ear._serial

    def lines(self) -> list[tuple[str, str]]:
        """Who said what since the last call, by any codec of this process: errors, and what is worse."""
        return [(who, what) for level, who, what in self.leveled_lines() if level <= av.logging.ERROR]

    def leveled_lines(self) -> list[tuple[int, str, str]]:
        """The same with FFmpeg's levels, and with warnings where the level of its log was set to tell them."""
        with Ear._lock:
            _drain()
            fresh = [(level, who, what) for serial, level, who, what in Ear._lines if serial > self._heard]
            self._heard = Ear._serial
        return fresh

    def close(self) -> None:
        with Ear._lock:
            if self._closed:
                return
            self._closed = True
            Ear._open_ears -= 1
            if Ear._open_ears == 0 and Ear._capture is not None:
                _drain()
                Ear._capture.__exit__(None, None, None)
                Ear._capture = None
                av.logging.set_level(Ear._level_before)


def hush() -> None:
    """Let FFmpeg say nothing until the next ear opens: a codec that is still at work can be freed after this.

    A codec's thread that logs waits for the interpreter lock, and who frees that codec holds the lock and waits for
    the thread: both for ever. So logging stops first, and whoever is in the middle of it is given time to leave.
    """
    with Ear._lock:
        Ear._hushed = True
        av.logging.set_level(None)
    for _ in range(_LEAVING_STEPS):
        time.sleep(_LEAVING_STEP_S)


def _drain() -> None:
    if Ear._capture is None:
        return
    count = len(Ear._raw)
    for level, who, what in Ear._raw[:count]:
        Ear._serial += 1
        if what.strip():
            Ear._lines.append((Ear._serial, level, who, what.strip()))
    del Ear._raw[:count]


@contextmanager
def listening(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """All that FFmpeg logs in this thread, down to a level: (level, who, what)."""
    with Ear._level_lock:
        before = av.logging.get_level()
        av.logging.set_level(level)
        try:
            with av.logging.Capture(local=True) as logs:
                yield logs
        finally:
            av.logging.set_level(before)


def last_line() -> str | None:
    """The last error line FFmpeg logged while anyone listened."""
    with Ear._lock:
        _drain()
        return Ear._lines[-1][3] if Ear._lines else None


def source_error(path: Path | str, error: BaseException, *, doing: str = "read", hint: str | None = None) -> AnonymizerError:
    """What went wrong with a file that is read."""
    name = Path(path).name or str(path)
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{name}: there is no such file", hint="check the path")
    if isinstance(error, PermissionError):
        return SourceError(f"{name}: may not be read: permission denied", hint="check who may read it")
    if isinstance(error, IsADirectoryError):
        return SourceError(f"{name}: is a folder, not a file", hint="name the files in it")
    return SourceError(f"{name}: cannot {doing} this file: {_reason(error)}", hint=hint or "play it with another program: if it plays, please report this")


def target_error(path: Path | str, error: BaseException) -> AnonymizerError:
    """What went wrong with a file that is written."""
    name = Path(path).name or str(path)
    number = getattr(error, "errno", None)
    if number == errno.ENOSPC:
        return TargetError(f"{name}: no space left on the disk", hint="free some space, or write to another disk with -o")
    if number == errno.EDQUOT:
        return TargetError(f"{name}: the disk quota is used up", hint="free some space, or write to another disk with -o")
    # Files are Python's here: the same number from FFmpeg is its way to say that a muxer does not allow something.
    if number == errno.EFBIG:
        return TargetError(f"{name}: the file may not grow larger", hint="raise the limit on the size of files (ulimit -f), or write to another disk with -o")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) and not isinstance(error, av.FFmpegError):
        return TargetError(f"{name}: may not be written: {_reason(error)}", hint="write to another folder with -o")
    return TargetError(f"{name}: cannot write this file: {_reason(error)}", hint="try another file type, such as -o out.mkv, or another encoder with -c:v")


def as_words(text: str) -> str:
    """A library's sentence as part of one of ours: lower case, no full stop."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def words_of(error: BaseException) -> str:
    """What the system or FFmpeg says of an error, without its log."""
    return as_words(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _reason(error: BaseException) -> str:
    """FFmpeg's own words: its last log line where there is one, lower case, no full stop."""
    log = getattr(error, "log", None)
    line = (log[2] if isinstance(log, tuple) and len(log) == 3 else None) or (last_line() if isinstance(error, av.FFmpegError) else None)
    reason = words_of(error)
    return f"{reason} ({line.strip().rstrip('.')})" if line else reason


@contextmanager
def as_source_error(path: Path | str, doing: str = "read") -> Iterator[None]:
    """Everything FFmpeg or the system raises in the block becomes a SourceError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise source_error(path, error, doing=doing) from error


@contextmanager
def as_target_error(path: Path | str) -> Iterator[None]:
    """Everything FFmpeg or the system raises in the block becomes a TargetError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        raise target_error(path, error) from error
