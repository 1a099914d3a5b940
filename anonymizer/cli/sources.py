"""What people name as input and output: one file or camera, or a folder's worth of them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from anonymizer.errors import ConfigError, SourceError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def is_camera(text: str) -> bool:
    """ "0" or "/dev/video0"; a file of that name comes first."""
    from anonymizer.media.sources import webcam_device

    return webcam_device(text) is not None


def is_single(texts: Sequence[str]) -> bool:
    """Is one file or camera meant, so that -o names a file? A name that exists is no pattern: "clip[1].mp4" is a file."""
    return len(texts) == 1 and not os.path.isdir(texts[0]) and (os.path.exists(texts[0]) or not glob.has_magic(texts[0]))


def require_named(texts: Sequence[str]) -> None:
    """SourceError for an empty name, as "$FILE" is without a value: it would mean the folder one stands in; and for a stream's address."""
    if not all(texts):
        raise SourceError("'': an empty name names no input", hint="name a file; a variable of the shell may be empty")
    for text in texts:
        # The rest of an address may hold a password.
        if (address := _ADDRESS.match(text)) and not os.path.exists(text):
            raise SourceError(f"{address[1]}://...: streams are not read yet, only files and cameras of this machine", hint="record it to a file first")


def target_for(text: str, output: str | None, *, codec: str | None = None, keep: Sequence[str] = ()) -> tuple[Path, tuple[str, ...]]:
    """Where one input's result goes, and what to say about a name that we had to change.

    That is -o, the input's name in the folder that -o names, or a name beside the input.
    """
    if output == "":
        raise ConfigError("-o: an empty name names no output", hint="name a file: -o out.mp4")
    if output is not None and not (output.endswith("/") or os.path.isdir(output)):
        return Path(output), ()
    if output is None and is_camera(text):
        raise ConfigError(f"{text}: a camera has no name for its output", hint="name a file: -o out.mp4")
    from anonymizer.media import kind_of, name_beside, name_in_folder, suffix_for, suffix_note

    source = Path(text)
    suffix = suffix_for(source, kind_of(source), codec=codec, keep=keep)
    target = source.with_name(name_beside(source, suffix)) if output is None else Path(output) / name_in_folder(source, suffix)
    return target, suffix_note(source, suffix)


def folder_for(output: str | None) -> Path:
    """The folder that several inputs go to."""
    if output is None:
        raise ConfigError("a folder, a pattern or several inputs need a folder to go to", hint="name one: -o FOLDER")
    if output == "":
        raise ConfigError("-o: an empty name names no folder", hint="name one: -o FOLDER")
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"{Path(output).name}: is a file, and several inputs need a folder", hint="name a folder: -o FOLDER")
    return Path(output)
