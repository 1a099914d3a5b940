"""What the output will be, settled before a frame is read: encoder, pixel format, clock, options, and what is lost."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from anonymizer.errors import ConfigError
from anonymizer.media import codecs
from anonymizer.media.codecs import Encoder, codec_written_by, encoder_named
from anonymizer.media.containers import Container, container_for
from anonymizer.media.faults import Ear
from anonymizer.media.muxing import Output, raw_error, trial_error
from anonymizer.media.planes import base_format, converted_color
from anonymizer.media.tuning import HDR_ENCODERS, tuned_options
from anonymizer.pixels import PixelFormat, pixel_format
from anonymizer.types import MediaInfo

_FASTEST_SLOTS = Fraction(120)  # A constant-rate file of a variable-rate source: more slots would be mostly empty ones.
_ANY_SIZE = "yuv444p"  # H.264 and H.265 cannot code odd sizes where chroma is halved.
_REORDER_ROOM_S = 1.0  # No encoder here delays decoding by more.
_DEFAULT_RATE = Fraction(25)
_WITH_FIELDS = frozenset({"h264", "mpeg1video", "mpeg2video", "vc1"})
_SAME_RATE = Fraction(1, 100)
_OPTIONS_HINT = "FFmpeg's documentation lists each encoder's options: https://ffmpeg.org/ffmpeg-codecs.html"
_WITHOUT_CRF = {"b", "qp", "cqp", "q", "qscale", "global_quality", "lossless", "crf"}  # Each says the quality in its own way.


@dataclass(frozen=True, slots=True)
class EncodingChoice:
    """What was asked for; None leaves it to us. `options` go to the encoder as they are."""

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What will be written. `notes` are sentences for the report: whatever differs from the source."""

    container_format: str
    codec: str
    pixel_format: str
    options: Mapping[str, str]
    notes: tuple[str, ...]
    container: Container
    output: Output
    target_name: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    pixel_format: str

    @property
    def encoder(self) -> Encoder:
        return encoder_named(self.name)


def plan_encoding(info: MediaInfo, target: Path, choice: EncodingChoice | None = None) -> Encoding:
    """Choose encoder and pixel format for a target, and open both once to know that they work together.

    ConfigError for an unknown encoder or option, or one that the file type refuses.
    """
    choice = choice or EncodingChoice()
    container = container_for(target)
    candidates = _named(info, choice.codec) if choice.codec else _by_source(info, container)
    ear = Ear()
    try:
        reason = ""
        for candidate in candidates:
            options = _options(candidate.encoder, choice, info, candidate.pixel_format)
            output = _output(info, container, candidate, options)
            error = trial_error(output) or (raw_error(output) if candidate.name == "rawvideo" else None)
            if error is None:
                notes = (*_notes(info, container, candidate, asked=choice.codec is not None), *output.notes)
                return Encoding(container.muxer, candidate.encoder.name, candidate.pixel_format, options, notes, container, output, target.name)
            if (choice.options or choice.preset or choice.crf is not None) and trial_error(
                _output(info, container, candidate, _options(candidate.encoder, EncodingChoice(), info, candidate.pixel_format))
            ) is None:
                raise ConfigError(f"{candidate.name} does not take these options: {error}", hint=_OPTIONS_HINT)
            reason = reason or f"{candidate.encoder.name} in {target.suffix}: {error}"
    finally:
        ear.close()
    raise ConfigError(f"{target.name}: this video cannot be encoded as asked: {reason}", hint="try another file type, such as -o out.mkv, or -c:v libx264")


def _named(info: MediaInfo, name: str) -> list[_Candidate]:
    """The encoder that was asked for, in its formats nearest to the source's."""
    if name == "copy":
        raise ConfigError("-c:v copy: a copied stream would show what must be covered", hint="leave it out, or use -c:v ffv1 for a lossless output")
    if not codecs.exists(name) and not codecs.family(name):
        raise ConfigError(f"-c:v {name}: this FFmpeg has no such video encoder", hint="use libx264, libx265, libvpx-vp9, libsvtav1, mjpeg, prores_ks or ffv1")
    encoder = codecs.resolved(name)
    found = _formats_of(encoder, info.pixel_format, also_lossy=True)
    if _is_odd(info) and codecs.takes(encoder, _ANY_SIZE):
        found.append(_Candidate(encoder, _ANY_SIZE))
    if not found:
        raise ConfigError(f"-c:v {name}: takes no pixels of a kind that covers are made in", hint="use libx264, libx265, ffv1 or another")
    return found


