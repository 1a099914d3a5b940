"""A camera's stream to a server, for as long as it takes: connect, send, and begin again when the server is gone.

FFmpeg's calls wait for the server, and some hold the interpreter while they do. So each connection is a process of its own
(sinks/connection.py), which is killed when it says nothing for too long; this one only looks after it.
"""

from __future__ import annotations

import os
from typing import Any

from anonymizer.cameras.addresses import shown_url
from anonymizer.cameras.settings import Push
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.process import Watched, program_of
from anonymizer.sinks.connection import connect
from anonymizer.sinks.loop import Feed, Status, first_message, run_sink

_CLOSE_S = 1.6


def run(channel: Channel) -> None:
    """The process of one push output; or, started by that one, of one connection."""
    message, fds = first_message(channel)
    if message["do"] == "connect":
        connect(channel, message, fds)
    else:
        run_sink(channel, fds, PushWorker(str(message["camera"]), Push.model_validate(message["output"])))


class PushWorker:
    """Keeps one connection to the server, with growing pauses between tries."""

    def __init__(self, camera: str, settings: Push) -> None:
        self.feed = Feed()
        self.status = Status()
        self._output = settings.model_dump(mode="json")
        self._where = shown_url(settings.url)
        self._connection = Watched("push", camera, "connection", program_of("push", {}))
        self._written = (0, 0)  # packets and bytes of earlier connections

    def watch(self, now_s: float) -> None:
        """Begin a connection when there is none and it is time; see what has become of the one there is."""
        connection = self._connection
        if not connection.is_alive:
            if now_s >= connection.start_at_s and self.feed.has_format:
                self._start()
            return
        for message in connection.heard():
            self._hear(message)
        connection.complaints()  # Read, so that it never waits to be heard.
        if (why := connection.ended(now_s)) is None:
            return
        self.feed.close()
        self._written = (self.status.packets, self.status.bytes)
        silent = "takes nothing" if self.status.state == "up" else "does not answer"
        self.status.fault = connection.fault or (f"{self._where}: {silent}" if "nothing" in why else f"{self._where}: the connection {why}")
        self.status.state = "connecting"

    def close(self) -> None:
        """Let the connection end with what its protocol says at the end, if the server lets it."""
        self.feed.push()
        self.feed.close()
        self._connection.wait(_CLOSE_S)
        self._connection.kill()

    def _start(self) -> None:
        connection = self._connection
        connection.fault = None
        connection.start(os.environ)
        with self.feed.open() as end:
            connection.send({"do": "connect", "output": self._output}, [end.fileno()])

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("beat"):
            self.status.state = message["state"]
            self.status.packets = self._written[0] + message["packets"]
            self.status.bytes = self._written[1] + message["bytes"]
