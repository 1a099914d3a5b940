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

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(FAKETIME is None, reason="needs libfaketime: apt install libfaketime")]


def test_clock_set_back_by_an_hour_and_forward_again_is_not_noticed(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    outputs = (Record(folder=tmp_path / "recorded", segment_s=2, keep_s=600), Hls(folder=tmp_path / "hls", segment_s=1))
    with MiniCamera() as source, LiveFilter(tmp_path, camera("gate", source.url, outputs=outputs), environment=faked) as live:
        live.wait_decided("gate")
        viewer = Watcher(live.url("gate"))
        viewer.start()
        began_s = time.monotonic()
        viewer.between(began_s, began_s + 2.0)
        for shift_s in (-3600, 3600, 0):
            clock.write_text(f"{shift_s:+d}")
            live.wait_until(lambda state, shift_s=shift_s: abs(state["now_s"] - time.time() - shift_s) < 2, 5.0)
            time.sleep(3.0)
            live.wait_decided("gate", 5.0)
        seen = viewer.between(began_s, time.monotonic())
        late = stale(seen, source.counter_at, source.coding.rate)
        restarts = [live.camera_state("gate")["restarts"], *(output["restarts"] for output in live.camera_state("gate")["outputs"])]
    assert live.exit_code == 0, live.lines
    assert restarts == [0, 0, 0]
    shown = [one for one in seen if one.arrival_s > began_s + 1.5]
    assert leaks(shown) == []
    assert late == []
    assert max(after.arrival_s - before.arrival_s for before, after in itertools.pairwise(shown)) < 0.6
    scans = scan_folder(tmp_path, halves=False)
    assert [str(path) for path, scan in scans.items() if scan.is_leaking] == []
    counters = [counter for path, scan in scans.items() if path.parent.name == "recorded" and path.suffix == ".mp4" for counter in scan.counters if counter]
    assert len(counters) == len(set(counters)), "no segment was written twice"
    assert len(counters) > 0.8 * len(shown), "none was written over, and none removed for its age"