def _by_source(info: MediaInfo, container: Container) -> list[_Candidate]:
    """The source's own codec where it can hold the picture, then another that can, then the nearest; then the container's usual."""
    family = [name for name in codecs.family(info.codec) if _allowed(container, info.codec)]
    stand_ins = [name for name in codecs.stand_ins(info.codec) if _allowed(container, codec_written_by(name))] if family else []
    wanted = info.pixel_format
    found = [candidate for name in family for candidate in _formats_of(name, wanted)]
    found += [candidate for name in stand_ins for candidate in _formats_of(name, wanted)]
    found += [candidate for name in family for candidate in _formats_of(name, wanted, also_lossy=True)]
    usual = [name for name in container.fallback_video if codecs.exists(name)]
    found += [candidate for name in usual for candidate in _formats_of(name, wanted)]
    found += [candidate for name in usual for candidate in _formats_of(name, wanted, also_lossy=True)]
    if _is_odd(info):
        found += [_Candidate(name, _ANY_SIZE) for name in usual if codecs.takes(name, _ANY_SIZE)]
    return list(dict.fromkeys(found))


def _is_odd(info: MediaInfo) -> bool:
    return bool(info.size_wh[0] % 2 or info.size_wh[1] % 2)


def _allowed(container: Container, codec: str) -> bool:
    return container.only_video is None or codec in container.only_video


def _formats_of(name: str, wanted: str, *, also_lossy: bool = False) -> list[_Candidate]:
    """Candidates of one encoder: the source's own format, or one that holds it; the nearest only if asked for."""
    if exact := codecs.takes(name, wanted):
        return [_Candidate(name, exact)]
    found = codecs.nearest(name, wanted)
    if found is None:
        return []
    nearest, lossless = found
    if lossless or _holds(nearest, wanted) or also_lossy:
        return [_Candidate(name, nearest)]
    return []


def _holds(name: str, wanted: str) -> bool:
    """Whether every sample of format `wanted` has a place in format `name`."""
    ours, theirs = pixel_format(name), pixel_format(wanted)
    if ours is None or theirs is None:
        return False
    return (
        _kind(ours) == _kind(theirs)
        and ours.bits >= theirs.bits
        and all(mine <= his for mine, his in zip(ours.chroma_shift_wh, theirs.chroma_shift_wh, strict=True))
        and (ours.has_alpha or not theirs.has_alpha)
    )


def _kind(known: PixelFormat) -> str:
    return "yuv" if "u" in known.planes else "gray" if known.planes == ("y",) else "rgb"


def _options(encoder: Encoder, choice: EncodingChoice, info: MediaInfo, pixel: str) -> dict[str, str]:
    """Our defaults, what the picture needs, and over both what was asked for; ConfigError for a name nobody knows."""
    known = _option_names(encoder.name)
    options = {**encoder.options, **tuned_options(encoder, info, pixel)}
    raw = {name.removesuffix(":v"): str(value) for name, value in choice.options.items()}
    if unknown := sorted(name for name in raw if name not in known):
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise ConfigError(f"{unknown[0]}: {encoder.name} has no such option", hint=f"did you mean {near[0]}?" if near else _OPTIONS_HINT)
    if raw.keys() & _WITHOUT_CRF:
        for name in ("crf", "b", "global_quality"):
            options.pop(name, None)
    if choice.crf is not None:
        if "crf" not in known:
            raise ConfigError(f"--crf: {encoder.name} has no constant rate factor", hint="say its quality with an option of its own, or use -c:v libx264")
        if not 0 <= choice.crf <= codecs.largest_crf(encoder.name):
            raise ConfigError(
                f"--crf {choice.crf:g}: {encoder.name} counts from 0 to {codecs.largest_crf(encoder.name)}", hint="18 looks like the source, more is smaller"
            )
        options["crf"] = f"{choice.crf:g}"
    if choice.preset is not None:
        if "preset" not in known:
            raise ConfigError(f"--encoder-preset: {encoder.name} has no presets", hint="leave it out, or use -c:v libx264")
        if encoder.name in codecs.X26_ENCODERS and choice.preset not in codecs.X26_PRESETS:
            raise ConfigError(f"--encoder-preset {choice.preset}: {encoder.name} has no such preset", hint="choose one of " + " ".join(codecs.X26_PRESETS))
        options["preset"] = choice.preset
    if encoder.params_key and encoder.params_key in raw and encoder.params_key in options:
        raw[encoder.params_key] = f"{options[encoder.params_key]}:{raw[encoder.params_key]}"
    return {**options, **raw}


