"""Frames of the one video stream, in presentation order, with clean times, and honest about damage."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from math import inf
from types import TracebackType
from typing import Any, Literal, Self

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from anonymizer.errors import AnonymizerError, ConfigError, SourceError
from anonymizer.media.conversion import Converter
from anonymizer.media.damage import DamageWatch, corrupt_dts
from anonymizer.media.decoding import Decoder
from anonymizer.media.faults import Ear, as_source_error, listening, source_error
from anonymizer.media.shape import ShapeWatch
from anonymizer.media.sources import open_source
from anonymizer.media.timing import CleanTimeline
from anonymizer.types import Color, Frame, MediaInfo

OnDamage = Literal["cover", "stop"]
_SHORT_BY_S = 0.5  # Less is rounding, or sound that goes on after the picture.
_NEARLY_S = 0.0005  # A span that begins at a frame's own time, rounded by a person, holds that frame.
_RUN_UP_S = 10.0  # Containers without an index are entered this early, so that a key frame comes before the span.


class VideoReader:
    """Reads one video; a context manager.

    Frames count from 0 in the order they are shown. What was odd about the file is in `warnings` once all were read.
    """

    def __init__(
        self,
        info: MediaInfo,
        *,
        pixel_format: str,
        span_s: tuple[float, float | None] | None = None,
        on_damage: OnDamage = "cover",
    ) -> None:
        self.info = info
        self.time_base = info.time_base
        self.frames_read = 0
        self.frames_damaged = 0
        self.warnings: list[str] = []
        self._span_s = span_s
        self._on_damage = on_damage
        self._shape = ShapeWatch(info.size_wh, info.geometry.orientation)
        self._converter = Converter(pixel_format, info.size_wh)
        self._pixel_format = pixel_format
        self._timeline = CleanTimeline(info.time_base, info.frame_rate, only_order=info.container == "avi")
        self._container: InputContainer | None = None
        self._decoder: Decoder | None = None
        self._ear: Ear | None = None
        self._end_s: float | None = None
        self._first_dts: int | None = None
        self._lost_at_dts: set[int] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        self._ear = Ear()
        try:
            self._open(threads=0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a second time is harmless."""
        self._close_source()
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def stop(self) -> None:
        """End after the next frame as if the file ended there: how a recording from a camera is ended."""
        self._stopped = True

    def frames(self) -> Generator[Frame, None, None]:
        """Every frame of the span. SourceError at the first damaged one with on_damage="stop", or if there is none.

        ConfigError if the span is such that there cannot be one.
        """
        end = None if self._span_s is None else self._span_s[1]
        first_s = self._origin_s() + (self._span_s[0] if self._span_s else 0.0)
        tick = float(self.time_base)
        began = False
        nearly_s = min(tick / 2, _NEARLY_S)
        before_s, passed = inf, False
        for decoded, damaged in self._decoded(first_s):
            pts = self._timeline.next_pts(decoded.pts, decoded.dts, self._first_dts)
            time_s = pts * tick
            if self.info.extra.get("live") and not began:
                began = True
                first_s = time_s + (self._span_s[0] if self._span_s else 0.0)
            if self._span_s is not None and time_s < first_s - nearly_s:
                before_s = first_s - time_s
                continue
            if self._span_s is not None and end is not None and time_s >= first_s - self._span_s[0] + end - nearly_s:
                passed = True
                break
            yield self._frame(decoded, pts, damaged)
            if self._stopped:
                break
        else:
            self._notice_early_end()
        if self.frames_read == 0:
            raise self._nothing_read(passed or before_s <= 2 / float(self.info.frame_rate or 25))
        self._sum_up()

    def _nothing_read(self, reached: bool) -> AnonymizerError:
        """Why there was no frame; `reached`: there were some just before the span, or after it."""
        name, lasts_s = self.info.path.name, self.info.duration_s
        if self._span_s is not None and (reached or lasts_s is None or self._span_s[0] >= lasts_s):
            hint = "choose a span inside the video" if lasts_s is None else f"choose a span inside the video, which is {lasts_s:.3f} s long"
            return ConfigError(f"{name}: the span holds no frame", hint=hint)
        what = "no frame of the span can be decoded" if self._span_s else "no frame of it can be decoded"
        return SourceError(f"{name}: {what}", hint="look at it with another program: does it play there?")

    def _frame(self, decoded: av.VideoFrame, pts: int, damaged: bool) -> Frame:
        index = self.frames_read
        name = self.info.path.name
        if damaged:
            if self._on_damage == "stop":
                raise SourceError(
                    f"{name}: frame {index} ({float(pts * self.time_base):.3f} s) is damaged",
                    hint="repair it first, or say --on-damage cover to cover what cannot be read",
                )
            if self.frames_damaged == 0:
                self.warnings.append(f"frame {index} ({float(pts * self.time_base):.3f} s) is the first damaged one")
            self.frames_damaged += 1
        self.warnings += self._shape.changes(decoded, self._decoder.aspect if self._decoder else None, float(pts * self.time_base))
        with as_source_error(name, f"convert {decoded.format.name} pictures of"):
            planes, spread_px, color = self._converter.planes(decoded, self._color(decoded))
        self.frames_read += 1
        self._end_s = float((pts + decoded.duration) * self.time_base)
        return Frame(
            index=index,
            pts=pts,
            time_base=self.time_base,
            pixel_format=self._pixel_format,
            planes=planes,
            damaged=damaged,
            spread_px=spread_px,
            color=color,
            interlaced=decoded.interlaced_frame,
            top_field_first=bool(self.info.extra.get("top_field_first")),
            duration=decoded.duration or 0,
        )

    def _color(self, decoded: av.VideoFrame) -> Color:
        known = self.info.color
        return Color(
            decoded.color_range or known.range,
            decoded.color_primaries if decoded.color_primaries != 2 else known.primaries,
            decoded.color_trc if decoded.color_trc != 2 else known.transfer,
            decoded.colorspace if decoded.colorspace != 2 else known.matrix,
        )

    def _decoded(self, first_s: float) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Decoder frames with whether they are damaged; past a decoder that got stuck, from a second one."""
        if self._span_s is not None and self._span_s[0] > 0 and not self.info.extra.get("live"):
            self._enter_at(first_s)
        last_pts: int | None = None
        given = 0
        try:
            for frame, damaged in self._decode_all():
                last_pts = frame.pts if frame.pts is not None else last_pts
                given += 1
                yield frame, damaged
            return
        except _StuckError:
            pass
        # PyAV cannot ask a decoder twice for what waits inside it. A second decoder, without threads of its own and
        # so with nothing waiting, gives the frames after the last one.
        self._close_source()
        self._open(threads=1)
        if last_pts is not None:
            self._enter_at(float(last_pts * self.time_base))
        from_start = self._must_begin_at_start()
        for number, (frame, _) in enumerate(self._decode_all(single=True)):
            if number >= given if from_start else frame.pts is None or last_pts is None or frame.pts > last_pts:
                yield frame, True

    def _decode_all(self, *, single: bool = False) -> Iterator[tuple[av.VideoFrame, bool]]:
        assert self._decoder is not None
        assert self._ear is not None
        watch = DamageWatch(self.info.codec, self._decoder.name, self.info.container)
        self._ear.lines()  # What was logged before this is not about these frames.
        for packet in self._packets():
            if self._first_dts is None:
                self._first_dts = packet.dts
                packet.is_corrupt = packet.is_corrupt or packet.dts in self._lost_at_dts
            frames: list[av.VideoFrame] = []
            try:
                frames = self._decoder.decode(watch.sent(packet))
            except EOFError:
                break
            except av.BlockingIOError:
                watch.mark()
                if not single:
                    raise _StuckError from None
            except av.FFmpegError:
                # Going on is right: FFmpeg's command line does, and what comes is marked until a clean key frame.
                watch.mark()
                if not packet.size and not single:
                    raise _StuckError from None
            watch.heard(self._ear.lines())
            for frame in frames:
                damaged = watch.is_damaged(frame)
                if not watch.is_hidden(frame):
                    yield frame, damaged

    def _packets(self) -> Iterator[Packet[Any]]:
        assert self._container is not None
        stream = self._container.streams[self.info.stream_index]
        try:
            yield from self._container.demux(stream)
        except (av.FFmpegError, OSError) as error:
            # The file ends here, as it does for FFmpeg; the decoder still holds frames.
            self.warnings.append(f"reading stopped early: {source_error(self.info.path, error).problem.split(': ', 1)[1]}")
            flush: Packet[Any] = Packet()
            flush.stream = stream
            yield flush

    def _open(self, threads: int) -> None:
        with listening(av.logging.WARNING) as logs:
            self._container = open_source(self.info.path)
        self._lost_at_dts = corrupt_dts(logs, self.info.stream_index)
        stream = self._container.streams[self.info.stream_index]
        if not isinstance(stream, VideoStream):
            raise SourceError(f"{self.info.path.name}: has changed since it was looked at", hint="run again")
        for other in self._container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        self._decoder = Decoder(stream, threads=threads)

    def _close_source(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _enter_at(self, time_s: float) -> None:
        """Go to a key frame at or before a time; if that cannot be had, decode from the file's start."""
        assert self._container is not None
        if self.info.extra.get("has_alpha"):
            return  # Transparency is a second stream with key frames of its own, which no index knows.
        if self._must_begin_at_start():
            return
        has_index = any(name in self.info.container for name in ("mp4", "matroska", "avi"))
        target = int((time_s - (0 if has_index else _RUN_UP_S)) / float(self.time_base))
        stream = self._container.streams[self.info.stream_index]
        try:
            self._container.seek(target, stream=stream)
            for packet in self._container.demux(stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None and stamp * self.time_base <= time_s and (packet.is_keyframe or not has_index):
                    self._container.seek(target, stream=stream)
                    return
                break
        except (av.FFmpegError, OSError):
            pass
        threads = self._decoder.context.thread_count if self._decoder else 0
        self._close_source()
        self._open(threads)

    def _must_begin_at_start(self) -> bool:
        """Whether by how many frames showing lags behind decoding is seen at the stream's beginning alone: AVI with B-frames."""
        return self._timeline.only_order and self._decoder is not None and self._decoder.context.has_b_frames

    def _origin_s(self) -> float:
        return float(self.info.extra.get("start_time_s") or 0.0)

    def _notice_early_end(self) -> None:
        said_s = self.info.extra.get("picture_ends_s")
        if self._end_s is None or said_s is None or (self._span_s is not None and self._span_s[1] is not None):
            return
        if self._end_s < said_s - max(_SHORT_BY_S, 2 / float(self.info.frame_rate or 25)):
            self.warnings.append(f"the video ends at {self._end_s:.2f} s although the file says {said_s:.2f} s: it may be cut off")

    def _sum_up(self) -> None:
        self.warnings += self._shape.finish()
        self.warnings += self._timeline.warnings()
        if self.frames_damaged:
            self.warnings.append(f"{self.frames_damaged} of {self.frames_read} frames are damaged: what a decoder guessed there is not to be trusted")


class _StuckError(Exception):
    """The decoder holds frames that PyAV can no longer ask for."""
