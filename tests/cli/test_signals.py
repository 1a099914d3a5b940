"""Whatever stops a run, and whenever: no output under its name, and what is left is swept by the next run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ClipMaker

# Slow enough to be caught at work: a thousand frames through the encoder's slowest preset.
COMMAND = [sys.executable, "-m", "anonymizer", "run", "in.mp4", "-o", "out.mp4", "--detect", "none", "--zone", "8,8,16,16", "--encoder-preset", "placebo"]


@pytest.fixture
def running(make_clip: ClipMaker) -> tuple[subprocess.Popen[str], Path]:
    """A real run in the middle of writing."""
    folder = make_clip(frames=1000, size_wh=(320, 240)).parent
    process = subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.glob(".out.anonymizer-*.part.mp4")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return process, folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("number", "code", "words"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_stopped_run_leaves_nothing(running: tuple[subprocess.Popen[str], Path], number: signal.Signals, code: int, words: str) -> None:
    process, folder = running
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[0] == f"anonymizer: error: {words}"
    assert len(err.splitlines()) == 2
    assert names(folder) == ["in.mp4"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_two_signals_at_once_are_one_wish(running: tuple[subprocess.Popen[str], Path], second: signal.Signals) -> None:
    """As timeout(1) sends them, and systemd with SendSIGHUP."""
    process, folder = running
    process.send_signal(signal.SIGTERM)
    process.send_signal(second)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (143, 128 + second), err
    assert err.splitlines()[0] == "anonymizer: error: terminated"
    assert len(err.splitlines()) == 2
    assert names(folder) == ["in.mp4"]


# Signalled while FFmpeg writes: what a signal's handler raises in there PyAV prints, and writes on.
STRIKING = """
import os, signal, sys
from anonymizer.cli.app import main
from anonymizer.media import files

class Struck:
    def __init__(self, file):
        self.file, self.calls = file, 0

    def __getattr__(self, name):
        return getattr(self.file, name)

    def {method}(self, *args):
        self.calls += 1
        if self.calls == {call}:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1000):
                pass
        return self.file.{method}(*args)

create = files.create_regular
files.create_regular = lambda path: Struck(create(path))
sys.exit(main({words}))
"""


@pytest.mark.parametrize(("method", "call"), [("write", 1), ("write", 2), ("seek", 1)])
def test_signal_while_ffmpeg_writes_stops_after_it(make_clip: ClipMaker, method: str, call: int) -> None:
    folder = make_clip(frames=100, size_wh=(320, 240)).parent
    words = [sys.executable, "-c", STRIKING.format(method=method, call=call, words=[*COMMAND[3:-1], "ultrafast", "-q"])]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 143, done.stderr
    assert done.stderr.splitlines()[0] == "anonymizer: error: terminated"
    assert len(done.stderr.splitlines()) == 2
    assert names(folder) == ["in.mp4"]


def test_killed_run_leaves_a_hidden_file_that_the_next_run_sweeps(running: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = running
    process.kill()
    process.communicate(timeout=60)
    left = [name for name in names(folder) if name != "in.mp4"]
    assert [name.startswith(".out.anonymizer-") for name in left] == [True]
    doctor = subprocess.run([sys.executable, "-m", "anonymizer", "doctor", "--json"], cwd=folder, capture_output=True, text=True, check=False)
    assert left[0] in doctor.stdout
    done = subprocess.run([*COMMAND[:-1], "ultrafast", "--span", "0-0.2", "-q"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(folder) == ["in.mp4", "out.mp4"]


def test_second_run_at_the_same_output_is_refused(running: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = running
    try:
        second = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False)
        assert second.returncode == 6
        assert second.stderr.startswith("anonymizer: error: out.mp4: another run is writing it\n")
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert names(folder) == ["in.mp4"]
