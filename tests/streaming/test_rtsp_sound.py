"""Sound served over RTSP: a second track for who sets it up, AAC as RFC 3640 has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import av
import pytest

from anonymizer.ipc.packets import PacketReceiver, PacketSender, packet_sockets
from anonymizer.rtsp.rtp import MOST_PAYLOAD, sound_payloads_of
from anonymizer.types import EncodedPacket, SoundFormat, SoundPacket
from tests.streaming.drawn_stream import drawn
from tests.streaming.heard import beeping_clip, coded_sound
from tests.streaming.rtsp_world import TCP, Client, served


@pytest.mark.parametrize("size", [1, 400, MOST_PAYLOAD - 4, MOST_PAYLOAD - 3, 3000])
def test_frames_of_sound_are_cut_for_rtp(size: int) -> None:
    data = bytes(range(256)) * 12
    payloads = sound_payloads_of(data[:size])
    assert all(len(payload) <= MOST_PAYLOAD and payload[:2] == b"\0\x10" for payload in payloads)
    assert {int.from_bytes(payload[2:4], "big") >> 3 for payload in payloads} == {size}
    assert b"".join(payload[4:] for payload in payloads) == data[:size]


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> tuple[SoundFormat, list[bytes]]:
    sound, frames = coded_sound(beeping_clip(tmp_path_factory.mktemp("sound"), 2), masked=False)
    return sound, [frame.data for frame in frames]


@pytest.fixture
def gate(coded: tuple[SoundFormat, list[bytes]]) -> Iterator[tuple[int, SoundFormat]]:
    """A server with a camera that has sound, and its port."""
    sound, frames = coded
    stream, packets = drawn()
    ours, theirs = packet_sockets()
    over = threading.Event()

    def feed() -> None:
        sender = PacketSender(ours)
        sender.offer(replace(stream, sound=sound))
        begun, index, said = round(time.monotonic() * 90_000), 0, 0
        while not over.wait(max(0.0, (begun + 3600 * index) / 90_000 - time.monotonic())):
            packet = packets[index % len(packets)]
            sender.offer(EncodedPacket(begun + 3600 * index, packet.is_key, packet.data))
            index += 1
            while said * 1920 < 3600 * index:
                sender.offer(SoundPacket(begun + said * 1920, frames[said % len(frames)]))
                said += 1
        sender.close()

    feeder = threading.Thread(target=feed, daemon=True)
    with served() as server:
        server.add("gate", PacketReceiver(theirs))
        feeder.start()
        yield server.port, sound
        over.set()
        feeder.join(5)


def test_players_hear_it(gate: tuple[int, SoundFormat]) -> None:
    port, _ = gate
    heard_s, seen = 0.0, 0
    with av.open(f"rtsp://127.0.0.1:{port}/gate", options={"rtsp_transport": "tcp"}, timeout=10) as player:
        assert [stream.type for stream in player.streams] == ["video", "audio"]
        for packet in player.demux():
            for frame in packet.decode():
                seen += isinstance(frame, av.VideoFrame)
                heard_s += frame.samples / 48_000 if isinstance(frame, av.AudioFrame) else 0
            if seen >= 60:
                break
    assert heard_s == pytest.approx(60 / 25, abs=0.5)


def test_who_sets_up_the_picture_alone_gets_no_sound(gate: tuple[int, SoundFormat]) -> None:
    port, _ = gate
    with Client(port) as client:
        client.play("gate")
        assert {client.frame()[0] for _ in range(200)} <= {0, 1}


@pytest.mark.parametrize(
    ("first", "transport", "status"),
    [
        pytest.param("track2", TCP, 455, id="sound-first"),
        pytest.param("track1", {"Transport": "RTP/AVP/TCP;unicast;interleaved=2-3"}, 200, id="second"),
        pytest.param("track1", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}, 461, id="the-picture's-channels"),
        pytest.param("track1", {"Transport": "RTP/AVP;unicast;client_port=5000-5001"}, 461, id="udp"),
    ],
)
def test_setting_up_the_second_track(gate: tuple[int, SoundFormat], first: str, transport: dict[str, str], status: int) -> None:
    port, sound = gate
    with Client(port) as client:
        uri = f"rtsp://127.0.0.1:{port}/gate"
        _, _, body = client.ask("DESCRIBE", uri)
        assert f"config={sound.config.hex().upper()}" in body.decode()
        found, headers, _ = client.ask("SETUP", f"{uri}/{first}", TCP)
        if first == "track1":
            session = headers["session"][0].partition(";")[0]
            found, _, _ = client.ask("SETUP", f"{uri}/track2", {**transport, "Session": session})
            if status == 200:
                again, _, _ = client.ask("SETUP", f"{uri}/track2", {"Transport": "RTP/AVP/TCP;unicast;interleaved=4-5", "Session": session})
                assert again == 455
        assert found == status


def test_camera_without_sound_has_no_second_track() -> None:
    stream, packets = drawn()
    ours, theirs = packet_sockets()
    with served() as server:
        server.add("gate", PacketReceiver(theirs))
        sender = PacketSender(ours)
        sender.offer(stream)
        sender.offer(packets[0])
        with Client(server.port) as client:
            uri = f"rtsp://127.0.0.1:{server.port}/gate"
            _, _, body = client.ask("DESCRIBE", uri)
            assert b"m=audio" not in body
            _, headers, _ = client.ask("SETUP", f"{uri}/track1", TCP)
            session = headers["session"][0].partition(";")[0]
            status, _, _ = client.ask("SETUP", f"{uri}/track2", {"Transport": "RTP/AVP/TCP;unicast;interleaved=2-3", "Session": session})
            assert status == 404
        sender.close()
