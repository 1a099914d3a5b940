"""HLS in a folder: the playlist names whole files only, and its numbers go on."""

from __future__ import annotations

import re
import time
from pathlib import Path

import av
import pytest

from anonymizer.cameras.settings import Hls
from anonymizer.publishing import staged
from anonymizer.sinks.hls import PLAYLIST, HlsFolder
from anonymizer.sinks.playlist import read_playlist
from tests.streaming.feeding import START_PTS, DrawnStream, running_sink


def settings(folder: Path) -> Hls:
    return Hls(folder=folder, segment_s=0.5, segments=4)


def text_of(folder: Path) -> str:
    return (folder / PLAYLIST).read_text()


def frames_in(folder: Path) -> int:
    ended = folder / "ended.m3u8"  # FFmpeg would wait for more of a playlist without an end.
    ended.write_text(text_of(folder).removesuffix("#EXT-X-ENDLIST\n") + "#EXT-X-ENDLIST\n")
    with av.open(str(ended)) as playlist:
        count = sum(1 for _ in playlist.decode(video=0))
    ended.unlink()
    return count


def write(folder: Path, stream: DrawnStream, groups: int, start_pts: int = START_PTS) -> HlsFolder:
    hls = HlsFolder(settings(folder))
    hls.take(stream.format)
    for packet in stream.packets(12 * groups + 1, start_pts):
        hls.take(packet)
    return hls


def test_process_writes_a_playlist_that_plays_and_says_its_end(tmp_path):
    with running_sink("hls", {"kind": "hls", "folder": str(tmp_path), "segment_s": 0.5, "segments": 4}) as sink:
        sink.feed(DrawnStream())
        sink.wait_for(lambda beat: beat["state"] == "up" and beat["packets"] > 40)
        assert sink.stop() == 0
    assert text_of(tmp_path).endswith("#EXT-X-ENDLIST\n")
    assert frames_in(tmp_path) > 36


@pytest.mark.slow
def test_killed_at_any_time_the_playlist_names_whole_segments_and_goes_on(tmp_path):
    last = -1
    for delay_s in (0.1, 0.5, 0.9):
        with running_sink("hls", {"kind": "hls", "folder": str(tmp_path), "segment_s": 0.5, "segments": 4}) as sink:
            sink.feed(DrawnStream())
            sink.wait_for(lambda beat: beat["packets"] > 20)
            time.sleep(delay_s)
            sink.kill()
        text = text_of(tmp_path)
        assert frames_in(tmp_path) % 12 == 0
        first = int(re.search(r"MEDIA-SEQUENCE:(\d+)", text)[1])
        assert [int(number) for number in re.findall(r"segment_(\d+)", text)] == list(range(first, first + len(re.findall("EXTINF", text))))
        assert first > last - 4
        last = max(int(number) for number in re.findall(r"segment_(\d+)", text))


def test_old_segments_leave_the_playlist_first_and_the_folder_later(tmp_path):
    write(tmp_path, DrawnStream(), groups=12)
    numbers = [int(number) for number in re.findall(r"segment_(\d+)", text_of(tmp_path))]
    assert numbers == [8, 9, 10, 11]
    there = sorted(int(path.stem[-8:]) for path in tmp_path.glob("segment_*"))
    assert there == [4, 5, 6, 7, 8, 9, 10, 11]


def test_new_format_is_a_break_with_its_own_initialization(tmp_path):
    hls = write(tmp_path, DrawnStream(), groups=2)
    other = DrawnStream(size_wh=(96, 64))
    hls.take(other.format)
    for packet in other.packets(13, start_pts=START_PTS + 9_000_000):
        hls.take(packet)
    text = text_of(tmp_path)
    assert text.count("#EXT-X-MAP") == 2
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert text.index("#EXT-X-DISCONTINUITY\n") < text.rindex("#EXT-X-MAP")


def test_time_that_runs_backwards_is_a_break(tmp_path):
    stream = DrawnStream()
    hls = write(tmp_path, stream, groups=1)
    for packet in stream.packets(36, start_pts=1000):
        hls.take(packet)
    assert text_of(tmp_path).count("#EXT-X-DISCONTINUITY\n") == 1


