"""Opening what people name: a file, or a webcam by its number or device path; and telling whether the file stayed the same."""

from __future__ import annotations

import stat
from pathlib import Path

import av
from av.container import InputContainer

from anonymizer.errors import SourceError
from anonymizer.media.faults import source_error

WEBCAM_FORMAT = "v4l2"  # Linux only, as is the wheel's capture support.
_GEN_PTS = 0x1  # libavformat/avformat.h: AVFMT_FLAG_GENPTS
# Lists and patterns that name further files, or hosts: what is read is the one file that was named, and has a hash.
_READ_OTHERS = {"concat", "dash", "hls", "image2", "imf", "rtsp", "sdp", "vobsub", "webm_dash_manifest"}
_ONE_FILE = {"format_whitelist": ",".join(sorted(av.formats_available - _READ_OTHERS)), "protocol_whitelist": "file"}

Stamp = tuple[int, ...]


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
        found = file.stat()
    except OSError as error:
        raise source_error(file, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise source_error(file, IsADirectoryError())
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{file.name}: is not a regular file", hint="save it as a file first: a pipe or device can be read only once")
    if found.st_size == 0:
        raise SourceError(f"{file.name}: is an empty file", hint="copy it again from where it came from")
    try:
        # "file:" keeps a name such as "concat:a|b" or "http:x" from being anything but a name.
        container = av.open(f"file:{file}", container_options=_ONE_FILE, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if "Format not on whitelist" in str(getattr(error, "log", None)):
            raise SourceError(f"{file.name}: is a list of other files, not a video", hint="name the files that it lists") from error
        hint = "it is no video FFmpeg knows, or it is cut off before its index; repair it first"
        raise source_error(file, error, doing="open", hint=hint) from error
    # PyAV lets FFmpeg invent presentation times where a file has none, wrongly where frames were reordered.
    container.flags &= ~_GEN_PTS
    return container


def stamp_of(path: Path) -> Stamp | None:
    """What changes when a file is replaced or written to: its identity, size and times of change; None for a webcam.

    Programs put the time of the content back; that of the inode (ctime) nobody can.
    """
    if webcam_device(path) is not None:
        return None
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def require_unchanged(path: Path, stamp: Stamp | None) -> None:
    """SourceError unless the file is still the one that had this stamp: what was decided holds for that one alone."""
    if stamp_of(path) != stamp:
        raise SourceError(f"{path.name}: was changed or replaced while it was read", hint="wait until nobody writes to it any more, then run again")


def _open_webcam(device: str) -> InputContainer:
    try:
        return av.open(device, format=WEBCAM_FORMAT)
    except (av.FFmpegError, OSError, ValueError) as error:
        hint = "see which there are with: ls /dev/video*"
        if isinstance(error, FileNotFoundError):
            raise SourceError(f"{device}: there is no such camera", hint=hint) from error
        raise source_error(device, error, doing="open", hint=hint) from error
