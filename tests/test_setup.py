"""What holds the project together, checked against the project itself and never against a second list."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import anonymizer
from anonymizer import errors
from tests.conftest import REPO

SOURCES = sorted((REPO / "anonymizer").rglob("*.py"))
PYTHON = SOURCES + sorted((REPO / "tests").rglob("*.py")) + sorted((REPO / "samples").glob("*.py")) + sorted((REPO / "scoreboard").glob("*.py"))
TEXTS = [*PYTHON, *sorted(REPO.glob("docs/*.md")), *sorted(REPO.glob("configs/*.yaml")), *sorted(REPO.glob("*.md")), REPO / "Makefile", REPO / ".ci/run"]
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())


def named(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def error_tree(kind: type[errors.AnonymizerError], indent: str = "") -> list[tuple[str, str, int]]:
    """(tree drawing, class name, exit code) of every error below `kind`, in the order of the file."""
    lines = []
    children = kind.__subclasses__()
    for child in children:
        last = child is children[-1]
        lines.append((indent + ("└── " if last else "├── "), child.__name__, child.exit_code))
        lines += error_tree(child, indent + ("    " if last else "│   "))
    return lines


def test_error_tree_in_the_docstring_is_the_real_one() -> None:
    drawn = [re.fullmatch(r"([│├└─ ]+)(\w+) +(\d+)   \S.*", line) for line in (errors.__doc__ or "").splitlines()]
    assert [(found[1], found[2], int(found[3])) for found in drawn if found] == error_tree(errors.AnonymizerError)


def test_every_exit_code_means_one_thing() -> None:
    codes = [code for _, _, code in error_tree(errors.AnonymizerError)]
    assert len(set(codes)) == len(codes)


def test_the_library_exports_what_it_names_sorted() -> None:
    assert list(anonymizer.__all__) == sorted(anonymizer.__all__)
    assert [name for name in anonymizer.__all__ if not hasattr(anonymizer, name)] == []


def test_import_contracts_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(REPO)
    # It configures logging for the whole process, and silences every logger that is there.
    monkeypatch.setattr("importlinter.cli.logging_config.dictConfig", lambda config: None)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0, capsys.readouterr().out


def test_redaction_draws_no_random_numbers() -> None:
    assert [named(path) for path in SOURCES if path.parent.name == "redaction" and re.search(r"\.random\b|\brandu|\brandn", path.read_text())] == []


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_file_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_module_says_what_it_is_and_has_a_name_that_does(path: Path) -> None:
    assert path.stem not in {"utils", "util", "core", "common", "helpers", "manager", "misc", "tools"}
    assert path.parent.name not in {"utils", "core", "common", "helpers"}
    assert ast.get_docstring(ast.parse(path.read_text())), f"{named(path)} has no docstring"


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_text_names_no_machine_and_no_ticket(path: Path) -> None:
    text = path.read_text()
    if path != Path(__file__):
        assert re.findall(r"/work/|/root/|/home/\w+|\bissue #?\d+\b|\bTODO\b|\bFIXME\b", text) == []


def test_the_packages_lie_at_most_two_levels_deep() -> None:
    assert [named(path) for path in SOURCES if len(path.relative_to(REPO / "anonymizer").parts) > 2] == []


def test_every_dependency_has_its_reason() -> None:
    reasons = (REPO / "docs/architecture.md").read_text()
    wanted = PROJECT["project"]["dependencies"] + [item for group in PROJECT["project"]["optional-dependencies"].values() for item in group]
    names = [re.split(r"[><=!~\[]", requirement)[0] for requirement in wanted]
    assert [name for name in names if f"`{name}`" not in reasons] == []


def test_every_test_folder_mirrors_a_package() -> None:
    folders = {path.name for path in (REPO / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    packages = {path.parent.name for path in SOURCES if path.name == "__init__.py"}
    assert folders <= packages | {"promises", "transcripts", "vectors", "scoreboard"}