def _option_names(encoder: str) -> set[str]:
    described = av.CodecContext.create(encoder, "w").supported_options
    return {option.name for option in (*described.generic, *described.private)}


def _output(info: MediaInfo, container: Container, candidate: _Candidate, options: Mapping[str, str]) -> Output:
    rate = info.frame_rate or _DEFAULT_RATE
    look = info.extra.get("look")
    matrix = look.matrix if look is not None else None
    base_rate = info.extra.get("base_rate")
    time_base = max(info.time_base, container.tick) if container.tick else info.time_base
    if container.constant_rate:
        rate = base_rate if base_rate and rate < base_rate <= _FASTEST_SLOTS and not _counts_fields(info, base_rate) else rate
        rate = Fraction(rate).limit_denominator(1001)
        time_base = container.tick or 1 / rate
    return Output(
        container=container,
        encoder=candidate.encoder,
        pixel_format=candidate.pixel_format,
        options=dict(options),
        size_wh=info.size_wh,
        frame_rate=Fraction(rate),
        time_base=Fraction(time_base),
        slot=max(1, round(1 / (rate * time_base))) if container.constant_rate else 1,
        sample_aspect_ratio=info.geometry.sample_aspect_ratio,
        color=converted_color(info.pixel_format, candidate.pixel_format, info.color, info.size_wh[1]),
        full_range_name=info.pixel_format.startswith("yuvj"),
        orientation=info.geometry.orientation,
        matrix=matrix,
        interlaced=info.interlaced,
        top_field_first=bool(info.extra.get("top_field_first")),
        in_order=container.in_order or (container.dts_from_zero and float(info.extra.get("first_s") or 0) < _REORDER_ROOM_S),
    )


def _counts_fields(info: MediaInfo, base_rate: Fraction) -> bool:
    """Whether FFmpeg's base rate is that of fields: of codecs that have them it is, however their frames are coded."""
    return info.codec in _WITH_FIELDS and info.frame_rate is not None and abs(base_rate / info.frame_rate - 2) < _SAME_RATE


def _notes(info: MediaInfo, container: Container, candidate: _Candidate, *, asked: bool) -> list[str]:
    """How the output will differ from the source."""
    notes = []
    written = codec_written_by(candidate.encoder.name)
    if written != info.codec:
        if asked:
            why = "it was asked for"
        elif not codecs.family(info.codec):
            why = "no encoder exists"
        elif not _allowed(container, info.codec):
            why = f"{container.muxer} files cannot hold it"
        elif any(codecs.takes(name, info.pixel_format) for name in codecs.family(info.codec)):
            why = f"it cannot be written into {container.muxer} files"
        else:
            why = f"its encoder cannot write {info.pixel_format}"
        notes.append(f"{written} instead of {info.codec}: {why}")
    if base_format(candidate.pixel_format) != base_format(info.pixel_format) and not _holds(candidate.pixel_format, info.pixel_format):
        notes.append(f"{candidate.pixel_format} instead of {info.pixel_format}: {candidate.encoder.name} cannot write it")
        theirs = av.VideoFormat(info.pixel_format, 16, 16)
        ours = pixel_format(candidate.pixel_format)
        if ours is not None and any(component.is_alpha for component in theirs.components) and not ours.has_alpha:
            notes.append("transparency is dropped: the encoder cannot write it")
    look = info.extra.get("look")
    if look is not None and (look.mastering or look.light) and candidate.name not in HDR_ENCODERS:
        notes.append(f"the HDR10 figures are dropped: {candidate.name} cannot write them")
    if candidate.pixel_format == _ANY_SIZE and _is_odd(info) and base_format(info.pixel_format) != _ANY_SIZE:
        notes.append(f"{_ANY_SIZE} instead of {info.pixel_format}: {written} has no odd sizes otherwise")
    return notes
