"""Encoders: which ones write a codec, with what quality, and who stands in where a pixel format does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import av

from anonymizer.media.planes import base_format
from anonymizer.pixels import pixel_format

# x264 veryfast, CRF 18 is the project's promise. The others were set to look like it: on 30 frames of a 1080p street
# scene and two cores x264 gives 46.5 dB at 33 frames/s, x265 45.9 dB at 9, VP9 46.8 dB at 24, AV1 45.2 dB at 58, VP8
# 47.0 dB at 43. Intra and lossless codecs keep FFmpeg's defaults.
_X264 = {"preset": "veryfast", "crf": "18"}
_X265 = {"preset": "superfast", "crf": "18"}
_MPEG_QSCALE = {"flags": "+qscale", "global_quality": str(2 * 118)}  # -q:v 2; FF_QP2LAMBDA is 118


X26_ENCODERS = ("libx264", "libx264rgb", "libx265")
X26_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of FFmpeg's encoders as this project uses it."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    constant_rate: bool = False  # its bit stream knows only frame numbers
    params_key: str | None = None  # the option that reaches the library itself
    reorders: bool = False  # has B-frames unless told otherwise


_ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("libx264", _X264, params_key="x264-params", reorders=True),
        Encoder("libx264rgb", _X264, params_key="x264-params", reorders=True),
        Encoder("libx265", _X265, params_key="x265-params", reorders=True),
        # More threads of VP8 wait for each other by spinning, and starve a busy machine.
        Encoder("libvpx", {"crf": "8", "b": "40000000", "deadline": "realtime", "cpu-used": "6", "auto-alt-ref": "0", "threads": "1"}),
        Encoder("libvpx-vp9", {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"}),
        Encoder("libsvtav1", {"crf": "18", "preset": "9"}, params_key="svtav1-params"),
        Encoder("mjpeg", {**_MPEG_QSCALE, "huffman": "optimal"}),
        Encoder("mpeg4", _MPEG_QSCALE, constant_rate=True),
        Encoder("mpeg2video", _MPEG_QSCALE, constant_rate=True),
        Encoder("mpeg1video", _MPEG_QSCALE, constant_rate=True),
        Encoder("msmpeg4", _MPEG_QSCALE, constant_rate=True),
        Encoder("msmpeg4v2", _MPEG_QSCALE, constant_rate=True),
        Encoder("wmv1", _MPEG_QSCALE, constant_rate=True),
        Encoder("wmv2", _MPEG_QSCALE, constant_rate=True),
        Encoder("flv", _MPEG_QSCALE, constant_rate=True),
        Encoder("h263", _MPEG_QSCALE, constant_rate=True),
        Encoder("h263p", _MPEG_QSCALE, constant_rate=True),
        Encoder("prores_ks", {"vendor": "apl0"}),
        Encoder("ffv1", {"level": "3", "slicecrc": "1", "g": "1"}),
        Encoder("dnxhd", {"profile": "dnxhr_hq"}, constant_rate=True),
        Encoder("dvvideo", constant_rate=True),
        Encoder("cfhd", {"quality": "film1"}),
    )
}

# Codec (FFmpeg's canonical name) -> its encoders, best first.
_FAMILIES: dict[str, tuple[str, ...]] = {
    "h264": ("libx264", "libx264rgb"),
    "hevc": ("libx265",),
    "vp8": ("libvpx",),
    "vp9": ("libvpx-vp9",),
    "av1": ("libsvtav1",),
    "prores": ("prores_ks",),
    "flv1": ("flv",),
    "msmpeg4v3": ("msmpeg4",),
    "dirac": (),  # vc2 writes what no muxer takes
    "theora": (),
    "gif": (),
    "webp": (),
}
# Encoders of other codecs for a pixel format (4:4:4, 12 bit, transparency) that a codec's own cannot write.
_STAND_INS: dict[str, tuple[str, ...]] = {
    "h264": ("libx265", "ffv1"),
    "hevc": ("ffv1",),
    "vp8": ("libvpx-vp9",),
    "vp9": ("libsvtav1", "libx265", "ffv1"),
    "av1": ("libvpx-vp9", "libx265", "ffv1"),
    "png": ("ffv1",),
    "qtrle": ("png", "ffv1"),
    "mjpeg": (),
}


def encoder_named(name: str) -> Encoder:
    """The encoder of that name, with our defaults where we have any."""
    return _ENCODERS.get(name, Encoder(name))


def largest_crf(name: str) -> int:
    """The end of an encoder's scale of quality factors."""
    return 51 if name in X26_ENCODERS else 63


def exists(name: str) -> bool:
    """Whether this FFmpeg has a video encoder of that name."""
    try:
        return av.Codec(name, "w").type == "video"
    except av.codec.codec.UnknownCodecError:
        return False


def resolved(name: str) -> str:
    """The encoder meant by a name that may be a codec's: "h264" is libx264."""
    found = family(name) if name in _FAMILIES else ()
    return found[0] if found else name


def family(codec: str) -> tuple[str, ...]:
    """Encoders of a codec that exist here, best first."""
    names = _FAMILIES.get(codec, (codec,))
    return tuple(name for name in names if exists(name) and not av.Codec(name, "w").experimental)


def stand_ins(codec: str) -> tuple[str, ...]:
    """Encoders of other codecs that may hold what the codec's own cannot."""
    return tuple(name for name in _STAND_INS.get(codec, ()) if exists(name))


def codec_written_by(name: str) -> str:
    """The codec an encoder writes."""
    return str(av.Codec(name, "w").canonical_name)


@cache
def workable_formats(name: str) -> tuple[str, ...] | None:
    """The workable pixel formats an encoder takes; None: any."""
    formats = av.Codec(name, "w").video_formats
    if not formats:
        return None
    return tuple(entry.name for entry in formats if pixel_format(entry.name) is not None)


def takes(name: str, wanted: str) -> str | None:
    """The encoder's own name for pixel format `wanted`, or None: "yuvj420p" may be "yuv420p" with a range tag."""
    if pixel_format(wanted) is None:
        return None
    formats = workable_formats(name)
    if formats is None or wanted in formats:
        return wanted
    return next((entry for entry in formats if base_format(entry) == base_format(wanted)), None)


def nearest(name: str, wanted: str) -> tuple[str, bool] | None:
    """The encoder's format nearest to `wanted`, and whether it holds all of it."""
    formats = workable_formats(name)
    if formats is None:
        formats = ("yuv420p", "yuv422p", "yuv444p", "rgb24", "rgba", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gbrp10le", "gbrp16le")
    # The "j" twins only differ in range, which tags carry.
    plain = [entry for entry in formats if not entry.startswith("yuvj")] or list(formats)
    best, loss = av.codec.codec.find_best_pix_fmt_of_list(plain, wanted, has_alpha=True)
    return None if best is None else (best.name, not loss)
