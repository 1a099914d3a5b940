"""A folder that is held on to, so that a name in it means the same file to the end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CAN_HOLD = {os.open, os.stat, os.unlink, os.link, os.rename} <= os.supports_dir_fd
_LOOK_ONLY = getattr(os, "O_PATH", 0)  # for a folder that may be entered and not listed; Linux


class Folder:
    """An open folder: moved away, or with another in its place, it is still the one that was opened.

    Where folders cannot be held (Windows), names are found by the path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = _held(path)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_in_place(self) -> bool:
        """Does the path still lead here?"""
        if self._descriptor is None:
            return self.path.is_dir()
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))
        except OSError:
            return False

    def names(self, name: str, descriptor: int) -> bool:
        """Is the open file the one of that name?"""
        try:
            return os.path.samestat(os.fstat(descriptor), self._lstat(name))
        except OSError:
            return False

    def has(self, name: str) -> bool:
        try:
            self._lstat(name)
        except OSError:
            return False
        return True

    def create(self, name: str, flags: int) -> int:
        """The descriptor of a new file that its owner alone may read; FileExistsError if the name is taken."""
        return os.open(self._at(name), flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._descriptor)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name; FileExistsError if that is taken."""
        os.link(self._at(name), self._at(other), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor, follow_symlinks=False)

    def replace(self, name: str, other: str) -> None:
        """Give a file another name, whatever had it."""
        os.replace(self._at(name), self._at(other), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def flush(self) -> None:
        """Make names survive a power cut, where a folder can be flushed."""
        with contextlib.suppress(OSError):  # Too late to fail: the whole file has its name.
            descriptor = os.open(self._at("."), os.O_RDONLY, dir_fd=self._descriptor)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else os.path.join(self.path, name)

    def _lstat(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)


def _held(path: Path) -> int | None:
    """A descriptor of the folder; None where there can be none, and whoever uses the path then hears why."""
    if not _CAN_HOLD:
        return None
    for how in (os.O_RDONLY, _LOOK_ONLY):
        with contextlib.suppress(OSError):
            return os.open(path, how | os.O_DIRECTORY | getattr(os, "O_CLOEXEC", 0))
    return None
