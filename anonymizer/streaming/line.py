"""One camera's processes and what joins them: the ring, the wakers, and a socket to every sink."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anonymizer.cameras.secrets import shown_url
from anonymizer.cameras.settings import SIZE, Camera, Output, Push, as_message
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.packets import packet_sockets
from anonymizer.ipc.process import Watched, program_of
from anonymizer.streaming.advice import KeepingUp
from anonymizer.streaming.ring import Ring


@dataclass(slots=True)
class OutputSink:
    """An output of a camera and its process."""

    output: Output
    watched: Watched

    @property
    def where(self) -> str:
        """Where it goes, without secrets."""
        return shown_url(self.output.url) if isinstance(self.output, Push) else str(self.output.folder)


@dataclass(slots=True)
class CameraLine:
    """A camera from its connection to its outputs."""

    camera: Camera
    reader: Watched
    sealer: Watched
    sinks: tuple[OutputSink, ...]
    ring_fd: int = field(default_factory=Ring.create)
    sealer_waker: int = field(default_factory=lambda: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
    detector_waker: int = field(default_factory=lambda: os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
    keeping_up: KeepingUp = field(default_factory=KeepingUp)
    zones_for: str | None = None  # the size of the camera's first picture: a new sealer must not take that of a later one for it

    @classmethod
    def of(cls, camera: Camera, programs: Mapping[str, Sequence[str]]) -> CameraLine:
        """The line of a camera; nothing is started yet."""

        def watched(role: str, key: str) -> Watched:
            return Watched(role, camera.name, key, program_of(role, programs))

        sinks = tuple(OutputSink(output, watched(output.kind, f"{output.kind}-{at}")) for at, output in enumerate(camera.outputs))
        return cls(camera, watched("reader", "reader"), watched("sealer", "sealer"), sinks)

    @property
    def processes(self) -> tuple[Watched, ...]:
        """All of its own, in the order in which a stop has to reach them."""
        return (self.reader, self.sealer, *(sink.watched for sink in self.sinks))

    def close(self) -> None:
        """Let go of what joined the processes."""
        for fd in (self.ring_fd, self.sealer_waker, self.detector_waker):
            os.close(fd)

    def greet_reader(self) -> None:
        """What a new reader needs."""
        self.reader.send({"do": "start", "camera": as_message(self.camera)}, [self.ring_fd, self.sealer_waker, self.detector_waker])
        self.join_sound()

    def greet_sealer(self, detector: Watched, shared: Sequence[Watched]) -> None:
        """What a new sealer needs: the frames, the looks, and everyone who waits for packets."""
        camera = self.camera if self.zones_for is None else self.camera.model_copy(update={"zones_for": self.zones_for})
        self.sealer.send({"do": "start", "camera": as_message(camera)}, [self.ring_fd, self.sealer_waker])
        self.join_detector(detector)
        self.join_sound()
        for sink in self.sinks:
            self.join_sink(sink.watched, {"do": "packets"})
        for server in shared:
            self.join_server(server)

    def greet_sink(self, sink: OutputSink) -> None:
        """What a new sink of this camera needs."""
        names = {"camera": self.camera.name, "title": self.camera.title or self.camera.name}
        self.join_sink(sink.watched, {"do": "start", **names, "output": as_message(sink.output)})

    def remember(self) -> None:
        """What the sealer said that the next one has to know."""
        if isinstance(said := self.sealer.figures.get("zones_for"), str) and re.fullmatch(SIZE, said):
            self.zones_for = said

    def join_server(self, server: Watched) -> None:
        """Give a server of many cameras this camera's packets."""
        self.join_sink(server, {"do": "camera", "name": self.camera.name, "title": self.camera.title or self.camera.name})

    def join_detector(self, detector: Watched) -> None:
        """A new way for looks from the detector to the sealer: what was under way on the old one is forgotten."""
        if not (detector.is_alive and self.sealer.is_alive):
            return
        sealers_end, detectors_end = Channel.pair()
        with sealers_end, detectors_end:
            self.sealer.send({"do": "results"}, [sealers_end.fileno()])
            watch: dict[str, Any] = {"do": "watch", "name": self.camera.name, "config": self.camera.config.model_dump(mode="json")}
            detector.send(watch, [self.ring_fd, self.detector_waker, detectors_end.fileno()])

    def join_sound(self) -> None:
        """A way for sound from the reader to the sealer, where it was asked for."""
        if self.camera.config.audio == "drop" or not (self.reader.is_alive and self.sealer.is_alive):
            return
        readers_end, sealers_end = Channel.pair()
        with readers_end, sealers_end:
            self.sealer.send({"do": "sound"}, [sealers_end.fileno()])
            self.reader.send({"do": "sound"}, [readers_end.fileno()])

    def join_sink(self, sink: Watched, message: dict[str, Any]) -> None:
        """A new way for packets from the sealer to a sink; a sealer that is not there yet closes it at once."""
        if not sink.is_alive:
            return
        sealers_end, sinks_end = packet_sockets()
        with sealers_end, sinks_end:
            self.sealer.send({"do": "sink", "key": sink.key}, [sealers_end.fileno()])
            sink.send(message, [sinks_end.fileno()])
