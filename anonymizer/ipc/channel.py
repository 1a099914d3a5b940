"""A line between the supervisor and one of its processes: messages as JSON, and open files beside them.

What must not be seen in a process's arguments or environment (addresses with passwords) travels here, and so do the sockets and
memory that processes share.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import stat
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

# Bytes that travel in the socket, whose buffer the kernel may limit to 200 KB; a camera's whole configuration is a sixth of it.
_INLINE = 64 << 10
_LARGEST = 16 << 20  # of any message: the state of ten thousand cameras
_IN_FILE = b"+"  # in place of a message that is in the last file beside it
_MOST_FDS = 16
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS)  # the last: too many files are under way unread

Message = dict[str, Any]


class ChannelClosedError(Exception):
    """The process at the other end is gone."""


class Channel:
    """One end. Messages arrive whole and in order, or not at all."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 1 << 20)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends of a new channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def inherited(cls, fd: int) -> Channel:
        """The end that a parent left open under this number."""
        return cls(socket.socket(fileno=fd))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def fileno(self) -> int:
        """For select and for handing the end to a child."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end; the other one then reads its end."""
        self._end.close()

    def send(self, message: Message, fds: Sequence[int] = ()) -> bool:
        """Send without ever waiting; False if the other end reads too slowly. ChannelClosedError if it is gone.

        `fds` stay open here and are opened anew at the other end.
        """
        data, files = json.dumps(message, separators=(",", ":")).encode(), list(fds)
        with contextlib.ExitStack() as stack:
            if len(data) > _INLINE:
                file = stack.enter_context(open(os.memfd_create("anonymizer", os.MFD_CLOEXEC), "wb", buffering=0))
                file.write(data)
                data, files = _IN_FILE, [*files, file.fileno()]
            try:
                socket.send_fds(self._end, [data], files)
            except OSError as error:
                if error.errno in _FULL:
                    return False
                raise ChannelClosedError(str(error)) from error
        return True

    def receive(self, timeout_s: float | None = 0.0) -> tuple[Message, list[int]] | None:
        """The next message with its files, or None if there is none in time.

        ChannelClosedError if there will be none, ValueError for what no process of ours says.
        """
        if not self.wait(timeout_s):
            return None
        try:
            data, fds, _, _ = socket.recv_fds(self._end, _INLINE, _MOST_FDS)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChannelClosedError(str(error)) from error
        try:
            if not data:
                raise ChannelClosedError("the other end is closed")
            for fd in fds:
                os.set_inheritable(fd, False)
            return _message(_content(fds.pop()) if data == _IN_FILE and fds else data), fds
        except BaseException:
            # Whoever speaks nonsense must not use up the files that this process may open.
            for fd in fds:
                os.close(fd)
            raise

    def wait(self, timeout_s: float | None) -> bool:
        """Whether something can be received, or the other end is gone."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else max(0, round(timeout_s * 1000))))


def _content(fd: int) -> bytes:
    """What stands in the file of a large message; the file is closed."""
    try:
        found = os.fstat(fd)
        # A pipe cannot be read so, and whoever waits for a device may wait for ever.
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise ValueError("what came is no message")
        return os.pread(fd, _LARGEST, 0)
    except OSError as error:
        raise ValueError("what came is no message") from error
    finally:
        os.close(fd)


def _message(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except RecursionError:
        raise ValueError("what came is no message") from None
    if not isinstance(message, dict):
        raise ValueError("what came is no message")
    return message
