"""Encoder options that the picture asks for: HDR figures, fields, profiles, quiet libraries."""

from __future__ import annotations

import os
from fractions import Fraction

from anonymizer.media.codecs import Encoder
from anonymizer.media.first_look import FirstLook
from anonymizer.types import MediaInfo

# SVT-AV1 writes to stderr on its own; 1 is errors only.
os.environ.setdefault("SVT_LOG", "1")

_ALWAYS = {
    # x264's fast macroblock-tree code gives one of several results for clips shorter than its look-ahead; this one does not.
    "libx264": ("cpu-independent=1",),
    "libx264rgb": ("cpu-independent=1",),
    "libx265": ("log-level=error", "info=0"),
}
HDR_ENCODERS = ("libx264", "libx265", "libsvtav1")
_FIELD_CODERS = {"libx264", "libx264rgb", "mpeg2video", "mpeg4", "prores_ks"}
_PRORES_PROFILES = {"apco": "0", "apcs": "1", "apcn": "2", "apch": "3", "ap4h": "4", "ap4x": "5"}
_CHROMA_LOCATIONS = {"left", "center", "topleft", "top", "bottomleft", "bottom"}


def tuned_options(encoder: Encoder, info: MediaInfo, pixel: str) -> dict[str, str]:
    """Options of one encoder for one picture."""
    options: dict[str, str] = {}
    look: FirstLook | None = info.extra.get("look")
    params = _library_params(encoder.name, look)
    if encoder.params_key and params:
        options[encoder.params_key] = ":".join(params)
    flags = encoder.options.get("flags", "")
    if info.interlaced and encoder.name in _FIELD_CODERS:
        options["flags"] = f"{flags}+ildct+ilme" if encoder.name != "prores_ks" else f"{flags}+ildct"
    if encoder.name in ("libx264", "libx265") and look is not None and look.chroma_location in _CHROMA_LOCATIONS:
        options["chroma_sample_location"] = look.chroma_location
    if encoder.name == "prores_ks":
        if (profile := _PRORES_PROFILES.get(str(info.extra.get("codec_tag")))) and (int(profile) >= 4) == ("444" in pixel):
            options["profile"] = profile
        if pixel.startswith("yuva"):
            options["alpha_bits"] = "16"
    if encoder.name == "dnxhd":
        options["profile"] = "dnxhr_444" if "444" in pixel or "gbr" in pixel else "dnxhr_hqx" if "10" in pixel else "dnxhr_hq"
    if encoder.name == "mjpeg" and not (pixel.startswith("yuvj") or info.color.range == 2):
        options["strict"] = "-1"  # Limited range is common in cameras' MJPEG, and outside its standard.
    return options


def _library_params(name: str, look: FirstLook | None) -> list[str]:
    params = list(_ALWAYS.get(name, ()))
    if look is None:
        return params
    if look.mastering is not None and name in HDR_ENCODERS:
        key = "master-display" if name == "libx265" else "mastering-display"
        params.append(f"{key}={_mastering_text(look.mastering, as_decimals=name == 'libsvtav1')}")
    if look.light is not None and name in HDR_ENCODERS:
        key = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}[name]
        params.append(f"{key}={look.light[0]},{look.light[1]}")
    return params


def _mastering_text(figures: tuple[Fraction, ...], *, as_decimals: bool) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min); x264 and x265 count in 1/50000 and 1/10000 cd/m2 (SMPTE ST 2086)."""

    def pair(first: Fraction, second: Fraction, unit: int) -> str:
        if as_decimals:
            return f"({float(first):.6f},{float(second):.6f})"
        return f"({round(first * unit)},{round(second * unit)})"

    darkest, brightest = figures[8:10]
    first = {"R": 0, "G": 2, "B": 4, "WP": 6}
    colors = "".join(f"{name}{pair(figures[first[name]], figures[first[name] + 1], 50000)}" for name in ("G", "B", "R", "WP"))
    return f"{colors}L{pair(brightest, darkest, 10000)}"
