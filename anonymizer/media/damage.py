"""Which frames a decoder has guessed: FFmpeg conceals silently, so every sign of it counts until the next clean key frame."""

from __future__ import annotations

import re
from collections import OrderedDict
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
_NEVER = -(1 << 63)
_REMEMBERED = 512  # Packets: more than any decoder holds back.


class DamageWatch:
    """Follows one decoder through one stream."""

    def __init__(self, codec: str, decoder: str, demuxer: str) -> None:
        self._names = {codec, decoder, demuxer}
        self._codec = codec
        self._sent = 0
        self._packets: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # pts (or dts) -> serial, marked as key
        # Damaged since this packet; a key frame sent later ends it. Before the first key frame nothing is whole.
        self._since: int | None = 0 if codec in _FRAME_FLAGS | _PACKET_FLAGS else None

    def sent(self, packet: Packet[Any]) -> None:
        """A packet goes to the decoder."""
        self._sent += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._packets[stamp] = (self._sent, packet.is_keyframe)
            if len(self._packets) > _REMEMBERED:
                self._packets.popitem(last=False)
        if packet.is_corrupt:
            self.mark()

    def mark(self) -> None:
        """Something is missing from here on."""
        self._since = self._sent

    def heard(self, lines: list[tuple[str, str]]) -> None:
        """Error lines of the log: those of this decoder and its demuxer mark damage."""
        if any(who in self._names and not _HARMLESS.search(what) for who, what in lines):
            self.mark()

    def is_damaged(self, frame: av.VideoFrame) -> bool:
        """Whether pixels of this frame may be guesses."""
        if frame.is_corrupt:
            self.mark()
            return True
        if self._since is None:
            return False
        # A key frame that was already inside the decoder when the damage came was sent before it, and ends nothing.
        serial, marked = self._packets.get(self._stamp(frame), (self._sent - _MOST_DELAY, False))
        is_key = frame.key_frame or (marked and self._codec not in _FRAME_FLAGS)
        if is_key and serial > self._since:
            self._since = None
            return False
        return True

    @staticmethod
    def _stamp(frame: av.VideoFrame) -> int:
        stamp = frame.pts if frame.pts is not None else frame.dts
        return _NEVER if stamp is None else stamp
