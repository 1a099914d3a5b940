"""One run to be broken, and what must be true of its folder afterwards."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anonymizer import pipeline
from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from tests.promises.secret import Oracle, leaks_in


@dataclass
class Case:
    """One run to be broken: files, detector, settings."""

    folder: Path
    source: Path
    target: Path
    oracle: Oracle = field(default_factory=Oracle)
    settings: dict[str, Any] = field(default_factory=dict)
    wishes: dict[str, Any] = field(default_factory=dict)
    frames_at_once: int = 1

    def run(self) -> Any:
        equipment = Equipment.of(load_config({"timeout_s": 2.0, **self.settings}).config, [self.oracle])
        equipment = replace(equipment, frames_at_once=self.frames_at_once)
        return pipeline.anonymize_video(self.source, self.target, equipment, **self.wishes)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def leaks(case: Case) -> dict[str, str]:
    return leaks_in([case.folder.parent], [case.source])


def assert_nothing_left(case: Case, *, source_may_be_gone: bool = False) -> None:
    """No output, no staging file, no scratch; only the input."""
    expected = [case.source.name] if case.source.exists() or not source_may_be_gone else []
    assert listing(case.folder) == expected
    assert listing(case.folder.parent / "scratch") == []
    assert not leaks(case)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("anonymizer-overlap")]
