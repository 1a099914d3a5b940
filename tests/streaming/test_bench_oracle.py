"""The oracle knows the truth at any size, and goes wrong only as it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anonymizer.config import Config
from anonymizer.detection.canary import require_canary
from anonymizer.equipment import Equipment
from anonymizer.geometry import Geometry
from anonymizer.ipc.channel import Channel
from anonymizer.types import Picture
from tests.streaming.bench.oracle import PROGRAM, CounterError, Oracle, Trouble, oracles, set_trouble
from tests.streaming.bench.painted import Painter, secret_boxes


def picture(counter: int, size_wh: tuple[int, int] = (640, 360), *, secrets: bool = True) -> np.ndarray:
    """A painted frame as a detector sees it."""
    frame = av.VideoFrame.from_ndarray(Painter(secrets=secrets).paint(counter), format="yuv420p")
    return np.asarray(frame.reformat(*size_wh, format="rgb24", interpolation="AREA").to_ndarray())


@pytest.mark.parametrize("size_wh", [(640, 360), (480, 270), (320, 180)])
def test_boxes_are_right_at_every_size(size_wh: tuple[int, int]) -> None:
    for counter in range(0, 330, 7):
        (found,) = Oracle().detect([picture(counter, size_wh)])
        expected = np.asarray(secret_boxes(counter), np.float32).reshape(-1, 4) * (size_wh[0] / 640)
        assert found.xyxy == pytest.approx(expected, abs=0.01)


def test_boxes_hold_what_is_painted() -> None:
    changed = cv2.absdiff(picture(100), picture(100, secrets=False)).max(axis=2) > 40
    (found,) = Oracle().detect([picture(100)])
    for left, top, right, bottom in np.rint(found.xyxy).astype(int):
        changed[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = False
    assert not changed.any()


def test_picture_without_counter_is_no_empty_street() -> None:
    with pytest.raises(CounterError):
        Oracle().detect([np.full((360, 640, 3), 90, np.uint8)])
    assert [len(one) for one in Oracle(keen=True).detect([np.full((360, 640, 3), 90, np.uint8)])] == [0]


def test_keen_oracle_sees_a_secret_that_damage_has_moved() -> None:
    rgb = picture(100, secrets=False)
    left, top, right, bottom = (int(edge) for edge in secret_boxes(100)[0])
    rgb[250 : 250 + bottom - top, 400 : 400 + right - left] = picture(100)[top:bottom, left:right]
    (plain,), (keen,) = Oracle().detect([rgb]), Oracle(keen=True).detect([rgb])
    assert len(keen) == len(plain) + 1
    assert keen.xyxy[-1] == pytest.approx([400, 250, 400 + right - left, 250 + bottom - top], abs=4)


def test_oracle_passes_the_canary_and_the_whole_look() -> None:
    require_canary(Oracle(), 10.0)
    equipment = Equipment.of(Config(), oracles())
    for counter in (30, 100, 250):
        seen = equipment.observe(Picture(0, picture(counter), Geometry((640, 360))), (0.0, 0.04), "all")
        assert seen.detections is not None
        assert len(seen.detections) == len(secret_boxes(counter))


@pytest.mark.parametrize("trouble", ["raise", "nan", "shape", "few", "label"])
def test_trouble_fails_the_look_while_the_control_file_says_so(trouble: Trouble, tmp_path: Path) -> None:
    control = tmp_path / "control.json"
    equipment = Equipment.of(Config(), [Oracle(control)])
    shown = Picture(0, picture(30), Geometry((640, 360)))
    assert equipment.observe(shown, (0.0, 0.04), "all").failure is None
    set_trouble(control, trouble)
    assert equipment.observe(shown, (0.0, 0.04), "all").failure is not None
    set_trouble(control, None)
    assert equipment.observe(shown, (0.0, 0.04), "all").failure is None


def test_oracle_may_see_nothing_or_be_slow(tmp_path: Path) -> None:
    control = tmp_path / "control.json"
    set_trouble(control, "nothing")
    assert [len(one) for one in Oracle(control).detect([picture(30)])] == [0]
    set_trouble(control, "slow", ms=1)
    assert [len(one) for one in Oracle(control).detect([picture(30)])] == [len(secret_boxes(30))]


def test_detectors_process_starts_with_the_oracle() -> None:
    ours, theirs = Channel.pair()
    with ours, theirs:
        process = subprocess.Popen([sys.executable, str(PROGRAM), str(theirs.fileno()), str(os.getpid())], pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            found = ours.receive(30)
            assert found is not None
            assert found[0]["beat"]
            ours.send({"do": "stop"})
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
