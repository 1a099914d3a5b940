"""A real set of marked pictures, a few of each kind, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SHARED, needs_shared

DEV = SHARED / "data/dev"
PER_SOURCE = 4


def copy_some(target: Path) -> Path:
    """Links to the first pictures of each source, and to their labels."""
    for folder in sorted(path for path in DEV.iterdir() if path.is_dir()):
        counts: dict[str, int] = {}
        for picture in sorted((folder / "images").iterdir()):
            source = picture.stem.split("_")[0]
            counts[source] = counts.get(source, 0) + 1
            if counts[source] > PER_SOURCE:
                continue
            for path in (picture, *(folder / name / f"{picture.stem}.txt" for name in ("labels", "ignore"))):
                if path.is_file():
                    link = target / path.relative_to(DEV)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(path)
    return target


@needs_shared
@pytest.mark.slow
def test_a_real_set_is_measured_whole_and_split(tmp_path: Path) -> None:
    data = copy_some(tmp_path / "dev")
    for extra in ([], ["--split", "half", "--at", "0.5", "--shift", "h264"]):
        words = ["evaluate", str(data), "--preset", "fast", "--threads", "1", "--json", str(tmp_path / "out.json"), "-y", *extra]
        done = subprocess.run([sys.executable, "-W", "error", "-m", "anonymizer", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / "out.json").read_text())
        assert list(report["labels"]) == ["face", "plate"]
        for label, part in report["labels"].items():
            point = part["as_configured"]
            # Not a promise of quality: what finds none or all of a hard set is broken.
            assert 20 < point["cover"]["percent"] < 100 or part["objects"] < 30, label
            assert point["cover"]["interval"][0] <= point["cover"]["percent"] <= point["cover"]["interval"][1]
            assert part["object_free_pictures"] > 0
            assert 0.3 < point["area"]["value"] < 5
            assert len(point["by_attribute"]["source"]) > 1
            assert f"{label}: {part['objects']} objects" in done.stdout
