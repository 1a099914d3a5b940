"""The process that runs the networks, for every camera: always on the newest frame, never on a queue.

Whoever was looked at longest ago comes next. What a look found goes to that camera's sealer, which knows whether it still
counts. A network that fails ends this process: the next one has to find what is in the canary picture before it looks again.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from anonymizer.config import Config
from anonymizer.detection import Detector, Turns
from anonymizer.equipment import Equipment
from anonymizer.errors import AnonymizerError, ModelError
from anonymizer.ipc.channel import Channel, ChannelClosedError
from anonymizer.media import picture_of
from anonymizer.streaming.ring import RawFrame, Ring
from anonymizer.types import Observation

BEAT_S = 0.5
NICENESS = 8
LOOK_WITHIN_S = 4.0  # A look that takes longer has failed; the supervisor kills what is silent for longer still.

DetectorsFor = Callable[[Config], Sequence[Detector]]


@dataclass(slots=True)
class _Watched:
    """A camera as the detector knows it."""

    name: str
    equipment: Equipment
    ring: Ring
    waker: int
    results: Channel
    turns: Turns
    seen: int = 0  # serial of the newest frame that was looked at
    looked_s: float = 0.0
    looks_s: deque[float] = field(default_factory=lambda: deque(maxlen=200))


class DetectorLoop:
    """Looks at the newest frames of all cameras in turn."""

    def __init__(self, channel: Channel, detectors: DetectorsFor | None = None) -> None:
        self._channel, self._detectors = channel, detectors
        self._cameras: dict[str, _Watched] = {}
        self._equipment: dict[str, Equipment] = {}
        self._beat_s = 0.0

    def run(self) -> None:
        """Until it is told to stop; ModelError when a network fails."""
        self._beat("starting", within_s=60.0)
        while True:
            self._wait()
            while (found := self._channel.receive(0)) is not None:
                message, fds = found
                if message.get("do") == "stop":
                    return
                self._obey(message, fds)
            waiting = [camera for camera in self._cameras.values() if camera.ring.newest != camera.seen]
            if waiting:
                self._look(min(waiting, key=lambda camera: camera.looked_s))
            if time.monotonic() - self._beat_s > BEAT_S:
                self._beat("ready", within_s=LOOK_WITHIN_S + 1)

    def _wait(self) -> None:
        if any(camera.ring.newest != camera.seen for camera in self._cameras.values()):
            return
        poll = select.poll()
        for fd in (self._channel.fileno(), *(camera.waker for camera in self._cameras.values())):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(round(BEAT_S * 1000))}
        for camera in self._cameras.values():
            if camera.waker in ready:
                os.eventfd_read(camera.waker)

    def _obey(self, message: dict[str, Any], fds: list[int]) -> None:
        name = message["name"]
        self._let_go(name)
        if message["do"] == "watch":
            self._beat("starting", within_s=60.0)
            equipment = self._equipment_for(Config.model_validate(message["config"]))
            self._cameras[name] = _Watched(name, equipment, Ring(fds[0]), fds[1], Channel.inherited(fds[2]), Turns(equipment.look))
            used = [id(camera.equipment) for camera in self._cameras.values()]
            self._equipment = {key: made for key, made in self._equipment.items() if id(made) in used}

    def _let_go(self, name: str) -> None:
        """Close what belongs to a camera: its memory is held as long as anybody has it open."""
        if (known := self._cameras.pop(name, None)) is not None:
            known.results.close()
            known.ring.close()
            os.close(known.waker)

    def _equipment_for(self, config: Config) -> Equipment:
        """Networks that have passed their canary; cameras with the same configuration share them."""
        key = config.model_dump_json()
        if key not in self._equipment:
            same = next((one for one in self._equipment.values() if _sees_alike(one.config, config)), None)
            if same is not None and self._detectors is None:
                # While a network is loaded no camera is looked at: those of cameras that did not change would be covered whole.
                made = replace(Equipment.of(config, seeing=False), detectors=same.detectors, vehicles=same.vehicles)
            else:
                made = Equipment.of(config, None if self._detectors is None else self._detectors(config))
            # Networks have a clock of their own; for live it is this one.
            self._equipment[key] = replace(made, look=replace(made.look, deadline_s=LOOK_WITHIN_S))
        return self._equipment[key]

    def _look(self, camera: _Watched) -> None:
        serial = camera.ring.newest
        raw = camera.ring.read(serial)
        camera.seen, camera.looked_s = serial, time.monotonic()
        if raw is None or raw.damaged:
            return  # The whole picture is covered; what a network says of guessed pixels is no evidence.
        observation = self._observed(camera, raw)
        camera.looks_s.append(time.monotonic())
        try:
            camera.results.send(message_of(raw.epoch, observation))
        except ChannelClosedError:
            self._let_go(camera.name)  # Its sealer is gone; the next one brings a new line.
        if observation.failure is not None:
            raise ModelError(observation.failure, hint="the detector is started again")

    def _observed(self, camera: _Watched, raw: RawFrame) -> Observation:
        picture = picture_of(raw.frame(), raw.geometry, camera.equipment.look.long_side)
        shown_s = (raw.source_s, raw.source_s + float(1 / Fraction(raw.frame_rate).limit_denominator(1000)))
        return camera.equipment.observe(picture, shown_s, camera.turns.next(raw.source_s, raw.geometry.displayed_wh))

    def _beat(self, state: str, *, within_s: float) -> None:
        self._beat_s = now_s = time.monotonic()
        rates = {camera.name: sum(now_s - look_s < 5 for look_s in camera.looks_s) / 5 for camera in self._cameras.values()}
        self._channel.send({"beat": True, "state": state, "within_s": within_s, "looks_per_s": rates})


def _sees_alike(one: Config, other: Config) -> bool:
    """Whether two configurations load the same networks in the same way."""
    return all(getattr(one, key) == getattr(other, key) for key in ("detect", "preset", "weights", "threads", "timeout_s"))


def message_of(epoch: int, observation: Observation) -> dict[str, Any]:
    """What a look found, as it travels to a sealer."""
    found = observation.detections
    return {
        "epoch": epoch,
        "index": observation.frame_index,
        "failure": observation.failure,
        "part": observation.part,
        "boxes": [] if found is None else found.xyxy.tolist(),
        "scores": [] if found is None else found.score.tolist(),
        "labels": [] if found is None else found.label.tolist(),
    }


def run(channel: Channel, detectors: DetectorsFor | None = None) -> None:
    """The role. `detectors` take the place of the configured networks: tests hand in one that knows the truth."""
    # Decoding, sealing and coding come first: a look that comes late is carried over, a frame that comes late is lost.
    os.nice(NICENESS)
    try:
        DetectorLoop(channel, detectors).run()
    except AnonymizerError as error:
        channel.send({"fault": error.problem})
    # A network that hangs is left behind in its thread, which must not keep the process.
    os._exit(0)
