"""Which frames a decoder has guessed: FFmpeg conceals silently, so every sign of it counts until the next clean key frame."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import av
from av.packet import Packet

# FFmpeg 8.1 logs at ERROR whatever it conceals or skips. These lines are about what lies beside the picture, or are
# logged for streams that are whole (H.264 after an edit, HEVC parameter sets of layers that are not decoded).
_HARMLESS = re.compile(
    r"\bSEI\b|APP fields|extradata|VPS \d+ does not exist|exif|\bICC\b|closed caption|\bmmco\b|number of reference frames|"
    r"side data|metadata|timecode|skip(ping)? samples|at [0-9.]+ seconds",
    re.IGNORECASE,
)
# Decoders that set the key flag on every frame that can be decoded alone.
_FRAME_FLAGS = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}
# Those that do not always; but their containers mark the packets. Of other codecs nothing is known at the start.
_PACKET_FLAGS = {"vp8", "vp9", "av1"}
_MOST_DELAY = 64  # Packets a decoder holds back, threads included; assumed where a frame cannot be traced to its packet.
_CORRUPT = re.compile(r"Packet corrupt \(stream = (\d+), dts = (-?\d+)\)")  # libavformat/demux.c
_REMEMBERED = 512  # Packets: more than any decoder holds back.


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """One packet that went to the decoder; its frame carries this very object where the decoder passes it on."""

    serial: int
    is_key: bool
    is_hidden: bool  # An edit list says: decode it, show nothing of it.


class DamageWatch:
    """Follows one decoder through one stream."""

    def __init__(self, codec: str, decoder: str, demuxer: str, *, refreshes: bool = False) -> None:
        """With `refreshes` two recovery points without damage between them end it, too: cameras with intra refresh send no key frame.

        Only for packets that FFmpeg's parser has marked: containers mark whatever their writer thought of.
        """
        self._refreshes = refreshes
        self._refreshing_since = 0  # the newest recovery point after the damage
        self._names = {codec, decoder, demuxer}
        self._codec = codec
        self._sent = 0
        self._packets: OrderedDict[int, _Sent] = OrderedDict()  # by pts (or dts): for decoders that pass nothing on
        # Damaged since this packet; a key frame sent later ends it. Before the first key frame nothing is whole.
        self._since: int | None = 0 if codec in _FRAME_FLAGS | _PACKET_FLAGS else None
        # Frames of earlier packets are whole all the same: they were only waiting in the decoder when the damage came.
        self._whole_before = 0

    def sent(self, packet: Packet[Any]) -> Packet[Any]:
        """A packet is about to go to the decoder: what to send for it."""
        self._sent += 1
        sent = _Sent(self._sent, packet.is_keyframe, packet.is_discard)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._packets[stamp] = sent
            if len(self._packets) > _REMEMBERED:
                self._packets.popitem(last=False)
        if packet.is_corrupt:
            # What is missing is missing from this packet on. A demuxer that cuts a stream into frames says it one
            # frame early: a key frame right after this one may be the one that lost its data.
            self._whole_before = sent.serial if self._since is None else self._whole_before
            self._since = sent.serial + 1
        if not packet.size:
            return packet  # It asks the decoder for what waits inside, and has no frame of its own.
        if packet.is_discard:
            # The decoder would throw the frame away unseen, and with it the key frame that all later ones build on.
            packet = _to_be_shown(packet)
        packet.opaque = sent
        return packet

    def mark(self) -> None:
        """Something went wrong in a packet that the decoder was given lately: any frame still inside may have it."""
        self._since = self._sent if self._since is None else max(self._since, self._sent)
        self._whole_before = 0

    def lost_on_the_way(self) -> None:
        """Something was lost before it reached the decoder, in the packet that comes next or the one after: no key frame of those two ends it."""
        self.mark()
        self._since = self._sent + 2

    def heard(self, lines: list[tuple[str, str]]) -> None:
        """Error lines of the log: those of this decoder and its demuxer mark damage."""
        if any(who in self._names and not _HARMLESS.search(what) for who, what in lines):
            self.mark()

    def is_damaged(self, frame: av.VideoFrame) -> bool:
        """Whether pixels of this frame may be guesses. To be asked of every frame, in the decoder's order, hidden ones too."""
        if frame.is_corrupt:
            self.mark()
            return True
        if self._since is None:
            return False
        sent = self._packet_of(frame)
        # A key frame that was already inside the decoder when the damage came was sent before it, and ends nothing.
        serial, marked = (sent.serial, sent.is_key) if sent is not None else (self._sent - _MOST_DELAY, False)
        is_key = frame.key_frame or (marked and self._codec not in _FRAME_FLAGS)
        if (is_key or self._is_refreshed(serial, marked)) and serial > self._since:
            self._since = None
            return False
        return sent is None or serial >= self._whole_before

    def _is_refreshed(self, serial: int, marked: bool) -> bool:
        """Whether every part of the picture was coded anew since the damage: from one recovery point to the next."""
        assert self._since is not None
        if not (self._refreshes and marked):
            return False
        whole = self._refreshing_since > self._since
        self._refreshing_since = serial
        return whole

    def is_hidden(self, frame: av.VideoFrame) -> bool:
        """Whether the file's edit list says that this frame is only there for others to build on."""
        sent = self._packet_of(frame)
        return sent is not None and sent.is_hidden

    def _packet_of(self, frame: av.VideoFrame) -> _Sent | None:
        if isinstance(frame.opaque, _Sent):
            return frame.opaque
        stamp = frame.pts if frame.pts is not None else frame.dts
        return None if stamp is None else self._packets.get(stamp)


def corrupt_dts(logs: list[tuple[int, str, str]], stream_index: int) -> set[int]:
    """Decoding times of a stream's packets that FFmpeg called corrupt while it opened the file.

    Cutting a stream into frames moves that mark one frame forward, and so loses the first one's.
    """
    found = (_CORRUPT.search(line) for _, _, line in logs)
    return {int(one[2]) for one in found if one is not None and int(one[1]) == stream_index}


def _to_be_shown(packet: Packet[Any]) -> Packet[Any]:
    """A packet without the mark that makes a decoder throw its frame away."""
    # Not made of the bytes themselves: decoders read beyond a packet's end, and only one made by size has zeros there.
    shown: Packet[Any] = Packet(packet.size)
    shown.update(bytes(packet))
    shown.pts, shown.dts, shown.duration, shown.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    shown.is_keyframe, shown.is_corrupt = packet.is_keyframe, packet.is_corrupt
    for item in packet.iter_sidedata():
        shown.set_sidedata(item)
    return shown
