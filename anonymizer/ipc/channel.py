"""A line between the supervisor and one of its processes: messages as JSON, and open files beside them.

What must not be seen in a process's arguments or environment (addresses with passwords) travels here, and so do the sockets and
memory that processes share.
"""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

_LARGEST = 1 << 20  # bytes of one message: a camera's whole configuration is a hundredth of it
_MOST_FDS = 16

Message = dict[str, Any]


class ChannelClosedError(Exception):
    """The process at the other end is gone."""


class Channel:
    """One end. Messages arrive whole and in order, or not at all."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, _LARGEST)

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
        try:
            socket.send_fds(self._end, [json.dumps(message, separators=(",", ":")).encode()], list(fds))
        except BlockingIOError:
            return False
        except OSError as error:
            raise ChannelClosedError(str(error)) from error
        return True

    def receive(self, timeout_s: float | None = 0.0) -> tuple[Message, list[int]] | None:
        """The next message with its files, or None if there is none in time.

        ChannelClosedError if there will be none, ValueError for what no process of ours says.
        """
        if not self.wait(timeout_s):
            return None
        try:
            data, fds, _, _ = socket.recv_fds(self._end, _LARGEST, _MOST_FDS)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChannelClosedError(str(error)) from error
        if not data:
            raise ChannelClosedError("the other end is closed")
        for fd in fds:
            os.set_inheritable(fd, False)
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError("what came is no message")
        return message, fds

    def wait(self, timeout_s: float | None) -> bool:
        """Whether something can be received, or the other end is gone."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else max(0, round(timeout_s * 1000))))
