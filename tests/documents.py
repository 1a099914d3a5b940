"""What the documents say, as things that can be run or compared: code blocks, commands, flags."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from anonymizer.cli.app import app
from tests.conftest import REPO

# Run by `make demo` and `make test` themselves, and by CI: here only that make knows how.
BY_MAKE = {"make demo", "make test", "make check", "make bench"}
# Run where the extra `ultralytics` is installed: training, and what uses its result.
BY_THE_EXTRA = re.compile(r"\btrain |\btrained/")
HAS_THE_EXTRA = all(importlib.util.find_spec(name) is not None for name in ("torch", "ultralytics", "onnx"))
BY_INSTALLING = {"pip install .", "pip install '.[evaluate]'", "pip install '.[ultralytics]'"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(REPO)}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    """Every fenced block, in order."""
    text = path.read_text()
    return [
        Block(path, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(r"^```([a-z]*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    ]


def run_block(block: Block, folder: Path) -> None:
    """Run a console or python block in `folder`.

    A console line may end in "# exit 2" for a command that must fail so; lines without a "$ " must be in what the
    command before them printed.
    """
    if block.language == "python":
        _run([sys.executable, "-c", block.text], folder, 0, str(block))
    elif block.language == "console":
        printed = ""
        for line in block.text.splitlines():
            if line.startswith("$ "):
                printed = _run_line(block, line[2:], folder)
            else:
                assert line.strip() in printed, f"{block}: {line!r} is not in what was printed:\n{printed}"


def run_blocks(path: Path, demo_folder: Path, folder: Path) -> None:
    """Run a page's blocks one after the other in a copy of the demo folder: what one writes, the next may read."""
    shutil.copytree(demo_folder, folder, dirs_exist_ok=True)
    for block in blocks_of(path):
        run_block(block, folder)


def _run_line(block: Block, line: str, folder: Path) -> str:
    command, _, comment = line.partition(" # ")
    wanted = int(comment.removeprefix("exit ")) if comment.startswith("exit ") else 0
    command = command.strip()
    if command in BY_INSTALLING or (BY_THE_EXTRA.search(command) and not HAS_THE_EXTRA):
        return ""
    if command in BY_MAKE:
        return _run(["make", "--dry-run", *command.split()[1:]], REPO, 0, f"{block}: {command}")
    words = shlex.split(command)
    program = {"anonymizer": [sys.executable, "-m", "anonymizer"], "python": [sys.executable]}[words[0]]
    return _run([*program, *words[1:]], folder, wanted, f"{block}: {command}")


def _run(command: list[str], folder: Path, wanted: int, where: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == wanted, f"{where}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def commands() -> Iterator[tuple[str, Any]]:
    """("config show", command) for everything that the live program understands."""

    def below(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{prefix}{name} ")
            else:
                yield f"{prefix}{name}", command

    yield from below(typer.main.get_command(app), "")


def flag_rows(command: Any) -> list[str]:
    """The rows of the table that docs/cli.md has for a command, from its own flags."""
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        positional = parameter.param_type_name == "argument"
        names = ", ".join(f"`{name}`" for name in ([] if positional else parameter.opts))
        wants = "" if getattr(parameter, "is_flag", False) else f"`{parameter.metavar}`"
        rows.append(f"| {' '.join(part for part in (names, wants) if part)} | {parameter.help} |")
    return [re.sub(r"`[^`]*`", lambda code: code[0].replace("|", r"\|"), row) for row in rows]
