"""Frames of a live camera as they come: from a network address, a webcam, or a file played at its own speed.

Frames come in the order they are shown, in one pixel format, and are honest about damage: what was lost on the way taints the
picture until the stream is clean again.
"""

from __future__ import annotations

import math
import os
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import av
import av.logging
import ffmpeg
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from anonymizer.errors import SourceError
from anonymizer.geometry import Geometry
from anonymizer.ipc.hardening import harden
from anonymizer.media.carriers import has_decoder
from anonymizer.media.conversion import Converter
from anonymizer.media.damage import DamageWatch
from anonymizer.media.decoding import Decoder
from anonymizer.media.faults import Ear, words_of
from anonymizer.media.live_sound import CodedSound, LiveSound
from anonymizer.media.sources import WEBCAM_FORMAT, webcam_device
from anonymizer.types import Color, Plane, SoundFormat

# What each scheme may open: a playlist or a session description from a stranger names other files and hosts.
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsps,rtsp,rtp,tls,tcp,udp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "http": "http,tcp,crypto",
    "https": "https,tls,tcp,crypto",
}
_RTSP = ("rtsp", "rtsps")
# Streams that say no times: FFmpeg counts 25 frames a second, whatever comes.
_UNTIMED = ("mpjpeg", "mjpeg", "h264", "hevc")
_LONGEST_GAP_S = 5.0  # between frames of a playlist: a clock that jumps ahead by more is not waited for
# Lines that tell of something lost on the way (libavformat/rtpdec.c and the depacketizers); most are warnings.
_LOST = re.compile(
    r"missed \d+ packets|max delay reached|jitter buffer|packet (loss|corrupt)|combination of S and E bit|unhandled type|too short", re.IGNORECASE
)
# What is read to know the stream by is old when it is shown: 0.3 s of it.
_PROBE = {"analyzeduration": "300000", "probesize": "1000000", "fflags": "nobuffer"}
# A decoder that conceals less says more: of H.264 frames with one byte changed it passed over 26, so told 1.
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode", "flags2": "-showall"}
# Without a queue FFmpeg says nothing of packets that are missing, over TCP too; 2 is the shortest one (libavformat/rtpdec.c; measured:
# none of 1,207 damaged frames stayed untold, but for neighbouring losses in one line; decoders alone noticed a third of them).
_REORDER = {"tcp": {"reorder_queue_size": "2"}, "udp": {}}


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A frame as it came: its planes (the decoder's own, read-only), and what is known of it."""

    time_s: float  # the camera's own clock; that of the arrival where it has none
    planes: tuple[Plane, ...]
    geometry: Geometry
    color: Color
    damaged: bool
    interlaced: bool
    spread_px: int
    frame_rate: float


class CameraSource:
    """One connection to a camera; a context manager. Frames end when the camera does."""

    def __init__(
        self,
        url: str,
        *,
        pixel_format: str,
        transport: str = "tcp",
        insecure: bool = False,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        sound: Literal["drop", "keep", "mask"] = "drop",
        on_sound: Callable[[SoundFormat, CodedSound], None] = lambda sound, coded: None,
    ) -> None:
        """SourceError on entering if the camera cannot be had; its words hold no address. `on_sound` gets what is not dropped, while frames are read."""
        self._url, self._pixel_format = url, pixel_format
        self._transport, self._insecure = transport, insecure
        self._timeouts_s = (open_timeout_s, read_timeout_s)
        self._container: InputContainer | None = None
        self._decoder: Decoder | None = None
        self._helper: subprocess.Popen[bytes] | None = None
        self._ear: Ear | None = None
        self._converter: Converter | None = None
        self._size_wh = (0, 0)
        self._time_s = 0.0
        self._began_s = 0.0  # of this round of a file that is played again and again
        self._is_untimed = False
        self._wanted_sound, self._on_sound = sound, on_sound
        self._sound: LiveSound | None = None

    def __enter__(self) -> Self:
        self._ear = Ear()
        # Losses are told as warnings; nothing else in this process listens.
        av.logging.set_level(av.logging.WARNING)
        try:
            self._open()
        except (av.FFmpegError, OSError, ValueError) as error:
            words = _reason(error, self._ear)
            self.close()
            raise SourceError(f"the camera cannot be opened: {words}", hint="check its address, its password and the way to it") from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; a second time is harmless."""
        if self._helper is not None:
            self._helper.kill()
            self._helper.wait()
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._helper is not None:
            if self._helper.stdout is not None:
                self._helper.stdout.close()
            self._helper = None
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def frames(self) -> Iterator[CameraFrame]:
        """Every frame; SourceError when the connection breaks. A file is played at its own speed, and again when it ends."""
        assert self._container is not None
        assert self._decoder is not None
        plays_file = _scheme(self._url) == "" and webcam_device(self._url) is None
        # The segments of a playlist come at once, a file as fast as it is read.
        is_paced = plays_file or self._container.format.name == "hls"
        pace = _Pace(math.inf if plays_file else _LONGEST_GAP_S)
        while True:
            last_s = None
            for frame in self._connection_frames():
                last_s = frame.time_s
                if is_paced:
                    pace.wait_for(self._began_s + frame.time_s)
                yield replace(frame, time_s=self._began_s + frame.time_s) if plays_file else frame
            if not plays_file or last_s is None:
                return
            self._began_s += last_s + 1 / frame.frame_rate
            self._container.seek(0)
            self._decoder.flush()

    def _connection_frames(self) -> Iterator[CameraFrame]:
        assert self._container is not None
        assert self._decoder is not None
        assert self._ear is not None
        stream = self._container.streams.video[0]
        parsed = _scheme(self._url) in _RTSP
        watch = DamageWatch(stream.codec_context.codec.canonical_name, self._decoder.name, self._container.format.name, refreshes=parsed)
        patience_s = max(self._timeouts_s)
        picture_s = time.monotonic()
        try:
            for packet in self._container.demux([stream, *([] if self._sound is None else [self._sound.stream])]):
                if self._sound is not None and packet.stream_index != stream.index:
                    self._hear_sound(self._sound, packet)
                    continue
                # What was logged while a packet was waited for is about that packet, or the one after it.
                if any(_LOST.search(what) for _, _, what in self._hear(watch)):
                    watch.lost_on_the_way()
                try:
                    decoded = self._decoder.decode(watch.sent(packet))
                except EOFError:
                    break
                except av.FFmpegError:
                    watch.mark()
                    decoded = []
                self._hear(watch)
                for frame in decoded:
                    picture_s = time.monotonic()
                    yield self._frame(frame, watch.is_damaged(frame), stream)
                # A camera that codes otherwise now gives errors for ever: a new connection asks it how.
                if time.monotonic() - picture_s > patience_s:
                    raise ValueError("no picture can be decoded")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"the connection broke: {_reason(error, self._ear)}", hint="it is tried again by itself") from error

    def _hear_sound(self, sound: LiveSound, packet: Packet[Any]) -> None:
        if packet.size:
            for coded in sound.take(packet):
                self._on_sound(sound.format, coded._replace(time_s=self._began_s + coded.time_s))

    def _hear(self, watch: DamageWatch) -> list[tuple[int, str, str]]:
        """New lines of FFmpeg's log; what is said of a loss on the way is a warning, what is said of the picture an error."""
        assert self._ear is not None
        lines = self._ear.leveled_lines()
        watch.heard([(who, what) for level, who, what in lines if level <= av.logging.ERROR])
        return lines

    def _frame(self, frame: av.VideoFrame, damaged: bool, stream: VideoStream) -> CameraFrame:
        assert self._decoder is not None
        size_wh = (frame.width, frame.height)
        if self._converter is None or size_wh != self._size_wh:
            self._converter, self._size_wh = Converter(self._pixel_format, size_wh), size_wh
        color = Color(frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace)
        planes, spread_px, color = self._converter.planes(frame, color)
        planes, size_wh = _even(planes)
        aspect = self._decoder.aspect or Fraction(1)
        said = stream.average_rate or stream.guessed_rate
        rate = float(said) if said and 1 <= said <= 240 else 25.0
        if self._is_untimed:
            self._time_s = time.monotonic()
        elif frame.pts is not None and frame.time_base is not None:
            self._time_s = float(frame.pts * frame.time_base)
        else:
            self._time_s += 1 / rate  # The first frame of an RTSP stream has no time: the first known one is that of the second.
        return CameraFrame(
            self._time_s,
            planes,
            Geometry(size_wh, 1, aspect if aspect > 0 else Fraction(1)),
            color,
            damaged,
            frame.interlaced_frame,
            spread_px,
            rate,
        )

    def _open(self) -> None:
        scheme = _scheme(self._url)
        options: dict[str, str] = dict(_PROBE)
        device = webcam_device(self._url)
        if device is not None:
            self._container = av.open(device, format=WEBCAM_FORMAT)
        elif scheme == "srt":
            self._container = av.open(self._through_ffmpeg(), format="mpegts", container_options=options, timeout=self._timeouts_s)
        elif scheme == "":
            self._container = av.open(f"file:{self._url}", container_options={"protocol_whitelist": "file"})
        else:
            options |= self._network_options(scheme)
            self._container = av.open(
                self._url, format="rtsp" if scheme in _RTSP else None, container_options=options, timeout=self._timeouts_s, metadata_errors="replace"
            )
        if not self._container.streams.video:
            raise ValueError("it sends no picture")
        self._is_untimed = scheme != "" and self._container.format.name in _UNTIMED
        stream = self._container.streams.video[0]
        audible = [audio for audio in self._container.streams.audio if has_decoder(audio)]
        if self._wanted_sound != "drop" and audible:
            self._sound = LiveSound(audible[0], masked=self._wanted_sound == "mask")
        for other in self._container.streams:
            if other.index != stream.index and (self._sound is None or other.index != self._sound.stream.index):
                other.discard = av.stream.Discard.all
        # One thread: frames that wait in further threads would come that much later.
        self._decoder = Decoder(stream, threads=1)
        self._decoder.context.options = dict(_STRICT)

    def _network_options(self, scheme: str) -> Mapping[str, str]:
        options = {"protocol_whitelist": _PROTOCOLS[scheme]}
        microseconds = str(round(self._timeouts_s[1] * 1_000_000))
        if scheme in _RTSP:
            media = "video" if self._wanted_sound == "drop" else "video+audio"
            options |= {"rtsp_transport": self._transport, "timeout": microseconds, "allowed_media_types": media, "max_delay": "300000"}
            options |= _REORDER[self._transport]
        else:
            options["rw_timeout"] = microseconds
        if "tls" in _PROTOCOLS[scheme]:
            options |= tls_options(insecure=self._insecure)
        return options

    def _through_ffmpeg(self) -> Any:
        """What the wheel's FFmpeg does not speak, read by the system's: MPEG-TS on a pipe."""
        command = ffmpeg.input(self._url).output("pipe:1", codec="copy", format="mpegts").global_args("-nostdin", "-loglevel", "error").compile()
        try:
            # A reader that waits for it in vain is killed; it must not live on, and keep the address, each time.
            harden_helper = partial(harden, "ffmpeg", os.getpid())
            self._helper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=harden_helper)
        except FileNotFoundError as error:
            raise SourceError("srt needs a system ffmpeg, and there is none", hint="install it: apt-get install ffmpeg") from error
        return self._helper.stdout


