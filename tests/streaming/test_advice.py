"""An operator is told once that the detector cannot keep up, and not for every hiccup."""

from __future__ import annotations

from typing import Any

import pytest

from anonymizer.streaming.advice import AGAIN_AFTER_S, WINDOW_S, KeepingUp


def figures(decided: int, curtained: int, *, looks: float = 2.0, fps: float = 25.0) -> dict[str, Any]:
    return {"counts": {"decided": decided, "carried": 0, "curtained": curtained, "dropped": 0}, "looks_per_s": looks, "fps": fps}


def test_a_slow_detector_is_said_once_in_a_while() -> None:
    watch = KeepingUp()
    assert watch.words(figures(0, 0), "balanced", 0.0) is None
    assert watch.words(figures(100, 400), "balanced", WINDOW_S / 2) is None, "too soon to judge"
    words = watch.words(figures(100, 400), "balanced", WINDOW_S)
    assert words is not None
    assert words == "the detector is too slow: 2.0 looks a second, 80 % of the frames undecided; use preset fast, fewer cameras or more cores"
    assert watch.words(figures(200, 800), "balanced", 2 * WINDOW_S) is None
    words = watch.words(figures(300, 1200), "fast", AGAIN_AFTER_S + 2 * WINDOW_S)
    assert words is not None
    assert "preset fast" not in words


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(figures(480, 20), id="a-hiccup"),
        pytest.param(figures(100, 400, looks=9.0), id="quick-enough"),
        pytest.param(figures(100, 400, looks=0.0), id="no-detector"),
        pytest.param(figures(100, 400, looks=2.0, fps=2.0), id="a-slow-camera"),
        pytest.param({}, id="no-beat"),
    ],
)
def test_what_is_not_the_detectors_slowness_is_not_said(later: dict[str, Any]) -> None:
    watch = KeepingUp()
    watch.words(figures(0, 0), "balanced", 0.0)
    assert watch.words(later, "balanced", WINDOW_S) is None


def test_a_sealer_that_was_started_anew_begins_anew() -> None:
    watch = KeepingUp()
    watch.words(figures(1000, 1000), "balanced", 0.0)
    assert watch.words(figures(10, 100), "balanced", WINDOW_S) is None
    assert watch.words(figures(20, 500), "balanced", WINDOW_S * 1.5) is None
    assert watch.words(figures(20, 900), "balanced", WINDOW_S * 2.1) is not None
