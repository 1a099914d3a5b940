"""A camera and a server to push to that others wrote: GStreamer's, each in a process of its own.

The camera paints and codes here, in real time, and hands its frames to GStreamer through a FIFO: the counter never starts over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.streaming.bench.coded import Coding, Counting, PaintedEncoder

SYSTEM_PYTHON = Path("/usr/bin/python3")
_SCRIPT = Path(__file__).with_name("gst_server.py")
_READY_WITHIN_S = 20.0


def is_available() -> bool:
    """Whether this machine has GStreamer's RTSP server for the system's Python."""
    if not SYSTEM_PYTHON.exists():
        return False
    test = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    return subprocess.run([str(SYSTEM_PYTHON), "-c", test], capture_output=True, timeout=60, check=False).returncode == 0


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _server(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(SYSTEM_PYTHON), str(_SCRIPT), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        watchdog = threading.Timer(_READY_WITHIN_S, process.kill)
        watchdog.start()
        line = process.stdout.readline()
        watchdog.cancel()
        if line.strip() != "ready":
            raise RuntimeError("GStreamer's RTSP server did not start")
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def push_target(file: Path, port: int | None = None) -> Iterator[str]:
    """A server to push to; the address to push to. What came is in the file, as MPEG-TS."""
    port = port or free_port()
    with _server(str(port), "record", str(file)):
        yield f"rtsp://127.0.0.1:{port}/push"


class GstCamera(Counting):
    """A live camera behind GStreamer's RTSP server."""

    def __init__(self, folder: Path, coding: Coding | None = None, *, port: int | None = None, first_counter: int = 0) -> None:
        super().__init__(coding, first_counter)
        if self.coding.codec != "h264":
            raise ValueError("GStreamer's camera speaks H.264 only")
        self.port = port or free_port()
        self._fifo = folder / "camera.h264"
        self._stopping = threading.Event()
        self._feeder = threading.Thread(target=self._feed, name="gst-camera", daemon=True)
        self._exits = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def __enter__(self) -> Self:
        os.mkfifo(self._fifo, 0o600)
        self._exits.enter_context(_server(str(self.port), "pull", str(self._fifo), str(self.coding.rate)))
        self._feeder.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        self._exits.close()
        self._feeder.join(10)
        self._fifo.unlink(missing_ok=True)

    def _feed(self) -> None:
        """Frames into the FIFO, again for whoever opens it next."""
        while not self._stopping.is_set():
            try:
                end = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in (errno.ENXIO, errno.ENOENT):
                    raise
                self._stopping.wait(0.05)  # Nobody reads yet.
                continue
            os.set_blocking(end, True)
            with contextlib.suppress(BrokenPipeError), os.fdopen(end, "wb", buffering=0) as fifo:
                self._write_frames(fifo.fileno())

    def _write_frames(self, fd: int) -> None:
        encoder, last = PaintedEncoder(self.coding), -1
        while not self._stopping.is_set():
            counter = self.counter
            if counter == last:
                self._stopping.wait(0.5 / self.coding.rate)
                continue
            last = counter
            data = b"".join(b"\0\0\0\1" + nal for nal in encoder.encode(counter).nals)
            while data:
                data = data[os.write(fd, data) :]
