"""The parent of a live run: starts the processes, listens to them, kills and restarts them, and never touches a picture.

It loads no media code and no network; nothing a stranger sends is parsed here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from anonymizer.cameras.loading import differences
from anonymizer.cameras.secrets import masked, secrets_of
from anonymizer.cameras.settings import Camera, Server, Streaming, as_message
from anonymizer.errors import AnonymizerError
from anonymizer.ipc.process import Watched, clean_environment, program_of, shown_state
from anonymizer.streaming.line import CameraLine
from anonymizer.streaming.logs import Event, Level
from anonymizer.streaming.service import notify

STATE_EVERY_S = 0.5
STOP_WITHIN_S = 4.0  # all of it; systemd and people expect an end within five seconds
TOLD_AFTER_S = 2.0  # a machine at its limit goes to and fro
_READERS_S = 0.5
_LOG_KEPT = 200
_MOST_WORDS = 300  # letters of an event: servers choose some, and the state with all of them has to fit in one message
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_NOT_SHOWN = ("beat", "within_s", "sinks_lost")  # of a sealer's beat
_COUNTS = ("counts", "whys", "lost", "absent", "packets", "late_looks", "covered_total")  # that only rise


class Supervisor:
    """Runs what the settings say until it is told to stop."""

    def __init__(
        self,
        settings: Streaming,
        *,
        reload: Callable[[], Streaming] | None = None,
        tell: Callable[[Event], None] = lambda event: None,
        programs: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`reload` gives new settings at SIGHUP; `programs` takes the place of a role's command, for tests."""
        self._settings, self._reload, self._tell, self._programs = settings, reload, tell, dict(programs or {})
        self._secrets = secrets_of(settings)
        self._detector = Watched("detector", None, "detector", program_of("detector", self._programs))
        self._lines: dict[str, CameraLine] = {}
        self._servers: dict[str, Watched] = {}
        self._log: deque[dict[str, Any]] = deque(maxlen=_LOG_KEPT)
        self._asked: set[int] = set()
        self._state_s = 0.0
        self._told_ready = False
        self._ready_since_s: tuple[bool, float] = (False, 0.0)

    def run(self) -> int:
        """Blocks until SIGTERM or SIGINT; 0."""
        waking, woken = socket.socketpair()
        waking.setblocking(False)
        woken.setblocking(False)
        before = {number: signal.signal(number, self._on_signal) for number in (*_STOPPING, signal.SIGHUP)}
        wakeup_before = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            self._begin()
            while not self._asked.intersection(_STOPPING):
                self._wait(woken)
                self._turn()
            self._say("stopping")
            return 0
        finally:
            self._end()
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            waking.close()
            woken.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked.add(number)

    def _begin(self) -> None:
        self._say("the detector is loading")
        self._start(self._detector)
        for role, server in (("serve", self._settings.serve), ("web", self._settings.web)):
            self._open_server(role, server)
        for camera in self._settings.cameras:
            self._open_line(camera)

    def _turn(self) -> None:
        now_s = time.monotonic()
        if signal.SIGHUP in self._asked and self._reload is None:
            self._asked.add(signal.SIGTERM)  # The terminal is closed: nobody could stop it any more.
        elif signal.SIGHUP in self._asked:
            self._asked.discard(signal.SIGHUP)
            self._take_new_settings()
        for watched in self._all():
            self._hear(watched)
            if (why := watched.ended(now_s)) is not None:
                self._hear(watched)  # Its last words.
                self._mourn(watched, why, now_s)
            if not watched.is_alive and now_s >= watched.start_at_s:
                self._start(watched)
        if now_s - self._state_s >= STATE_EVERY_S:
            self._state_s = now_s
            for name, line in self._lines.items():
                line.remember()
                if (words := line.keeping_up.words(line.sealer.figures, line.camera.config.preset, now_s)) is not None:
                    self._say(words, "warning", name)
            state = self.state()
            self._watch_readiness(state["ready"], state["detector"]["state"] == "ready")
            # Before its first beat it reads nothing: what waits there would be old, and in the way of its cameras.
            if (web := self._servers.get("web")) is not None and web.figures:
                web.send({"do": "state", **state}, may_be_lost=True)

    def _wait(self, woken: socket.socket) -> None:
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        for watched in self._all():
            if watched.channel is not None:
                poll.register(watched.channel.fileno(), select.POLLIN)
            if (fd := watched.stderr_fd) is not None:
                poll.register(fd, select.POLLIN)
        poll.poll(STATE_EVERY_S * 500)
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)

    def _all(self) -> list[Watched]:
        return [self._detector, *self._servers.values(), *(watched for line in self._lines.values() for watched in line.processes)]

    def _hear(self, watched: Watched) -> None:
        before = watched.fault
        watched.heard()
        if watched.fault is not None:
            # It is shown and logged from here on; what a library wrote into it is masked before.
            watched.fault = masked(watched.fault, self._secrets)[:_MOST_WORDS]
        if watched.fault is not None and watched.fault != before:
            self._say(f"{watched.key}: {watched.fault}", "warning", watched.camera)
        for line in watched.complaints():
            self._say(f"{watched.key}: {line}", "debug", watched.camera)

    def _mourn(self, watched: Watched, why: str, now_s: float) -> None:
        """Say that a process is gone, and why, as far as it said."""
        words = watched.lines[-1] if watched.lines and watched.fault is None else (watched.fault or "")
        again_s = max(0.0, watched.start_at_s - now_s)
        self._say(f"{watched.key} {why}{f': {words}' if words else ''}; again in {again_s:.0f} s", "warning", watched.camera)

    def _start(self, watched: Watched) -> None:
        try:
            watched.start(clean_environment(self._secrets))
        except OSError as error:
            self._say(f"{watched.key} cannot be started: {error.strerror}", "error", watched.camera)
            watched.start_at_s = time.monotonic() + 5
            return
        if watched is self._detector:
            for line in self._lines.values():
                line.join_detector(watched)
        elif watched.camera is None:
            watched.send({"do": "start", "server": as_message(self._server_settings(watched.role))})
            for line in self._lines.values():
                line.join_server(watched)
        else:
            self._greet(self._lines[watched.camera], watched)

    def _greet(self, line: CameraLine, watched: Watched) -> None:
        if watched is line.reader:
            line.greet_reader()
        elif watched is line.sealer:
            line.greet_sealer(self._detector, list(self._servers.values()))
        else:
            line.greet_sink(next(sink for sink in line.sinks if sink.watched is watched))

    def _server_settings(self, role: str) -> Server:
        server = self._settings.serve if role == "serve" else self._settings.web
        assert server is not None
        return server

    def _open_server(self, role: str, server: Server | None) -> None:
        if server is not None:
            self._servers[role] = Watched(role, None, role, program_of(role, self._programs))
            self._start(self._servers[role])

    def _open_line(self, camera: Camera) -> None:
        line = self._lines[camera.name] = CameraLine.of(camera, self._programs)
        for watched in (line.sealer, line.reader, *(sink.watched for sink in line.sinks)):
            self._start(watched)

    def _close_lines(self, lines: Sequence[CameraLine]) -> None:
        self._stop(_in_order(lines), time.monotonic() + STOP_WITHIN_S / 2)
        for line in lines:
            self._detector.send({"do": "forget", "name": line.camera.name})
            line.close()

    def _take_new_settings(self) -> None:
        """Apply what changed, and touch nothing else; a bad file changes nothing."""
        assert self._reload is not None
        try:
            new = self._reload()
        except AnonymizerError as error:
            self._say(f"the new settings are refused, the old ones stay: {error.problem}", "error")
            return
        change = differences(self._settings, new)
        self._secrets |= secrets_of(new)
        self._settings = new
        for role, server in (("serve", new.serve), ("web", new.web)):
            if role in change.servers:
                if (old := self._servers.pop(role, None)) is not None:
                    self._stop([old], time.monotonic() + STOP_WITHIN_S / 2)
                self._open_server(role, server)
        self._close_lines([self._lines.pop(name) for name in (*change.removed, *change.changed)])
        for name in change.removed:
            for watched in self._servers.values():
                watched.send({"do": "remove", "name": name})
        for camera in new.cameras:
            if camera.name not in self._lines:
                self._open_line(camera)
        words = [f"{len(names)} {what}" for what, names in (("added", change.added), ("removed", change.removed), ("changed", change.changed)) if names]
        self._say(f"new settings: {', '.join(words) or 'no camera changed'}")

    def _stop(self, processes: Sequence[Watched], until_s: float) -> None:
        """End them in the order given, so that each still gets what is on its way; who does not end by himself is killed."""
        for role, group in itertools.groupby(processes, lambda watched: watched.role):
            ending = list(group)
            for watched in ending:
                watched.send({"do": "stop"})
            # Of one role together: a reader has nothing to finish, and many may be waiting for dead cameras.
            by_s = min(time.monotonic() + _READERS_S, until_s) if role in ("reader", "sealer") else 0.0
            for watched in ending:
                watched.wait(by_s - time.monotonic())
                if role == "reader":
                    watched.kill()
        for watched in processes:
            watched.wait(until_s - time.monotonic())
            watched.kill()

    def _end(self) -> None:
        notify("STOPPING=1")
        until_s = time.monotonic() + STOP_WITHIN_S
        lines = list(self._lines.values())
        self._stop([*_in_order(lines), *self._servers.values(), self._detector], until_s)
        for line in lines:
            line.close()

    def _watch_readiness(self, ready: bool, detector_ready: bool) -> None:
        # A camera that is switched off must not let the service's start time out.
        notify("READY=1\nWATCHDOG=1" if detector_ready else "WATCHDOG=1")
        now_s = time.monotonic()
        if ready != self._ready_since_s[0]:
            self._ready_since_s = (ready, now_s)
        if ready != self._told_ready and now_s - self._ready_since_s[1] >= TOLD_AFTER_S:
            self._told_ready = ready
            self._say("cameras are shown" if ready else "no camera is shown: the curtain is down everywhere", "info" if ready else "warning")

    def _say(self, words: str, level: Level = "info", camera: str | None = None) -> None:
        event = Event(masked(words, self._secrets)[:_MOST_WORDS], level, camera)
        if level != "debug":
            self._log.append({"time_s": event.time_s, "camera": camera, "level": level, "words": event.words})
        self._tell(event)

    def state(self) -> dict[str, Any]:
        """Everything the page, the metrics and the health checks say."""
        rates = self._detector.figures.get("looks_per_s", {}) if self._detector.is_alive else {}
        cameras = {name: _camera_state(line, self._secrets) for name, line in self._lines.items()}
        detector = {**shown_state(self._detector), "looks_per_s": round(sum(rates.values()), 1)}
        ready = detector["state"] == "ready" and any(camera["state"] in ("decided", "carried") for camera in cameras.values())
        return {"now_s": time.time(), "pid": os.getpid(), "ready": ready, "detector": detector, "cameras": cameras, "log": list(self._log)}


