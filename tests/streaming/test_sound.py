"""A live camera's sound: dropped unless it was asked for, kept or disguised, and in step with the picture wherever it goes."""

from __future__ import annotations

import io
import time
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.cameras.settings import Record
from anonymizer.config import load_config
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.packets import PacketReceiver, PacketSender, packet_sockets
from anonymizer.media.camera_source import CameraSource
from anonymizer.media.live_sound import CodedSound
from anonymizer.media.packet_muxing import PacketMuxer, initialization_segment
from anonymizer.streaming.clock import SmoothClock
from anonymizer.streaming.hearing import Hearing, sound_message
from anonymizer.types import EncodedPacket, SoundFormat, SoundPacket, StreamFormat
from tests.streaming.bench.live_filter import LiveFilter, camera
from tests.streaming.drawn_stream import drawn
from tests.streaming.heard import RATE, beeping_clip, coded_sound, loudness, off_s

SECONDS = 8
STEREO = SoundFormat(48_000, 2, bytes.fromhex("119056e500"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return beeping_clip(tmp_path_factory.mktemp("sound"), SECONDS)


# --- the coder


@pytest.mark.parametrize("masked", [False, True])
def test_every_frame_has_the_cameras_time(clip: Path, masked: bool) -> None:
    sound, frames = coded_sound(clip, masked=masked)
    assert (sound.rate, sound.channels) == (48_000, 1)
    steps = np.diff([frame.time_s for frame in frames])
    assert np.abs(steps - 1024 / 48_000).max() < 1e-6
    assert SECONDS - 0.3 < frames[-1].time_s - frames[0].time_s < SECONDS + 0.1


def test_hole_and_jump_are_followed(clip: Path) -> None:
    def hole_then_jump(index: int, packet: av.Packet) -> bool:
        if index >= 60:
            packet.pts += 500 * RATE
            packet.dts = packet.pts
        return not 20 <= index < 40

    _, frames = coded_sound(clip, masked=False, alter=hole_then_jump)
    times_s = np.array([frame.time_s for frame in frames])
    assert np.diff(times_s).max() > 499
    assert 1 < np.sort(np.diff(times_s))[-2] < 1.5


# --- on its way


def test_sound_waits_as_long_as_the_picture_and_has_its_clock() -> None:
    clock, hearing = SmoothClock(), Hearing(0.5)
    reader, sealer = Channel.pair()
    hearing.attach(sealer)
    with reader:
        arrival_s = time.monotonic()
        clock.at(100.0, arrival_s)
        for at in range(3):
            assert reader.send(sound_message(STEREO, CodedSound(100.0 + at / 50, bytes([at]))))
        reader.send(sound_message(STEREO, CodedSound(99.0, b"from before")))
        assert hearing.take()
        assert not hearing.take()
    assert hearing.format == STEREO
    assert hearing.due(arrival_s + 0.4, clock) == []
    packets = hearing.due(time.monotonic() + 0.5, clock)
    assert [packet.data for packet in packets] == [b"\0", b"\1", b"\2"], "one that comes too late, or at another's time, is left out"
    assert [packet.pts - packets[0].pts for packet in packets] == [0, 1800, 3600]
    assert packets[0].pts == round(arrival_s * 90_000)
    hearing.take()
    assert hearing.fd is None, "the reader is gone, and another may come"


def test_clock_that_has_nothing_to_do_with_the_pictures_is_not_believed() -> None:
    clock = SmoothClock()
    assert clock.beside(5.0, 70.0) == 70.0
    clock.at(100.0, 50.0)
    assert clock.beside(100.2, 50.3) == pytest.approx(50.2)
    assert clock.beside(900.0, 50.3) == 50.3


def test_sound_travels_between_pictures_and_never_before_them() -> None:
    ours, theirs = packet_sockets()
    sender, receiver = PacketSender(ours), PacketReceiver(theirs)
    stream = StreamFormat("h264", (640, 360), 25.0, b"\0\0\0\1g", STEREO)
    sender.offer(stream)
    for item in (SoundPacket(1, b"early"), EncodedPacket(2, True, b"key"), SoundPacket(3, b"sound")):
        sender.offer(item)
    assert [receiver.receive(1) for _ in range(3)] == [stream, EncodedPacket(2, True, b"key"), SoundPacket(3, b"sound")]
    assert sender.lost == 0
    sender.close()
    receiver.close()


# --- in files and to servers


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_muxers_take_it_in_step(clip: Path, container: str) -> None:
    sound, frames = coded_sound(clip, masked=False)
    stream, packets = drawn()
    stream = StreamFormat(stream.codec, stream.size_wh, stream.frame_rate, stream.parameter_sets, sound)
    written = io.BytesIO()
    with PacketMuxer(written, container, stream) as muxer:
        muxer.write(SoundPacket(0, b"before the first picture"))
        for packet in packets:
            muxer.write(EncodedPacket(packet.pts + 900_000, packet.is_key, packet.data))
            for frame in frames:
                pts = round(frame.time_s * 90_000)
                if packet.pts <= pts < packet.pts + 3600:
                    muxer.write(SoundPacket(pts + 900_000, frame.data))
        data = written.getvalue()
        assert len(data) > 1000, "nothing waits for the other track"
        muxer.close()
        data = written.getvalue()
    with av.open(io.BytesIO(data)) as file:
        heard = sum(frame.samples for frame in file.decode(audio=0)) / 48_000
    with av.open(io.BytesIO(data)) as file:
        assert len(list(file.decode(video=0))) == len(packets)
    assert heard == pytest.approx(len(packets) / 25, abs=0.15)


def test_pages_fragments_have_no_sound() -> None:
    stream, _ = drawn()
    assert initialization_segment(StreamFormat(stream.codec, stream.size_wh, stream.frame_rate, stream.parameter_sets, STEREO)) == initialization_segment(
        stream
    )


# --- from a camera to everything


@pytest.mark.parametrize(("wanted", "calls"), [("drop", 0), ("keep", 100)])
def test_source_hears_only_what_was_asked_for(clip: Path, wanted: str, calls: int) -> None:
    heard: list[CodedSound] = []
    how = {"sound": wanted, "on_sound": lambda sound, one: heard.append(one)}
    with CameraSource(str(clip), pixel_format="yuv420p", **how) as source:  # type: ignore[arg-type]
        frames = source.frames()
        for _ in range(75):
            next(frames)
        frames.close()  # type: ignore[attr-defined]
    assert len(heard) >= calls
    assert (calls == 0) == (heard == [])


@pytest.mark.slow
@pytest.mark.parametrize("audio", ["keep", "mask", "drop"])
def test_recording_and_viewers_get_what_was_asked_for(clip: Path, tmp_path: Path, audio: str) -> None:
    config = load_config({"detect": "face", "audio": audio}, profile="live").config
    gate = camera("gate", str(clip), outputs=(Record(folder=tmp_path / "recorded", segment_s=60),)).model_copy(update={"config": config})
    with LiveFilter(tmp_path, gate, web=True) as live:
        live.wait_decided("gate")
        time.sleep(1.0)
        with av.open(live.url("gate"), options={"rtsp_transport": "tcp"}, timeout=10) as player:
            kinds = [stream.type for stream in player.streams]
        time.sleep(6.0)
    assert live.exit_code == 0, "\n".join(live.lines)
    assert kinds == (["video"] if audio == "drop" else ["video", "audio"])
    recording = max((tmp_path / "recorded").glob("*.mp4"), key=lambda path: path.stat().st_size)
    if audio == "drop":
        with av.open(str(recording)) as file:
            assert not file.streams.audio
        return
    if audio == "mask":
        # Noise as loud as the beep has 1 kHz in it for a hundredth now and then; a tone lasts.
        assert loudness(recording, 5)[1].max() < 0.2, "the tone itself is nowhere"
        assert loudness(clip, 5)[1].max() > 0.4
        return
    off = off_s(recording)
    assert len(off) >= 4
    assert off == pytest.approx([0] * len(off), abs=0.08)
