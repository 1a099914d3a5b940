"""A chain that runs ahead in a thread behaves like the chain itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from anonymizer.overlap import anything_runs_ahead, overlapped, side_by_side


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


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_side_by_side_keeps_the_order(at_once: int) -> None:
    def slow_at_first(item: int) -> int:
        threading.Event().wait(0.02 if item % 7 == 0 else 0.0)
        return -item

    assert list(side_by_side(slow_at_first, iter(range(60)), at_once)) == [-item for item in range(60)]
    assert not anything_runs_ahead()


def test_as_many_calls_as_told_run_side_by_side() -> None:
    """Each waits for the other: one alone would never come back."""
    meeting = threading.Barrier(2, timeout=10)
    under_way: list[int] = []
    most: list[int] = []

    def meets(item: int) -> int:
        under_way.append(item)
        most.append(len(under_way))
        meeting.wait()
        under_way.remove(item)
        return item

    assert list(side_by_side(meets, iter(range(20)), 2)) == list(range(20))
    assert max(most) == 2


def test_error_of_a_call_comes_in_its_place_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def fails_at_4(item: int) -> int:
        begun.append(item)
        if item == 4:
            raise OSError("gone")
        return item

    seen: list[int] = []
    with pytest.raises(OSError, match="gone"):
        seen.extend(side_by_side(fails_at_4, iter(range(100)), 2))
    assert seen == [0, 1, 2, 3]
    assert max(begun) <= 4 + 2
    assert not anything_runs_ahead()


def test_closing_waits_for_the_calls_under_way_and_begins_no_other() -> None:
    begun, ended = list[int](), list[int]()

    def slow(item: int) -> int:
        begun.append(item)
        threading.Event().wait(0.1)
        ended.append(item)
        return item

    chain = side_by_side(slow, iter(range(100)), 2)
    next(chain)
    chain.close()
    assert sorted(begun) == sorted(ended)
    assert len(begun) <= 1 + 2 + 1
    assert not anything_runs_ahead()
