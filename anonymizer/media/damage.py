"""Which frames a decoder has guessed: FFmpeg conceals silently, so every sign of it counts until the next clean key frame."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import av
from av.packet import Packet

# What decoders of FFmpeg 8.1 log, at ERROR, when they go on with a picture that is not the one that was sent.
_GUESSING = re.compile(
    r"conceal|error while decoding|reference picture missing|missing reference|could not find ref|frame num gap|"
    r"decode_slice_header error|no frame!|damaged|invalid level prefix|block unavailable|corrupt|overread|"
    r"error decoding|cabac_decode|failed to decode|slice mismatch|invalid mb|mb_type|invalid cbp|truncated|"
    r"requested reference|not all references|error at mb|out of range intra|marker",
    re.IGNORECASE,
)
# Decoders that set the key flag on every frame that can be decoded alone.
_FRAME_FLAGS = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}
# Those that do not always; but their containers mark the packets. Of other codecs nothing is known at the start.
_PACKET_FLAGS = {"vp8", "vp9", "av1"}
_REMEMBERED = 512  # Packets: more than any decoder holds back.


class DamageWatch:
    """Follows one decoder through one stream."""

    def __init__(self, codec: str, decoder: str) -> None:
        self._names = {codec, decoder}
        self._codec = codec
        self._sent = 0
        self._packets: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # pts -> serial, marked as key
        # Damaged since this packet; a key frame sent later ends it. Before the first key frame nothing is whole.
        self._since: int | None = 0 if codec in _FRAME_FLAGS | _PACKET_FLAGS else None

    def sent(self, packet: Packet[Any]) -> None:
        """A packet goes to the decoder."""
        self._sent += 1
        if packet.pts is not None:
            self._packets[packet.pts] = (self._sent, packet.is_keyframe)
            if len(self._packets) > _REMEMBERED:
                self._packets.popitem(last=False)
        if packet.is_corrupt:
            self.mark()

    def mark(self) -> None:
        """Something is missing from here on."""
        self._since = self._sent

    def heard(self, lines: list[tuple[str, str]]) -> None:
        """Lines of the log: those of this decoder that speak of guessing mark damage."""
        if any(who in self._names and _GUESSING.search(what) for who, what in lines):
            self.mark()

    def is_damaged(self, frame: av.VideoFrame) -> bool:
        """Whether pixels of this frame may be guesses."""
        if frame.is_corrupt:
            self.mark()
            return True
        if self._since is None:
            return False
        # A key frame that was already inside the decoder when the damage came was sent before it, and ends nothing.
        serial, marked = self._packets.get(frame.pts, (self._sent, False)) if frame.pts is not None else (self._sent, False)
        is_key = frame.key_frame or (marked and self._codec not in _FRAME_FLAGS)
        if is_key and serial > self._since:
            self._since = None
            return False
        return True
