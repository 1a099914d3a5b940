"""Everything in a file that can carry a person's trace beside the picture: found by probing, its fate set by the writer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream

from anonymizer.media.boxes import telling_boxes
from anonymizer.types import Carrier, Fate

_THUMBNAIL = Disposition.attached_pic | Disposition.timed_thumbnails
# Side data of frames that is not private: it is carried, or it says how to decode.
_PICTURE_FACTS = {"DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "VIDEO_ENC_PARAMS", "PANSCAN"}
_SIDE_DATA_WORDS = {
    "A53_CC": "closed captions",
    "SEI_UNREGISTERED": "user data of the encoder",
    "S12M_TIMECODE": "time code",
    "GOP_TIMECODE": "time code",
    "STEREO3D": "stereoscopic layout",
    "SPHERICAL": "spherical projection",
    "ICC_PROFILE": "colour profile",
    "DYNAMIC_HDR_PLUS": "HDR10+ scene data",
    "DOVI_METADATA": "Dolby Vision scene data",
    "DOVI_RPU_BUFFER": "Dolby Vision scene data",
    "FILM_GRAIN_PARAMS": "film grain",
    "EXIF": "camera, time, place: whatever a photograph's Exif holds",
}


def is_thumbnail(stream: Stream) -> bool:
    """Cover art and thumbnails are pictures of the video, not the video."""
    return bool(stream.disposition & _THUMBNAIL)


def stream_name(stream: Stream) -> str:
    """A stream as FFmpeg's users name it: 0:1."""
    return f"0:{stream.index}"


def has_decoder(stream: Stream) -> bool:
    """Whether FFmpeg knows what this is."""
    decoder: object | None = stream.codec_context
    return decoder is not None


def codec_of(stream: Stream) -> str:
    """The codec in FFmpeg's word, without the decoder's name."""
    context: CodecContext | None = stream.codec_context
    if context is None:
        return str(getattr(stream, "name", None) or "unknown")
    return str(context.codec.canonical_name)


def find_carriers(container: InputContainer, path: Path | str, chosen: Stream, side_data: Iterable[str]) -> tuple[Carrier, ...]:
    """What the file holds, in its own order; all of it "dropped" but the chosen video stream."""
    found: list[Carrier] = []
    for stream in container.streams:
        found.append(_stream_carrier(stream, chosen))
        found += [Carrier("tag", f"{stream_name(stream)} {key}", _shortened(value)) for key, value in stream.metadata.items()]
    found += [Carrier("tag", key, _shortened(value)) for key, value in container.metadata.items()]
    found += [Carrier("chapter", str(number), _shortened(entry["metadata"].get("title", ""))) for number, entry in enumerate(container.chapters(), 1)]
    found += [Carrier("side_data", kind, _SIDE_DATA_WORDS.get(kind, "")) for kind in side_data if kind not in _PICTURE_FACTS]
    if "mp4" in container.format.name and Path(path).is_file():
        found += telling_boxes(Path(path))
    return tuple(found)


def _stream_carrier(stream: Stream, chosen: Stream) -> Carrier:
    kind = stream.type
    detail = codec_of(stream)
    if kind == "video":
        if is_thumbnail(stream):
            detail += ", cover art or thumbnail"
        return Carrier("video", stream_name(stream), detail, "anonymized" if stream.index == chosen.index else "dropped")
    if kind in ("audio", "subtitle", "data", "attachment"):
        return Carrier(kind, stream_name(stream), detail)
    return Carrier("data", stream_name(stream), f"{detail}, of no kind FFmpeg knows")


def _shortened(text: str, longest: int = 60) -> str:
    """A tag's value for the report: a kept one is copied whole, this only names it."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def with_fate(carriers: Iterable[Carrier], kind: str, name: str | None, fate: Fate, note: str = "") -> tuple[Carrier, ...]:
    """The carriers with the fate of one (or, without a name, of every one) of a kind changed."""
    changed = []
    for carrier in carriers:
        if carrier.kind == kind and name in (None, carrier.name):
            carrier = replace(carrier, fate=fate, detail=f"{carrier.detail}, {note}" if note else carrier.detail)
        changed.append(carrier)
    return tuple(changed)
