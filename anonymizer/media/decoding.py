"""One decoder on one stream: the right one for transparency, threaded, and shut down without a deadlock."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

# FFmpeg's own VP8 and VP9 decoders ignore the second picture in which WebM keeps transparency.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


# Each decodes a frame ahead: more would keep more frames in memory, and notice damage a frame earlier each.
_MOST_THREADS = 4


class Decoder:
    """Decodes the packets of one stream."""

    def __init__(self, stream: VideoStream, *, threads: int = 0) -> None:
        context = stream.codec_context
        canonical = context.codec.canonical_name
        if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1" and canonical in _ALPHA_DECODERS:
            alpha = av.CodecContext.create(_ALPHA_DECODERS[canonical], "r")
            assert isinstance(alpha, VideoCodecContext)
            alpha.extradata = context.extradata
            context = alpha
        self.context: VideoCodecContext = context
        context.thread_count = threads or min(_MOST_THREADS, os.cpu_count() or 1)
        context.thread_type = "AUTO" if threads != 1 else "NONE"
        # A frame's `opaque` is what its packet's was: many streams have no time by which to tell whose frame it is.
        context.copy_opaque = True

    @property
    def name(self) -> str:
        return str(self.context.codec.name)

    @property
    def aspect(self) -> Fraction | None:
        """The sample aspect ratio as of the packet decoded last; frames that wait inside may have an older one."""
        return self.context.sample_aspect_ratio

    def decode(self, packet: Packet[Any]) -> list[av.VideoFrame]:
        """Frames that are ready after `packet`; an empty packet asks for all that wait inside."""
        return self.context.decode(packet if packet.size else None)

    def flush(self) -> None:
        """Forget everything: the next packet must be a key frame."""
        self.context.flush_buffers()

    def close(self) -> None:
        """Stop the decoder's threads while this thread does not hold the interpreter lock.

        A worker that is about to log waits for that lock; freeing its decoder first would wait for it, forever.
        """
        self.context.flush_buffers()
