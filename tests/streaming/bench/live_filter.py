"""The whole live filter as its own processes, with the oracle for eyes, to be driven and killed by tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from anonymizer.cameras.settings import Camera, Server, Streaming
from anonymizer.config import load_config
from tests.streaming.bench.oracle import CONTROL, Trouble, set_trouble
from tests.streaming.bench.relay import Relay
from tests.streaming.bench.scan import Seen, scan_url

_HERE = Path(__file__).parent
_STARTS_WITHIN_S = 60.0


def camera(name: str, url: str, **values: Any) -> Camera:
    """A camera as the profile `live` makes it, patient for nothing: tests wait for what it does about silence."""
    config = load_config({"detect": "face"}, profile="live").config
    return Camera(name=name, url=url, config=config, **({"open_timeout_s": 3.0, "read_timeout_s": 2.0} | values))


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveFilter:
    """A context manager: the filter runs inside it, and has ended cleanly behind it."""

    def __init__(
        self, folder: Path, *cameras: Camera, web: bool = True, serve: bool = True, real: bool = False, environment: Mapping[str, str] | None = None
    ) -> None:
        self.control = folder / "oracle.json"
        self._settings_file = folder / "settings.json"
        servers = {"serve": Server(port=free_port()) if serve else None, "web": Server(port=free_port()) if web else None}
        self.settings = Streaming(cameras=cameras, **servers)
        self._environment = environment or {}
        self._programs = {} if real else {"detector": [sys.executable, str(_HERE / "oracle_detector.py")]}
        self.lines: list[str] = []
        self.exit_code: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.write_settings(self.settings)
        command = [sys.executable, str(_HERE / "filter_main.py"), str(self._settings_file), json.dumps(self._programs)]
        environment = {**os.environ, CONTROL: str(self.control), **self._environment}
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self._process.wait(8)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._listener is not None
        self._listener.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip())

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def write_settings(self, settings: Streaming) -> None:
        """What the next SIGHUP reads."""
        self.settings = settings
        self._settings_file.write_text(settings.model_dump_json(), "utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        os.kill(self.pid, number)

    def trouble(self, trouble: Trouble | None, **values: float) -> None:
        """Let the oracle go wrong, or be well again."""
        set_trouble(self.control, trouble, **values)

    def url(self, name: str) -> str:
        """Where the filter serves a camera."""
        assert self.settings.serve is not None
        return f"rtsp://127.0.0.1:{self.settings.serve.port}/{name}"

    def get(self, path: str) -> bytes:
        """What the page's server answers."""
        assert self.settings.web is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.web.port}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def state(self) -> dict[str, Any]:
        """The status, or nothing while nobody answers."""
        try:
            return dict(json.loads(self.get("/status.json")))
        except OSError:
            return {}

    def camera_state(self, name: str) -> dict[str, Any]:
        """The status of a camera."""
        return dict(self.state().get("cameras", {}).get(name, {}))

    def wait_until(self, holds: Callable[[dict[str, Any]], bool], within_s: float = _STARTS_WITHIN_S) -> float:
        """Seconds until the status is such; AssertionError with the log if it never is."""
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < within_s:
            state = self.state()
            if state and holds(state):
                return time.monotonic() - begun_s
            time.sleep(0.1)
        raise AssertionError(f"not within {within_s} s: {json.dumps(self.state().get('cameras', {}), indent=1)}\n" + "\n".join(self.lines[-40:]))

    def wait_decided(self, name: str, within_s: float = _STARTS_WITHIN_S) -> float:
        """Seconds until frames of a camera are decided, now."""
        before = self.camera_state(name).get("counts", {}).get("decided", 0)
        return self.wait_until(lambda state: _is_decided(state, name, before), within_s)

    def children(self) -> dict[str, list[int]]:
        """The pids of the living processes by role."""
        found: dict[str, list[int]] = {}
        for pid in _children_of(self.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            role = "detector" if any(word.endswith("oracle_detector.py") for word in words) else words[3] if len(words) > 3 else "?"
            found.setdefault(role, []).append(pid)
        return found

    def kill(self, role: str) -> None:
        """SIGKILL a role's process."""
        for pid in self.children()[role]:
            os.kill(pid, signal.SIGKILL)


class Watcher(threading.Thread):
    """Watches a served stream until it is told to stop, and comes back whenever it is sent away.

    Through a relay that sees the packets: a frame is as old as it was when its last one came.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.seen: list[Seen] = []
        self.connections = 0
        self._over = threading.Event()

    def run(self) -> None:
        with Relay(self.url) as relay:
            while not self._over.is_set():
                try:
                    self.connections += 1
                    scan_url(relay.url, 3600.0, on_seen=self._take, options={"timeout": "3000000"}, came_s=relay.came_s)
                except StopIteration:
                    return
                except (OSError, av.FFmpegError):  # The relay still listens where the server is gone: no RTSP then.
                    time.sleep(0.3)

    def _take(self, seen: Seen) -> None:
        self.seen.append(seen)
        if self._over.is_set():
            raise StopIteration

    def between(self, first_s: float, end_s: float, patience_s: float = 60.0) -> list[Seen]:
        """What came in that time; looking at it takes longer than its coming."""
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s and not (self.seen and self.seen[-1].arrival_s >= end_s):
            time.sleep(0.05)
        return [one for one in list(self.seen) if first_s <= one.arrival_s <= end_s]

    def stop(self) -> list[Seen]:
        """Everything that was seen."""
        self._over.set()
        self.join(10)
        return self.seen


def _is_decided(state: dict[str, Any], name: str, before: int) -> bool:
    camera = state.get("cameras", {}).get(name, {})
    # Not only more: a sealer that was started anew counts from 0.
    return camera.get("state") == "decided" and camera["counts"]["decided"] not in (0, before)


def _children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(path.parent.name))
    return found
