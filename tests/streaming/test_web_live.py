"""The page's real process, fed by a drawn camera in real time: every way in which a picture leaves it is decoded."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import av
import numpy as np
import pytest
from PIL import Image

from anonymizer.ipc.packets import PacketReceiver, PacketSender, packet_sockets
from anonymizer.web.feeds import MOST_QUEUED_BYTES, Feed, Seats, TooManyViewersError, Viewer
from tests.streaming.feeding import DrawnStream
from tests.streaming.watching import RunningPage, open_site, running_page

Client = aiohttp.ClientSession


@pytest.fixture(scope="module")
def page() -> Iterator[RunningPage]:
    with running_page("gate") as running:
        yield running


def ask(page: RunningPage, work: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(page.url) as client:
            return await work(client)

    return asyncio.run(run())


async def fragments_of(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> tuple[list[dict[str, Any]], bytes]:
    """The formats that were announced, and everything since the newest one."""
    formats, data = [], b""
    deadline_s = time.monotonic() + seconds
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            message = await socket.receive(timeout=left_s)
        except TimeoutError:
            break
        if message.type is aiohttp.WSMsgType.TEXT:
            formats.append(json.loads(message.data))
            data = b""
        elif message.type is aiohttp.WSMsgType.BINARY:
            data += message.data
        else:
            break
    return formats, data


def pictures_in(data: bytes) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(data)) as container:
        return list(container.decode(video=0))


def assert_drawn(rgb: Any) -> None:
    """The drawn picture's left side is dark above and green below, its right side red above."""
    height, width = rgb.shape[:2]
    assert abs(int(rgb[2, 2, 2]) - 90) < 30
    assert rgb[2, 2, :2].max() < 40
    assert rgb[2, width - 3, 0] > 150
    assert rgb[height - 3, 2, 1] > 150


@pytest.mark.slow
def test_fragments_over_a_websocket_can_be_decoded(page: RunningPage) -> None:
    async def work(client: Client) -> None:
        async with client.ws_connect("/cameras/gate/live") as socket:
            formats, data = await fragments_of(socket, 2.0)
        assert [one["codec"][:5] for one in formats] == ["avc1."]
        frames = pictures_in(data)
        assert 40 <= len(frames) <= 70  # 2 s at 25 frames a second, and the group that was under way
        assert_drawn(frames[-1].to_ndarray(format="rgb24"))
        times_s = [float(frame.time) for frame in frames]
        assert times_s == sorted(set(times_s))

    ask(page, work)


@pytest.mark.slow
def test_hls_can_be_decoded(page: RunningPage) -> None:
    async def work(client: Client) -> str:
        for _ in range(80):
            async with client.get("/cameras/gate/hls/live.m3u8") as answer:
                if answer.status == 200 and (text := await answer.text()).count("#EXTINF") >= 2:
                    assert answer.content_type == "application/vnd.apple.mpegurl"
                    return text
            await asyncio.sleep(0.1)
        raise AssertionError("no playlist in 8 s")

    text = ask(page, work)
    assert "#EXT-X-MAP" in text
    assert "#EXT-X-ENDLIST" not in text
    with av.open(f"{page.url}/cameras/gate/hls/live.m3u8", timeout=5) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]
    assert_drawn(frames[-1].to_ndarray(format="rgb24"))
    status = ask(page, lambda client: _json(client, "/status.json"))
    assert status["cameras"]["gate"]["stream"]["viewers"]["hls"] == 1


@pytest.mark.slow
def test_snapshot_and_mjpeg_are_pictures(page: RunningPage) -> None:
    async def work(client: Client) -> tuple[bytes, bytes, float]:
        async with client.get("/cameras/gate/snapshot.jpg") as answer:
            assert answer.content_type == "image/jpeg"
            snapshot = await answer.read()
        async with client.get("/cameras/gate/live.mjpeg") as answer:
            reader = aiohttp.MultipartReader.from_response(answer)
            begun_s = time.monotonic()
            parts = [bytes(await (await reader.next()).read()) for _ in range(3)]  # type: ignore[union-attr]
        assert parts[0] != parts[2]
        return snapshot, parts[-1], time.monotonic() - begun_s

    snapshot, part, took_s = ask(page, work)
    for data in (snapshot, part):
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (160, 120)
            assert_drawn(np.asarray(picture))
    assert took_s > 0.9, "at most two pictures a second"


