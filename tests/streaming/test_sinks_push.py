"""Pushing to servers: that they get it, and what happens with those that refuse, hang, or cannot be trusted."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest

from anonymizer.errors import TargetError
from anonymizer.sinks.connection import fault_words
from anonymizer.sinks.system_ffmpeg import command_for
from tests.streaming.bench import camera_server
from tests.streaming.feeding import DrawnStream, running_sink

SECRETS = ("tr0ub4dor", "c0rrect-h0rse", "battery-staple")
pytestmark = pytest.mark.slow


def push(url: str, **more: object) -> dict[str, object]:
    return {"kind": "push", "url": url, **more}


def frames_in(path: Path) -> int:
    with av.open(str(path)) as recording:
        return sum(1 for _ in recording.decode(video=0))


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that does `serve` with each connection, and keeps it open as long as the block runs."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                kept.append(connection)
                threading.Thread(target=tolerant, args=(connection,), daemon=True).start()

        def tolerant(connection: socket.socket) -> None:
            with suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in kept:
                connection.close()


def keep_silent(connection: socket.socket) -> None:
    """Accept, and never answer."""


def take_nothing(connection: socket.socket) -> None:
    """Agree to everything RTSP asks, and read nothing from then on."""
    text = b""
    while True:
        while b"\r\n\r\n" not in text:
            data = connection.recv(4096)
            if not data:
                return
            text += data
        head, _, text = text.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:] if ": " in line)
        missing = int(headers.get("Content-Length", 0)) - len(text)
        while missing > 0:
            missing -= len(connection.recv(missing))
            text = b""
        method = head.split()[0].decode()
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n" if method == "SETUP" else ""
        connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}\r\nSession: 1\r\n{transport}\r\n".encode())
        if method == "RECORD":
            return


@pytest.fixture
def rtsp_recorder(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An RTSP server of somebody else's that records what it is sent: address and file."""
    if not camera_server.is_available():
        pytest.skip("needs GStreamer's RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0")
    target = tmp_path / "received.ts"
    with camera_server.push_target(target) as url:
        yield url, target


def test_another_makers_rtsp_server_gets_every_frame(rtsp_recorder):
    url, target = rtsp_recorder
    with running_sink("push", push(url)) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["state"] == "up" and beat["packets"] > 40, 25)
        assert sink.stop() == 0
        assert beat["fault"] is None
        assert sink.longest_silence_s() < 2
    assert frames_in(target) >= 40


def test_new_sealer_and_new_format_are_announced_anew(rtsp_recorder):
    url, _ = rtsp_recorder
    with running_sink("push", push(url)) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["packets"] > 20, 25)
        sink.feed(DrawnStream(size_wh=(96, 64)))
        sink.wait_for(lambda later: later["packets"] > beat["packets"] + 20, 25)
        assert sink.stop() == 0


@pytest.mark.parametrize(
    ("listener", "url"),
    [
        pytest.param(["-listen", "1", "-f", "flv", "-i", "rtmp://127.0.0.1:{port}/app/key"], "rtmp://127.0.0.1:{port}/app/key", id="rtmp"),
        pytest.param(["-f", "mpegts", "-i", "srt://127.0.0.1:{port}?mode=listener"], "srt://127.0.0.1:{port}", id="srt"),
        pytest.param(["-f", "mpegts", "-i", "tcp://127.0.0.1:{port}?listen=1"], "custom:tcp://127.0.0.1:{port}", id="custom"),
    ],
)
def test_ffmpeg_gets_it_by_other_ways(listener, url, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg: apt install ffmpeg")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    target = tmp_path / "received.mkv"
    arguments = [part.replace("{port}", port) for part in listener]
    receiver = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", *arguments, "-c", "copy", target])
    try:
        with running_sink("push", push(url.replace("{port}", port))) as sink:
            sink.feed(DrawnStream())
            sink.wait_for(lambda beat: beat["state"] == "up" and beat["packets"] > 60, 30)
            assert sink.stop() == 0
        assert receiver.wait(15) == 0
    finally:
        receiver.kill()
        receiver.wait()
    assert frames_in(target) > 30


def test_server_that_never_answers_is_tried_again_and_the_loop_goes_on():
    with server(keep_silent) as port, running_sink("push", push(f"rtsp://admin:{SECRETS[0]}@127.0.0.1:{port}/live?token={SECRETS[1]}")) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["fault"] is not None, 35)
        assert beat["state"] == "connecting"
        assert beat["fault"] == f"rtsp://127.0.0.1:{port}/live: does not answer"
        assert sink.longest_silence_s() < 2
        assert sink.stop() == 0


def test_server_that_stops_reading_is_left_and_the_loop_goes_on():
    with server(take_nothing) as port, running_sink("push", push(f"rtsp://127.0.0.1:{port}/live")) as sink:
        sink.feed(DrawnStream(noisy=True, size_wh=(640, 480)))
        sink.wait_for(lambda beat: beat["state"] == "up", 25)
        beat = sink.wait_for(lambda beat: beat["state"] == "connecting", 45)
        assert "takes nothing" in beat["fault"] or "timed out" in beat["fault"]
        assert beat["lost"] > 0
        assert sink.longest_silence_s() < 2
        assert sink.stop() == 0


