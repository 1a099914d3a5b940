"""One watched process: started, listened to, killed when it is silent, started again ever more slowly."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anonymizer.ipc.channel import Channel, ChannelClosedError, Message
from anonymizer.ipc.words import require_ours

FIRST_BACKOFF_S, MOST_BACKOFF_S = 1.0, 30.0
HEALTHY_S = 60.0  # so long without an end, and the next restart is quick again
START_WITHIN_S = 60.0  # until the first word: who kills those that a busy machine lets wait, and starts them anew, keeps it busy
SILENT_S = 5.0
_MOST_SILENT_S = 180.0  # whatever it says: a camera may take two minutes to answer
_KEPT_LINES = 20
_MOST_MESSAGES = 200  # heard at once: one that never stops talking must not keep its supervisor from all others
_GONE_WITHIN_S = 1.0  # after SIGKILL; one that the kernel holds, in a stalled device or disk, is left to it


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: 1, 2, 4 ... 30 s, a fifth more or less."""

    failures: int = 0

    def next_s(self, lived_s: float) -> float:
        """The wait after a process that lived so long."""
        self.failures = 0 if lived_s >= HEALTHY_S else self.failures
        wait_s: float = min(FIRST_BACKOFF_S * 2**self.failures, MOST_BACKOFF_S)
        self.failures = min(self.failures + 1, 10)
        return wait_s * random.uniform(0.8, 1.2)


@dataclass(slots=True)
class Watched:
    """A role for one camera, for one output, or for all of them; alive or waiting to be."""

    role: str
    camera: str | None
    key: str  # which of its kind
    program: Sequence[str]
    figures: Message = field(default_factory=dict)  # its last beat
    fault: str | None = None
    fault_s: float | None = None  # wall clock
    restarts: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))  # the end of what it wrote to stderr
    channel: Channel | None = None
    _process: subprocess.Popen[bytes] | None = None
    _backoff: Backoff = field(default_factory=Backoff)
    _started_s: float = 0.0
    _silent_at_s: float = 0.0
    _broken: str | None = None  # why it has to be killed, although it speaks
    start_at_s: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it was started and has not been seen to end."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Of the living process."""
        return self._process.pid if self._process is not None else None

    @property
    def stderr_fd(self) -> int | None:
        """Where its complaints can be read, without waiting."""
        return self._process.stderr.fileno() if self._process is not None and self._process.stderr is not None else None

    def start(self, environment: Mapping[str, str]) -> Channel:
        """Start it; our end of its channel."""
        ours, theirs = Channel.pair()
        with theirs:
            self._process = subprocess.Popen(
                [*self.program, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                # A terminal's Ctrl-C is for the supervisor alone.
                start_new_session=True,
            )
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        self.channel = ours
        self._started_s = time.monotonic()
        self._silent_at_s = self._started_s + START_WITHIN_S
        self.figures = {}
        self._broken = None
        return ours

    def send(self, message: Message, fds: Sequence[int] = (), *, may_be_lost: bool = False) -> None:
        """Tell it something, if it lives; one that is gone is noticed elsewhere.

        One that did not take what must not be lost is killed: it would wait for ever for a camera, and comes back with all of them.
        """
        if self.channel is not None:
            with contextlib.suppress(ChannelClosedError):
                if not self.channel.send(message, fds) and not may_be_lost:
                    self._broken = "did not take what it was sent and was killed"

    def heard(self) -> list[Message]:
        """What it said since the last time, some hundred messages at most; the last word may be why it ended."""
        messages: list[Message] = []
        try:
            while self.channel is not None and len(messages) < _MOST_MESSAGES and (found := self.channel.receive(0)) is not None:
                message, fds = found
                for fd in fds:
                    os.close(fd)
                require_ours(message, self.role)
                messages.append(message)
        except ChannelClosedError:
            pass
        except ValueError:
            self._broken = "said what no process of ours says and was killed"  # It is somebody else's now.
        for message in messages:
            if message.get("beat"):
                self.figures = message
                self._silent_at_s = time.monotonic() + min(message.get("within_s", SILENT_S), _MOST_SILENT_S)
            if "fault" in message and message["fault"] != self.fault:
                self.fault, self.fault_s = message["fault"], time.time()
        return messages

    def complaints(self) -> list[str]:
        """New lines of its stderr."""
        fd = self.stderr_fd
        try:
            text = os.read(fd, 1 << 16).decode(errors="replace") if fd is not None else ""
        except BlockingIOError:
            text = ""
        lines = [line for line in text.splitlines() if line.strip()]
        self.lines.extend(lines)
        return lines

    def ended(self, now_s: float) -> str | None:
        """Why it is not alive any more, or None while it is; a silent or broken one is killed. Sets when it may start again."""
        if self._process is None:
            return None
        why = None
        if (code := self._process.poll()) is not None:
            why = f"ended with {code}" if code else "ended"
        elif self._broken is not None:
            why = self._broken
        elif now_s > self._silent_at_s:
            why = "said nothing for too long and was killed"
        if why is None:
            return None
        self.heard()
        self.complaints()
        self.kill()
        self.start_at_s = now_s + self._backoff.next_s(now_s - self._started_s)
        self.restarts += 1
        return why

    def kill(self) -> None:
        """End it now."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GONE_WITHIN_S)
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended by itself in time."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True


def program_of(role: str, programs: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The command that starts a role, but for its channel and parent."""
    return programs.get(role, (sys.executable, "-m", "anonymizer.streaming.child", role))


def clean_environment(secrets: frozenset[str]) -> dict[str, str]:
    """This process's environment without anything secret: what cameras need travels through their channels."""
    return {name: value for name, value in os.environ.items() if not any(secret in value for secret in secrets)}


def shown_state(watched: Watched) -> dict[str, Any]:
    """A process for the status page."""
    state = watched.figures.get("state", "starting") if watched.is_alive else "restarting"
    return {"state": state, "fault": watched.fault, "fault_s": watched.fault_s, "restarts": watched.restarts, "pid": watched.pid}
