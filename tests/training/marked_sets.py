"""Drawn data sets for trainings, and what says whether a training can run here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPO
from tests.documents import HAS_THE_EXTRA
from tests.evaluation.marked import write_yolo

needs_extra = pytest.mark.skipif(not HAS_THE_EXTRA, reason='needs pip install "video-anonymizer[ultralytics]"')
SIZE_WH = (192, 128)
QUICK = ["--steps", "24", "--batch", "2", "--side", "192", "--rate", "2e-3", "--threads", "1"]  # a step takes a fifth of a second


def draw_boards(folder: Path, count: int = 15) -> Path:
    """Pictures with one or two blue boards, marked as plates; every fifth shows none."""
    rng = np.random.default_rng(0)
    for at in range(count):
        boxes = []
        for column in range(int(rng.integers(1, 3))):
            left, top, side = 8.0 + 96 * column + rng.integers(30), float(rng.integers(8, 80)), float(rng.integers(24, 44))
            boxes.append((left, top, left + side, top + side))
        write_yolo(folder, f"gate_{at}", SIZE_WH, **({"plate": boxes} if at % 5 else {}))
    return folder


def start_training(here: Path, *arguments: str, alone: bool = False) -> subprocess.Popen[str]:
    """`anonymizer train ...` in a folder, begun, `alone` in a process group of its own; its words come on stderr and stdout together."""
    command = [sys.executable, "-m", "anonymizer", "train", *arguments]
    environment = {"PYTHONPATH": str(REPO), "PATH": "/usr/bin:/bin", "HOME": str(here), "OMP_NUM_THREADS": "1", "YOLO_CONFIG_DIR": str(here)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=here, env=environment, text=True, start_new_session=alone, **pipes)


def run_training(here: Path, *arguments: str) -> tuple[str, int]:
    """What `anonymizer train ...` says, and its exit code."""
    with start_training(here, *arguments) as process:
        said, _ = process.communicate(timeout=600)
    return said, process.returncode