def test_killed_sink_takes_its_connection_along():
    with server(keep_silent) as port, running_sink("push", push(f"rtsp://127.0.0.1:{port}/live")) as sink:
        sink.feed(DrawnStream())
        children = Path(f"/proc/{sink.process.pid}/task/{sink.process.pid}/children")
        deadline_s = time.monotonic() + 10
        while not (ids := children.read_text().split()) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        time.sleep(1.5)
        sink.kill()
        time.sleep(0.5)
        assert ids
        assert not any(Path(f"/proc/{number}/exe").exists() and "streaming.child" in Path(f"/proc/{number}/cmdline").read_text() for number in ids)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("scheme", ["rtsps", "rtmps"])
@pytest.mark.parametrize("insecure", [False, True])
def test_certificate_is_checked_unless_told_otherwise(scheme, insecure, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    heard: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            heard.append(secure.recv(100))

    with server(listen) as port, running_sink("push", push(f"{scheme}://localhost:{port}/app/key-of-nobody", insecure=insecure)) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["fault"] is not None, 30)
        assert sink.stop() == 0
    assert any(heard) is insecure
    assert "key-of-nobody" not in beat["fault"] or scheme == "rtsps"


def test_whip_offers_with_the_token_in_a_header_and_never_in_a_fault():
    heard: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)

    with server(refuse) as port, running_sink("push", push(f"http://:{SECRETS[2]}@127.0.0.1:{port}/whip")) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["fault"] is not None, 30)
        assert sink.stop() == 0
    assert f"Bearer {SECRETS[2]}".encode() in heard[0]
    assert SECRETS[2] not in beat["fault"]


@pytest.mark.parametrize(
    "url",
    [
        f"rtsp://admin:{SECRETS[0]}@127.0.0.1:1/live?token={SECRETS[1]}",
        f"rtmp://127.0.0.1:1/live/{SECRETS[2]}",
        f"https://:{SECRETS[0]}@127.0.0.1:1/whip",
        f"srt://127.0.0.1:1?passphrase={SECRETS[1]}",
        f"custom:srt://127.0.0.1:1?passphrase={SECRETS[1]}",
    ],
)
def test_fault_holds_no_secret(url):
    with running_sink("push", push(url)) as sink:
        sink.feed(DrawnStream())
        beat = sink.wait_for(lambda beat: beat["fault"] is not None, 30)
        command_lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert sink.stop() == 0
    assert not any(secret in beat["fault"] for secret in SECRETS)
    assert not any(secret.encode() in line for secret in SECRETS for line in command_lines)


def test_errors_of_libraries_lose_their_secrets():
    url = f"rtsp://admin:{SECRETS[0]}@host/live"
    assert (
        fault_words(url, OSError(5, f"could not open {url}: bad login admin:{SECRETS[0]}"))
        == "rtsp://host/live: could not open rtsp://host/live: bad login ***"
    )


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("srt://host:1?passphrase=0123456789", ()),
        ("srt://host:1?streamid=publish:a:b:c", ()),
        ("srt://host:1?streamid=x7Kq-19ab", ()),
        ("srt://host:1?streamid=#!::r=gate,u=admin", ()),
        ("custom:srt://host:1?streamid=x7Kq-19ab", ()),
        ("custom:srt://host:1", ("-srt_streamid", "x7Kq-19ab")),
        ("custom:rist://user:pass@host:1", ()),
        ("custom:http://host/?access_token=1", ()),
        ("custom:http://host/", ("-headers", "Authorization: Bearer x")),
    ],
)
def test_secret_on_ffmpegs_command_line_is_refused(url, options):
    with pytest.raises(TargetError, match="would be seen") as refused:
        command_for(url, options)
    assert refused.value.hint


@pytest.mark.parametrize("stream_id", ["publish:gate", "publish:live/gate-1", "%23!::r=gate,m=publish", "#!::r=live/gate"])
def test_srt_stream_of_a_name_is_sent(stream_id, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    url = f"srt://host:1?streamid={stream_id}"
    assert command_for(url, ())[-1] == url


def test_ffmpegs_command_line_is_what_was_asked_for():
    command = command_for("custom:rist://host:1", ("-f", "mpegts", "-muxdelay", "0"))
    assert command[-5:] == ["-f", "mpegts", "-muxdelay", "0", "rist://host:1"]
    assert command[command.index("-i") + 1] == "pipe:0"
    assert "copy" in command


def test_missing_ffmpeg_is_said_with_a_hint(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(TargetError, match="no ffmpeg on this machine") as missing:
        command_for("srt://host:1", ())
    assert "apt install ffmpeg" in missing.value.hint
