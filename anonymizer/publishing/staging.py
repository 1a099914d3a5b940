"""A name appears only when the file is whole: a hidden, locked sibling until then.

The sibling's name is a function of the target's, so that two runs at one target meet at one file: whoever locks it
writes, the other is refused. A left-over of a killed run is unlocked by the kernel and removed by the next run in
its folder. Where locks are missing (fcntl, or the file system), a sibling untouched for a day counts as left over.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from anonymizer.errors import TargetError
from anonymizer.publishing.folder import Folder
from anonymizer.publishing.targets import require_target, words_of

_flock: Callable[[int, int], None] | None
try:
    from fcntl import LOCK_EX, LOCK_NB, flock

    _flock = flock
except ImportError:  # Windows
    _flock = None

_STAGING_NAME = re.compile(r"\..*\.anonymizer-[0-9a-f]{12}\.part(\.[^.]*)?", re.DOTALL)
_LONGEST_NAME_BYTES = 255  # NAME_MAX of every file system in use; what is ours in a name takes 25 bytes and the suffix
_UNTOUCHED_S = 24 * 3600  # where nothing can be locked: no run is silent for a day
_LOCK_PATIENCE_S = 0.5  # a sweep of another run holds a lock for as long as it takes to remove a file
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: the limit of `ulimit -f`; Python ignores SIGXFSZ
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}
_UMASK_LOCK = threading.Lock()
_OPEN_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def staged(target: Path, *, overwrite: bool = False, sweep: bool = True) -> Iterator[Path]:
    """Give a hidden path beside `target`; move it there only if the block ends without an error.

    The staging file exists, empty, is locked and readable by its owner alone. Without `overwrite` nothing is ever
    replaced, not even a file that appears while the block runs. A full disk inside the block becomes a TargetError.
    `sweep` removes leftovers first; without it they wait for `finish_leftover`.
    """
    require_target(target, overwrite=overwrite)
    if sweep:
        sweep_leftovers(target.parent)
    staging = target.with_name(_staging_name(target.name))
    with contextlib.closing(Folder(target.parent)) as folder, _created(folder, staging, target) as descriptor:
        try:
            yield staging
            _publish(descriptor, folder, staging, target, overwrite=overwrite)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            raise TargetError(f"{target.name}: {words_of(error)}", hint="nothing was published; free some space or choose another folder with -o") from error


def find_leftovers(folder: Path) -> tuple[Path, ...]:
    """Staging files in `folder` that no living run holds, sorted."""
    found = []
    for path in _staging_files(folder):
        with _taken_over(path) as is_ours:
            if is_ours:
                found.append(path)
    return tuple(found)


def sweep_leftovers(folder: Path) -> tuple[Path, ...]:
    """Remove the staging files in `folder` that no living run holds, and say which; what cannot be removed stays."""
    removed = []
    for path in _staging_files(folder):
        with _taken_over(path) as is_ours, contextlib.suppress(OSError):
            if is_ours:
                path.unlink()
                removed.append(path)
    return tuple(removed)


def finish_leftover(staging: Path, whole_bytes: Callable[[BinaryIO], int]) -> Path | None:
    """Publish what is whole at the beginning of a killed run's file, or remove the file; the name it got, or None.

    `whole_bytes` says how many bytes of the open file can stand alone. What a living run holds is left as it is.
    """
    target = target_of(staging)
    with contextlib.closing(Folder(staging.parent)) as folder, _taken_over(staging) as is_ours:
        if not is_ours:
            return None
        with os.fdopen(os.open(staging, _OPEN_FLAGS), "r+b") as file:
            # A second name: it was published, and only the hidden name is left over.
            length = whole_bytes(file) if target is not None and os.fstat(file.fileno()).st_nlink == 1 else 0
            if target is not None and length > 0:
                file.truncate(length)
                _publish(file.fileno(), folder, staging, target, overwrite=False)
                return target
        staging.unlink(missing_ok=True)
    return None


def target_of(staging: Path) -> Path | None:
    """The name that an unfinished file was to get; None if its hidden name is no whole one of ours."""
    stem, mark, _ = staging.name[1:].rpartition(".anonymizer-")
    target = staging.with_name(stem + staging.suffix) if mark and stem else None
    return target if target is not None and _staging_name(target.name) == staging.name else None


def _staging_name(name: str) -> str:
    """The hidden name for a target's name: the same suffix, from which FFmpeg and people guess what it holds."""
    suffix = Path(name).suffix
    mark = f".anonymizer-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.part{suffix}"
    room = _LONGEST_NAME_BYTES - len(os.fsencode(mark)) - 1
    stem = os.fsencode(name.removesuffix(suffix))[: max(room, 0)]
    return f".{stem.decode('utf-8', 'ignore')}{mark}"


def _staging_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _STAGING_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


@contextmanager
def _created(folder: Folder, staging: Path, target: Path) -> Iterator[int]:
    """Hold the new staging file; at the end there is none."""
    descriptor = _create_locked(folder, staging, target)
    try:
        yield descriptor
    finally:
        _remove(descriptor, folder, staging)
        os.close(descriptor)  # Only now: an unlocked staging file is everybody's to remove.


