"""`anonymizer doctor`: does this machine have what a run needs, and is this folder fit to write to?"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from anonymizer._version import __version__
from anonymizer.cli.printing import exit_codes, say_json, say_rows, tell_error
from anonymizer.errors import AnonymizerError

EPILOG = exit_codes(0, 1, 2, 4, 6)
_PACKAGES = ("av", "onnxruntime", "opencv-python-headless", "numpy", "pillow", "pillow-heif", "ultralytics-opencv-headless")
_ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4", "mjpeg", "prores_ks", "ffv1")


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where outputs will be written.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check installation, models and folder.

    The exit code is that of the first thing that fails.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("program", _program),
        ("packages", _packages),
        ("encoders", _encoders),
        ("models", _models),
        ("folder", lambda: _folder(folder)),
        ("left-overs", lambda: _leftovers(folder)),
    ]
    rows: list[tuple[str, str]] = []
    failures: list[AnonymizerError] = []
    for name, check in checks:
        try:
            rows.append((name, check()))
        except AnonymizerError as error:
            failures.append(error)
            rows.append((name, f"FAILED: {error.problem}"))
    if as_json:
        say_json({"checks": dict(rows), "failed": len(failures)})
    else:
        say_rows(rows)
    for failure in failures:
        tell_error(failure.problem, failure.hint)
    return failures[0].exit_code if failures else 0


def _program() -> str:
    return f"anonymizer {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _packages() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)


def _encoders() -> str:
    from anonymizer.media.codecs import exists

    missing = [name for name in _ENCODERS if not exists(name)]
    return ", ".join(name for name in _ENCODERS if name not in missing) + (f"; missing: {', '.join(missing)}" if missing else "")


def _models() -> str:
    from anonymizer.config import SHIPPED_LABELS
    from anonymizer.detection import load_detectors

    started_s = time.monotonic()
    detectors = load_detectors(SHIPPED_LABELS, {})
    names = ", ".join(f"{detector.name} ({', '.join(detector.labels)})" for detector in detectors)
    return f"{names}: hash checked, canary seen, in {time.monotonic() - started_s:.1f} s"


def _folder(folder: Path) -> str:
    from anonymizer.publishing import require_target

    require_target(folder / "anonymizer-doctor.mp4", overwrite=True)
    return f"{folder.resolve()} can be written, {shutil.disk_usage(folder).free / 1e9:.1f} GB free"


def _leftovers(folder: Path) -> str:
    from anonymizer.publishing import find_leftovers

    found = [path.name for path in find_leftovers(folder)]
    return f"{', '.join(found)}: sealed frames of killed runs, removed by the next run here" if found else "none"
