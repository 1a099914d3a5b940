"""A run that is told to stop, or killed, at any stage: no output, nothing in clear, and the next run cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.promises.secret import SIDE, leaks_in, readable_frames, secret_clip, secret_xy

pytestmark = pytest.mark.slow
FRAMES = 700
LIMIT_S = 60


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be met at work."""
    return secret_clip(tmp_path_factory.mktemp("clips") / "in.mp4", frames=FRAMES)


def start(source: Path, target: Path, scratch: Path) -> subprocess.Popen[bytes]:
    xs, ys = zip(*(secret_xy(index) for index in range(FRAMES)), strict=True)
    zone = f"{min(xs)},{min(ys)},{max(xs) - min(xs) + SIDE},{max(ys) - min(ys) + SIDE}"
    words = [sys.executable, "-m", "anonymizer", "run", str(source), "-o", str(target), "--detect", "none", "--zone", zone, "-q"]
    return subprocess.Popen(words, env={**os.environ, "TMPDIR": str(scratch)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=target.parent)


def staging_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if ".part" in path.name]


def at_once(folder: Path) -> bool:
    return True


def staging_appears(folder: Path) -> bool:
    return bool(staging_files(folder))


def staging_has_pictures(folder: Path) -> bool:
    return any(path.stat().st_size > 20_000 for path in staging_files(folder))


STAGES = [
    pytest.param(at_once, id="at-once"),
    pytest.param(staging_appears, id="as-the-staging-file-appears"),
    pytest.param(staging_has_pictures, id="in-mid-run"),
]
SIGNALS = [
    pytest.param(signal.SIGINT, 130, id="ctrl-c"),
    pytest.param(signal.SIGTERM, 143, id="terminated"),
    pytest.param(signal.SIGHUP, 129, id="terminal-closed"),
    pytest.param(signal.SIGKILL, -9, id="killed"),
]


def wait_for(stage: Callable[[Path], bool], folder: Path, run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not stage(folder):
        if run.poll() is not None:
            pytest.fail(f"the run ended before the stage was reached: {run.communicate()}")
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_stopped_run_leaves_nothing_to_see(long_clip: Path, stage: Callable[[Path], bool], number: signal.Signals, code: int, tmp_path: Path) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    work.mkdir()
    scratch.mkdir()
    target = work / "out.mp4"
    with start(long_clip, target, scratch) as run:
        wait_for(stage, work, run)
        run.send_signal(number)
        _, said = run.communicate(timeout=LIMIT_S)
    if stage is at_once and number is not signal.SIGKILL:
        # Python itself may not have started: then the signal's own end is the right one.
        assert run.returncode in (code, -number)
    else:
        assert run.returncode == code, said
    assert not target.exists()
    assert b"Traceback" not in said or stage is at_once
    assert list(scratch.iterdir()) == []
    assert not leaks_in([tmp_path], [])
    if number is signal.SIGKILL:
        assert all(readable_frames(left) in (None, 0) for left in staging_files(work))
    else:
        assert staging_files(work) == []


def test_next_run_removes_what_a_killed_one_left(long_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with start(long_clip, target, tmp_path) as run:
        wait_for(staging_has_pictures, tmp_path, run)
        run.kill()
        run.communicate(timeout=LIMIT_S)
    assert staging_files(tmp_path)
    with start(secret_clip(tmp_path / "short.mp4"), tmp_path / "other.mp4", tmp_path) as again:
        _, said = again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0, said
    assert staging_files(tmp_path) == []
    assert readable_frames(tmp_path / "other.mp4") == 0


def test_full_disk_leaves_nothing(long_clip: Path, tmp_path: Path) -> None:
    """The limit of a file's size (ulimit -f) stands for the disk: the same calls fail in the same way."""
    target = tmp_path / "out.mkv"
    words = f"ulimit -f 100; exec {sys.executable} -m anonymizer run {long_clip} -o {target} --detect none --zone 0,0,160,120 -q -c:v rawvideo"
    done = subprocess.run(["bash", "-c", words], capture_output=True, timeout=LIMIT_S, cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert b"out.mkv: " in done.stderr
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
