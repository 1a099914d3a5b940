"""The cameras of the bench can be read by others, and each fault does what its name says."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.streaming.bench.camera_server import GstCamera, is_available, push_target
from tests.streaming.bench.coded import Codec, CodedFrame, Coding, picture_of
from tests.streaming.bench.faults import Faults
from tests.streaming.bench.mini_camera import MiniCamera
from tests.streaming.bench.painted import CANVAS_WH, Painter, counter_of
from tests.streaming.bench.relay import Relay
from tests.streaming.bench.scan import leaks, luma_of, scan_file, scan_url, stale

pytestmark = pytest.mark.slow
needs_gstreamer = pytest.mark.skipif(not is_available(), reason="needs gir1.2-gst-rtsp-server-1.0 and python3-gi: apt-get install both")
QUICK = {"analyzeduration": "200000", "probesize": "65536"}


def counters(url: str, frames: int, *, timeout_s: float = 3.0, options: dict[str, str] | None = None) -> list[int | None]:
    """The counters of so many frames, fewer if the stream ends or is silent for too long."""
    found: list[int | None] = []
    with av.open(url, options={"rtsp_transport": "tcp", **QUICK, **(options or {})}, timeout=(timeout_s, timeout_s)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        try:
            for packet in container.demux(video=0):
                try:
                    found += [counter_of(luma_of(frame)) for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
                except av.FFmpegError:
                    continue
                if len(found) >= frames:
                    break
        except av.FFmpegError:
            pass
    return found


@pytest.fixture
def camera() -> Iterator[MiniCamera]:
    with MiniCamera(first_counter=1000) as camera:
        yield camera


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_camera_is_read_live(codec: Codec) -> None:
    with MiniCamera(Coding(codec=codec), first_counter=70_000) as camera:
        seen = scan_url(camera.url, 4)
    shown = [one.counter for one in seen if one.counter is not None]
    assert len(shown) == len(seen) > 40
    assert shown == sorted(set(shown))
    assert shown[0] >= 70_000
    assert not stale(seen, camera.counter_at, 25)
    assert leaks(seen)


def test_camera_with_intra_refresh_has_one_key_frame_only() -> None:
    kept: list[CodedFrame] = []
    with MiniCamera(Coding(intra_refresh=True, gop=10), on_frame=lambda frame, _: kept.append(frame)) as camera:
        assert None not in counters(camera.url, 40)
    assert [frame.is_key for frame in kept].count(True) == 1


def test_camera_refuses_and_listens_again(camera: MiniCamera) -> None:
    fault = camera.fault("refuse", seconds=1.0)
    time.sleep(0.2)
    with pytest.raises(av.FFmpegError):
        counters(camera.url, 1)
    fault.wait()
    time.sleep(0.2)
    assert len(counters(camera.url, 5)) >= 5


def test_camera_accepts_and_never_answers(camera: MiniCamera) -> None:
    camera.fault("mute", seconds=1.5)
    began_s = time.monotonic()
    with pytest.raises(av.FFmpegError):
        counters(camera.url, 1, timeout_s=1.0)
    assert time.monotonic() - began_s > 0.9


def test_camera_answers_and_sends_nothing(camera: MiniCamera) -> None:
    camera.fault("silent")
    assert counters(camera.url, 1, timeout_s=1.0) == []
    assert camera.connections == 1


@pytest.mark.parametrize("kind", ["stall", "reset", "garbage"])
def test_camera_ends_a_stream_that_runs(kind: str, camera: MiniCamera) -> None:
    with av.open(camera.url, options={"rtsp_transport": "tcp", **QUICK}, timeout=(3.0, 1.0)) as container:
        packets = 0
        with contextlib.suppress(av.FFmpegError):  # after a reset it ends like a file
            for _ in container.demux(video=0):
                packets += 1
                if packets == 10:
                    camera.fault(kind, seconds=4.0)  # type: ignore[arg-type]
        assert 10 <= packets < 40
    camera.clear()
    assert len(counters(camera.url, 5)) >= 5


def test_camera_drops_packets() -> None:
    with MiniCamera(seed=3) as camera:
        fault = camera.fault("drop", share=0.2)
        found = counters(camera.url, 50)
        assert fault.hit > 5
        assert None in found or found != list(range(found[0] or 0, (found[0] or 0) + len(found)))


def test_faults_repeat_by_their_seed() -> None:
    packets = [bytes([number]) * 40 for number in range(200)]

    def arrived(seed: int) -> list[bytes | None]:
        faults = Faults(seed)
        faults.add("drop", None, {"share": 0.1})
        faults.add("damage", None, {"share": 0.1, "flips": 2})
        return [faults.on_packet(packet, 15) for packet in packets]

    assert arrived(1) == arrived(1) != arrived(2)
    assert 5 < arrived(1).count(None) < 40
    changed = [(was, now) for was, now in zip(packets, arrived(1), strict=True) if now is not None and now != was]
    assert 5 < len(changed) < 40
    assert all(was[:15] == now[:15] and len(was) == len(now) for was, now in changed)


def test_camera_damages_bytes() -> None:
    with MiniCamera(seed=4) as camera:
        fault = camera.fault("damage", share=0.3, flips=8)
        assert len(counters(camera.url, 40)) > 20
        assert fault.hit > 5


def test_camera_begins_without_a_key_frame(camera: MiniCamera) -> None:
    fault = camera.fault("keyless", seconds=2.0)
    began = camera.counter
    first = counters(camera.url, 1, timeout_s=5.0)[0]
    assert fault.ended.is_set()
    assert first is not None
    assert first >= began + 45


def test_camera_changes_its_size(camera: MiniCamera) -> None:
    sizes: list[tuple[int, int]] = []
    with av.open(camera.url, options={"rtsp_transport": "tcp", **QUICK}, timeout=(3.0, 3.0)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            sizes.append((frame.width, frame.height))
            assert counter_of(luma_of(frame)) is not None
            if len(sizes) == 10:
                camera.fault("coding", coding=Coding(size_wh=(320, 180)))
            if len(sizes) == 60:
                break
    assert list(dict.fromkeys(sizes)) == [CANVAS_WH, (320, 180)]


def test_camera_comes_back_with_another_codec(camera: MiniCamera) -> None:
    assert counters(camera.url, 5)
    camera.fault("coding", coding=Coding(codec="hevc"), reconnect=True).wait()
    with av.open(camera.url, options={"rtsp_transport": "tcp", **QUICK}, timeout=(3.0, 3.0)) as container:
        assert container.streams.video[0].codec_context.name == "hevc"


@pytest.mark.parametrize(("kind", "jump_s"), [("pts", 60.0), ("pts", -60.0), ("frozen_pts", 0.0)])
def test_camera_tells_wrong_times(kind: str, jump_s: float, camera: MiniCamera) -> None:
    times: list[float] = []
    with av.open(camera.url, options={"rtsp_transport": "tcp", **QUICK}, timeout=(3.0, 3.0)) as container:
        for packet in container.demux(video=0):
            times += [] if packet.pts is None else [float(packet.pts * packet.time_base)]
            if len(times) == 20:
                camera.fault(kind, jump_s=jump_s, seconds=3.0)  # type: ignore[arg-type]
            if len(times) == 60:
                break
    steps = [after - before for before, after in itertools.pairwise(times)]
    if kind == "frozen_pts":
        assert sum(abs(step) < 0.001 for step in steps) > 20
    else:
        assert any(step == pytest.approx(jump_s, abs=1.0) for step in steps)


def test_camera_goes_blank_and_lives(camera: MiniCamera) -> None:
    camera.fault("blank", seconds=1.0)
    began = camera.counter
    first = counters(camera.url, 1, timeout_s=4.0)[0]
    assert first is not None
    assert first >= began + 20


def test_relay_fails_between_any_two(camera: MiniCamera) -> None:
    with Relay(camera.url) as relay:
        assert len(counters(relay.url, 10)) >= 10
        fault = relay.fault("drop", share=0.3)
        counters(relay.url, 20)
        assert fault.hit > 3
        relay.clear()
        relay.fault("mute", seconds=1.5)
        with pytest.raises(av.FFmpegError):
            counters(relay.url, 1, timeout_s=1.0)
        relay.fault("refuse", seconds=1.0)
        time.sleep(0.2)
        with pytest.raises(av.FFmpegError):
            counters(relay.url, 1, timeout_s=1.0)
    with pytest.raises(ValueError, match="cannot do keyless"):
        relay.fault("keyless")


@needs_gstreamer
def test_camera_of_others_is_read_live(tmp_path: Path) -> None:
    with GstCamera(tmp_path, first_counter=500) as camera:
        seen = scan_url(camera.url, 8)
    assert len([one for one in seen if one.counter is not None and one.counter >= 500]) > 30
    assert not stale(seen, camera.counter_at, 25)


@needs_gstreamer
def test_server_of_others_takes_what_is_pushed(tmp_path: Path) -> None:
    painter = Painter()
    with push_target(tmp_path / "pushed.ts") as url:
        with av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as target:
            stream = target.add_stream("libx264", rate=25, options=Coding().options)
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            for counter in range(50):
                frame = picture_of(painter.paint(counter))
                frame.pts, frame.time_base = counter, Fraction(1, 25)
                target.mux(stream.encode(frame))
                time.sleep(0.03)
            target.mux(stream.encode(None))
        time.sleep(1.0)
    scan = scan_file(tmp_path / "pushed.ts")
    assert scan.counters[:40] == list(range(40))
    assert scan.is_leaking
