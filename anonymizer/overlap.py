"""Run the front of a chain of generators in a thread of its own, a bounded number of items ahead, and one of its steps in several.

The steps of the pipeline spend their time in C code that lets go of the interpreter lock: decoding, detecting and
encoding run side by side this way. Order and clean-up are those of the plain generator, and no error is lost.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")
_END = object()
_THREAD_NAME = "anonymizer-overlap"


def anything_runs_ahead() -> bool:
    """Whether a thread of anything here still works, or waits for what it reads."""
    return any(thread.name.startswith(_THREAD_NAME) for thread in threading.enumerate())


def overlapped(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield what `items` yields, computed up to `ahead` items early in another thread.

    An exception in `items` is raised here, after the items before it. Closing this generator closes `items` and
    waits for its thread, so a caller that gives up leaves nothing running.
    """
    handover: queue.Queue[object] = queue.Queue(maxsize=max(1, ahead))
    failure: list[BaseException] = []
    gave_up = threading.Event()
    begun: list[bool] = []
    beginning = threading.Lock()

    def put(item: object) -> bool:
        while not gave_up.is_set():
            try:
                handover.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def close_items() -> None:
        close = getattr(items, "close", None)
        if close is not None:
            close()

    def work() -> None:
        with beginning:
            if gave_up.is_set():
                return
            begun.append(True)
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:
            failure.append(error)
        finally:
            close_items()
            put(_END)

    thread = threading.Thread(target=work, name=_THREAD_NAME, daemon=True)
    try:
        thread.start()
        while (item := handover.get()) is not _END:
            yield item  # type: ignore[misc]  # the queue holds what `items` yielded, and _END
        if failure:
            raise failure[0]
    finally:
        # A signal may strike inside start(): a thread that has not begun by now never touches `items`, and is not waited for.
        with beginning:
            gave_up.set()
        if begun:
            thread.join()
        else:
            close_items()


def side_by_side(call: Callable[[T], U], items: Iterator[T], at_once: int) -> Generator[U, None, None]:
    """Yield what `call` makes of each item, in their order, with `at_once` of them under way in threads.

    One more waits, so that no thread does while the first is slow. An exception of `call` is raised in its item's place, one of
    `items` at once, ahead of what waits; either, and closing this generator, waits for the calls under way and begins no other.
    """
    if at_once < 2:
        yield from map(call, items)
        return
    pool, coming = ThreadPoolExecutor(at_once, thread_name_prefix=_THREAD_NAME), deque[Future[U]]()
    try:
        for item in items:
            coming.append(pool.submit(call, item))
            if len(coming) > at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
