"""Where an output may go, asked before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from anonymizer.errors import ConfigError, TargetError


def require_target(target: Path, *, source: Path | None = None, overwrite: bool = False) -> None:
    """Refuse a target that cannot or must not be written, before any work is done.

    ConfigError where the command is wrong (the input itself, an existing file without `overwrite`), TargetError
    where the world is (no such folder, not a folder, not writable). A symbolic link at `target` is what gets
    replaced, never the file it points to.
    """
    try:
        _require_target(target, source, overwrite)
    except OSError as error:  # A folder on the way that may not be entered, a name too long.
        raise TargetError(f"{target.name}: {words_of(error)}", hint="choose another output with -o") from error


def _require_target(target: Path, source: Path | None, overwrite: bool) -> None:
    if source is not None and _same_file(source, target):
        raise ConfigError(f"{target.name}: is the input itself", hint="name another output with -o; the input is never changed")
    if target.is_dir():
        raise TargetError(f"{target.name}: is a folder", hint="name a file in it")
    if os.path.lexists(target):
        if not (target.is_file() or target.is_symlink()):
            raise TargetError(f"{target.name}: is not a regular file", hint="write to a file; devices and pipes cannot be published whole")
        if not overwrite:
            raise ConfigError(f"{target.name}: already exists", hint="say -y (in Python overwrite=True) to replace it, or name another file")
    folder = target.parent
    if not folder.exists():
        raise TargetError(f"{target.name}: the folder {folder} does not exist", hint=f"make it first: mkdir -p {folder}")
    if not folder.is_dir():
        raise TargetError(f"{target.name}: {folder} is not a folder", hint="name an output inside a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{target.name}: the folder {folder} cannot be written", hint="choose another folder with -o, or change its permissions")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def words_of(error: OSError) -> str:
    """The system's own words, in lower case: "no space left on device"."""
    words = os.strerror(error.errno) if error.errno else str(error)
    return words[:1].lower() + words[1:]
