"""One connection to one server, in a process that may hang in it: whoever started it kills it then, and starts another."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from anonymizer.cameras.addresses import shown_url
from anonymizer.cameras.secrets import masked, url_secrets
from anonymizer.cameras.settings import Push
from anonymizer.errors import AnonymizerError
from anonymizer.ipc.channel import Channel, Message
from anonymizer.ipc.packets import Item, PacketReceiver
from anonymizer.media.packet_muxing import PacketMuxer
from anonymizer.media.pushing import push_fault, push_muxer
from anonymizer.sinks.system_ffmpeg import FfmpegMuxer, is_for_ffmpeg
from anonymizer.types import EncodedPacket, SoundPacket, StreamFormat

OPEN_S = 12.0  # until a server has answered everything
WRITE_S = 8.0  # until it has taken a packet
_BEAT_S = 0.3
_MOST_LETTERS = 300


def connect(channel: Channel, message: Message, fds: list[int]) -> None:
    """Send the packets that come until there are no more; on a fault, say it and end with 1."""
    settings = Push.model_validate(message["output"])
    connection = _Connection(channel, settings)
    receiver = PacketReceiver(socket.socket(fileno=fds[0]))
    try:
        while True:
            connection.say()
            item = receiver.receive(_BEAT_S)
            if item is not None:
                connection.take(item)
    except EOFError as error:
        # FFmpeg's name for a server that hung up is Python's for the end of our own stream.
        if not connection.is_sending:
            connection.close()
            return
        _give_up(channel, settings.url, error)
    except (AnonymizerError, OSError, ValueError) as error:
        _give_up(channel, settings.url, error)


def fault_words(url: str, error: BaseException) -> str:
    """What went wrong with a server, with its address as it may be shown and without a secret."""
    where = shown_url(url)
    words = masked(push_fault(error).replace(url, where), {secret for secret in url_secrets(url) if secret})
    return (words if words.startswith(where) else f"{where}: {words}")[:_MOST_LETTERS]


def _give_up(channel: Channel, url: str, error: BaseException) -> None:
    channel.send({"fault": fault_words(url, error)})
    sys.exit(1)


class _Connection:
    """The muxer for the format that comes now, opened at its first key frame."""

    def __init__(self, channel: Channel, settings: Push) -> None:
        self.is_sending = False
        self._channel, self._settings = channel, settings
        self._stream: StreamFormat | None = None
        self._muxer: PacketMuxer | FfmpegMuxer | None = None
        self._packets = self._bytes = 0
        self._said_s = 0.0

    def say(self, within_s: float = WRITE_S, *, now: bool = False) -> None:
        """Say that all is well, and how long the next silence may last."""
        now_s = time.monotonic()
        if now or now_s - self._said_s > _BEAT_S:
            self._said_s = now_s
            state = "up" if self._packets else "connecting"
            self._channel.send({"beat": True, "within_s": within_s, "state": state, "packets": self._packets, "bytes": self._bytes})

    def take(self, item: Item) -> None:
        """Send a packet; a new format needs a new announcement, and so a new connection."""
        if isinstance(item, StreamFormat):
            if item != self._stream:
                self.close()
            self._stream = item
            return
        if self._stream is None or (self._muxer is None and not item.is_key):
            return
        self.is_sending = True
        self._send(item, self._stream)
        self.is_sending = False

    def close(self) -> None:
        """Say the end to the server; whether it hears is its own affair."""
        muxer, self._muxer = self._muxer, None
        if muxer is not None:
            with contextlib.suppress(OSError, ValueError, EOFError):
                muxer.close()

    def _send(self, packet: EncodedPacket | SoundPacket, stream: StreamFormat) -> None:
        is_first = self._muxer is None
        if self._muxer is None:
            self.say(OPEN_S, now=True)
            self._muxer = self._open(stream)
        self._muxer.write(packet)
        self._packets += isinstance(packet, EncodedPacket)
        self._bytes += len(packet.data)
        if is_first:
            self.say(now=True)

    def _open(self, stream: StreamFormat) -> PacketMuxer | FfmpegMuxer:
        settings = self._settings
        if is_for_ffmpeg(settings.url):
            return FfmpegMuxer(settings.url, stream, settings.ffmpeg_options)
        return push_muxer(settings.url, stream, insecure=settings.insecure, timeout_s=OPEN_S)
