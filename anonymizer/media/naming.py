"""What an output is called that nobody named: as its source where such files can be written, else as one that can."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import av

from anonymizer.media import codecs
from anonymizer.media.containers import BY_SUFFIX
from anonymizer.media.kinds import Kind

_USUAL, _ROOMY = ".mp4", ".mkv"
_ONLY_ROOMY = {"attachments", "subtitles"}  # MP4 has no attachments, and of subtitles only a kind of its own.


def suffix_for(source: Path, kind: Kind | None, *, codec: str | None = None, keep: Collection[str] = ()) -> str:
    """The source's own suffix where such a file can be written, else .mp4, or .mkv for what was asked for and MP4 cannot hold.

    Nothing of the file decides but its kind: a rerun finds its outputs under the same names.
    """
    if kind == "image" or source.suffix.lower() in BY_SUFFIX:
        return source.suffix
    return _ROOMY if _ONLY_ROOMY & set(keep) or (codec is not None and not _mp4_holds(codec)) else _USUAL


def name_in_folder(source: Path, suffix: str) -> str:
    """The output's name in a folder of outputs: clip.y4m.mp4, for there may be a clip.mp4 as well."""
    return source.name if suffix == source.suffix else source.name + suffix


def name_beside(source: Path, suffix: str) -> str:
    """The output's name beside its source."""
    return f"{source.stem}_anonymized{suffix}"


def suffix_note(source: Path, suffix: str) -> tuple[str, ...]:
    """A sentence for the report where the suffix had to change, or none."""
    if suffix == source.suffix:
        return ()
    what = f"{source.suffix} files" if source.suffix else "files without an ending"
    return (f"written as {suffix}: {what} cannot be written",)


def _mp4_holds(codec: str) -> bool:
    """Whether FFmpeg's MP4 muxer takes what an encoder writes; of an unknown one plan_encoding will say so."""
    if not codecs.exists(codec) and not codecs.family(codec):
        return True
    file = io.BytesIO()
    container = av.open(file, "w", format="mp4")
    try:
        return codecs.codec_written_by(codecs.resolved(codec)) in container.supported_codecs
    finally:
        file.close()  # A container whose file is closed writes no trailer.
        container.close()
