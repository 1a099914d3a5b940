"""File types: which muxer writes a suffix, what it takes, and how it counts time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from anonymizer.errors import ConfigError

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Container:
    """One of FFmpeg's muxers as this project uses it."""

    muxer: str
    fallback_video: tuple[str, ...] = ("libx264",)  # encoders, best first, where the source's codec cannot be written
    fallback_audio: str = "aac"  # encoder; "": it holds no sound
    only_video: frozenset[str] | None = None  # codecs; None: FFmpeg knows
    only_audio: frozenset[str] | None = None
    only_other: frozenset[str] | None = None  # codecs of subtitles and data
    tick: Fraction | None = None  # its own time base, coarser than most sources; None: any
    constant_rate: bool = False  # frames have slots, not times
    starts_at_zero: bool = False  # it cannot say that the first frame comes late
    sound_at_once: bool = False  # nor that the sound does
    in_order: bool = False  # it cannot say that frames were coded in another order than they are shown
    dts_from_zero: bool = False  # decoding times, which run before presentation times, must not be negative
    audio_rate: int | None = None  # the only one it takes
    keeps_display_matrix: bool = False
    keeps_edit_list: bool = False  # and so packets before time 0
    options: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


_MS = Fraction(1, 1000)
_TS = Fraction(1, 90000)
_WEBM_VIDEO = frozenset({"vp8", "vp9", "av1"})
_TS_VIDEO = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
_TS_AUDIO = frozenset({"aac", "mp2", "mp3", "ac3", "eac3", "opus", "dts"})
_TS_OTHER = frozenset({"dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle", "klv", "scte_35"})
_PS_VIDEO = frozenset({"mpeg1video", "mpeg2video"})
_PS_AUDIO = frozenset({"mp2", "mp3", "ac3"})
# Without mpegts_copyts the muxer moves every time by its own delay.
_TS_OPTIONS = {"mpegts_copyts": "1"}
_MP4 = Container("mp4", keeps_display_matrix=True, keeps_edit_list=True)
_MOV = Container("mov", keeps_display_matrix=True, keeps_edit_list=True)
_MATROSKA = Container("matroska", tick=_MS, keeps_display_matrix=True)
_TRANSPORT = Container("mpegts", only_video=_TS_VIDEO, only_audio=_TS_AUDIO, only_other=_TS_OTHER, tick=_TS, dts_from_zero=True, options=_TS_OPTIONS)
_BLURAY = Container(
    "mpegts", only_video=_TS_VIDEO, only_audio=_TS_AUDIO, only_other=_TS_OTHER, tick=_TS, dts_from_zero=True, options={**_TS_OPTIONS, "mpegts_m2ts_mode": "1"}
)
_PROGRAM = Container(
    "vob", ("mpeg2video",), "mp2", constant_rate=True, only_video=_PS_VIDEO, only_audio=_PS_AUDIO, only_other=frozenset(), tick=_TS, options={"preload": "0"}
)
_NONE: frozenset[str] = frozenset()


def _bare(muxer: str, encoder: str, codec: str) -> Container:
    """A stream without a container: frames one after the other, and nothing beside them."""
    return Container(muxer, (encoder,), "", frozenset({codec}), _NONE, _NONE, constant_rate=True, starts_at_zero=True, in_order=True)


_H264, _HEVC, _MJPEG = _bare("h264", "libx264", "h264"), _bare("hevc", "libx265", "hevc"), _bare("mjpeg", "mjpeg", "mjpeg")
_ASF = Container("asf", ("wmv2",), "libmp3lame", tick=_MS, in_order=True)

BY_SUFFIX: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".f4v": _MP4,
    ".insv": _MP4,  # Insta360 and GoPro name their MP4 files so
    ".lrv": _MP4,
    ".mov": _MOV,
    ".qt": _MOV,
    ".mkv": _MATROSKA,
    ".webm": Container("webm", ("libvpx-vp9",), "libopus", _WEBM_VIDEO, frozenset({"opus", "vorbis"}), tick=_MS, keeps_display_matrix=True),
    ".avi": Container("avi", fallback_audio="libmp3lame", constant_rate=True, starts_at_zero=True, sound_at_once=True, in_order=True),
    ".ts": _TRANSPORT,
    ".m2t": _TRANSPORT,
    ".m2ts": _BLURAY,
    ".mts": _BLURAY,
    ".flv": Container("flv", tick=_MS, dts_from_zero=True),
    ".3gp": Container("3gp", keeps_display_matrix=True, keeps_edit_list=True),
    ".3g2": Container("3g2", keeps_display_matrix=True, keeps_edit_list=True),
    ".mpg": _PROGRAM,
    ".mpeg": _PROGRAM,
    ".vob": _PROGRAM,
    ".ogv": Container("ogg", ("libvpx",), "libopus", frozenset({"vp8"}), frozenset({"opus", "vorbis", "flac"}), constant_rate=True, starts_at_zero=True),
    ".wmv": _ASF,
    ".asf": _ASF,
    ".mxf": Container("mxf", ("mpeg2video",), "pcm_s16le", frozenset({"mpeg2video", "dnxhd"}), constant_rate=True, starts_at_zero=True, audio_rate=48000),
    ".ivf": Container("ivf", ("libvpx-vp9",), "", _WEBM_VIDEO, _NONE, _NONE, in_order=True),
    ".h264": _H264,
    ".264": _H264,
    ".h265": _HEVC,
    ".265": _HEVC,
    ".hevc": _HEVC,
    ".mjpeg": _MJPEG,
    ".mjpg": _MJPEG,
    ".nut": Container("nut", dts_from_zero=True),
}


def container_for(target: Path) -> Container:
    """The file type of a target's suffix; ConfigError for one that is not known."""
    suffix = target.suffix.lower()
    if suffix not in BY_SUFFIX:
        raise ConfigError(
            f"{target.name}: {suffix or 'a name without an ending'} is no kind of video that can be written",
            hint=f"choose one of {' '.join(sorted(BY_SUFFIX))}",
        )
    return BY_SUFFIX[suffix]
