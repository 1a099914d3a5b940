"""What a folder of outputs was made from and with, so that a rerun skips what is finished and redoes what is not.

One JSON line a published file, in the folder itself. Nothing of it is in the outputs: whoever gets one of them
learns neither the hash of the original nor its name.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from anonymizer.errors import SourceError, TargetError
from anonymizer.publishing.plan import file_sha256
from anonymizer.publishing.report import Report, Settings

LEDGER_NAME = "anonymizer-report.jsonl"


class Ledger:
    """The reports of a folder's outputs, newest last."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_NAME
        self._folder = folder
        self._entries: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in self.path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # A line cut by a crash makes its output be done again.
                    entry = json.loads(line)
                    self._entries[str(entry["target"])] = entry

    def is_finished(self, target: Path, settings: Settings) -> bool:
        """Is `target` the whole, untouched file of a run with just these settings?"""
        entry = self._untouched(target)
        if entry is None:
            return False
        made_with = entry["report"].get("settings", {})
        wanted = {"source_sha256": settings.source_sha256, "config_hash": settings.config_hash, "weights_sha256": dict(settings.weights_sha256)}
        return all(made_with.get(key) == value for key, value in wanted.items())

    def is_ours(self, target: Path) -> bool:
        """Was `target` published by a run into this folder, and not touched since? Then another run may replace it."""
        return self._untouched(target) is not None

    def add(self, target: Path, report: Report) -> None:
        """Note a published file; TargetError if the ledger cannot be written."""
        key = self._key(target)
        told = report.to_json()
        # What a tag said (a place, a name, a date) was dropped from the output: nor does it stay beside it.
        told["carriers"] = [{name: value for name, value in carrier.items() if name != "detail"} for carrier in told["carriers"]]
        entry = {"target": key, "sha256": file_sha256(target), "report": told}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # Behind a line that a crash has cut.
                os.write(descriptor, line)  # One call: two runs into one folder do not mix their lines.
            finally:
                os.close(descriptor)
        except OSError as error:
            raise TargetError(
                f"{LEDGER_NAME}: {(error.strerror or str(error)).lower()}", hint=f"{target.name} is finished; a rerun will make it again"
            ) from error
        self._entries[key] = entry

    def _key(self, target: Path) -> str:
        return target.relative_to(self._folder).as_posix()

    def _untouched(self, target: Path) -> dict[str, Any] | None:
        entry = self._entries.get(self._key(target))
        if entry is None or not isinstance(entry.get("report"), dict):
            return None
        with contextlib.suppress(SourceError):
            if file_sha256(target) == entry.get("sha256"):
                return entry
        return None