def _in_order(lines: Sequence[CameraLine]) -> list[Watched]:
    """All processes of these cameras in the order in which a stop has to reach them."""
    readers, sealers = [line.reader for line in lines], [line.sealer for line in lines]
    return [*readers, *sealers, *(sink.watched for line in lines for sink in line.sinks)]


def _camera_state(line: CameraLine, secrets: frozenset[str]) -> dict[str, Any]:
    sealer, reader = line.sealer, line.reader
    # A dead sealer shows nothing: its last state would call a camera ready and keep the page's curtain away. Its counts stand until a new one begins.
    told = {name: value for name, value in sealer.figures.items() if (sealer.is_alive and name not in _NOT_SHOWN) or name in _COUNTS}
    lost = sealer.figures.get("sinks_lost", {})
    outputs = [
        {"kind": sink.output.kind, "where": masked(sink.where, secrets), **shown_state(sink.watched), "lost": lost.get(sink.watched.key, 0)}
        for sink in line.sinks
    ]
    newest = max((one for one in (reader, sealer) if one.fault is not None), key=lambda one: one.fault_s or 0, default=None)
    return {
        "title": line.camera.title or line.camera.name,
        "state": "starting",
        "counts": dict.fromkeys(("decided", "carried", "curtained", "dropped"), 0),
        **told,
        "fault": newest.fault if newest else None,
        "fault_s": newest.fault_s if newest else None,
        "restarts": reader.restarts + sealer.restarts,
        "outputs": outputs,
    }
