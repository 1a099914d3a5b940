"""Tiny clips of every kind, and a run of reader and writer over one, for the media tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np

from anonymizer.media import CarryPolicy, Encoding, EncodingChoice, VideoReader, VideoWriter, plan_encoding, probe
from anonymizer.media.orientation import display_matrix
from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Carrier, Decision, Frame, MediaInfo
from tests.conftest import draw_picture


@dataclass(frozen=True)
class Clip:
    """One generated file: what a test says about it is what it differs in."""

    name: str  # with its suffix
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    size_wh: tuple[int, int] = (64, 48)
    frames: int = 12
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None  # in time_base; None: one frame after the other
    options: Mapping[str, str] = field(default_factory=dict)
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    sample_aspect_ratio: Fraction = Fraction(1)
    orientation: int = 1
    color: tuple[int, int, int, int] | None = None  # range, primaries, transfer, matrix
    fields: str | None = None  # "tff" or "bff"
    audio: tuple[str, ...] = ()
    audio_offset_s: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: int = 0
    attachment: bytes | None = None
    # What is expected of the output, where it is not what the source has:
    out_codec: str | None = None
    out_pixel_format: str | None = None
    notes: tuple[str, ...] = ()  # words that must appear
    crf: float | None = None


def write(clip: Clip, folder: Path) -> Path:
    """The clip as a file."""
    path = folder / clip.name
    with av.open(str(path), "w", container_options=dict(clip.muxer_options)) as container:
        container.metadata.update(clip.tags)
        base = clip.time_base or 1 / clip.rate
        video = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options), width=clip.size_wh[0], height=clip.size_wh[1], time_base=base)
        video.time_base = base
        video.pix_fmt = clip.pixel_format
        context = video.codec_context
        context.sample_aspect_ratio = clip.sample_aspect_ratio
        if clip.color:
            context.color_range, context.color_primaries, context.color_trc, context.colorspace = clip.color
        if clip.fields:
            context.field_order = 2 if clip.fields == "tff" else 3
        if clip.orientation != 1:
            video.set_display_matrix(display_matrix(clip.orientation))
        sounds = [container.add_stream(name, rate=48000, layout="stereo") for name in clip.audio]
        if clip.attachment is not None:
            container.add_attachment("note.txt", "text/plain", clip.attachment)
        if clip.chapters:
            container.set_chapters(
                [
                    {"id": n, "start": n * 100, "end": n * 100 + 100, "time_base": Fraction(1, 1000), "metadata": {"title": f"part {n}"}}
                    for n in range(clip.chapters)
                ]
            )
        if clip.codec in ("mpeg4", "mpeg2video", "mjpeg"):
            context.qmin, context.qmax = 2, 3
        setter = None
        packets: list[Any] = []
        for index in range(clip.frames):
            frame = av.VideoFrame.from_ndarray(draw_picture(index, clip.size_wh), format="rgb24").reformat(format=clip.pixel_format, dst_colorspace="ITU601")
            if clip.color:
                frame.color_range = clip.color[0]
            if clip.fields:
                setter = setter or _field_setter(frame, clip.fields)
                setter.push(frame)
                frame = setter.pull()
            frame.pts = clip.pts[index] if clip.pts is not None else index * round(1 / (clip.rate * base))
            frame.time_base = base
            packets += video.encode(frame)
        packets += video.encode(None)
        for number, sound in enumerate(sounds):
            packets += _tone(sound, 220.0 * (number + 1), clip.frames / float(clip.rate), clip.audio_offset_s)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            container.mux(packet)
    return path


def _field_setter(frame: av.VideoFrame, order: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    graph.link_nodes(source, graph.add("setfield", order), graph.add("buffersink")).configure()
    return graph


def _tone(stream: Any, pitch_hz: float, duration_s: float, offset_s: float) -> list[Any]:
    rate, chunk, packets = 48000, 1024, []
    resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate)
    for start in range(0, round(duration_s * rate), chunk):
        wave = 0.2 * np.sin(2 * np.pi * pitch_hz * np.arange(start, start + chunk) / rate)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start + round(offset_s * rate), Fraction(1, rate)
        for ready in resampler.resample(frame):
            packets += stream.encode(ready)
    return packets + list(stream.encode(None))


@dataclass
class Run:
    """What reader and writer made of a file."""

    source: MediaInfo
    encoding: Encoding
    frames: list[Frame]
    path: Path
    carriers: tuple[Carrier, ...]
    warnings: list[str]

    @property
    def output(self) -> MediaInfo:
        return probe(self.path)


def run(
    source: Path,
    target: Path,
    *,
    choice: EncodingChoice | None = None,
    carry: CarryPolicy | None = None,
    span_s: tuple[float, float | None] | None = None,
    most_frames: int | None = None,
    **reading: Any,
) -> Run:
    """Read a file and write it again with nothing covered."""
    info = probe(source)
    encoding = plan_encoding(info, target, choice)
    effect, frames = Effect("solid"), []
    with (
        VideoReader(info, pixel_format=encoding.pixel_format, span_s=span_s, **reading) as reader,
        VideoWriter(target, info, encoding, carry=carry, span_s=span_s) as writer,
    ):
        for frame in reader.frames():
            frames.append(frame)
            writer.write_frame(seal_frame(frame, Decision(frame.index), effect))
            if most_frames is not None and len(frames) == most_frames:
                break
        writer.finish()
    assert reader.frames_read == writer.frames_written == len(frames)
    return Run(info, encoding, frames, target, writer.carriers, [*reader.warnings, *writer.warnings])


def decode(path: Path) -> list[Frame]:
    """Every frame of a file, as our reader sees it, in the file's own pixel format."""
    info = probe(path)
    with VideoReader(info, pixel_format=info.pixel_format) as reader:
        return list(reader.frames())


def times_s(path: Path) -> list[float]:
    """Presentation times of a file's video as a plain PyAV loop sees them; where the file says none, one step after the last."""
    with av.open(str(path), metadata_errors="replace") as container:
        container.flags &= ~1
        stream = container.streams.video[0]
        frames = [frame for packet in container.demux(stream) for frame in packet.decode()]
        base, step = float(stream.time_base), 1 / float(stream.average_rate or 25)
    found: list[float] = []
    for index, frame in enumerate(frames):
        if frame.pts is not None:
            found.append(frame.pts * base)
        elif frame.dts is not None and not any(other.pts is not None for other in frames):
            found.append((frame.dts - next(other.dts for other in frames if other.dts is not None)) * base)
        else:
            found.append(found[-1] + step if found else index * step)
    return found


def side_packets(path: Path, kind: str) -> list[list[tuple[float, bytes]]]:
    """Time and payload of every packet of every stream of a kind."""
    with av.open(str(path), metadata_errors="replace") as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found: dict[int, list[tuple[float, bytes]]] = {stream.index: [] for stream in streams}
        if streams:
            for packet in container.demux(streams):
                if packet.size and packet.pts is not None:
                    found[packet.stream_index].append((float(packet.pts * packet.time_base), bytes(packet)))
    return list(found.values())


def psnr(one: np.ndarray, other: np.ndarray, bits: int) -> float:
    """How alike two planes are, in dB."""
    error = float(((one.astype(np.float64) - other.astype(np.float64)) ** 2).mean())
    return 99.0 if error == 0 else 10 * np.log10((2**bits - 1) ** 2 / error)
