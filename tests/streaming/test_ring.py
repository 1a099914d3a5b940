"""Frames in shared memory: whole, or not at all."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from anonymizer.geometry import Geometry
from anonymizer.streaming.ring import SLOTS, Ring
from tests.streaming.raw_frames import raw_frame


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
    with pytest.raises(TypeError):
        reader.write(raw_frame(0))
    reader.close()


def test_epochs_rise_over_readers(pair: tuple[Ring, Ring]) -> None:
    writer, reader = pair
    assert [writer.begin_epoch(), writer.begin_epoch(), reader.last_epoch()] == [1, 2, 2]
