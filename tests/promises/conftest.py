"""What the tests of the promises share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.promises.cases import Case
from tests.promises.secret import secret_clip


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    folder = tmp_path / "work"
    folder.mkdir()
    return Case(folder, secret_clip(folder / "in.mp4"), folder / "out.mp4")
