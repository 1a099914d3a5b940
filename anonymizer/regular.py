"""Files that people name, opened without a trap: a pipe or device would block whoever opens it, or never end.

Errors are the system's own, an OSError with words in `strerror`: each step says them in its own error.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader, BufferedWriter
from pathlib import Path

_ALWAYS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_PIECE_BYTES = 1 << 20


def open_regular(path: Path | str, *, follow: bool = True) -> BufferedReader:
    """Open for reading; OSError for everything but a regular file, and for a link to one without `follow`."""
    # Looked at first: opening alone rewinds a tape and wakes a camera. And again when open: it may have been exchanged.
    _require_regular(os.stat(path, follow_symlinks=follow))
    return os.fdopen(_checked(os.open(path, os.O_RDONLY | _ALWAYS | (0 if follow else _NO_LINK))), "rb")


def read_regular(path: Path | str, most_bytes: int, *, follow: bool = True) -> bytes:
    """The whole content of a regular file; OSError if it is larger than `most_bytes`, whatever its size claims."""
    pieces, total = [], 0
    with open_regular(path, follow=follow) as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        while piece := file.read(_PIECE_BYTES):
            total += len(piece)
            if total > most_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            pieces.append(piece)
    return b"".join(pieces)


def create_regular(path: Path) -> BufferedWriter:
    """Open for writing from the start, made if it is missing; OSError for a link, a pipe, or a file that has a second name.

    A staging file is named by nobody else: what has two names was put there to have another file overwritten.
    """
    file = os.fdopen(_checked(os.open(path, os.O_WRONLY | os.O_CREAT | _ALWAYS | _NO_LINK, 0o600)), "wb")
    try:
        if os.fstat(file.fileno()).st_nlink > 1:
            raise OSError(errno.EMLINK, "has a second name")
        file.truncate(0)
    except BaseException:
        file.close()
        raise
    return file


def _checked(descriptor: int) -> int:
    try:
        _require_regular(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "is a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
