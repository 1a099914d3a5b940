"""Faults of cameras and processes, one after another on one running filter; what viewers saw is scanned for the camera's secret.

The oracle reads the truth off the painted counter. After each fault the stream has to come back by itself; in no frame of it, and
in no file, can the secret be read, and no frame is shown as live that is not.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from anonymizer.cameras.settings import Hls, Push, Record, Streaming
from tests.streaming.bench.coded import Coding
from tests.streaming.bench.live_filter import LiveFilter, Watcher, camera, free_port
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.scan import Seen, leaks, scan_folder, stale

pytestmark = pytest.mark.slow

LASTS_S = 2.0
BACK_WITHIN_S = 40.0  # back-off included: each fault in a row waits longer for its restart
REPORT = os.environ.get("FAULT_REPORT")  # a file for the table in docs/live.md


@dataclass
class World:
    """Camera, filter and a viewer, as they go through all faults."""

    camera: MiniCamera
    filter: LiveFilter
    viewer: Watcher
    folder: Path
    rows: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("live")
    outputs = (Record(folder=folder / "recorded", segment_s=4), Hls(folder=folder / "hls", segment_s=1))
    with MiniCamera() as source, LiveFilter(folder, camera("gate", source.url, outputs=outputs)) as live:
        live.wait_decided("gate")
        viewer = Watcher(live.url("gate"))
        viewer.start()
        viewer.between(time.monotonic(), time.monotonic() + 2.0)  # It has to know the stream before anything goes wrong.
        made = World(source, live, viewer, folder)
        yield made
        viewer.stop()
    assert live.exit_code == 0, live.lines
    if REPORT:
        Path(REPORT).write_text(json.dumps(made.rows, indent=1), "utf-8")


def shown_late(seen: list[Seen], source: MiniCamera) -> list[Seen]:
    """Frames that were not live any more when they came."""
    return stale(seen, source.counter_at, source.coding.rate)


def through(world: World, name: str, begin: Callable[[], Any], end: Callable[[], Any] = lambda: None, lasts_s: float = LASTS_S) -> list[Seen]:
    """Let a fault happen, wait until the stream is decided again, and scan what was seen meanwhile."""
    live, first_s = world.filter, time.monotonic()
    begin()
    time.sleep(lasts_s)
    end()
    back_s = live.wait_decided("gate", BACK_WITHIN_S)
    time.sleep(0.5)
    seen = world.viewer.between(first_s, time.monotonic())
    curtained = sum(one.counter is None for one in seen)
    longest_s = max((after.arrival_s - before.arrival_s for before, after in itertools.pairwise(seen)), default=0.0)
    row = {"fault": name, "frames": len(seen), "curtained": curtained, "longest_gap_s": round(longest_s, 1), "back_s": round(back_s, 1)}
    world.rows.append({**row, "secrets": len(leaks(seen)), "stale": len(shown_late(seen, world.camera))})
    assert leaks(seen) == []
    assert shown_late(seen, world.camera) == []
    return seen


CAMERA_FAULTS = [
    pytest.param("refuse", {}, id="refuses-the-connection"),
    pytest.param("mute", {}, id="accepts-and-never-answers"),
    pytest.param("silent", {}, id="answers-and-sends-nothing"),
    pytest.param("stall", {}, id="stops-in-mid-stream"),
    pytest.param("garbage", {}, id="sends-garbage"),
    pytest.param("blank", {}, id="makes-no-picture"),
]


@pytest.mark.parametrize(("kind", "values"), CAMERA_FAULTS)
def test_camera_that_is_not_there_is_a_curtain(world: World, kind: Any, values: dict[str, Any]) -> None:
    def begin() -> None:
        world.camera.fault(kind, seconds=LASTS_S, **values)
        if kind in ("refuse", "mute", "silent"):
            world.camera.fault("reset")

    seen = through(world, f"camera: {kind}", begin, world.camera.clear, lasts_s=LASTS_S + 1)
    assert any(one.counter is None for one in seen), "viewers stay connected to a curtain"


STREAM_FAULTS = [
    pytest.param("reset", {}, id="resets-the-connection"),
    pytest.param("drop", {"share": 0.01}, id="loses-1-percent"),
    pytest.param("drop", {"share": 0.2}, id="loses-20-percent"),
    pytest.param("damage", {"share": 0.05, "flips": 3}, id="damages-bytes"),
    pytest.param("pts", {"jump_s": 1000.0}, id="time-jumps-forward"),
    pytest.param("pts", {"jump_s": -500.0}, id="time-jumps-backward"),
    pytest.param("frozen_pts", {}, id="time-stands-still"),
    pytest.param("coding", {"coding": Coding(size_wh=(320, 180)), "reconnect": False}, id="size-changes"),
    pytest.param("coding", {"coding": Coding(codec="hevc"), "reconnect": True}, id="codec-changes"),
    pytest.param("coding", {"coding": Coding(), "reconnect": True}, id="codec-changes-back"),
]


@pytest.mark.parametrize(("kind", "values"), STREAM_FAULTS)
def test_stream_that_goes_wrong_shows_no_secret(world: World, kind: Any, values: dict[str, Any]) -> None:
    words = " ".join(str(value) for value in values.values() if isinstance(value, float))
    seconds = None if kind in ("reset", "pts", "coding") else LASTS_S
    through(world, f"camera: {kind} {words}".strip(), lambda: world.camera.fault(kind, seconds=seconds, **values), world.camera.clear)


def test_stream_joined_without_a_key_frame_is_a_curtain(world: World) -> None:
    def begin() -> None:
        world.camera.fault("keyless", seconds=LASTS_S)
        world.camera.fault("reset")

    through(world, "camera: no key frame", begin, world.camera.clear, lasts_s=LASTS_S + 1)


DETECTOR_TROUBLES = [
    pytest.param("raise", {}, id="raises"),
    pytest.param("hang", {}, id="hangs"),
    pytest.param("nan", {}, id="gives-nan"),
    pytest.param("shape", {}, id="gives-wrong-shapes"),
    pytest.param("label", {}, id="gives-an-unknown-label"),
    pytest.param("exit", {}, id="ends"),
    pytest.param("slow", {"ms": 1500}, id="is-too-slow"),
]


@pytest.mark.parametrize(("trouble", "values"), DETECTOR_TROUBLES)
def test_detector_that_fails_is_a_curtain(world: World, trouble: Any, values: dict[str, float]) -> None:
    seen = through(world, f"detector: {trouble}", lambda: world.filter.trouble(trouble, **values), lambda: world.filter.trouble(None))
    assert any(one.counter is None for one in seen)


def test_objects_that_a_look_misses_stay_covered(world: World) -> None:
    """A short miss, as every detector has: tracks are held."""
    through(world, "detector: sees nothing for 0.2 s", lambda: world.filter.trouble("nothing"), lambda: world.filter.trouble(None), lasts_s=0.2)


@pytest.mark.parametrize("role", ["detector", "reader", "sealer", "record", "hls", "web", "serve"])
def test_killed_process_comes_back(world: World, role: str) -> None:
    through(world, f"kill -9 {role}", lambda: world.filter.kill(role), lasts_s=1.0)


def test_reload_with_a_bad_file_changes_nothing_and_with_a_good_one_only_what_changed(world: World) -> None:
    live, good = world.filter, world.filter.settings
    before = live.children()

    def bad() -> None:
        live._settings_file.write_text("{", "utf-8")
        live.signal(signal.SIGHUP)

    through(world, "reload: bad file", bad, lasts_s=1.0)
    assert any("the old ones stay" in line for line in live.lines)
    assert live.children() == before

    def fresh() -> None:
        live.write_settings(Streaming(cameras=(*good.cameras, camera("yard", world.camera.url)), serve=good.serve, web=good.web))
        live.signal(signal.SIGHUP)

    through(world, "reload: one camera more", fresh, lasts_s=1.0)
    live.wait_decided("yard")
    assert all(pid in live.children()[role] for role, pids in before.items() for pid in pids), "the first camera is not touched"
    live.write_settings(good)
    through(world, "reload: one camera less", lambda: live.signal(signal.SIGHUP), lasts_s=1.0)
    assert live.children() == before


def test_sink_whose_server_stalls_delays_nobody(world: World, tmp_path: Path) -> None:
    import socket

    live, good = world.filter, world.filter.settings
    with socket.create_server(("127.0.0.1", free_port())) as deaf:
        (gate,) = good.cameras
        pushed = gate.model_copy(update={"outputs": (*gate.outputs, Push(url=f"rtmp://127.0.0.1:{deaf.getsockname()[1]}/live/x"))})
        live.write_settings(good.model_copy(update={"cameras": (pushed,)}))
        live.signal(signal.SIGHUP)
        live.wait_decided("gate")
        time.sleep(3.0)
        seen = through(world, "sink: its server never reads", lambda: None, lasts_s=6.0)
        gaps = [after.arrival_s - before.arrival_s for before, after in itertools.pairwise(seen)]
        assert max(gaps) < 1.0
    live.write_settings(good)
    live.signal(signal.SIGHUP)
    live.wait_decided("gate")


def test_nothing_readable_is_left_on_the_disk(world: World) -> None:
    """Segments, playlists' parts, and whatever lies beside them under a hidden name."""
    scans = scan_folder(world.folder, halves=False)
    assert [str(path) for path, scan in scans.items() if scan.is_leaking] == []
    assert any(path.suffix == ".mp4" for path in scans)
    live = Path("/dev/shm")
    assert not any("anonymizer" in path.name for path in live.iterdir())


def test_children_die_with_their_parent(tmp_path: Path) -> None:
    with MiniCamera() as source, LiveFilter(tmp_path, camera("gate", source.url), web=False) as live:
        deadline_s = time.monotonic() + 30
        while len(live.children()) < 4 and time.monotonic() < deadline_s:
            time.sleep(0.1)
        pids = [pid for pids in live.children().values() for pid in pids]
        assert len(pids) >= 4
        os.kill(live.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 5
        while any(map(_is_running, pids)) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        assert [pid for pid in pids if _is_running(pid)] == []


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