@pytest.mark.slow
def test_unknown_camera_and_left_segment_are_not_found(page: RunningPage) -> None:
    async def work(client: Client) -> None:
        for path in ("nowhere/live", "nowhere/snapshot.jpg", "nowhere/hls/live.m3u8", "gate/hls/segment_00000001.m4s", "gate/hls/..%2f..%2fpage"):
            async with client.get(f"/cameras/{path}") as answer:
                assert answer.status == 404, path
        async with client.get("/cameras/gate/live") as answer:
            assert answer.status == 426

    ask(page, work)


@pytest.mark.slow
def test_viewer_that_never_reads_delays_nobody(page: RunningPage) -> None:
    async def work(client: Client) -> None:
        async with client.ws_connect("/cameras/gate/live") as deaf, client.ws_connect("/cameras/gate/live") as other:
            deaf._conn.transport.pause_reading()  # type: ignore[union-attr]
            _, data = await fragments_of(other, 2.0)
            assert len(pictures_in(data)) >= 40

    ask(page, work)


@pytest.mark.slow
def test_viewers_stay_when_the_sealer_is_restarted_and_when_the_format_changes(page: RunningPage) -> None:
    async def work(client: Client) -> None:
        async with client.ws_connect("/cameras/gate/live") as socket:
            await fragments_of(socket, 0.5)
            await asyncio.to_thread(page.feed, "gate", DrawnStream())
            formats, data = await fragments_of(socket, 1.5)
            assert formats == [], "the same format: the picture goes on without a new beginning"
            assert data.count(b"moof") >= 20
            await asyncio.to_thread(page.feed, "gate", DrawnStream(size_wh=(320, 240)))
            formats, data = await fragments_of(socket, 1.5)
            assert len(formats) == 1
            assert {(frame.width, frame.height) for frame in pictures_in(data)} == {(320, 240)}

    ask(page, work)
    page.feed("gate", DrawnStream())


@pytest.mark.slow
def test_nothing_is_given_as_live_once_the_sealer_is_gone_and_the_process_ends_cleanly() -> None:
    with running_page("gate") as own:

        async def work(client: Client) -> None:
            async with client.ws_connect("/cameras/gate/live") as socket:
                formats, _ = await fragments_of(socket, 1.0)
                assert formats
                await asyncio.to_thread(own.feeders["gate"].stop)
                await asyncio.sleep(2.1)
                for path in ("snapshot.jpg", "hls/live.m3u8"):
                    async with client.get(f"/cameras/gate/{path}") as answer:
                        assert answer.status == 503
                status = await _json(client, "/status.json")
                assert status["cameras"]["gate"]["stream"]["age_s"] > 2
                begun_s = time.monotonic()
                # It listens meanwhile: a viewer has to answer that he is sent away.
                code, _ = await asyncio.gather(asyncio.to_thread(own.stop), fragments_of(socket, 3.0))
                assert code == 0
                assert time.monotonic() - begun_s < 2.5
                assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY

        ask(own, work)


def test_no_way_gives_an_old_picture_and_who_waits_gets_the_new_sealers() -> None:
    async def run() -> None:
        async with open_site() as (site, client):
            feed, stream = site._feeds["gate"], DrawnStream()
            sender = await sealer_of(site.add_camera, stream, 90_000_000)
            text = await _playlist(client)
            segment = f"hls/{text.split()[-1]}"
            assert await _status(client, segment) == 200
            assert await _status(client, "snapshot.jpg") == 200
            sender.close()
            await asyncio.sleep(0.1)
            async with client.ws_connect("/cameras/gate/live") as socket, client.get("/cameras/gate/live.mjpeg") as mjpeg:
                _, data = await fragments_of(socket, 0.3)
                assert b"moof" not in data, "the group of a sealer that is gone is not kept"
                reader = aiohttp.MultipartReader.from_response(mjpeg)
                await (await reader.next()).read()  # type: ignore[union-attr]  # It was new still.
                age(feed, 3)
                async with client.get("/cameras/gate/live.mjpeg") as late:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(aiohttp.MultipartReader.from_response(late).next(), 0.5)
                for path in (segment, "snapshot.jpg", "hls/live.m3u8"):
                    assert await _status(client, path) == 503
                sender = await sealer_of(site.add_camera, stream, 99_000_000)
                _, data = await fragments_of(socket, 0.3)
                assert data.count(b"moof") >= 1
                await asyncio.wait_for((await reader.next()).read(), 2)  # type: ignore[union-attr]
                text = await _playlist(client)
                assert text.count("#EXT-X-DISCONTINUITY\n") == 1
            sender.close()

    asyncio.run(run())


