"""Recordings: whole, playable files under their names, whatever happens to the process or the disk."""

from __future__ import annotations

import os
import random
import resource
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from anonymizer.cameras.settings import Record
from anonymizer.publishing import staged
from anonymizer.sinks.disk import DiskWorker
from anonymizer.sinks.record import Recorder, SegmentFolder
from anonymizer.sinks.whole import WHOLE_BYTES
from anonymizer.types import EncodedPacket, StreamFormat
from tests.streaming.feeding import START_PTS, DrawnStream, running_sink

CONTAINERS = ["mp4", "mkv", "ts"]


def frames_in(path: Path) -> int:
    with av.open(str(path)) as recording:
        return sum(1 for _ in recording.decode(video=0))


def named(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def settings(folder: Path, **wishes: object) -> Record:
    return Record.model_validate({"folder": folder, **wishes})


def record(folder: Path, packets: list[EncodedPacket], stream: StreamFormat, **wishes: object) -> Recorder:
    recorder = Recorder("gate", settings(folder, **wishes))
    recorder.take(stream)
    for packet in packets:
        recorder.take(packet)
    return recorder


@pytest.mark.parametrize("container", CONTAINERS)
def test_process_cuts_segments_at_key_frames_and_ends_cleanly(container, tmp_path):
    with running_sink("record", {"kind": "record", "folder": str(tmp_path), "segment_s": 1.0, "container": container}) as sink:
        feeder = sink.feed(DrawnStream())
        sink.wait_for(lambda beat: beat["state"] == "up" and beat["packets"] >= 60)
        feeder.stop()
        time.sleep(0.3)
        assert sink.stop() == 0
        assert sink.longest_silence_s() < 2
    files = named(tmp_path)
    assert len(files) >= 2
    assert sum(frames_in(path) for path in files) == feeder.sent
    assert {frames_in(path) for path in files[:-1]} == {36}  # three groups of pictures: the first that end after a second
    assert all(SegmentFolder(tmp_path, "gate")._name.fullmatch(path.name) for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
def test_killed_at_any_time_only_whole_segments_have_names(container, tmp_path):
    random.seed(container)
    for _ in range(3):
        with running_sink("record", {"kind": "record", "folder": str(tmp_path), "segment_s": 1.0, "container": container}) as sink:
            sink.feed(DrawnStream(), speed=3.0)
            sink.wait_for(lambda beat: beat["packets"] > 0)
            time.sleep(random.uniform(0.0, 1.2))
            sink.kill()
        for path in named(tmp_path):
            assert frames_in(path) > 0
    Recorder("gate", settings(tmp_path)).close()
    files = named(tmp_path)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    for path in files:
        assert frames_in(path) > 0
        assert subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_cut_of_a_file_leaves_what_plays(container, tmp_path):
    stream = DrawnStream()
    recorder = record(tmp_path, stream.packets(60), stream.format, container=container)
    (hidden,) = tmp_path.iterdir()
    data = hidden.read_bytes()
    recorder.close()
    (whole,) = named(tmp_path)
    states = [data[: len(data) * part // 23] for part in range(24)] + [whole.read_bytes()]
    counts = []
    for state in states:
        cut = tmp_path / f"cut.{container}"
        cut.write_bytes(state)
        with cut.open("r+b") as file:
            length = WHOLE_BYTES[cut.suffix](file)
            file.truncate(length)
        assert length <= len(state)
        counts.append(frames_in(cut) if length else 0)
        if length:
            assert subprocess.run(["ffmpeg", "-v", "error", "-i", cut, "-f", "null", "-"], capture_output=True, check=True).stderr == b""
    assert counts == sorted(counts)
    assert counts[-2] >= 36
    assert counts[-1] >= 59  # of MPEG-TS the last frame is given up: whether it is whole, nobody can tell


def test_leftover_of_a_living_run_and_other_cameras_files_stay(tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    (tmp_path / "door_2020-01-01T00-00-00.000Z.mp4").write_bytes(b"another camera's")
    with staged(tmp_path / "gate_2026-01-01T00-00-00.000Z.mp4") as living:
        Recorder("gate", settings(tmp_path, keep_s=1)).close()
        assert living.exists()
        living.write_bytes(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "door_2020-01-01T00-00-00.000Z.mp4",
        "gate_2026-01-01T00-00-00.000Z.mp4",
        "holiday.mp4",
    ]


def test_leftover_without_a_whole_fragment_is_removed(tmp_path):
    stream = DrawnStream()
    recorder = record(tmp_path, stream.packets(3), stream.format)
    (hidden,) = tmp_path.iterdir()
    data = hidden.read_bytes()
    recorder.close()
    for path in named(tmp_path):
        path.unlink()
    hidden.write_bytes(data)
    Recorder("gate", settings(tmp_path)).close()
    assert list(tmp_path.iterdir()) == []


def test_segments_begin_anew_by_size_by_format_and_when_time_runs_backwards(tmp_path):
    noisy, small = DrawnStream(noisy=True, size_wh=(320, 240)), DrawnStream(size_wh=(96, 64))
    recorder = record(tmp_path, noisy.packets(36), noisy.format, segment_mb=1, segment_s=3600)
    by_size = len(list(tmp_path.iterdir()))
    recorder.take(small.format)
    for packet in small.packets(12):
        recorder.take(packet)
    by_format = len(list(tmp_path.iterdir()))
    for packet in small.packets(12, start_pts=1000):
        recorder.take(packet)
    recorder.close()
    assert by_size >= 1
    assert by_format == by_size + 1
    assert len(named(tmp_path)) == by_format + 1
    assert sum(frames_in(path) for path in named(tmp_path)) == 60


def test_the_same_format_again_does_not_cut(tmp_path):
    stream = DrawnStream()
    recorder = record(tmp_path, stream.packets(12), stream.format)
    recorder.take(stream.format)
    for packet in stream.packets(12, start_pts=START_PTS + 1_000_000):
        recorder.take(packet)
    recorder.close()
    assert [frames_in(path) for path in named(tmp_path)] == [24]


def test_retention_by_age_goes_by_the_name(tmp_path):
    folder = SegmentFolder(tmp_path, "gate")
    now = datetime.now(UTC)
    ages = {hours: folder.path_at(now - timedelta(hours=hours), "mp4") for hours in (1, 5, 30)}
    for path in ages.values():
        path.write_bytes(b"x")
    folder.remove_old(settings(tmp_path, keep_s=6 * 3600))
    assert [hours for hours, path in ages.items() if path.exists()] == [1, 5]


def test_retention_by_size_removes_the_oldest(tmp_path):
    folder = SegmentFolder(tmp_path, "gate")
    paths = [folder.path_at(datetime(2026, 1, day, tzinfo=UTC), "mp4") for day in (1, 2, 3)]
    for path in paths:
        path.write_bytes(bytes(600_000))
    folder.remove_old(settings(tmp_path, keep_mb=1.3))
    assert [path.exists() for path in paths] == [False, True, True]


def test_name_with_an_impossible_date_is_somebody_elses(tmp_path):
    strange = tmp_path / "gate_2026-02-30T10-00-00.000Z.mp4"
    strange.write_bytes(b"x")
    stream = DrawnStream()
    record(tmp_path, stream.packets(12), stream.format, keep_s=1, keep_mb=1).close()
    assert strange.read_bytes() == b"x"
    assert [frames_in(path) for path in named(tmp_path) if path != strange] == [12]


def test_file_that_vanishes_while_it_is_counted_is_passed_over(tmp_path, monkeypatch):
    folder = SegmentFolder(tmp_path, "gate")
    paths = [folder.path_at(datetime(2026, 1, day, tzinfo=UTC), "mp4") for day in (1, 2)]
    for path in paths:
        path.write_bytes(b"x")
    scan = os.scandir

    @contextmanager
    def scan_and_lose(where: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scan(where) as entries:
            found = list(entries)
        paths[0].unlink()
        yield found

    monkeypatch.setattr("os.scandir", scan_and_lose)
    assert [kept.path for kept in folder.segments()] == paths[1:]


def test_retention_that_fails_does_not_end_the_recording(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(SegmentFolder, "remove_old", fail)
    stream = DrawnStream()
    recorder = record(tmp_path, stream.packets(12), stream.format, keep_s=3600)
    recorder._cleaned_s = -1e9
    recorder.tick()
    recorder.close()
    assert [frames_in(path) for path in named(tmp_path)] == [12]


def test_output_ticks_by_the_clock_while_packets_come(monkeypatch):
    class Ticking:
        ticks = 0

        def take(self, item: object) -> None: ...
        def close(self) -> None: ...
        def abandon(self) -> None: ...
        def tick(self) -> None:
            self.ticks += 1

    monkeypatch.setattr("anonymizer.sinks.disk._TICK_S", 0.2)
    output, stream = Ticking(), DrawnStream(rate=50, gop=10)
    worker = DiskWorker(lambda: output)
    worker.feed.offer(stream.format)
    for packet in stream.packets(50):
        worker.feed.offer(packet)
        time.sleep(0.02)
    worker.close()
    assert worker.status.packets == 50
    assert 3 <= output.ticks <= 8


def test_names_are_unique_when_the_clock_stands_still(tmp_path, monkeypatch):
    monkeypatch.setattr("anonymizer.sinks.record.wall_time_s", lambda packet: 1_700_000_000.0)
    stream = DrawnStream()
    record(tmp_path, stream.packets(40), stream.format, segment_s=1).close()
    record(tmp_path, DrawnStream().packets(40), stream.format, segment_s=1).close()
    assert sorted(path.name[-8:-4] for path in named(tmp_path)) == ["000Z", "001Z", "002Z", "003Z"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
def test_full_disk_keeps_what_is_whole_says_so_and_goes_on_later(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    with running_sink("record", {"kind": "record", "folder": str(small_disk), "segment_s": 60}) as sink:
        sink.feed(DrawnStream(noisy=True))
        beat = sink.wait_for(lambda beat: beat["state"] == "stopped")
        assert "no space left on device" in beat["fault"]
        ballast.unlink()
        packets = beat["packets"]
        sink.wait_for(lambda beat: beat["state"] == "up" and beat["packets"] > packets + 5, within_s=20)
        assert sink.longest_silence_s() < 2
        assert sink.stop() == 0
    files = named(small_disk)
    assert len(files) == 2
    assert all(frames_in(path) > 0 for path in files)
    assert [path.name for path in small_disk.iterdir() if path.name.startswith(".")] == []


def test_limit_on_file_size_is_a_full_disk(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    stream = DrawnStream(noisy=True)
    packets = stream.packets(60)
    recorder = Recorder("gate", settings(tmp_path))
    recorder.take(stream.format)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            [recorder.take(packet) for packet in packets]
        recorder.abandon()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [frames_in(path) > 0 for path in named(tmp_path)] == [True]


def test_disk_that_does_not_answer_is_said_and_does_not_stop_the_loop():
    class Stuck:
        def take(self, item: object) -> None:
            time.sleep(30)

        def tick(self) -> None: ...
        def close(self) -> None: ...
        def abandon(self) -> None: ...

    stream = DrawnStream()
    worker = DiskWorker(Stuck)
    worker.feed.offer(stream.format)
    worker.feed.offer(stream.packets(1)[0])
    time.sleep(0.3)
    begun_s = time.monotonic()
    worker.watch(begun_s + 6)
    assert worker.status.state == "stopped"
    assert worker.status.fault == "the disk has not answered for 6 s"
    worker.close()
    assert time.monotonic() - begun_s < 3


def test_bug_in_the_thread_ends_the_process():
    def broken() -> Recorder:
        raise KeyError("bug")

    stream = DrawnStream()
    worker = DiskWorker(broken)
    worker.feed.offer(stream.format)
    worker.feed.offer(stream.packets(1)[0])
    time.sleep(0.3)
    with pytest.raises(KeyError):
        worker.watch(time.monotonic())
    worker.close()
