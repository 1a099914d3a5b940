"""A chain that runs ahead in a thread behaves like the chain itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from anonymizer.overlap import overlapped


def test_order_is_kept() -> None:
    assert list(overlapped(iter(range(1000)), 3)) == list(range(1000))


def test_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    seen: list[int] = []
    with pytest.raises(OSError, match="gone"):
        seen.extend(overlapped(items(), 1))
    chain = overlapped(items(), 5)
    assert [next(chain), next(chain)] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(chain)


def test_never_runs_further_ahead_than_told() -> None:
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        for i in range(100):
            produced += 1
            yield i

    chain = overlapped(items(), 4)
    next(chain)
    threading.Event().wait(0.3)
    assert produced <= 1 + 4 + 1  # taken, waiting, in hand
    chain.close()


def test_closing_early_closes_the_inner_chain_and_leaves_no_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    chain = overlapped(items(), 2)
    next(chain)
    chain.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "anonymizer-overlap"]


@pytest.mark.parametrize("starts", [True, False])
def test_signal_inside_the_thread_s_start_leaves_nothing_running(starts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python handles signals between two of its steps, also between a thread's birth and the line after start()."""
    real_start, threads, closed = threading.Thread.start, list[threading.Thread](), list[bool]()

    def interrupted_start(thread: threading.Thread) -> None:
        threads.append(thread)
        if starts:
            real_start(thread)
        raise KeyboardInterrupt

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    source = items()
    next(source)
    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        next(overlapped(source, 2))
    assert closed == [True]
    for thread in threads:
        if starts:
            thread.join(5)
        assert not thread.is_alive()
