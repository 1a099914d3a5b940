"""Deadlines for calls that may never come back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TypeVar

from anonymizer.errors import ModelError

T = TypeVar("T")
SLICE_S = 0.5


def came_within(done: threading.Event, deadline_s: float) -> bool:
    """Whether `done` was set before `deadline_s` had passed."""
    # In slices: a process that is stopped (Ctrl-Z, a closed lid) sleeps through one of them, not through its deadline.
    slices = max(1, math.ceil(deadline_s / SLICE_S))
    return any(done.wait(deadline_s / slices) for _ in range(slices))


def no_answer(name: str, deadline_s: float) -> ModelError:
    """The error for a detector that is still silent at its deadline."""
    return ModelError(f"{name}: the model did not answer within {deadline_s:g} s", hint="is the machine overloaded? give it fewer threads, or a smaller model")


def answer_within(deadline_s: float, name: str, call: Callable[[], T]) -> T:
    """What `call` returns or raises; ModelError when it does neither before the deadline.

    A call that hangs is left behind in a daemon thread, for nothing can end a thread: whoever gets this error must
    not use the detector again.
    """
    done = threading.Event()
    answer: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(call())
        except BaseException as error:
            failure.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name=f"anonymizer-detect-{name}", daemon=True).start()
    if not came_within(done, deadline_s):
        raise no_answer(name, deadline_s)
    if failure:
        raise failure[0]
    return answer[0]
