"""What can go wrong on the way from a camera to the filter, each thing by name, for a while or once."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal[
    "refuse",  # nobody listens
    "mute",  # connections are accepted, and nothing is ever answered
    "silent",  # RTSP is answered, and no packet is sent to whoever comes while it lasts
    "stall",  # nothing is sent or answered on connections that are open: half-open TCP
    "reset",  # once: every open connection is reset
    "garbage",  # random bytes instead of packets
    "drop",  # `share` of the RTP packets is lost
    "damage",  # `share` of the RTP packets has `flips` random bytes changed inside its NAL unit
    "keyless",  # key frames and parameter sets are left out: who comes meanwhile starts in mid-stream
    "coding",  # once: from here on coded by `coding`; `reconnect` resets the connections first, as a camera that reboots
    "pts",  # once: RTP time jumps by `jump_s`, forward or backward
    "frozen_pts",  # RTP time stands still
    "blank",  # no frame is made: the camera's own encoder hangs, RTSP lives
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ONCE = ("reset", "coding", "pts")


@dataclass(slots=True, eq=False)
class Fault:
    """One fault at work."""

    kind: Kind
    until_s: float | None  # of the monotonic clock; None: until it is cleared
    values: dict[str, Any] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    began_s: float = field(default_factory=time.monotonic)
    hit: int = 0  # packets, connections or frames that it changed

    def wait(self, timeout_s: float = 60.0) -> None:
        """Until it is over; TimeoutError if it goes on."""
        if not self.ended.wait(timeout_s):
            raise TimeoutError(f"the fault {self.kind} is still at work after {timeout_s} s")


class Faults:
    """Those at work now. Every random choice comes from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self._lock = threading.Lock()
        self._active: list[Fault] = []

    def add(self, kind: Kind, seconds: float | None, values: dict[str, Any]) -> Fault:
        fault = Fault(kind, None if seconds is None else time.monotonic() + seconds, values)
        with self._lock:
            self._active.append(fault)
        return fault

    def clear(self) -> None:
        """All of them are over."""
        with self._lock:
            over, self._active = self._active, []
        for fault in over:
            fault.ended.set()

    def get(self, kind: Kind) -> Fault | None:
        """The fault of that kind, if one is at work."""
        self._expire()
        with self._lock:
            return next((fault for fault in self._active if fault.kind == kind), None)

    def take(self, kind: Kind) -> Fault | None:
        """The same for one that happens once: it is over now."""
        fault = self.get(kind)
        if fault is not None:
            fault.hit += 1
            self.end(fault)
        return fault

    def end(self, fault: Fault) -> None:
        with self._lock:
            if fault in self._active:
                self._active.remove(fault)
        fault.ended.set()

    def _expire(self) -> None:
        now = time.monotonic()
        with self._lock:
            over = [fault for fault in self._active if fault.until_s is not None and fault.until_s <= now]
        for fault in over:
            self.end(fault)

    def on_packet(self, packet: bytes, head_bytes: int) -> bytes | None:
        """An RTP packet as it arrives: whole, with bytes changed behind its head, or not at all."""
        drop, damage = self.get("drop"), self.get("damage")
        if drop is not None and self.dice.random() < drop.values["share"]:
            drop.hit += 1
            return None
        if damage is not None and self.dice.random() < damage.values["share"] and len(packet) > head_bytes:
            damage.hit += 1
            changed = bytearray(packet)
            for _ in range(damage.values.get("flips", 1)):
                changed[self.dice.randrange(head_bytes, len(packet))] ^= self.dice.randrange(1, 256)
            return bytes(changed)
        return packet


class Faulty:
    """What fails on request."""

    def __init__(self, seed: int, kinds: tuple[Kind, ...]) -> None:
        self.faults = Faults(seed)
        self._kinds = kinds

    def fault(self, kind: Kind, *, seconds: float | None = None, **values: Any) -> Fault:
        """Begin a fault; several of different kinds may be at work at once."""
        if kind not in self._kinds:
            raise ValueError(f"a {type(self).__name__} cannot do {kind}: it knows {', '.join(self._kinds)}")
        return self.faults.add(kind, seconds, values)

    def clear(self) -> None:
        """End every fault."""
        self.faults.clear()
