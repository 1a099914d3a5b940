"""What strangers send and fail to read: it costs them their connection, and nobody else a frame."""

from __future__ import annotations

import random
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymizer.ipc.packets import PacketReceiver, packet_sockets
from anonymizer.rtsp.limits import Limits
from tests.streaming.drawn_stream import sealer
from tests.streaming.rtsp_world import TCP, Client, Served, served
from tests.streaming.test_rtsp_playing import wait_for

OPTIONS = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"

BROKEN = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="http"),
    pytest.param(b"OPTIONS * RTSP/2.0\r\nCSeq: 7\r\n\r\n", 505, id="rtsp-2"),
    pytest.param(b"OPTIONS *\r\nCSeq: 7\r\n\r\n", 400, id="no-version"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\n\r\n", 400, id="no-cseq"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: -1\r\n\r\n", 400, id="negative-cseq"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nCSeq: 2\r\n\r\n", 400, id="two-cseq"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 99999999999999\r\n\r\n", 400, id="huge-cseq"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: \xc2\xb2\r\n\r\n", 400, id="superscript-cseq"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nno colon\r\n\r\n", 400, id="no-colon"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n folded: x\r\n\r\n", 400, id="folded"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nX: a\nb\r\n\r\n", 400, id="bare-newline"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nX: \0\r\n\r\n", 400, id="zero-byte"),
    pytest.param(b"OPTIONS \xff RTSP/1.0\r\nCSeq: 7\r\n\r\n", 400, id="no-utf-8"),
    pytest.param(b"DESCRIBE file:///etc/passwd RTSP/1.0\r\nCSeq: 7\r\n\r\n", 400, id="other-scheme"),
    pytest.param(b"DESCRIBE rtsp://a b/ RTSP/1.0\r\nCSeq: 7\r\n\r\n", 400, id="blank-in-address"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: -5\r\n\r\n", 400, id="negative-length"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 999999999\r\n\r\n", 413, id="huge-body"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="two-lengths"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431, id="many-headers"),
    pytest.param(b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\nX: " + b"y" * 5000 + b"\r\n\r\n", 431, id="long-line"),
    pytest.param(b"OPTIONS " + b"x" * 100_000, 431, id="endless-line"),
    pytest.param(b"$\0\xff\xff", 413, id="huge-frame"),
    pytest.param(b"\r\n" * 20, 400, id="blank-lines"),
]


@pytest.fixture(scope="module")
def gate() -> object:
    with served() as server, sealer() as running:
        server.add("gate", running.receiver)
        yield server


@pytest.mark.parametrize(("request_", "status"), BROKEN)
def test_a_malformed_request_is_answered_and_the_connection_closed(request_: bytes, status: int, gate: Served) -> None:
    with Client(gate.port) as client:
        client.send(request_)
        assert client.answer()[0] == status
        assert client.is_closed()


REFUSED = [
    pytest.param("DESCRIBE", "/nothing", {}, 404, id="unknown-camera"),
    pytest.param("DESCRIBE", "/", {}, 404, id="no-camera"),
    pytest.param("DESCRIBE", "/gate/../gate", {}, 404, id="dots"),
    pytest.param("DESCRIBE", "/gate/track2", {}, 404, id="unknown-track"),
    pytest.param("DESCRIBE", "/gate", {"Accept": "text/html"}, 406, id="other-description"),
    pytest.param("DESCRIBE", "/gate", {"Require": "onvif-replay"}, 551, id="required-option"),
    pytest.param("SETUP", "/gate/track1", {"Transport": "RTP/AVP;unicast;client_port=5000-5001"}, 461, id="udp"),
    pytest.param("SETUP", "/gate/track1", {"Transport": "RTP/AVP/UDP;multicast"}, 461, id="multicast"),
    pytest.param("SETUP", "/gate/track1", {"Transport": "RTP/SAVP/TCP;interleaved=0-1"}, 461, id="srtp"),
    pytest.param("SETUP", "/gate/track1", {"Transport": "RTP/AVP/TCP;interleaved=0-1;mode=RECORD"}, 461, id="record"),
    pytest.param("SETUP", "/gate/track1", {"Transport": "RTP/AVP/TCP;interleaved=256-257"}, 461, id="channels-too-high"),
    pytest.param("SETUP", "/gate/track1", {}, 461, id="no-transport"),
    pytest.param("PLAY", "/gate", {}, 455, id="play-before-setup"),
    pytest.param("PLAY", "/gate", {"Session": "1"}, 454, id="unknown-session"),
    pytest.param("TEARDOWN", "/gate", {"Session": "1"}, 454, id="teardown-of-nothing"),
    pytest.param("PAUSE", "/gate", {}, 405, id="pause"),
    pytest.param("ANNOUNCE", "/gate", {}, 405, id="announce"),
    pytest.param("RECORD", "/gate", {}, 405, id="record-method"),
    pytest.param("FLY", "/gate", {}, 501, id="unknown-method"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSED)
def test_what_cannot_be_done_is_said_and_the_connection_goes_on(method: str, path: str, headers: dict[str, str], status: int, gate: Served) -> None:
    with Client(gate.port) as client:
        assert client.ask(method, f"rtsp://127.0.0.1{path}", headers)[0] == status
        client.send(b"\r\n\r\n" + OPTIONS)  # some players send empty lines between two requests
        assert client.answer()[0] == 200
        client.play("gate")


def test_a_session_s_life(gate: Served) -> None:
    with Client(gate.port) as client:
        session = client.play("gate")
        uri = gate.url("gate")
        for method, headers, body, status in [
            ("GET_PARAMETER", {"Session": session}, b"", 200),
            ("OPTIONS", {"Session": session}, b"", 200),
            ("SET_PARAMETER", {"Session": session}, b"", 200),
            ("GET_PARAMETER", {"Session": session}, b"position\r\n", 451),
            ("GET_PARAMETER", {"Session": "other"}, b"", 454),
            ("SETUP", TCP, b"", 455),
            ("PAUSE", {"Session": session}, b"", 405),
            ("PLAY", {"Session": session}, b"", 200),
        ]:
            assert client.ask(method, uri, headers, body)[0] == status, method
        client.send(b"$\1\0\4\x80\xc9\0\0")  # a receiver report
        assert client.frame()[1]
        assert client.ask("TEARDOWN", uri, {"Session": session})[0] == 200
        assert client.is_closed()
    wait_for(lambda: gate.figures()["viewers"]["gate"] == 0)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes(gate: Served, data: bytes, after_request: bool) -> None:
    with Client(gate.port) as client:
        client.send((OPTIONS if after_request else b"") + data)
        client.socket.shutdown(1)
        assert client.is_closed()


def test_damaged_requests(gate: Served) -> None:
    """Real requests with bytes changed, dropped and doubled, in the middle of playing as well."""
    seeded = random.Random(26)
    uri = gate.url("gate")
    for round_ in range(120):
        with Client(gate.port) as client:
            if round_ % 3 == 0:
                client.play("gate")
            words = f"SETUP {uri}/track1 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nAuthorization: Digest a=b\r\n\r\n"
            data = bytearray(words.encode())
            for _ in range(seeded.randint(1, 6)):
                at = seeded.randrange(len(data))
                match seeded.randrange(3):
                    case 0:
                        data[at] = seeded.randrange(256)
                    case 1:
                        del data[at]
                    case _:
                        data[at:at] = data[at : at + seeded.randint(1, 40)]
            client.send(bytes(data))
            client.socket.shutdown(1)
            assert client.is_closed()
    wait_for(lambda: gate.figures()["viewers"]["gate"] == 0)
    with Client(gate.port) as client:
        client.play("gate")


def test_a_viewer_that_never_reads_loses_pictures_then_its_connection_and_slows_nobody() -> None:
    limits = Limits(stall_s=3.0, queued_s=0.5)
    with served(limits) as server, sealer("h264", (1280, 720), 25, crf=8) as running:
        server.add("gate", running.receiver)
        with Client(server.port, receive_bytes=4096) as deaf, Client(server.port) as good:
            deaf.play("gate")
            good.play("gate")
            wait_for(lambda: server.figures()["viewers"]["gate"] == 2)
            before, began_s, most_gap_s, last_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), 0.0, time.monotonic()
            sequence = None
            while server.figures()["viewers"]["gate"] == 2:
                assert time.monotonic() - began_s < 20
                channel, packet = good.frame()
                now_s = time.monotonic()
                most_gap_s, last_s = max(most_gap_s, now_s - last_s), now_s
                if channel == 0:
                    assert sequence is None or int.from_bytes(packet[2:4]) == (sequence + 1) & 0xFFFF
                    sequence = int.from_bytes(packet[2:4])
            assert 2.5 < time.monotonic() - began_s < 10
            assert most_gap_s < 1.0
            assert server.figures()["lost"] > 0
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB
            assert deaf.is_closed()


def test_a_slow_viewer_gets_whole_groups_of_pictures() -> None:
    with served(Limits(queued_s=0.3)) as server, sealer("h264", (1280, 720), 25, crf=8) as running:
        server.add("gate", running.receiver)
        with Client(server.port, receive_bytes=4096) as slow:
            slow.play("gate")
            for pause in range(2):
                wait_for(lambda pause=pause: server.figures()["lost"] > 20 * (pause + 1))
                assert first_unit_after_a_hole(slow) & 0x1F in (6, 7)  # of a key frame, whose parameter sets come first


def first_unit_after_a_hole(client: Client) -> int:
    """The first byte of the first NAL unit that comes more than three frames' time after the one before it."""
    last: int | None = None
    for _ in range(4000):
        channel, packet = client.frame()
        if channel != 0:
            continue
        stamp = int.from_bytes(packet[4:8])
        if last is not None and (stamp - last) & 0xFFFFFFFF > 11_000:
            return packet[12]
        last = stamp
    raise AssertionError("no hole came")


def test_too_many_connections_and_viewers_are_refused() -> None:
    limits = Limits(connections=6, connections_per_address=5, viewers=3, viewers_per_address=2)
    with served(limits) as server, sealer() as running:
        server.add("gate", running.receiver)
        clients = [Client(server.port) for _ in range(5)]
        for client in clients:
            assert client.ask("OPTIONS", "*")[0] == 200
        with Client(server.port) as sixth:
            assert sixth.is_closed()
        for client in clients[:2]:
            client.play("gate")
        with pytest.raises(AssertionError, match="453"):
            clients[2].play("gate")
        with Client(server.port, source="127.0.0.2") as elsewhere:
            elsewhere.play("gate")
            assert elsewhere.frame()
        for client in clients:
            client.socket.close()
        wait_for(lambda: server.figures()["viewers"]["gate"] == 0)
        with Client(server.port) as again:
            again.play("gate")


def ask_until(client: Client, end_s: float) -> None:
    """Ask and ask, and never play."""
    while time.monotonic() < end_s:
        client.ask("OPTIONS", "*")
        time.sleep(0.1)


def test_whoever_says_nothing_or_too_slowly_is_sent_away() -> None:
    limits = Limits(idle_s=0.4, request_s=0.4, setup_s=1.2)
    with served(limits) as server, sealer() as running:
        server.add("gate", running.receiver)
        with Client(server.port) as silent, Client(server.port) as slow, Client(server.port) as player:
            player.play("gate")
            slow.send(OPTIONS[:10])
            began_s = time.monotonic()
            assert silent.is_closed()
            assert slow.is_closed()
            with Client(server.port) as busy, pytest.raises((EOFError, ConnectionError)):
                ask_until(busy, began_s + 10)
            assert time.monotonic() - began_s < 5
            for _ in range(20):
                assert player.frame()[1]  # who plays may be silent


def test_a_flood_of_messages_ends_the_connection() -> None:
    with served(Limits(messages=50)) as server, Client(server.port) as client:
        client.send(b"$\1\0\0" * 49 + OPTIONS)
        assert client.answer()[0] == 200
        client.send(b"$\1\0\0")
        assert client.is_closed()


def test_a_camera_without_a_sealer_is_not_there_yet() -> None:
    ours, theirs = packet_sockets()
    with served(Limits(format_s=0.3)) as server, ours, Client(server.port) as client:
        server.add("gate", PacketReceiver(theirs))
        status, headers, _ = client.ask("DESCRIBE", server.url("gate"))
        assert (status, headers["retry-after"]) == (503, ["1"])
        assert client.ask("SETUP", server.url("gate/track1"), TCP)[0] == 503


def test_nonsense_from_a_sealer_ends_no_more_than_its_packets(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = packet_sockets()
    with served() as server, ours, sealer() as running:
        server.add("gate", PacketReceiver(theirs))
        ours.sendall(b"\xff" * 64)
        server.add("other", running.receiver)
        wait_for(lambda: "its packets end" in caplog.text)
        with Client(server.port) as client:
            client.play("other")
