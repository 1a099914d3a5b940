"""The documents are true: everything that can be run is run, everything that can be compared is compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from anonymizer import errors
from anonymizer.cli.printing import exit_codes
from anonymizer.config import config_page
from tests.conftest import REPO
from tests.documents import blocks_of, commands, flag_rows, run_blocks

DOCUMENTS = [*sorted((REPO / "docs").glob("*.md")), REPO / "README.md", REPO / "samples/README.md"]
RUNNABLE = [path for path in DOCUMENTS if any(block.language in ("console", "python") for block in blocks_of(path))]
CLI_PAGE = (REPO / "docs/cli.md").read_text()


def section(heading: str) -> str:
    """What docs/cli.md says below a heading, up to the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", CLI_PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no section {heading!r}"
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in RUNNABLE if path.name != "README.md"])
def test_every_block_of_the_page_runs(path: Path, demo_folder: Path, tmp_path: Path) -> None:
    run_blocks(path, demo_folder, tmp_path)


@pytest.mark.parametrize(("name", "command"), [pytest.param(name, command, id=name) for name, command in commands()])
def test_command_is_documented_with_every_flag(name: str, command: Any) -> None:
    rows = flag_rows(command)
    described = [line for line in section(f"anonymizer {name}").splitlines() if line.startswith("| ") and line != "| flag | what it does |"]
    assert described == rows, "the table in docs/cli.md should be:\n" + "\n".join(rows)


def test_no_command_is_documented_that_is_not_there() -> None:
    assert {f"anonymizer {name}" for name, _ in commands()} == set(re.findall(r"^## (anonymizer .*)$", CLI_PAGE, flags=re.MULTILINE))


def test_every_exit_code_is_documented_with_its_meaning() -> None:
    codes = sorted({0, 1, 143} | {kind.exit_code for kind in errors.AnonymizerError.__subclasses__()})
    lines = [line.split(maxsplit=1) for line in exit_codes(*(code for code in codes if code != 7)).splitlines()[2:]]
    assert re.findall(r"^\| (\d+) \| (.*) \|$", section("Exit codes"), flags=re.MULTILINE) == [(code, words) for code, words in lines]


def test_config_page_is_made_from_the_schema() -> None:
    assert (REPO / "docs/config.md").read_text().rstrip() == config_page().rstrip()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", path.read_text())
    broken = [target for target, _ in links if target and "://" not in target and not (path.parent / target).exists()]
    assert broken == []
    for target, anchor in links:
        if anchor and "://" not in target:
            headings = re.findall(r"^#+ (.*)$", (path.parent / target).read_text() if target else path.read_text(), flags=re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_pictures_are_small() -> None:
    assert [path.name for path in (REPO / "docs").rglob("*") if path.suffix in (".jpg", ".png") and path.stat().st_size >= 150_000] == []


def test_layout_names_every_module_and_folder() -> None:
    layout = next(block.text for block in blocks_of(REPO / "docs/architecture.md") if block.text.startswith("anonymizer/"))
    named = set(re.findall(r"^  (\w+(?:\.py|/))", layout, flags=re.MULTILINE))
    there = {
        path.name + ("/" if path.is_dir() else "") for path in (REPO / "anonymizer").iterdir() if not path.name.startswith("_") and path.name != "py.typed"
    }
    assert named == there


def test_every_row_of_the_fault_table_is_a_test() -> None:
    tests = "\n".join(path.read_text() for path in (REPO / "tests/promises").glob("*.py"))
    rows = [line for line in (REPO / "docs/privacy.md").read_text().splitlines() if line.startswith("| ") and "| exit |" not in line]
    named = [re.findall(r"`(test_\w+)`|(tests/\w+/)", row.rsplit("|", 2)[1]) for row in rows]
    assert all(named), "a row names no test"
    assert [test for row in named for test, _ in row if test and f"def {test}(" not in tests] == []
    assert [folder for row in named for _, folder in row if folder and not any((REPO / folder).glob("test_*.py"))] == []