def _create_locked(folder: Folder, staging: Path, target: Path) -> int:
    """A descriptor of the new, locked, empty staging file; TargetError if another run holds it."""
    deadline_s = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            descriptor = folder.create(staging.name, _OPEN_FLAGS)
        except FileExistsError:
            with _taken_over(staging) as is_ours:
                if is_ours:
                    staging.unlink(missing_ok=True)
                    continue
        except OSError as error:
            raise TargetError(f"{target.name}: {words_of(error)}", hint=f"choose another folder than {target.parent} with -o") from error
        else:
            # A sweep that came between creation and lock has removed the name: then this file is nobody's, begin again.
            if _lock(descriptor) is not False and folder.names(staging.name, descriptor):
                return descriptor
            os.close(descriptor)
        if time.monotonic() > deadline_s:
            raise TargetError(f"{target.name}: another run is writing it", hint=f"wait for it to end; if none runs, remove {staging.name}")
        time.sleep(0.02)


def _lock(descriptor: int) -> bool | None:
    """True if locked, False if another holds the lock, None if nothing can be locked here."""
    if _flock is None:
        return None
    try:
        _flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


@contextmanager
def _taken_over(path: Path) -> Iterator[bool]:
    """Hold the lock of a staging file whose run is dead, while the block runs; False if it lives or cannot be told."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError:
        yield False
        return
    try:
        locked = _lock(descriptor)
        if locked is None:
            locked = time.time() - os.fstat(descriptor).st_mtime > _UNTOUCHED_S
        # Between opening and locking the name may have been published and given to a new run's file.
        yield locked and _is_named(descriptor, path)
    finally:
        os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    """Is the open file the one that `path` names?"""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _publish(descriptor: int, folder: Folder, staging: Path, target: Path, *, overwrite: bool) -> None:
    """Give the whole file its name, so that it survives a power cut; TargetError if that cannot be done."""
    if not (folder.is_in_place() and folder.names(staging.name, descriptor)):
        raise TargetError(
            f"{target.name}: its unfinished file vanished while it was written", hint=f"nothing was published; look at who cleans {target.parent}"
        )
    if os.fstat(descriptor).st_size == 0:
        raise TargetError(f"{target.name}: nothing was written to it", hint="nothing was published; this is a bug, please report it")
    try:
        os.chmod(descriptor if os.chmod in os.supports_fd else staging, _usual_mode(target))
        os.fsync(descriptor)
        if overwrite:
            folder.replace(staging.name, target.name)
        else:
            _rename_without_replacing(folder, staging.name, target.name)
    except FileExistsError as error:
        raise TargetError(f"{target.name}: appeared while it was being made", hint="nothing was replaced; say -y to replace it") from error
    except OSError as error:
        raise TargetError(f"{target.name}: {words_of(error)}", hint="nothing was published; look at the disk, or choose another folder with -o") from error
    # Names are exchanged faster than they are looked at: only now is it sure what got the name, and where. Whoever
    # waits for finished files may have taken it already.
    if not folder.is_in_place() or (folder.has(target.name) and not folder.names(target.name, descriptor)):
        with contextlib.suppress(OSError):
            folder.unlink(target.name)
        raise TargetError(
            f"{target.name}: was exchanged for another file while it got its name",
            hint=f"what was put there was removed; look at who writes to {target.parent}",
        )
    folder.flush()


def _rename_without_replacing(folder: Folder, staging: str, target: str) -> None:
    """Rename, or raise FileExistsError: os.rename would silently replace."""
    try:
        folder.link(staging, target)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        # File systems without hard links (FAT, some network shares): take the name first, then replace one's own file.
        os.close(folder.create(target, os.O_WRONLY))
        folder.replace(staging, target)
    else:
        with contextlib.suppress(OSError):  # The target is whole; a second, hidden name for it is left to the next sweep.
            folder.unlink(staging)


def _usual_mode(target: Path) -> int:
    """The permissions the target gets: those of the file it replaces, else what the umask leaves."""
    try:
        replaced = os.lstat(target)
    except OSError:
        pass
    else:
        if stat.S_ISREG(replaced.st_mode):
            return stat.S_IMODE(replaced.st_mode)
    with _UMASK_LOCK:  # Two readers at once could leave the stricter mask in place for good.
        umask = os.umask(0o077)
        os.umask(umask)
    return 0o666 & ~umask


def _remove(descriptor: int, folder: Folder, staging: Path) -> None:
    """Remove the unfinished file, wherever its folder is by now; after publishing there is none."""
    if folder.names(staging.name, descriptor):
        try:
            folder.unlink(staging.name)
        except OSError:
            # The folder was made read-only under us: at least nothing of the content stays, unless it is published already.
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_nlink == 1:
                    os.ftruncate(descriptor, 0)
    # Another folder, or another file, took the place before it was written to: what was written there goes, too.
    with _taken_over(staging) as is_ours, contextlib.suppress(OSError):
        if is_ours:
            staging.unlink()
