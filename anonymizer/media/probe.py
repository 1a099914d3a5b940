"""What a file is, before it is read: the one video stream to anonymize, and everything else it carries."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from anonymizer.errors import SourceError
from anonymizer.geometry import Geometry
from anonymizer.media.boxes import is_encrypted
from anonymizer.media.carriers import codec_of, find_carriers, is_thumbnail
from anonymizer.media.decoding import Decoder
from anonymizer.media.faults import Ear, source_error
from anonymizer.media.first_look import FirstLook, first_look
from anonymizer.media.orientation import orientation_of
from anonymizer.media.sources import Stamp, open_source, stamp_of, webcam_device
from anonymizer.types import Color, MediaInfo

_TOP_FIRST = (2, 5)  # libavcodec/defs.h: AV_FIELD_TT and AV_FIELD_BT show the top field first
_INTERLACED = (2, 3, 4, 5)
_MOST_PIXELS = 1 << 28  # 16384 x 16384: more is a broken header, and would fill the memory.
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # of Matroska's DURATION tag
_FASTEST = 1000  # frames/s; above it a rate is a time base in disguise


def probe(path: Path | str) -> MediaInfo:
    """Look into a file, decoding one frame; SourceError for everything that cannot be read."""
    stamp = stamp_of(Path(path))
    ear = Ear()
    try:
        container = open_source(path)
        try:
            stream = best_video_stream(container, path)
            return _described(container, stream, path, stamp)
        finally:
            container.close()
    finally:
        ear.close()


def best_video_stream(container: InputContainer, path: Path | str) -> VideoStream:
    """The default, largest stream that is a video and not a picture of one; the lower index where all is equal."""
    name = Path(path).name
    if "mp4" in container.format.name and Path(path).is_file() and is_encrypted(Path(path)):
        raise _encrypted(name)
    videos = [stream for stream in container.streams.video if not is_thumbnail(stream)]
    if not videos:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(f"{name}: holds no video stream, only {held}", hint="there is no picture in it to anonymize")
    decodable = [stream for stream in videos if stream.codec_context is not None]
    if not decodable:
        raise SourceError(f"{name}: no decoder exists for its video", hint="convert it to H.264 with the program that made it")
    return max(decodable, key=lambda stream: (bool(stream.disposition & 1), stream.width * stream.height, -stream.index))


def _described(container: InputContainer, stream: VideoStream, path: Path | str, stamp: Stamp | None) -> MediaInfo:
    look = _first_frame(container, stream, path)
    context = stream.codec_context
    tag = _tag(stream)
    interlaced = look.interlaced or context.field_order in _INTERLACED
    # The decoder knows better than the header, which many muxers leave empty.
    top_first = look.top_field_first if look.interlaced else context.field_order in _TOP_FIRST
    color = Color(context.color_range, context.color_primaries, context.color_trc, context.colorspace)
    extra: dict[str, Any] = {
        "look": look,
        "top_field_first": top_first,
        "codec_tag": tag,
        "profile": stream.profile,
        "base_rate": _sane_rate(stream.base_rate),
        "start_time_s": None if container.start_time is None else container.start_time / av.time_base,
        "has_alpha": _has_alpha(stream),
        "live": webcam_device(path) is not None,
        "first_s": look.time_s,
        "picture_ends_s": _picture_ends_s(container, stream),
        "stamp": stamp,
    }
    return MediaInfo(
        path=Path(path),
        container=container.format.name,
        codec=codec_of(stream),
        stream_index=stream.index,
        geometry=Geometry(look.size_wh, orientation_of(look.matrix) if look.matrix else 1, _aspect(stream)),
        pixel_format=look.pixel_format,
        frame_rate=_sane_rate(stream.average_rate) or _sane_rate(stream.guessed_rate),
        time_base=stream.time_base or Fraction(1, 90000),
        duration_s=_duration_s(container, stream),
        frame_count=stream.frames or None,
        color=color,
        interlaced=interlaced,
        carriers=find_carriers(container, path, stream, look.side_data),
        extra=extra,
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path | str) -> FirstLook:
    """Decode up to the first frame, without threads: they would only decode more than is looked at."""
    name = Path(path).name
    if stream.width * stream.height > _MOST_PIXELS:
        raise SourceError(f"{name}: claims pictures of {stream.width} x {stream.height} pixels", hint="its header is broken")
    if _tag(stream) in ("encv", "drmi") or "enc_key_id" in stream.metadata:
        raise _encrypted(name)
    decoder = Decoder(stream, threads=1)
    failure: BaseException | None = None
    packets = 0
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0
            if packet.has_sidedata("encryption_info"):
                raise _encrypted(name)
            try:
                frames = decoder.decode(packet)
            except av.FFmpegError as error:
                failure = failure or error
                continue
            if frames:
                return first_look(frames[0], stream.time_base)
    except (av.FFmpegError, OSError) as error:
        failure = failure or error
    finally:
        decoder.close()
    if failure is not None:
        raise source_error(path, failure, doing="decode a single frame of", hint="it is damaged, or cut off; repair it first") from failure
    what = "its video stream is empty" if packets == 0 else "no frame of it can be decoded"
    raise SourceError(f"{name}: {what}", hint="it may be cut off; copy it again from where it came from")


def _encrypted(name: str) -> SourceError:
    return SourceError(f"{name}: is encrypted", hint="decrypt it first, with the program that holds its key")


def _tag(stream: VideoStream) -> str:
    """The four letters by which the container names the codec; AVI files hold numbers there, too."""
    try:
        return str(stream.codec_context.codec_tag)
    except UnicodeDecodeError:
        return ""


def _aspect(stream: VideoStream) -> Fraction:
    ratio = stream.sample_aspect_ratio
    # A ratio beyond this is a broken header (H.264 and MP4 both have written 1:1000 there), and no picture.
    return Fraction(ratio) if ratio and Fraction(1, 16) <= ratio <= 16 else Fraction(1)


def _sane_rate(rate: Fraction | None) -> Fraction | None:
    return Fraction(rate) if rate and 0 < rate <= _FASTEST else None


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return None if not container.duration or container.duration < 0 else container.duration / av.time_base


def _picture_ends_s(container: InputContainer, stream: VideoStream) -> float | None:
    """When the video ends on its own clock, as the file says; sound may go on after it."""
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if found := _CLOCK.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    lasts_s = _duration_s(container, stream)
    return (container.start_time or 0) / av.time_base + lasts_s if len(container.streams) == 1 and lasts_s else None


def _has_alpha(stream: VideoStream) -> bool:
    """Whether a VP8 or VP9 stream says that it carries transparency beside its picture (Matroska's AlphaMode)."""
    return stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1"
