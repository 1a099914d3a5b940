"""The file an output goes to, as FFmpeg's muxers see it: it fails once, and everyone hears of it."""

from __future__ import annotations

import io
from pathlib import Path
from types import FrameType

from anonymizer.regular import create_regular


class OutputFile:
    """A file open for writing; `failure` is the first error it met.

    PyAV prints a second error of the same file to the terminal, and muxers go on for a while after the first. So
    from the first one on every write seems to work, and the writer asks for `failure` before it believes anything.
    """

    def __init__(self, path: Path) -> None:
        self._file = create_regular(path)
        self.name = path.name
        self.failure: OSError | None = None
        self.interruption: BaseException | None = None  # what a signal's handler could not raise while FFmpeg wrote

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        if self.failure is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.failure = error
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.failure = self.failure or error
            return offset

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Close for good; an error in here is kept, too."""
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or error

    def check(self) -> None:
        """Raise what interrupted a write, or the first error that was met."""
        if self.interruption is not None:
            raise self.interruption
        if self.failure is not None:
            raise self.failure


_CALLED_BY_FFMPEG = frozenset(method.__code__ for method in (OutputFile.write, OutputFile.seek, OutputFile.tell))


def file_written_in(frame: FrameType | None) -> OutputFile | None:
    """The file that FFmpeg writes to while that frame of Python code runs: what is raised in there, PyAV prints and loses."""
    while frame is not None:
        if frame.f_code in _CALLED_BY_FFMPEG:
            file = frame.f_locals["self"]
            assert isinstance(file, OutputFile)
            return file
        frame = frame.f_back
    return None
