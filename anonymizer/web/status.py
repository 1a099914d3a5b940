"""What the supervisor last said of the run, for people, for probes and for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from anonymizer.ipc.channel import Message
from anonymizer.web.feeds import Feed
from anonymizer.web.metrics import RunCollector

FRESH_S = 5.0  # The supervisor speaks twice a second; after ten silences nothing it said may be taken as true.


class Status:
    """The last state that was told, and how old it is."""

    def __init__(self, feeds: Mapping[str, Feed], warning: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._feeds = feeds
        self._warning = warning
        self._clock = clock
        self._told: Message = {}
        self._told_at_s: float | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(RunCollector(self))

    def tell(self, state: Message) -> None:
        """Take a new state from the supervisor."""
        self._told, self._told_at_s = state, self._clock()

    @property
    def age_s(self) -> float | None:
        """Seconds since the supervisor last spoke; None if it never did."""
        return None if self._told_at_s is None else self._clock() - self._told_at_s

    @property
    def told(self) -> Message:
        """The last state, however old."""
        return self._told

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The cameras' pictures."""
        return self._feeds

    def is_fresh(self) -> bool:
        """Whether what the supervisor said can be taken as true."""
        return self.age_s is not None and self.age_s < FRESH_S

    def is_ready(self, camera: str | None = None) -> bool:
        """Whether the detector runs and this camera, or any one, is shown: decided, or carried for some frames."""
        if not self.is_fresh():
            return False
        if camera is None:
            return bool(self._told.get("ready"))
        runs = self._told.get("detector", {}).get("state") == "ready"
        return runs and self._told.get("cameras", {}).get(camera, {}).get("state") in ("decided", "carried")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """What answers without a picture."""
        router.add_get("/status.json", self._status)
        router.add_get("/healthz", self._health)
        router.add_get("/readyz", self._readiness)
        router.add_get("/cameras/{camera}/readyz", self._readiness)
        router.add_get("/metrics", self._metrics)

    async def _status(self, request: web.Request) -> web.Response:
        cameras = {}
        for name, feed in self._feeds.items():
            told = self._told.get("cameras", {}).get(name, {})
            cameras[name] = {"title": feed.title, **told, "stream": feed.figures()}
        return web.json_response({**_without(self._told, "do"), "cameras": cameras, "age_s": self.age_s, "fresh": self.is_fresh(), "warning": self._warning})

    async def _health(self, request: web.Request) -> web.Response:
        return _verdict(self.is_fresh(), "healthy", "the supervisor is silent")

    async def _readiness(self, request: web.Request) -> web.Response:
        camera = request.match_info.get("camera")
        if camera is not None and camera not in self._feeds:
            raise web.HTTPNotFound(text="404: no such camera\n")
        return _verdict(self.is_ready(camera), "ready", "not ready")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _verdict(is_good: bool, good: str, bad: str) -> web.Response:
    return web.Response(status=200 if is_good else 503, text=f"{good if is_good else bad}\n")


def _without(message: Message, key: str) -> Message:
    return {name: value for name, value in message.items() if name != key}
