"""Frames in shared memory: whole, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from anonymizer.geometry import Geometry
from anonymizer.streaming.ring import SLOTS, Ring
from tests.streaming.raw_frames import raw_frame

_WRITER = """
import sys
from anonymizer.streaming.ring import Ring
from tests.streaming.raw_frames import raw_frame
ring, frame = Ring(int(sys.argv[1]), writable=True), raw_frame(1, size_wh=(16, 16))
for _ in range(5000):
    ring.write(frame)
"""


@pytest.fixture
def pair() -> object:
    fd = Ring.create()
    writer, reader = Ring(fd, writable=True), Ring(os.dup(fd))
    yield writer, reader
    reader.close()
    writer.close()


def test_frame_comes_out_as_it_went_in(pair: tuple[Ring, Ring]) -> None:
    writer, reader = pair
    frame = raw_frame(7, size_wh=(99, 55), spread_px=3, damaged=True, late_s=0.5)
    assert reader.newest == 0
    writer.write(frame)
    found = reader.read(reader.newest)
    assert found is not None
    assert replace(found, planes=()) == replace(frame, planes=())
    assert all(np.array_equal(one, other) for one, other in zip(found.planes, frame.planes, strict=True))
    assert not any(plane.flags.writeable for plane in found.planes)


def test_frame_that_was_written_over_is_none(pair: tuple[Ring, Ring]) -> None:
    writer, reader = pair
    for index in range(SLOTS + 1):
        writer.write(raw_frame(index))
    assert reader.read(1) is None
    newest = reader.read(reader.newest)
    assert newest is not None
    assert newest.index == SLOTS


def test_frame_that_is_being_written_is_none(pair: tuple[Ring, Ring], monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = pair
    writer.write(raw_frame(0))
    real = type(writer)._start_of
    seen = []

    def start_of(ring: Ring, serial: int) -> int:
        if ring is writer:
            seen.append(reader.read(1))
        return real(ring, serial)

    monkeypatch.setattr(Ring, "_start_of", start_of)
    monkeypatch.setattr("anonymizer.streaming.ring.SLOTS", 1)
    writer.write(raw_frame(1))
    assert seen
    assert reader.read(1) is None, "one slot: the second frame has taken the first one's place"


def test_picture_too_large_is_refused(pair: tuple[Ring, Ring]) -> None:
    writer, _ = pair
    with pytest.raises(ValueError, match="larger"):
        writer.write(raw_frame(0, geometry=Geometry((8192, 4320))))


def test_memory_has_no_name_and_readers_cannot_write() -> None:
    fd = Ring.create()
    assert os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:")
    reader = Ring(fd)
    with pytest.raises(ValueError, match="read-only"):
        reader.write(raw_frame(0))
    reader.close()


def test_memory_cannot_be_cut_off_below_those_who_read() -> None:
    fd = Ring.create()
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


def test_serial_is_never_seen_half_written(pair: tuple[Ring, Ring]) -> None:
    _, reader = pair
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(reader._fd)], pass_fds=[reader._fd]) as writer:
        before = 0
        while writer.poll() is None:
            newest = reader.newest
            assert newest >= before
            before = newest
    assert (writer.returncode, before) == (0, 5000)


def test_no_frame_has_the_serial_0(pair: tuple[Ring, Ring]) -> None:
    writer, reader = pair
    for index in range(SLOTS):
        writer.write(raw_frame(index))
    writer._serials[writer._start_of(0) // 8] = 0  # as while that slot is written over
    assert reader.read(0) is None


def test_epochs_rise_over_readers(pair: tuple[Ring, Ring]) -> None:
    writer, reader = pair
    assert [writer.begin_epoch(), writer.begin_epoch(), reader.last_epoch()] == [1, 2, 2]
