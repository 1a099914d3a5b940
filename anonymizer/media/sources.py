"""Opening what people name: a file, or a webcam by its number or device path."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from anonymizer.errors import SourceError
from anonymizer.media.faults import source_error

WEBCAM_FORMAT = "v4l2"  # Linux only, as is the wheel's capture support.
_GEN_PTS = 0x1  # libavformat/avformat.h: AVFMT_FLAG_GENPTS


def webcam_device(path: Path | str) -> str | None:
    """The device that "0" or "/dev/video0" stands for, or None: then it is a file."""
    name = str(path)
    if name.isascii() and name.isdigit() and not Path(name).exists():
        return f"/dev/video{name}"
    return name if name.startswith("/dev/video") else None


def open_source(path: Path | str) -> InputContainer:
    """Open for reading; SourceError says in words why not."""
    device = webcam_device(path)
    if device is not None:
        return _open_webcam(device)
    file = Path(path)
    try:
        if not file.is_dir() and file.stat().st_size == 0 and file.is_file():
            raise SourceError(f"{file.name}: is an empty file", hint="copy it again from where it came from")
    except OSError as error:
        raise source_error(file, error) from error
    if file.is_dir():
        raise source_error(file, IsADirectoryError())
    try:
        # "file:" keeps a name such as "concat:a|b" or "http:x" from being anything but a name.
        container = av.open(f"file:{file}", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        hint = "it is no video FFmpeg knows, or it is cut off before its index; repair it first"
        raise source_error(file, error, doing="open", hint=hint) from error
    # PyAV lets FFmpeg invent presentation times where a file has none, wrongly where frames were reordered.
    container.flags &= ~_GEN_PTS
    return container


def _open_webcam(device: str) -> InputContainer:
    try:
        return av.open(device, format=WEBCAM_FORMAT)
    except (av.FFmpegError, OSError, ValueError) as error:
        hint = "see which there are with: ls /dev/video*"
        if isinstance(error, FileNotFoundError):
            raise SourceError(f"{device}: there is no such camera", hint=hint) from error
        raise source_error(device, error, doing="open", hint=hint) from error
