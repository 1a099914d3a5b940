"""The machine's clock is set back and forward under a running filter: nothing but names and the curtain's clock may depend on it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from anonymizer.cameras.settings import Hls, Record
from tests.streaming.bench.live_filter import LiveFilter, Watcher, camera
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.scan import leaks, scan_folder, stale

pytestmark = pytest.mark.slow

# Every Python that finds this on its path has a clock that goes wrong by as many seconds as a file says.
SITECUSTOMIZE = """
import os, time
right, shift = time.time, os.environ["BENCH_CLOCK_SHIFT"]
def wrong():
    with open(shift) as file:
        return right() + float(file.read())
time.time = wrong
"""


def test_clock_set_back_by_an_hour_and_forward_again_is_not_noticed(tmp_path: Path) -> None:
    shift, path = tmp_path / "shift", tmp_path / "path"
    path.mkdir()
    (path / "sitecustomize.py").write_text(SITECUSTOMIZE)

    def set_clock(by_s: float) -> None:
        (tmp_path / "new").write_text(str(by_s))
        (tmp_path / "new").replace(shift)

    set_clock(0)
    wrong = {"BENCH_CLOCK_SHIFT": str(shift), "PYTHONPATH": str(path)}
    outputs = (Record(folder=tmp_path / "recorded", segment_s=2), Hls(folder=tmp_path / "hls", segment_s=1))
    with MiniCamera() as source, LiveFilter(tmp_path, camera("gate", source.url, outputs=outputs), environment=wrong) as live:
        live.wait_decided("gate")
        viewer = Watcher(live.url("gate"))
        viewer.start()
        began_s = time.monotonic()
        viewer.between(began_s, began_s + 2.0)
        for by_s in (-3600, 3600, 0):
            set_clock(by_s)
            live.wait_until(lambda state, by_s=by_s: abs(state["now_s"] - time.time() - by_s) < 2, 5.0)
            time.sleep(2.5)
            live.wait_decided("gate", 5.0)
        seen = viewer.between(began_s, time.monotonic())
        late = stale(seen, source.counter_at, source.coding.rate)
        state = live.camera_state("gate")
    assert live.exit_code == 0, "\n".join(live.lines)
    assert [state["restarts"], *(output["restarts"] for output in state["outputs"])] == [0, 0, 0]
    shown = [one for one in seen if one.arrival_s > began_s + 1.5]
    assert leaks(shown) == []
    assert late == []
    assert max(after.arrival_s - before.arrival_s for before, after in itertools.pairwise(shown)) < 0.6
    scans = scan_folder(tmp_path, halves=False)
    assert [str(path) for path, scan in scans.items() if scan.is_leaking] == []
    recorded = {path: scan for path, scan in scans.items() if path.parent.name == "recorded" and path.suffix == ".mp4"}
    hours = {path.name[len("gate_2026-11-28T") :][:2] for path in recorded}
    assert len(hours) >= 3, "segments are named by the clock as it was"
    counters = [counter for scan in recorded.values() for counter in scan.counters if counter is not None]
    assert len(counters) == len(set(counters)), "nothing was written twice"
    assert len(counters) > 0.8 * len(shown), "none was written over"
