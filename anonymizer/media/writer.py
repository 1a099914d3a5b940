"""Sealed frames in, one whole file out; nothing else can be written."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.filter
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from anonymizer.media.carrying import CarryPolicy, SideStreams
from anonymizer.media.encoding import Encoding
from anonymizer.media.faults import Ear, as_target_error, hush
from anonymizer.media.files import OutputFile
from anonymizer.media.muxing import open_output
from anonymizer.media.orientation import sei_filter
from anonymizer.media.planes import frame_of
from anonymizer.media.timing import OutputClock
from anonymizer.types import Carrier, Frame, MediaInfo, SealedFrame

_SOUND_AHEAD_S = 0.5  # Sound is handed to the muxer this early, so that it never holds back a second of video.
_IN_ORDER_FRAMES = 2  # So few frames cannot be coded in another order than they are shown in.


class VideoWriter:
    """Writes one video; a context manager.

    Only `finish` makes the file whole. A block that is left without it leaves an unfinished file, and raises nothing new.
    With `span_s` the first frame is shown at 0; else times are the source's own.
    """

    def __init__(
        self,
        staging: Path,
        info: MediaInfo,
        encoding: Encoding,
        *,
        carry: CarryPolicy | None = None,
        span_s: tuple[float, float | None] | None = None,
    ) -> None:
        self.frames_written = 0
        self.warnings: list[str] = []
        self._staging = staging
        self._info = info
        self._encoding = encoding
        self._name = encoding.target_name
        self._span_s = span_s
        self._clock = OutputClock(info.time_base, encoding.output.time_base, encoding.output.slot)
        self._from_zero = span_s is not None or bool(info.extra.get("live"))
        self._side = SideStreams(info, encoding, carry or CarryPolicy(), span_s)
        self._file: OutputFile | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._ear: Ear | None = None
        self._fields: av.filter.Graph | None = None
        self._turner: BitStreamFilterContext | None = None
        self._shift: int | None = None  # added to every pts, in the source's time base
        self._sent = 0
        self._ticks: dict[int, tuple[int, int]] = {}  # the encoder's pts -> tick and duration in the file
        self._last_tick: int | None = None

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """Everything the source held, and what became of it."""
        return self._side.carriers

    def __enter__(self) -> Self:
        self._ear = Ear()
        try:
            with as_target_error(self._name):
                self._file = OutputFile(self._staging)
                output = self._encoding.output
                if self._from_zero and self._encoding.container.dts_from_zero:
                    output = replace(output, in_order=True)
                self._container, self._stream = open_output(self._file, output)
            self._side.open(self._container, self._stream)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._abandon()

    def write_frame(self, sealed: SealedFrame) -> None:
        """Encode one frame. TypeError for anything but a SealedFrame."""
        if type(sealed) is not SealedFrame:
            raise TypeError(f"only sealed frames are written, not {type(sealed).__name__}")
        assert self._stream is not None
        assert self._file is not None
        frame = sealed.frame
        output = self._encoding.output
        if frame.pixel_format != output.pixel_format or frame.size_wh != output.size_wh:
            raise ValueError(f"a {frame.pixel_format} frame of {frame.size_wh} does not fit an output of {output.pixel_format}, {output.size_wh}")
        picture = self._tagged(frame_of(frame.planes, frame.pixel_format))
        tick = self._clock.place(frame.pts + self._shift_for(frame))
        picture.pts = self._sent if output.encoder.constant_rate else tick
        picture.time_base = self._stream.codec_context.time_base
        duration = self._duration(frame, tick)
        picture.duration = 1 if output.encoder.constant_rate else duration
        self._ticks[picture.pts] = (tick, duration)
        self._last_tick = tick
        self._sent += 1
        with as_target_error(self._name):
            self._mux(self._turned(self._stream.encode(picture)))
            self._file.check()

    def finish(self) -> None:
        """Write what is still inside the encoder, the rest of the sound, and the index: only now is the file whole."""
        assert self._stream is not None
        assert self._container is not None
        assert self._file is not None
        with as_target_error(self._name):
            if self._sent:
                rest = self._stream.encode(None)
                if self._sent <= _IN_ORDER_FRAMES:
                    for packet in rest:
                        packet.dts = packet.pts  # x265 leaves there what the heap held before.
                self._mux(self._turned(rest, last=True))
            self._side.feed_all(self._container)
            # Encoders and muxer live on after this, PyAV closes the container once.
            self._container.close()
            self._container = self._stream = None
            self._file.close()
            self._file.check()
            self._file = None
            self._side.look_again(self._staging)
        if self._clock.moved:
            step_s = self._encoding.output.time_base * self._encoding.output.slot
            self.warnings.append(f"{self._clock.moved} frames were moved to the next free tick: the file counts time in steps of {step_s} s")
        self.warnings += self._side.warnings
        self._abandon()

    def _turned(self, packets: list[Packet[VideoStream]], *, last: bool = False) -> list[Packet[Any]]:
        """The packets with the picture's orientation inside, where the container cannot say it."""
        if not self._encoding.output.orientation_in_stream:
            return packets
        assert self._stream is not None
        if self._turner is None:
            self._turner = BitStreamFilterContext(sei_filter(self._encoding.output.orientation), "h264")
        turned = []
        for packet in [*packets, *([None] if last else [])]:
            for ready in self._turner.filter(packet):
                # The filter forgets both.
                ready.stream = self._stream
                ready.time_base = self._stream.codec_context.time_base
                turned.append(ready)
        return turned

    def _mux(self, packets: list[Packet[Any]]) -> None:
        assert self._container is not None
        output = self._encoding.output
        for packet in packets:
            assert packet.pts is not None
            tick, duration = self._ticks[packet.pts]
            if output.encoder.constant_rate:
                packet.dts = self._tick_of(packet.dts)
                packet.pts = tick
                packet.time_base = output.time_base
            packet.duration = duration
            if packet.dts is not None and packet.dts > packet.pts:
                packet.dts = packet.pts
            time_s = float((packet.dts if packet.dts is not None else tick) * output.time_base)
            self._side.feed(self._container, time_s + _SOUND_AHEAD_S)
            self._container.mux(packet)
            self.frames_written += 1
        if self._sent % 256 == 0:
            self._forget()

    def _tick_of(self, number: int | None) -> int | None:
        """The file's tick of the encoder's frame `number`; before the first frame, as far before as it would be."""
        if number is None or number in self._ticks:
            return None if number is None else self._ticks[number][0]
        first = min(self._ticks)
        tick, duration = self._ticks[first]
        return tick - (first - number) * max(1, duration)

    def _forget(self) -> None:
        """Keep the memory small: no encoder holds back a thousand frames."""
        for number in sorted(self._ticks)[:-1024]:
            del self._ticks[number]

    def _shift_for(self, frame: Frame) -> int:
        """What is added to every presentation time; settled with the first frame."""
        if self._shift is None:
            first_s = frame.pts * frame.time_base
            start_s = min(first_s, Fraction(self._side.starts_at_s)) if self._side.starts_at_s is not None else first_s
            if self._from_zero:
                shift_s = -first_s
            elif self._encoding.container.starts_at_zero or start_s < 0:
                shift_s = -start_s
                if shift_s:
                    self.warnings.append(f"all times were moved by {float(shift_s):.3f} s: {self._encoding.container.muxer} files start at 0")
            else:
                shift_s = Fraction(0)
            self._shift = round(shift_s / frame.time_base)
            assert self._container is not None
            self._side.start(self._container, self._shift * frame.time_base, first_s)
        return self._shift

    def _duration(self, frame: Frame, tick: int) -> int:
        """How long a frame is shown, in ticks: as the source says, or as long as the one before."""
        base = self._encoding.output.time_base
        if frame.duration > 0:
            return max(1, round(frame.duration * frame.time_base / base))
        if self._last_tick is not None and tick > self._last_tick:
            return tick - self._last_tick
        return max(1, round(1 / (self._encoding.output.frame_rate * base)))

    def _tagged(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The frame with the colour tags of the encoder, and its field order: nothing else is carried over."""
        assert self._stream is not None
        context = self._stream.codec_context
        picture.color_range = context.color_range
        picture.color_primaries = context.color_primaries
        picture.color_trc = context.color_trc
        picture.colorspace = context.colorspace
        output = self._encoding.output
        if not output.interlaced:
            return picture
        if self._fields is None:
            # PyAV cannot set a frame's field order; FFmpeg's own filter can, without touching a sample.
            self._fields = _field_setter(picture, "tff" if output.top_field_first else "bff")
        self._fields.push(picture)
        tagged = self._fields.pull()
        assert isinstance(tagged, av.VideoFrame)
        return tagged

    def _abandon(self) -> None:
        """Let go of everything; an unfinished file stays unfinished."""
        if self._file is not None:
            # A container whose file is closed writes no trailer: what is left behind does not play.
            self._file.close()
            self._file = None
        if self._container is not None:
            hush()
            with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                self._container.close()
            self._container = self._stream = None
        self._side.close()
        if self._ear is not None:
            self._ear.close()
            self._ear = None


def _field_setter(picture: av.VideoFrame, order: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000))
    setter = graph.add("setfield", order)
    sink = graph.add("buffersink")
    source.link_to(setter)
    setter.link_to(sink)
    graph.configure()
    return graph


def count_packets(path: Path) -> int:
    """Re-open a written file and count the packets of its video that hold a picture."""
    with as_target_error(path), av.open(f"file:{path}", metadata_errors="replace") as container:
        if len(container.streams.video) != 1:
            return 0
        packets: Any = container.demux(container.streams.video[0])
        return sum(1 for packet in packets if packet.size)
