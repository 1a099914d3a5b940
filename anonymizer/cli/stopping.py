"""How signals stop the program: at once, with every block cleaned up; or, while a camera is recorded, by finishing the recording."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from anonymizer.overlap import anything_runs_ahead

# SIGHUP comes when a terminal is closed; Windows has none.
_STOPPING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
FINISH_WITHIN_S = 60.0  # systemd kills what still runs 90 s after its SIGTERM, unless TimeoutStopSec says otherwise
CLEAN_UP_WITHIN_S = 10.0  # for a camera that gives no frame any more, whose reader cannot be interrupted
_ONE_WISH_S = 1.0  # timeout(1) signals its child and then the child's group; hands press twice
_STDERR = 2


class StoppedError(BaseException):
    """A signal asked the program to stop; every open block cleans up on its way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.words = "interrupted" if number == signal.SIGINT else "terminated"
        self.exit_code = 128 + number


def stop_on_signals() -> None:
    """The first signal lets every block clean up, the second ends the program where it stands."""
    for number in _STOPPING:
        # A shell that starts a job in the background has it ignore Ctrl-C, and means it.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


@contextmanager
def finishing_first(*, quiet: bool) -> Iterator[threading.Event]:
    """Inside the block the first signal only sets the event given here, a later one stops as everywhere else.

    Ctrl-C waits for as long as it takes: whoever pressed it can press it again. After the signals of programs a camera
    has FINISH_WITHIN_S to give its last frame, then the run is stopped, and CLEAN_UP_WITHIN_S later ended. Writing the
    last frames and reading hours of them once more ends by itself: nobody's recording is lost to a clock of ours.
    """
    finish = threading.Event()
    asked_s = 0.0

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked_s
        if finish.is_set():
            if time.monotonic() - asked_s > _ONE_WISH_S:
                _stop_late(number, frame)
            return
        asked_s = time.monotonic()
        finish.set()
        if number != signal.SIGINT:
            _alarm(FINISH_WITHIN_S, lambda _, frame: _stop_late(number, frame) if anything_runs_ahead() else None)
        if not quiet:
            with contextlib.suppress(OSError):  # Straight to the descriptor: the signal may have struck inside a print.
                os.write(_STDERR, b"anonymizer: finishing what was recorded until now; the same once more stops without an output\n")

    ours = [number for number in _STOPPING if signal.getsignal(number) is _stop]
    for number in ours:
        signal.signal(number, ask)
    try:
        yield finish
    finally:
        _alarm(0)
        for number in ours:
            # After a stop the next signal is to end the program.
            signal.signal(number, _stop if signal.getsignal(number) is ask else signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    """The first signal: clean up for as long as it takes, until somebody signals again."""
    _alarm(_ONE_WISH_S, end_at_the_next)
    _interrupt(number, frame)


def _stop_late(number: int, frame: FrameType | None) -> None:
    """Stop, but not for longer than CLEAN_UP_WITHIN_S: an unfinished file is hidden, sealed, and swept by the next run."""
    _alarm(CLEAN_UP_WITHIN_S)
    _interrupt(number, frame)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise StoppedError where the signal struck, or leave it to the file that FFmpeg writes to right then."""
    # Not SIG_DFL at once: of timeout's or systemd's two signals the other would end the clean-up, or be one of Python's tracebacks.
    for other in _STOPPING:
        signal.signal(other, _same_wish)
    if not hasattr(signal, "setitimer"):
        end_at_the_next()
    stopped = StoppedError(number)
    # Nothing is imported in here: what is not loaded writes nothing.
    files = sys.modules.get("anonymizer.media.files")
    file = files.file_written_in(frame) if files else None
    if file is None:
        raise stopped
    file.interruption = stopped


def _same_wish(*_: object) -> None:
    """A second signal close behind the first asks for the same."""


def end_at_the_next(*_: object) -> None:
    """From now on a signal ends the program where it stands, as what cleans up may hang; of itself it is not ended any more."""
    _alarm(0)
    for number in _STOPPING:
        signal.signal(number, signal.SIG_DFL)


def _alarm(seconds: float, handler: Callable[[int, FrameType | None], None] | None = None) -> None:
    """Call `handler`, or end the program, after that time; 0: never. Windows, where no camera is read, has no alarm."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
