"""What a folder of outputs was made from and with, so that a rerun skips what is finished and redoes what is not.

One JSON line a published file, in the folder itself. Nothing of it is in the outputs: whoever gets one of them
learns neither the hash of the original nor its name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anonymizer.errors import SourceError, TargetError
from anonymizer.publishing.plan import file_sha256
from anonymizer.publishing.report import Report, Settings
from anonymizer.regular import read_regular

LEDGER_NAME = "anonymizer-report.jsonl"
_MOST_BYTES = 1 << 30  # A line has some 2,000: half a million files in one folder.
# A link there would have lines appended to whatever it points to, a pipe would block.
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Ledger:
    """The reports of a folder's outputs, newest last."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_NAME
        self._folder = folder
        self._entries: dict[str, tuple[str, bytes]] = {}  # the output's hash and a digest of its settings: reports stay on the disk
        with _as_target_error("move it away, or choose another folder with -o"), contextlib.suppress(FileNotFoundError):
            for line in read_regular(self.path, _MOST_BYTES, follow=False).splitlines():
                # A line cut by a crash makes its output be done again.
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    entry = json.loads(line)
                    self._entries[str(entry["target"])] = _digest(entry)

    def is_finished(self, target: Path, settings: Settings) -> bool:
        """Is `target` the whole, untouched file of a run with just these settings?"""
        entry = self._untouched(target)
        if entry is None:
            return False
        wanted = {"source_sha256": settings.source_sha256, "config_hash": settings.config_hash, "weights_sha256": dict(settings.weights_sha256)}
        return entry[1] == _settings_digest(wanted)

    def is_ours(self, target: Path) -> bool:
        """Was `target` published by a run into this folder, and not touched since? Then another run may replace it."""
        return self._untouched(target) is not None

    def add(self, target: Path, report: Report) -> None:
        """Note a published file; TargetError if the ledger cannot be written."""
        key = self._key(target)
        # Names alone: the folder is given away, and paths tell who made it on which machine. The hash knows the source.
        told = {**report.to_json(), "source": Path(report.source).name, "target": key}
        # What a tag said (a place, a name, a date) was dropped from the output: nor does it stay beside it.
        told["carriers"] = [{name: value for name, value in carrier.items() if name != "detail"} for carrier in told["carriers"]]
        entry = {"target": key, "sha256": file_sha256(target), "report": told}
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with _as_target_error(f"{target.name} is finished; a rerun will make it again"):
            descriptor = os.open(self.path, _OPEN_FLAGS, 0o666)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(errno.EINVAL, "is not a regular file")
                size = found.st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line  # Behind a line that a crash has cut.
                os.write(descriptor, line)  # One call: two runs into one folder do not mix their lines.
            finally:
                os.close(descriptor)
        self._entries[key] = _digest(entry)

    def _key(self, target: Path) -> str:
        return target.relative_to(self._folder).as_posix()

    def _untouched(self, target: Path) -> tuple[str, bytes] | None:
        entry = self._entries.get(self._key(target))
        if entry is None:
            return None
        with contextlib.suppress(SourceError):
            if file_sha256(target) == entry[0]:
                return entry
        return None


def _digest(entry: dict[str, Any]) -> tuple[str, bytes]:
    settings = entry["report"]["settings"]
    return str(entry["sha256"]), _settings_digest(settings if isinstance(settings, dict) else {})


def _settings_digest(settings: dict[str, Any]) -> bytes:
    wanted = {key: settings.get(key) for key in ("source_sha256", "config_hash", "weights_sha256")}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).digest()


@contextmanager
def _as_target_error(hint: str) -> Iterator[None]:
    """What the system says of the ledger, as a TargetError."""
    try:
        yield
    except OSError as error:
        what = "is a symbolic link" if error.errno == errno.ELOOP else (error.strerror or str(error)).lower()
        raise TargetError(f"{LEDGER_NAME}: {what}", hint=hint) from error
