"""A camera's recording ends by a signal, and is whole then: real signals to a real process.

FFmpeg's test pattern, paced to real time, stands in for the camera: it never ends, has no length and cannot be sought in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.media.clips import decode

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no camera is read where there is no alarm")]
LIMIT_S = 60
# Two frames with hours between them: a camera that hangs.
STEADY, SLOW, HANGING = "rate=25,realtime", "rate=1/3,realtime=limit=9", "rate=1/9999,realtime=limit=99999"
PROGRAM = """
import sys
import time
import anonymizer.media
from anonymizer import pipeline
from anonymizer.cli import app, stopping
pattern, stopping.FINISH_WITHIN_S, stopping.CLEAN_UP_WITHIN_S, disk_s = sys.argv[1], float(sys.argv[2]), 1.0, float(sys.argv[3])
count_packets = pipeline.count_packets
pipeline.count_packets = lambda path: time.sleep(disk_s) or count_packets(path)
for name in ("sources", "probe"):
    sys.modules[f"anonymizer.media.{name}"].webcam_device = lambda path: pattern if str(path) == "0" else None
sys.modules["anonymizer.media.sources"].WEBCAM_FORMAT = "lavfi"
sys.exit(app.main(sys.argv[4:]))
"""


def record(folder: Path, rate: str, *more: str, within_s: float = 60, disk_s: float = 0) -> subprocess.Popen[str]:
    """A recording that has begun."""
    asked = ["run", "0", "-o", "cam.mkv", "--detect", "none", "--zone", "0,0,64,48", "--effect", "solid", *more]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, f"testsrc=size=64x48:{rate}", str(within_s), str(disk_s), *asked],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    deadline_s = time.monotonic() + LIMIT_S
    while not list(folder.glob(".cam.anonymizer-*.part.mkv")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    time.sleep(1)
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_finishes_a_recording(number: signal.Signals, tmp_path: Path) -> None:
    process = record(tmp_path, STEADY)
    process.send_signal(number)
    process.send_signal(number)  # As timeout(1) does: one wish.
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    assert "cam.mkv: " in out
    assert err.startswith("anonymizer: finishing what was recorded until now")
    assert names(tmp_path) == ["cam.mkv"]
    frames = decode(tmp_path / "cam.mkv")
    assert len(frames) > 10
    assert all(int(plane.max()) - int(plane.min()) < 8 for frame in frames for plane in frame.planes), "not all of it is covered"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_stops_without_an_output(number: signal.Signals, tmp_path: Path) -> None:
    process = record(tmp_path, SLOW)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode in (128 + number, -signal.SIGALRM), err
    assert "cam.mkv" not in names(tmp_path)


def test_termination_is_bounded(tmp_path: Path) -> None:
    """Even where the camera gives no frame any more, and reading it cannot be interrupted."""
    process = record(tmp_path, HANGING, within_s=0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGALRM)
    assert "cam.mkv" not in names(tmp_path)


def test_long_recording_is_finished_however_slow_the_disk_is(tmp_path: Path) -> None:
    """The bound is the camera's: reading hours of video once more takes longer, and ends by itself."""
    process = record(tmp_path, STEADY, within_s=1.5, disk_s=3)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    assert names(tmp_path) == ["cam.mkv"]


def test_recording_ends_with_its_span_without_a_signal(tmp_path: Path) -> None:
    process = record(tmp_path, STEADY, "--span", "0-0:02", "-q")
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(decode(tmp_path / "cam.mkv")) == 50
