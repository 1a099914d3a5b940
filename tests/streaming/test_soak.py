"""The live filter for a long time, with faults at random: nothing grows, viewers come back by themselves, nothing is readable.

Three minutes in every run of the tests; half an hour with `-m soak`.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymizer.cameras.settings import Hls, Record
from tests.streaming.bench.live_filter import LiveFilter, Watcher, camera
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.scan import leaks, scan_folder
from tests.streaming.test_faults import shown_late

FAULT_EVERY_S = (6.0, 14.0)
MOST_GROWTH, MOST_GROWTH_MB = 1.15, 30.0  # of all processes together, from the first third to the end
REPORT = os.environ.get("SOAK_REPORT")


def usage(live: LiveFilter) -> dict[str, float]:
    """Memory, descriptors, threads and processes of the whole filter."""
    pids = [live.pid, *(pid for pids in live.children().values() for pid in pids)]
    total = {"memory_mb": 0.0, "descriptors": 0.0, "threads": 0.0, "processes": float(len(pids))}
    for pid in pids:
        try:
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            smaps = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total["descriptors"] += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            continue  # It was killed a moment ago.
        total["memory_mb"] += next(int(line.split()[1]) for line in smaps.splitlines() if line.startswith("Pss:")) / 1024
        total["threads"] += int(status["Threads"])
    return {name: round(value, 1) for name, value in total.items()}


def soak(folder: Path, minutes: float, seed: int = 7) -> dict[str, Any]:
    """Run it, break things at random, and say how it went."""
    dice, usages, faults, backs_s = random.Random(seed), [], [], []
    outputs = (Record(folder=folder / "recorded", segment_s=5, keep_s=60), Hls(folder=folder / "hls", segment_s=1))
    with MiniCamera() as source, LiveFilter(folder, camera("gate", source.url, outputs=outputs)) as live:
        things: list[tuple[str, Callable[[], Any]]] = [
            ("reset", lambda: source.fault("reset")),
            ("drop 5 %", lambda: source.fault("drop", share=0.05, seconds=2)),
            ("damage", lambda: source.fault("damage", share=0.02, flips=1, seconds=2)),
            ("stall", lambda: source.fault("stall", seconds=3)),
            ("time jumps", lambda: source.fault("pts", jump_s=dice.uniform(-300, 300))),
            *((f"kill {role}", lambda role=role: live.kill(role)) for role in ("detector", "reader", "sealer", "record", "hls", "serve", "web")),
        ]
        live.wait_decided("gate")
        viewer = Watcher(live.url("gate"))
        viewer.start()
        began_s = time.monotonic()
        while time.monotonic() - began_s < minutes * 60:
            time.sleep(dice.uniform(*FAULT_EVERY_S))
            usages.append(usage(live))
            name, begin = dice.choice(things)
            begin()
            faults.append(name)
            time.sleep(1.0)
            backs_s.append(live.wait_decided("gate"))
        time.sleep(8.0)
        usages.append(usage(live))
        seen = viewer.stop()
        late = [(one.counter, source.counter) for one in shown_late(seen, source)]
    scans = scan_folder(folder, halves=False)
    return {
        "minutes": minutes,
        "faults": {name: faults.count(name) for name in sorted(set(faults))},
        "usage_first_third": usages[len(usages) // 3],
        "usage_end": usages[-1],
        "slowest_return_s": round(max(backs_s), 1),
        "frames_seen": len(seen),
        "curtained": sum(one.counter is None for one in seen),
        "secrets": len(leaks(seen)) + sum(scan.is_leaking for scan in scans.values()),
        "stale": late,
        "connections": viewer.connections,
        "exit_code": live.exit_code,
    }


def assert_steady(found: dict[str, Any]) -> None:
    """Nothing grew, nothing was readable, the viewer came back."""
    if REPORT:
        Path(REPORT).write_text(json.dumps(found, indent=1), "utf-8")
    first, end = found["usage_first_third"], found["usage_end"]
    assert found["secrets"] == 0, found
    assert found["stale"] == [], found
    assert found["exit_code"] == 0, found
    assert found["frames_seen"] > found["minutes"] * 60 * 5, found
    assert end["processes"] == first["processes"], found
    assert end["memory_mb"] <= max(first["memory_mb"] * MOST_GROWTH, first["memory_mb"] + MOST_GROWTH_MB), found
    assert end["descriptors"] <= first["descriptors"] + 8, found
    assert end["threads"] <= first["threads"] + 4, found


@pytest.mark.slow
def test_three_minutes_of_faults_change_nothing(tmp_path: Path) -> None:
    assert_steady(soak(tmp_path, 3.0))


@pytest.mark.soak
def test_half_an_hour_of_faults_changes_nothing(tmp_path: Path) -> None:
    assert_steady(soak(tmp_path, 30.0))
