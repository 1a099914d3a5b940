"""Cameras of every kind that is promised, as other people's programs serve them: FFmpeg's own servers, files, and what is not there."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from anonymizer.errors import AnonymizerError, SourceError
from anonymizer.ipc.channel import Channel
from anonymizer.media.camera_source import CameraFrame, CameraSource, _Pace, tls_options
from anonymizer.streaming.reader import Reader
from anonymizer.streaming.ring import Ring
from tests.streaming.bench.coded import Coding, write_painted
from tests.streaming.bench.live_filter import camera as a_camera
from tests.streaming.bench.live_filter import free_port
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.painted import counter_of
from tests.streaming.raw_frames import raw_frame

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="needs a system ffmpeg")
FRAMES = 30


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_painted(tmp_path_factory.mktemp("clip") / "painted.mp4", 200, Coding())


def some_frames(url: str, count: int = FRAMES, **wishes: object) -> list[CameraFrame]:
    with CameraSource(url, pixel_format="yuv420p", **wishes) as source:  # type: ignore[arg-type]
        return list(itertools.islice(source.frames(), count))


def assert_a_camera(frames: list[CameraFrame]) -> None:
    assert len(frames) == FRAMES
    whole = [frame for frame in frames if not frame.damaged]
    counts = [counter_of(frame.planes[0]) for frame in whole]
    assert len(whole) > FRAMES // 3
    assert None not in counts
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert all(after.time_s > before.time_s for before, after in itertools.pairwise(frames))


def listens(port: int) -> bool:
    """Whether somebody listens there, by TCP or UDP: who asks by connecting would be taken for the viewer."""
    states = {"tcp": "0A", "udp": "07"}
    lines = [(line.split(), state) for kind, state in states.items() for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    return any(words[1].endswith(f":{port:04X}") and words[3] == state for words, state in lines)


@contextmanager
def ffmpeg_serving(clip: Path, *output: str, ready: Callable[[], bool]) -> Iterator[None]:
    """FFmpeg while it plays the clip, from when it is ready on."""
    command = [str(FFMPEG), "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), *output]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until_s = time.monotonic() + 15
            while not ready() and time.monotonic() < until_s:
                time.sleep(0.05)
            yield
        finally:
            process.kill()


def test_odd_last_column_and_row_are_left_out(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "odd.mkv"), "w") as target:
        stream = target.add_stream("mjpeg", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 99, 55, "yuvj444p"
        for _ in range(3):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((3, 55, 99), 128, np.uint8), format="yuvj444p")))
        target.mux(stream.encode(None))
    for frame in some_frames(str(tmp_path / "odd.mkv"), 2):
        assert frame.geometry.coded_wh == (98, 54), "encoders of 4:2:0 take even sizes alone"
        assert [plane.shape for plane in frame.planes] == [(54, 98), (27, 49), (27, 49)]


@pytest.mark.parametrize(("size_wh", "words"), [((8194, 64), "too large"), ((64, 14), "too small")])
def test_picture_that_no_encoder_takes_ends_the_reader_and_not_the_sealer(size_wh: tuple[int, int], words: str) -> None:
    ours, theirs = Channel.pair()
    ring = Ring(Ring.create(), writable=True)
    raw = raw_frame(0, size_wh=size_wh)
    frame = CameraFrame(0.0, raw.planes, raw.geometry, raw.color, damaged=False, interlaced=False, spread_px=0, frame_rate=25.0)
    with ours, theirs, pytest.raises(AnonymizerError, match=words):
        Reader(a_camera("gate", "rtsp://127.0.0.1/x"), ring, [], theirs)._put(frame, 0.0)
    ring.close()


def read_at(rate: float, seconds: float) -> float:
    """Seconds until a reader gives up on a camera that counts 25 frames a second and sends so many."""
    ours, theirs = Channel.pair()
    ring, raw = Ring(Ring.create(), writable=True), raw_frame(0)
    with ours, theirs, contextlib.closing(ring):
        reader = Reader(a_camera("gate", "rtsp://127.0.0.1/x"), ring, [], theirs)
        for index in range(round(seconds * rate)):
            frame = CameraFrame(index / 25, raw.planes, raw.geometry, raw.color, damaged=False, interlaced=False, spread_px=0, frame_rate=25.0)
            try:
                reader._put(frame, index / rate)
            except AnonymizerError:
                return index / rate
    return seconds


def test_camera_that_comes_ever_later_is_asked_anew() -> None:
    assert read_at(25.0, 60) == 60
    assert read_at(24.98, 600) == 600, "a clock that is a thousandth slow is followed"
    assert 10 < read_at(20.0, 60) < 20, "what is 2 s late is dropped, and so would be all that follows"


def test_playlist_is_played_at_its_own_speed_and_jumps_are_not_waited_for() -> None:
    begun_s, pace = time.monotonic(), _Pace(5.0)
    for time_s in (0.0, 0.1, 0.2, 7200.0, 7200.1, 3.0, 3.1):
        pace.wait_for(time_s)
    assert 0.35 < time.monotonic() - begun_s < 3


def test_file_is_played_at_its_own_speed_and_again(clip: Path) -> None:
    begun_s = time.monotonic()
    frames = some_frames(str(clip), 230)
    assert 8.5 < time.monotonic() - begun_s < 20
    assert counter_of(frames[-1].planes[0]) == 29
    assert all(after.time_s > before.time_s for before, after in itertools.pairwise(frames))


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize(
    ("output", "scheme"),
    [
        pytest.param(("-c", "copy", "-f", "mpegts", "-listen", "1"), "http", id="http-mpegts"),
        pytest.param(("-c:v", "mjpeg", "-q:v", "3", "-f", "mpjpeg", "-listen", "1"), "http", id="http-mjpeg"),
        pytest.param(("-c", "copy", "-f", "flv", "-listen", "1"), "rtmp", id="rtmp"),
    ],
)
def test_camera_of_another_protocol(clip: Path, output: tuple[str, ...], scheme: str) -> None:
    port = free_port()
    url = f"{scheme}://127.0.0.1:{port}/live/x"
    with ffmpeg_serving(clip, *output, url, ready=lambda: listens(port)):
        assert_a_camera(some_frames(url))


@needs_ffmpeg
@pytest.mark.slow
def test_srt_camera_through_the_systems_ffmpeg(clip: Path) -> None:
    port = free_port()
    with ffmpeg_serving(clip, "-c", "copy", "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener", ready=lambda: listens(port)):
        assert_a_camera(some_frames(f"srt://127.0.0.1:{port}?mode=caller"))


@needs_ffmpeg
@pytest.mark.slow
def test_hls_camera_and_a_playlist_that_points_at_files(clip: Path, tmp_path: Path) -> None:
    handler = functools.partial(type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}), directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        playlist = tmp_path / "live.m3u8"
        with ffmpeg_serving(
            clip, "-c", "copy", "-f", "hls", "-hls_time", "1", str(playlist), ready=lambda: playlist.exists() and "live2" in playlist.read_text()
        ):
            assert_a_camera(some_frames(f"{url}/live.m3u8"))
        (tmp_path / "bad.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n")
        with pytest.raises(SourceError):
            some_frames(f"{url}/bad.m3u8")
        server.shutdown()


def test_camera_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(SourceError) as raised:
        some_frames(f"rtsp://admin:tr0ub4dor@127.0.0.1:{free_port()}/x")
    assert "tr0ub4dor" not in f"{raised.value.problem} {raised.value.hint}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mute", "silent"])
def test_camera_that_never_answers_ends_in_time(kind: str) -> None:
    with MiniCamera() as camera:
        camera.fault(kind)  # type: ignore[arg-type]
        begun_s = time.monotonic()
        try:
            frames = some_frames(camera.url, 1, open_timeout_s=2.0, read_timeout_s=1.0)
        except SourceError:
            frames = []
        assert frames == []
        assert time.monotonic() - begun_s < 15


@pytest.mark.slow
@pytest.mark.parametrize("intra_refresh", [False, True], ids=["key-frames", "intra-refresh"])
def test_lost_packets_taint_the_picture_until_it_is_whole_again(intra_refresh: bool) -> None:
    with MiniCamera(Coding(intra_refresh=intra_refresh)) as camera:
        with CameraSource(camera.url, pixel_format="yuv420p") as source:
            frames = source.frames()
            before = list(itertools.islice(frames, 80))
            lost = camera.fault("drop", share=0.2, seconds=0.4)
            after = list(itertools.islice(frames, 140))
        assert lost.hit > 0
    assert not any(frame.damaged for frame in before[60:])
    assert any(frame.damaged for frame in after)
    assert not any(frame.damaged for frame in after[-20:])


def test_certificates_are_checked_unless_told_otherwise() -> None:
    assert tls_options(insecure=False)["tls_verify"] == "1"
    assert Path(tls_options(insecure=False)["ca_file"]).name
    assert tls_options(insecure=True) == {"tls_verify": "0"}