def test_viewer_who_comes_while_packets_are_late_waits_for_a_key_frame() -> None:
    async def run() -> None:
        async with open_site() as (site, _):
            feed = site._feeds["gate"]
            sender = await sealer_of(site.add_camera, DrawnStream(), 90_000_000, count=20)
            with feed.watched_by("websocket") as viewer:
                assert len(viewer._queue) == 1
            age(feed, 3)
            with feed.watched_by("websocket") as viewer:
                assert len(viewer._queue) == 0
            sender.close()

    asyncio.run(run())


def test_hls_forgets_what_was_before_a_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with open_site() as (site, _):
            feed, stream = site._feeds["gate"], DrawnStream()
            (await sealer_of(site.add_camera, stream, 90_000_000)).close()
            await asyncio.sleep(0.1)
            text = feed.hls.playlist()
            assert text is not None
            now_s = time.monotonic
            monkeypatch.setattr("anonymizer.web.hls.time.monotonic", lambda: now_s() + 60)
            assert feed.hls.file(text.split()[-1]) is None
            assert feed.hls.playlist() is None
            (await sealer_of(site.add_camera, stream, 99_000_000)).close()
            after = feed.hls.playlist()
            assert after is not None
            assert text.split()[-1] not in after
            assert "#EXT-X-DISCONTINUITY\n" in after, "players remember what came before"

    asyncio.run(run())


async def sealer_of(add_camera: Callable[[str, str, PacketReceiver], None], stream: DrawnStream, start_pts: int, count: int = 60) -> PacketSender:
    """A sealer that has sent a few pictures."""
    ours, theirs = packet_sockets()
    add_camera("gate", "Gate", PacketReceiver(theirs))
    sender = PacketSender(ours)
    sender.offer(stream.format)
    for packet in stream.packets(count, start_pts):
        sender.offer(packet)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    return sender


def age(feed: Feed, seconds: float) -> None:
    """As if the newest packet had come so much earlier."""
    assert feed._came_at_s is not None
    feed._came_at_s -= seconds


def test_too_slow_viewer_loses_whole_groups() -> None:
    async def run() -> None:
        viewer = Viewer("websocket")
        size = MOST_QUEUED_BYTES // 10
        for index in range(40):
            viewer.offer(index * 3600, bytes([index]) * size, is_key=index % 8 == 0)
            assert sum(len(data) for _, data in viewer._queue) <= MOST_QUEUED_BYTES
        data = await viewer.next()
        assert isinstance(data, bytes)
        assert data[0] % 8 == 0, "it begins again at a key frame"
        assert viewer.lost > 0
        for index in range(80):
            viewer.offer(index * 3600, b"x", is_key=index == 0)
        assert len(viewer._queue) <= 51, "no more than two seconds wait"

    asyncio.run(run())


def test_seats_are_bounded_per_camera_and_in_all() -> None:
    async def run() -> None:
        seats = Seats(most=3, most_of_a_camera=2)
        gate, yard = Feed("gate", "", seats), Feed("yard", "", seats)
        with gate.watched_by("websocket"), gate.watched_by("mjpeg"):
            with pytest.raises(TooManyViewersError), gate.watched_by("websocket"):
                pass
            with yard.watched_by("websocket"), pytest.raises(TooManyViewersError), yard.watched_by("websocket"):
                pass
        assert seats.taken == 0
        for index in range(5000):
            gate.saw_hls_viewer(str(index))
        assert gate.viewers_by_way()["hls"] <= 1024

    asyncio.run(run())


async def _status(client: Client, path: str) -> int:
    async with client.get(f"/cameras/gate/{path}") as answer:
        return answer.status


async def _playlist(client: Client) -> str:
    async with client.get("/cameras/gate/hls/live.m3u8") as answer:
        assert answer.status == 200
        return await answer.text()


async def _json(client: Client, path: str) -> Any:
    async with client.get(path) as answer:
        return await answer.json()
