"""Players watch: PyAV's FFmpeg, the system's, GStreamer; from the start, across restarts, until the camera goes."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

import av
import pytest

from tests.streaming.drawn_stream import GROUP, RATE, Sealer, drawn, sealer
from tests.streaming.rtsp_world import Client, Served, served

TCP = {"rtsp_transport": "tcp"}


def watch(url: str, frames: int, options: dict[str, str] | None = None) -> list[av.VideoFrame]:
    """Decode the next frames."""
    found: list[av.VideoFrame] = []
    with av.open(url, options=TCP | (options or {}), timeout=(10, 10)) as container:
        for frame in container.decode(video=0):
            found.append(frame)
            if len(found) == frames:
                break
    return found


def times_of(frames: list[av.VideoFrame]) -> list[float]:
    """When they are shown; FFmpeg's RTSP client leaves the first packet's time unset, whatever the server."""
    return [float(frame.pts * frame.time_base) for frame in frames if frame.pts is not None]


def raw_packets(url: str, count: int) -> list[bytes]:
    with av.open(url, options=TCP, timeout=(10, 10)) as container:
        return [bytes(packet) for packet, _ in zip(container.demux(video=0), range(count), strict=False)]


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program} (Debian: apt install ffmpeg gstreamer1.0-tools)")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_ffmpeg_gets_every_frame_as_it_was_coded(codec: str) -> None:
    with served() as server, sealer(codec) as running:
        server.add("gate", running.receiver)
        frames = watch(server.url("gate"), 2 * GROUP)
        packets = raw_packets(server.url("gate"), GROUP + 1)
        assert server.figures()["packets"] > 2 * GROUP
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
    times = times_of(frames)
    assert times == sorted(set(times))
    assert (times[-1] - times[0]) / (len(times) - 1) == pytest.approx(1 / RATE, abs=0.01)
    assert not any(frame.is_corrupt for frame in frames)
    sent = {bytes_without_zeros(packet.data) for packet in running.packets}
    assert {bytes_without_zeros(packet) for packet in packets} <= sent


def bytes_without_zeros(data: bytes) -> bytes:
    """NAL units alone: a depacketizer may write start codes of another length."""
    return b"|".join(unit.rstrip(b"\0") for unit in data.split(b"\0\0\1"))


def test_large_frames_travel_in_many_packets() -> None:
    with served() as server, sealer("h264", (1280, 720), 10, crf=1) as running:
        assert max(len(packet.data) for packet in running.packets) > 60_000
        server.add("gate", running.receiver)
        sent = {bytes_without_zeros(packet.data) for packet in running.packets}
        assert {bytes_without_zeros(packet) for packet in raw_packets(server.url("gate"), 6)} <= sent


@needs("ffmpeg")
@pytest.mark.parametrize(("codec", "login"), [("h264", ""), ("hevc", ""), ("h264", "viewer:s%40cret@")])
def test_the_system_s_ffmpeg_watches(codec: str, login: str) -> None:
    with served(**({"user": "viewer", "password": "s@cret"} if login else {})) as server, sealer(codec) as running:
        server.add("gate", running.receiver)
        command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", server.url("gate", login), "-frames:v", "15", "-f", "framemd5", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len([line for line in done.stdout.splitlines() if line and not line.startswith("#")]) == 15


@needs("ffmpeg")
def test_a_player_that_tries_udp_first_ends_up_with_tcp() -> None:
    with served() as server, sealer() as running:
        server.add("gate", running.receiver)
        command = ["ffmpeg", "-v", "fatal", "-i", server.url("gate"), "-frames:v", "5", "-f", "null", "-"]
        assert subprocess.run(command, timeout=60, check=False).returncode == 0


@needs("gst-launch-1.0")
@pytest.mark.parametrize(
    ("codec", "login", "protocols"), [("h264", "", "tcp"), ("h264", "", "udp+tcp"), ("hevc", "", "tcp"), ("h264", "viewer:secret@", "tcp")]
)
def test_gstreamer_watches(codec: str, login: str, protocols: str, tmp_path: Path) -> None:
    depay = "rtph264depay" if codec == "h264" else "rtph265depay"
    out = tmp_path / "out"
    with served(**({"user": "viewer", "password": "secret"} if login else {})) as server, sealer(codec) as running:
        server.add("gate", running.receiver)
        source = ["rtspsrc", f"location={server.url('gate', login)}", f"protocols={protocols}", "latency=100"]
        sink = ["!", depay, "!", "identity", "eos-after=20", "!", "filesink", f"location={out}"]
        done = subprocess.run(["gst-launch-1.0", "-q", *source, *sink], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 1000


def test_a_viewer_begins_with_the_newest_key_frame_and_gets_a_report_first() -> None:
    with served() as server, sealer() as running:
        server.add("gate", running.receiver)
        wait_for(lambda: server.figures()["packets"] > 5)
        began_s = time.monotonic()
        with Client(server.port) as client:
            client.play("gate")
            channel, report = client.frame()
            assert (channel, report[1]) == (1, 200)
            unix_s = int.from_bytes(report[8:12]) - 2_208_988_800
            assert abs(unix_s - time.time()) < 2
            channel, packet = client.frame()
            assert channel == 0
            assert time.monotonic() - began_s < 0.3
            assert packet[12] & 0x1F in (6, 7, 9)  # a key frame begins with parameter sets
            # The report's two times are of one moment: this packet was taken a little before.
            lag = (int.from_bytes(report[16:20]) - int.from_bytes(packet[4:8])) & 0xFFFFFFFF
            assert 0 <= lag / 90_000 < 1.5


def wait_for(condition: object, timeout_s: float = 10) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)


def test_viewers_stay_while_the_sealer_is_restarted_and_their_time_goes_on() -> None:
    with served() as server, sealer() as first:
        server.add("gate", first.receiver)
        times: list[float] = []
        watcher = threading.Thread(target=lambda: times.extend(times_of(watch(server.url("gate"), 3 * RATE))))
        watcher.start()
        wait_for(lambda: server.figures()["viewers"]["gate"] == 1)
        time.sleep(0.5)
        first.stop()
        time.sleep(0.3)
        with sealer(size_wh=(160, 120)) as second:  # and with other parameter sets
            server.add("gate", second.receiver)
            watcher.join(20)
    assert len(times) >= 3 * RATE - 1
    assert times == sorted(set(times))
    assert 2.9 < times[-1] - times[0] < 5


def test_viewers_are_sent_away_when_the_codec_changes_and_when_the_camera_goes() -> None:
    with served() as server, sealer("h264") as first, sealer("hevc") as second:
        server.add("gate", first.receiver)
        with Client(server.port) as client, Client(server.port) as idle:
            client.play("gate")
            assert idle.ask("OPTIONS", "*")[0] == 200
            wait_for(lambda: server.figures()["viewers"]["gate"] == 1)
            server.add("gate", second.receiver)
            assert last_frame(client)[-8:-4] == bytes.fromhex("81cb0001")  # RTCP BYE
            assert idle.ask("OPTIONS", "*")[0] == 200
        wait_for(lambda: server.figures()["viewers"]["gate"] == 0)
        with Client(server.port) as client:
            client.play("gate")
            server.remove("gate")
            assert client.is_closed()
        with Client(server.port) as client:
            assert client.ask("DESCRIBE", server.url("gate"))[0] == 404


def last_frame(client: Client) -> bytes:
    packet = b""
    try:
        while True:
            _, packet = client.frame()
    except EOFError:
        return packet


def test_a_camera_whose_sealer_is_late_is_waited_for() -> None:
    with served() as server:
        late = Sealer()
        server.add("gate", late.receiver)
        threading.Timer(0.7, late.start).start()
        assert len(watch(server.url("gate"), 3)) == 3
        late.stop()


def test_cameras_are_apart(tmp_path: Path) -> None:
    with served() as server, sealer(size_wh=(320, 240)) as one, sealer(size_wh=(160, 120)) as two:
        server.add("one", one.receiver)
        server.add("two", two.receiver)
        assert watch(server.url("two"), 1)[0].width == 160
        assert watch(server.url("one"), 1)[0].width == 320


def test_the_description_says_how_to_decode(served_gate: Served) -> None:
    with Client(served_gate.port) as client:
        status, headers, body = client.ask("DESCRIBE", f"rtsp://user@gateway.example:99/gate?{'x' * 20}", {"Accept": "application/sdp"})
    assert status == 200
    assert headers["content-base"] == ["rtsp://gateway.example:99/gate/"]
    text = body.decode()
    assert "\r\ns=The gate ü\r\n" in text
    assert "a=rtpmap:96 H264/90000" in text
    assert "sprop-parameter-sets=" in text
    assert f"profile-level-id={drawn()[0].parameter_sets[5:8].hex().upper()}" in text


@pytest.fixture
def served_gate() -> object:
    with served() as server, sealer() as running:
        server.add("gate", running.receiver, "The gate\r\nü".replace("\r\n", " "))
        yield server
