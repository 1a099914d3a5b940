"""The program calls nobody: the engine's telemetry is off before the engine is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The engine keeps a session id for its reports in the temp folder from the moment it is loaded; CI=1 would hide that.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")}


def left_in_temp(code: str, scratch: Path) -> list[str]:
    subprocess.run([sys.executable, "-c", code], env={**ENVIRONMENT, "TMPDIR": str(scratch)}, check=True)
    return sorted(path.name for path in scratch.iterdir())


def test_loading_our_detectors_starts_no_telemetry(tmp_path: Path) -> None:
    assert left_in_temp("from anonymizer.detection import load_detectors; load_detectors(['face'], {})", tmp_path) == []


def test_the_engine_alone_would(tmp_path: Path) -> None:
    """If this fails the engine has changed, and the test above proves nothing any more."""
    if left_in_temp("import onnxruntime", tmp_path) == []:
        pytest.skip("this build of ONNX Runtime has no telemetry")
