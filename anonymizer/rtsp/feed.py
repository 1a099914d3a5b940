"""One camera's sealed packets: the newest group of pictures is kept, and every viewer is offered each frame."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from anonymizer.ipc.packets import Item, PacketReceiver
from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.rtp import payloads_of, sound_payloads_of
from anonymizer.rtsp.viewer import Unit, Viewer
from anonymizer.types import SoundPacket, StreamFormat

_log = logging.getLogger(__name__)


class Feed:
    """What viewers of one camera see. Survives restarts of its sealer, and so do they."""

    def __init__(self, name: str, title: str, limits: Limits) -> None:
        self.name, self.title, self._limits = name, title, limits
        self.session_id = secrets.randbits(48)  # of its description
        self.format: StreamFormat | None = None
        self.viewers: set[Viewer] = set()
        self._has_format = asyncio.Event()
        self._group: list[Unit] = []  # from the newest key frame on; empty if that would be too much
        self._group_bytes = 0
        self._last_pts: int | None = None
        self._last_sound_pts: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_removed = False
        self.packets = self._gone_bytes = self._gone_lost = 0

    def attach(self, receiver: PacketReceiver) -> None:
        """Packets come from here now, and no longer from where they came before."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._receive(receiver))

    def remove(self, why: str) -> None:
        """The camera is gone: its viewers go."""
        self._is_removed = True
        if self._task is not None:
            self._task.cancel()
        self._end_viewers(why)

    async def wait_for_format(self, timeout_s: float) -> StreamFormat | None:
        """How this camera's packets are coded; None if its sealer has sent nothing in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_format.wait()
        except TimeoutError:
            return None
        return self.format

    def first_pts(self) -> int | None:
        """The pts a viewer who begins now would begin with; None if that is a key frame to come."""
        # What is older would be shown as live.
        is_fresh = bool(self._group) and time.monotonic() - self._group[0].received_s <= self._limits.queued_s
        return self._group[0].pts if is_fresh else None

    def begin(self, viewer: Viewer) -> None:
        """Offer a new viewer the newest group of pictures, and everything from now on."""
        if self._is_removed or self.format is None or self.format.codec != viewer.codec:
            viewer.end("what was described is no longer sent")
            return
        self.viewers.add(viewer)
        if self.first_pts() is not None:
            for unit in self._group:
                viewer.offer(unit)

    def leave(self, viewer: Viewer) -> None:
        """A viewer gets nothing any more."""
        if viewer in self.viewers:
            self.viewers.discard(viewer)
            self._gone_bytes += viewer.bytes
            self._gone_lost += viewer.lost

    @property
    def sent_bytes(self) -> int:
        """Bytes that viewers were sent, those who left included."""
        return self._gone_bytes + sum(viewer.bytes for viewer in self.viewers)

    @property
    def lost(self) -> int:
        """Frames that viewers were not sent because they read too slowly."""
        return self._gone_lost + sum(viewer.lost for viewer in self.viewers)

    async def _receive(self, receiver: PacketReceiver) -> None:
        try:
            async for item in receiver.items():
                self._take(item)
        except (OSError, ValueError) as error:
            _log.warning("camera %s: its packets end: %s", self.name, error)
        finally:
            receiver.close()

    def _take(self, item: Item) -> None:
        if isinstance(item, StreamFormat):
            if self.format is not None and self.format.codec != item.codec:
                self._end_viewers("the codec has changed")
            elif self.format is not None and self.format.sound not in (None, item.sound):
                self._end_viewers("the sound has changed")
            self.format = item
            self._forget_group()
            self._has_format.set()
            return
        if self.format is None:
            return  # A sealer says how packets are coded before it sends one.
        if isinstance(item, SoundPacket):
            self._offer_sound(item)
            return
        # A new sealer's clock is the old one's; should it lag all the same, no viewer sees time stand still or run backwards.
        self._last_pts = item.pts if self._last_pts is None else max(item.pts, self._last_pts + 1)
        unit = Unit(self._last_pts, item.is_key, payloads_of(self.format.codec, item.data), len(item.data))
        self.packets += 1
        self._keep(unit)
        for viewer in self.viewers:
            viewer.offer(unit)

    def _offer_sound(self, packet: SoundPacket) -> None:
        self._last_sound_pts = packet.pts if self._last_sound_pts is None else max(packet.pts, self._last_sound_pts + 1)
        unit = Unit(self._last_sound_pts, False, sound_payloads_of(packet.data), len(packet.data), is_sound=True)
        if self._group:  # Who joins later begins with these pictures, and hears what belongs to them.
            self._group.append(unit)
            self._group_bytes += unit.size
        for viewer in self.viewers:
            viewer.offer(unit)

    def _keep(self, unit: Unit) -> None:
        if unit.is_key:
            self._forget_group()
        elif not self._group:
            return
        self._group.append(unit)
        self._group_bytes += unit.size
        if self._group_bytes > self._limits.queued_bytes or unit.received_s - self._group[0].received_s > self._limits.queued_s:
            self._forget_group()

    def _forget_group(self) -> None:
        self._group, self._group_bytes = [], 0

    def _end_viewers(self, why: str) -> None:
        for viewer in tuple(self.viewers):
            viewer.end(why)