class _Pace:
    """Plays at its own speed what comes faster."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._began_s: float | None = None

    def wait_for(self, time_s: float) -> None:
        """Return when a frame's time has come; a wait beyond the longest is none, and time counts from here."""
        now_s = time.monotonic()
        if self._began_s is None or not -self._longest_s <= self._began_s + time_s - now_s <= self._longest_s:
            self._began_s = now_s - time_s
        time.sleep(max(0.0, self._began_s + time_s - now_s))


def tls_options(*, insecure: bool) -> dict[str, str]:
    """FFmpeg checks no certificate unless it is told to, and against what."""
    if insecure:
        return {"tls_verify": "0"}
    authorities = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return {"tls_verify": "1", "ca_file": authorities}


def _even(planes: tuple[Plane, ...]) -> tuple[tuple[Plane, ...], tuple[int, int]]:
    """4:2:0 planes without the last column and row where those are odd ones out, and the size: no encoder takes them."""
    height, width = (side // 2 * 2 for side in planes[0].shape[:2])
    return (planes[0][:height, :width], *(plane[: height // 2, : width // 2] for plane in planes[1:])), (width, height)


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""


def _reason(error: BaseException, ear: Ear) -> str:
    """FFmpeg's words without any address: it repeats what it was given, password and all."""
    lines = [what for _, what in ear.lines() if "://" not in what]
    words = re.sub(r"\S+://\S+", "the camera", words_of(error))
    return words + (f" ({lines[-1].rstrip('.')})" if lines else "")
