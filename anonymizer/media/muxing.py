"""An output file opened and ready for frames: muxer, encoder and every tag, the same for a trial and for the real run."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from anonymizer.media.codecs import Encoder, codec_written_by
from anonymizer.media.containers import Container
from anonymizer.media.faults import last_line, listening
from anonymizer.media.files import OutputFile
from anonymizer.media.orientation import display_matrix
from anonymizer.types import Color

_FULL = 2
_FORMAT_BITEXACT = 0x400  # libavformat/avformat.h: AVFMT_FLAG_BITEXACT
_CODEC_BITEXACT = 1 << 23  # libavcodec/avcodec.h: AV_CODEC_FLAG_BITEXACT
_FIELD_ORDER = {True: 2, False: 3}  # libavcodec/defs.h: AV_FIELD_TT, AV_FIELD_BB
_BIT_RATE_TOLERANCE = 4_000_000  # FFmpeg's default; PyAV's own is too small for its rate control
# What x264, x265 and SVT-AV1 say of a library option they do not know: they go on without it.
_MISUNDERSTOOD = re.compile(r"(error parsing|unknown|invalid|bad) .*option|bad value for|invalid value for", re.IGNORECASE)
# Neither says how a picture is turned; both carry H.264 with its parameter sets inside, where a filter can add it.
_IN_STREAM = ("mpegts", "avi")
# ISO/IEC 13818-2, table 6-4: the frame rates an MPEG-1 or MPEG-2 header can say.
_MPEG_RATES = [Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")]
_MPEG4_MOST_TICKS = 65535


@dataclass(frozen=True, slots=True)
class Output:
    """Everything that is set before the first frame."""

    container: Container
    encoder: Encoder
    pixel_format: str
    options: Mapping[str, str]
    size_wh: tuple[int, int]
    frame_rate: Fraction
    time_base: Fraction  # of presentation times in the file
    slot: int  # ticks from one frame's place to the next
    sample_aspect_ratio: Fraction
    color: Color
    full_range_name: bool  # the source's format was one of FFmpeg's "yuvj" ones
    orientation: int
    matrix: tuple[int, ...] | None
    interlaced: bool
    top_field_first: bool
    in_order: bool  # without B-frames: decoding times are presentation times

    @property
    def codec(self) -> str:
        return codec_written_by(self.encoder.name)

    @property
    def header_rate(self) -> Fraction:
        """The frame rate an encoder that knows only frame numbers writes into its header."""
        if self.encoder.name in ("mpeg1video", "mpeg2video"):
            return min(_MPEG_RATES, key=lambda rate: abs(rate - self.frame_rate))
        rate = self.frame_rate.limit_denominator(1001)
        return rate if rate.numerator <= _MPEG4_MOST_TICKS else Fraction(round(rate))

    @property
    def orientation_in_stream(self) -> bool:
        """Whether a bit stream filter must say how the picture is turned, as the container cannot."""
        return self.orientation != 1 and self.container.muxer in _IN_STREAM and self.codec == "h264"

    @property
    def notes(self) -> tuple[str, ...]:
        """What this file type or codec cannot say of the picture."""
        notes = []
        if self.orientation != 1 and not self.container.keeps_display_matrix and not self.orientation_in_stream:
            notes.append(f"{self.container.muxer} files cannot say that the picture is turned: it will be shown as it was coded")
        if self.interlaced and self.codec in ("hevc", "vp8", "vp9", "av1"):
            notes.append(f"{self.codec} is written frame by frame: the field order is not kept")
        return tuple(notes)


def open_output(file: BinaryIO | OutputFile, output: Output) -> tuple[OutputContainer, VideoStream]:
    """A container on an open file, with its video stream; nothing is written before the first packet."""
    muxer_options = dict(output.container.options)
    if output.container.muxer in ("mp4", "mov", "3gp", "3g2"):
        # Edit lists, and so a late start, are counted in this; FFmpeg's default is whole milliseconds.
        muxer_options["movie_timescale"] = str(max(1000, output.time_base.denominator))
    container = av.open(file, "w", format=output.container.muxer, container_options=muxer_options, buffer_size=1 << 18)
    # No library versions, no random or dated marks: the same frames give the same file.
    container.flags |= _FORMAT_BITEXACT
    width, height = output.size_wh
    constant = output.encoder.constant_rate
    options = dict(output.options)
    if output.in_order and output.encoder.reorders:
        options.setdefault("bf", "0")
    stream = container.add_stream(
        output.encoder.name,
        rate=output.header_rate if constant else output.frame_rate,
        options=options,
        width=width,
        height=height,
        time_base=1 / output.header_rate if constant else output.time_base,
        bit_rate_tolerance=_BIT_RATE_TOLERANCE,
    )
    assert isinstance(stream, VideoStream)
    stream.time_base = output.time_base
    context = stream.codec_context
    context.pix_fmt = output.pixel_format
    context.sample_aspect_ratio = output.sample_aspect_ratio
    context.color_range = _FULL if output.full_range_name else output.color.range
    context.color_primaries = output.color.primaries
    context.color_trc = output.color.transfer
    context.colorspace = output.color.matrix
    if output.interlaced:
        context.field_order = _FIELD_ORDER[output.top_field_first]
    context.flags |= _CODEC_BITEXACT
    # PyAV's default makes x264 cut frames into a slice for each thread: worse and no faster.
    context.thread_type = "AUTO"
    if output.codec == "hevc" and output.container.muxer in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # The tag that Apple's players know.
    matrix = output.matrix or display_matrix(output.orientation)
    if output.container.keeps_display_matrix and matrix != display_matrix(1):
        stream.set_display_matrix(matrix)  # The source's own, odd angles and all.
    return container, stream


def trial_error(output: Output) -> str | None:
    """Open encoder and header once, into memory; what is wrong in FFmpeg's words, or None."""
    file = io.BytesIO()
    logs: list[tuple[int, str, str]] = []
    try:
        container, stream = open_output(file, output)
        with listening(av.logging.WARNING) as logs:
            stream.codec_context.open(strict=False)
        if misunderstood := next((line for _, _, line in logs if _MISUNDERSTOOD.search(line)), None):
            return misunderstood.strip().rstrip(".")
        left = [name for name in stream.codec_context.options if name in output.options]
        if left:
            return f"option {left[0]} was not understood"
        container.start_encoding()
    except (av.FFmpegError, ValueError, OSError, RuntimeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        line = next((what.strip() for level, _, what in reversed(logs) if level <= av.logging.ERROR), last_line())
        return f"{words} ({line})" if line and not isinstance(error, ValueError) else words
    finally:
        file.close()  # A container whose file is closed writes no trailer.
    return None


def raw_error(output: Output) -> str | None:
    """Why uncompressed pictures would not be read back as what they are, or None: a container has few words for how they lie."""
    file = io.BytesIO()
    try:
        container, stream = open_output(file, output)
        picture = av.VideoFrame(*output.size_wh, output.pixel_format)
        picture.pts, picture.time_base = 0, stream.codec_context.time_base
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        container.close()
        file.seek(0)
        with av.open(file, "r") as written:
            read = next(written.decode(video=0))
    except (av.FFmpegError, ValueError, OSError, StopIteration) as error:
        return getattr(error, "strerror", None) or str(error)
    return None if read.format.name == output.pixel_format else f"it would be read as {read.format.name}, not {output.pixel_format}"
