"""The page's real process with drawn cameras behind it, and a supervisor's state as it would be told."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp

from anonymizer.cameras.settings import Server, as_message
from anonymizer.ipc.channel import ChannelClosedError
from anonymizer.ipc.packets import packet_sockets
from anonymizer.web.server import Site
from tests.streaming.feeding import DrawnStream, Feeder, RunningSink

CAMERAS = ("gate", "yard")


def camera_state(state: str = "decided", **more: Any) -> dict[str, Any]:
    """What the supervisor says of one camera."""
    return {
        "title": "Gate",
        "state": state,
        "fault": None,
        "fault_s": None,
        "counts": {"decided": 1000, "carried": 20, "curtained": 30, "dropped": 4},
        "latency_ms": {"median": 420.0, "p99": 610.0},
        "fps": 25.0,
        "covered_now": 3,
        "covered_total": 321,
        "looks_per_s": 12.5,
        "restarts": 1,
        "size_wh": [160, 120],
        "outputs": [{"kind": "push", "where": "rtsp://media.example.org/gate", "state": "up", "fault": None, "lost": 7}],
        **more,
    }


def run_state(cameras: dict[str, dict[str, Any]] | None = None, detector: str = "ready", **more: Any) -> dict[str, Any]:
    """What the supervisor says twice a second."""
    cameras = {name: camera_state() for name in CAMERAS} if cameras is None else cameras
    return {
        "do": "state",
        "now_s": time.time(),
        "ready": detector == "ready" and any(camera["state"] in ("decided", "carried") for camera in cameras.values()),
        "detector": {"state": detector, "fault": None, "looks_per_s": 25.0},
        "cameras": cameras,
        "log": [],
        **more,
    }


class RunningPage:
    """The process `web`, its cameras' feeders, and who tells it the state."""

    def __init__(self, cameras: tuple[str, ...], server: Server | None = None) -> None:
        self._process = RunningSink("web", {})
        self.state = run_state({name: camera_state(title=name.title()) for name in cameras})
        self.feeders: dict[str, Feeder] = {}
        self._process.channel.send({"do": "start", "server": as_message(server or Server())})
        self.url = ""  # once it listens
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def feed(self, camera: str, stream: DrawnStream) -> None:
        """Begin to send packets of a camera; once more: another sealer takes over."""
        if camera in self.feeders:
            self.feeders[camera].stop()
        ours, theirs = packet_sockets()
        with theirs:
            assert self._process.channel.send({"do": "camera", "name": camera, "title": camera.title()}, [theirs.fileno()])
        self.feeders[camera] = Feeder(ours, stream)
        self.feeders[camera].start()

    def wait(self) -> None:
        """Until it listens and has a picture of every camera."""
        beat = self._process.wait_for(lambda beat: bool(beat["port"]) and beat["packets"] > 0)
        self.url = f"http://127.0.0.1:{beat['port']}"

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        return self._process.stop()

    def close(self) -> None:
        """Leave nothing running."""
        self._ended.set()
        self._teller.join(5)
        for feeder in self.feeders.values():
            feeder.stop()
        self._process.close()

    def _tell(self) -> None:
        while not self._ended.is_set() and self._process.process.poll() is None:
            with suppress(ChannelClosedError):
                self._process.channel.send(self.state)
            self._ended.wait(0.5)


@contextmanager
def running_page(*cameras: str, server: Server | None = None) -> Iterator[RunningPage]:
    """The page with a drawn stream for each camera, for as long as the block runs."""
    page = RunningPage(cameras, server)
    try:
        for camera in cameras:
            page.feed(camera, DrawnStream())
        if cameras:
            page.wait()
        yield page
    finally:
        page.close()


@asynccontextmanager
async def open_site(server: Server | None = None, *, state: dict[str, Any] | None = None) -> AsyncIterator[tuple[Site, aiohttp.ClientSession]]:
    """The page in this process, without pictures, and a client that keeps cookies."""
    site = Site(server or Server())
    for name in CAMERAS:
        site.add_camera(name, name.title(), None)
    if state is not None:
        site.status.tell(state)
    port = await site.listen()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            yield site, client
    finally:
        await site.close()