def test_restart_goes_on_after_what_was_named_and_removes_what_was_not(tmp_path):
    write(tmp_path, DrawnStream(), groups=3)
    unnamed = tmp_path / "segment_00000003.m4s"
    unnamed.write_bytes(b"killed before the playlist named it")
    (tmp_path / "notes.txt").write_text("not ours")
    write(tmp_path, DrawnStream(), groups=2, start_pts=START_PTS + 9_000_000)
    playlist = read_playlist(text_of(tmp_path), 4, 1)
    assert [segment.number for segment in playlist.segments] == [1, 2, 3, 4]
    assert [segment.is_break for segment in playlist.segments] == [False, False, True, False]
    assert unnamed.read_bytes()[4:8] == b"moof"
    assert (tmp_path / "notes.txt").exists()
    assert frames_in(tmp_path) == 48


def test_lost_segment_makes_no_hole_in_the_numbers(tmp_path):
    write(tmp_path, DrawnStream(), groups=4)
    (tmp_path / "segment_00000002.m4s").unlink()
    write(tmp_path, DrawnStream(), groups=1)
    assert [segment.number for segment in read_playlist(text_of(tmp_path), 4, 1).segments] == [3, 4]


@pytest.fixture
def an_hour_later(monkeypatch):
    now_s = time.time
    return lambda: monkeypatch.setattr("time.time", lambda: now_s() + 3600)


def test_restart_hours_later_does_not_go_on_with_old_segments(tmp_path, an_hour_later):
    write(tmp_path, DrawnStream(), groups=3).close()
    an_hour_later()
    for _ in range(2):  # Killed before the first segment, it still knows where it was.
        HlsFolder(settings(tmp_path))
        assert "segment_" not in text_of(tmp_path)
        assert "#EXT-X-ENDLIST" not in text_of(tmp_path)
        assert list(tmp_path.glob("segment_*")) == []
    write(tmp_path, DrawnStream(), groups=1)
    (segment,) = read_playlist(text_of(tmp_path), 4, 1).segments
    assert segment.number == 4
    assert segment.is_break


def test_old_segments_leave_though_no_packets_come(tmp_path, an_hour_later):
    hls = write(tmp_path, DrawnStream(), groups=6)
    hls.tick()
    assert text_of(tmp_path).count("#EXTINF") == 4
    an_hour_later()
    hls.tick()
    assert "segment_" not in text_of(tmp_path)
    assert list(tmp_path.glob("segment_*")) == []


def test_segments_longer_than_asked_for_are_not_old(tmp_path, monkeypatch):
    stream = DrawnStream(gop=125)  # five seconds for the half that was asked for
    monkeypatch.setattr("anonymizer.sinks.hls.wall_time_s", lambda packet: time.time() - 20 + (packet.pts - START_PTS) / 90_000)
    hls = HlsFolder(settings(tmp_path))
    hls.take(stream.format)
    for packet in stream.packets(501):
        hls.take(packet)
    hls.tick()
    assert text_of(tmp_path).count("#EXTINF") == 4


def test_lost_playlist_does_not_begin_at_nought_again(tmp_path):
    write(tmp_path, DrawnStream(), groups=4)
    (tmp_path / PLAYLIST).unlink()
    write(tmp_path, DrawnStream(), groups=1)
    assert "segment_00000004.m4s" in text_of(tmp_path)


def test_hidden_leftovers_are_removed_unless_someone_holds_them(tmp_path):
    (tmp_path / ".segment_00000001.anonymizer-0123456789ab.part.m4s").write_bytes(b"left over")
    with staged(tmp_path / "segment_00000002.m4s") as living:
        HlsFolder(settings(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [living.name]
        living.write_bytes(b"x")


def test_without_key_frames_memory_does_not_grow(tmp_path):
    hls = HlsFolder(settings(tmp_path))
    stream = DrawnStream(gop=10_000, size_wh=(32, 32))
    hls.take(stream.format)
    for packet in stream.packets(25 * 40):
        hls.take(packet)
    assert len(hls._waiting) == 0
