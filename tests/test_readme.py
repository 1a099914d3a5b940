"""README.md: every command and every block of code in it runs, on the demo clip, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.documents import blocks_of, run_blocks


@pytest.mark.slow
def test_every_block_of_the_readme_runs(demo_folder: Path, tmp_path: Path) -> None:
    run_blocks(REPO / "README.md", demo_folder, tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"street_anonymized.mp4", "solid.mp4", "photos_anonymized", "sign.mp4", "planned.mp4", "covered.mp4", "covered.png"} <= written


def test_every_block_says_what_it_is() -> None:
    assert {block.language for block in blocks_of(REPO / "README.md")} <= {"console", "python"}
