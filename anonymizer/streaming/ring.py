"""Raw frames in memory that three processes share: the reader writes, the detector and the sealer read the newest.

The memory has no name, is never part of a core file and, where the limit on locked memory allows it, never swapped (`child.py`).
A slot holds one frame; the writer never waits: who reads too slowly finds a slot written over, which the slot's serial number tells, and skips it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.types import LIVE_TIME_BASE, Color, Frame

SLOTS = 8
MOST_PIXELS = 4096 * 2304
MOST_SIDE, LEAST_SIDE = 8192, 16  # of a picture that every encoder takes
PIXEL_FORMAT = "yuv420p"  # what every frame is converted to: one layout, and what every viewer's decoder knows
_SLOT_HEAD = 4096  # a page: begins with the serial, then the length of the JSON, then the JSON
_SLOT_BYTES = _SLOT_HEAD + MOST_PIXELS * 3 // 2 + 4096
_HEAD_BYTES = 4096
_LENGTH = struct.Struct("<I")
_NUMBERS_BYTES = 12  # a serial and a length
_MADV_DONTDUMP = 16


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as the reader gave it: where it belongs, when it came, and its planes (read-only copies)."""

    epoch: int  # rises with every new connection, size or format: what was known before holds no more
    index: int  # counts within an epoch
    arrival_s: float  # of the machine's monotonic clock
    source_s: float  # the camera's own time
    late_s: float  # how much later it came than the stream's fastest frames: what waited on the way
    damaged: bool
    interlaced: bool
    spread_px: int
    geometry: Geometry
    frame_rate: float
    color: Color
    planes: tuple[NDArray[np.uint8], ...]

    def frame(self) -> Frame:
        """As the steps know it; `index` is its place in its epoch."""
        return Frame(
            self.index,
            round(self.source_s * 90_000),
            LIVE_TIME_BASE,
            PIXEL_FORMAT,
            self.planes,
            damaged=self.damaged,
            spread_px=self.spread_px,
            color=self.color,
            interlaced=self.interlaced,
        )


class Ring:
    """A ring of slots in a memfd. One process writes, any number read."""

    def __init__(self, fd: int, *, writable: bool = False) -> None:
        self._fd = fd
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(fd, _HEAD_BYTES + SLOTS * _SLOT_BYTES, access=access)
        self._bytes = np.frombuffer(self._map, np.uint8)
        # Serials are written and read whole; `struct` writes a byte after the other, and zeros before them.
        self._serials = self._bytes.view(np.uint64)
        _leave_out_of_cores(self._bytes)

    @staticmethod
    def create() -> int:
        """A descriptor of new, empty memory; pages are taken when they are first written."""
        fd = os.memfd_create("anonymizer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, _HEAD_BYTES + SLOTS * _SLOT_BYTES)
        # Memory that a reader cut off would kill whoever looks at it next.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return fd

    def close(self) -> None:
        """Let go of the memory; it is gone with the last process that has it."""
        del self._bytes, self._serials
        self._map.close()
        os.close(self._fd)

    @property
    def newest(self) -> int:
        """The serial of the newest frame; 0: there is none yet."""
        return int(self._serials[0])

    def last_epoch(self) -> int:
        """The epoch that was begun last, by whichever reader."""
        return int(self._serials[1])

    def begin_epoch(self) -> int:
        """A new epoch: nothing of what came before speaks for what comes now."""
        epoch = self.last_epoch() + 1
        self._serials[1] = epoch
        return epoch

    def write(self, frame: RawFrame) -> None:
        """Put a frame in the oldest slot. ValueError if it is too large."""
        width, height = frame.geometry.coded_wh
        if width * height > MOST_PIXELS:
            raise ValueError(f"pictures of {width}x{height} are larger than {MOST_PIXELS} pixels")
        serial = self.newest + 1
        start = self._start_of(serial)
        self._serials[start // 8] = 0  # Whoever reads this slot now sees at its end that it was written over.
        at = start + _SLOT_HEAD
        for plane in frame.planes:
            flat = plane.reshape(-1) if plane.flags.c_contiguous else np.ascontiguousarray(plane).reshape(-1)
            self._bytes[at : at + flat.size] = flat
            at += flat.size
        text = json.dumps(_values_of(frame)).encode()
        self._map[start + _NUMBERS_BYTES : start + _NUMBERS_BYTES + len(text)] = text
        _LENGTH.pack_into(self._map, start + 8, len(text))
        self._serials[start // 8] = serial
        self._serials[0] = serial

    def read(self, serial: int) -> RawFrame | None:
        """A copy of the frame of that serial; None if it was written over already."""
        start = self._start_of(serial)
        (length,) = _LENGTH.unpack_from(self._map, start + 8)
        if serial == 0 or self._serials[start // 8] != serial or not 0 < length <= _SLOT_HEAD - _NUMBERS_BYTES:
            return None
        values = bytes(self._map[start + _NUMBERS_BYTES : start + _NUMBERS_BYTES + length])
        try:
            frame = _frame_of(json.loads(values), self._bytes[start + _SLOT_HEAD : start + _SLOT_BYTES])
        except (ValueError, KeyError, TypeError):
            frame = None  # torn: the serial below says so, too
        return frame if self._serials[start // 8] == serial else None

    def _start_of(self, serial: int) -> int:
        return _HEAD_BYTES + serial % SLOTS * _SLOT_BYTES


def _values_of(frame: RawFrame) -> dict[str, Any]:
    geometry, color = frame.geometry, frame.color
    plain = ("epoch", "index", "arrival_s", "source_s", "late_s", "damaged", "interlaced", "spread_px", "frame_rate")
    return {name: getattr(frame, name) for name in plain} | {
        "geometry": [geometry.coded_wh, geometry.orientation, str(geometry.sample_aspect_ratio)],
        "color": [color.range, color.primaries, color.transfer, color.matrix],
    }


def _frame_of(values: dict[str, Any], samples: NDArray[np.uint8]) -> RawFrame:
    size_wh, orientation, aspect = values.pop("geometry")
    if not (1 <= values["frame_rate"] <= 240 and all(np.isfinite(values[name]) for name in ("arrival_s", "source_s", "late_s"))):
        raise ValueError("no reader of ours writes such a frame")
    width, height = size_wh
    chroma_w, chroma_h = (width + 1) // 2, (height + 1) // 2
    planes, at = [], 0
    for rows, columns in ((height, width), (chroma_h, chroma_w), (chroma_h, chroma_w)):
        plane = samples[at : at + rows * columns].reshape(rows, columns).copy()
        plane.flags.writeable = False
        planes.append(plane)
        at += rows * columns
    color = Color(*values.pop("color"))
    return RawFrame(geometry=Geometry((width, height), orientation, Fraction(aspect)), color=color, planes=tuple(planes), **values)


def _leave_out_of_cores(samples: NDArray[np.uint8]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise(ctypes.c_void_p(samples.ctypes.data), ctypes.c_size_t(samples.size), _MADV_DONTDUMP)
