"""A camera's picture in four ways: fragments over a WebSocket, HLS, MJPEG as the last resort, and a snapshot. Sealed frames alone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, hdrs, web

from anonymizer.web.feeds import Feed, TooManyViewersError, Viewer

_PLAYLIST = "application/vnd.apple.mpegurl"
_HEARTBEAT_S = 10.0  # Who does not answer a ping for half as long is gone: a viewer that never reads does not keep a seat.
_MJPEG_PAUSE_S = 0.5
_BOUNDARY = "next-picture"
_FIRST_PICTURE_S = 5.0
_SEND_PATIENCE_S = 10.0


class Live:
    """The handlers for pictures."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = feeds

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Everything that answers with pictures."""
        # A HEAD would be answered with a stream that never ends.
        router.add_get("/cameras/{camera}/live", self._fragments, allow_head=False)
        router.add_get("/cameras/{camera}/live.mjpeg", self._mjpeg, allow_head=False)
        router.add_get("/cameras/{camera}/snapshot.jpg", self._snapshot)
        router.add_get("/cameras/{camera}/hls/live.m3u8", self._playlist)
        router.add_get("/cameras/{camera}/hls/{file}", self._segment)

    def _feed(self, request: web.Request) -> Feed:
        try:
            return self._feeds[request.match_info["camera"]]
        except KeyError:
            raise web.HTTPNotFound(text="404: no such camera\n") from None

    def _live_feed(self, request: web.Request) -> Feed:
        feed = self._feed(request)
        if not feed.is_live:
            raise web.HTTPServiceUnavailable(text="503: there is no live picture\n", headers={hdrs.RETRY_AFTER: "2"})
        return feed

    async def _fragments(self, request: web.Request) -> web.StreamResponse:
        feed = self._feed(request)
        # Viewers say nothing; video does not shrink.
        connection = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, timeout=1.0, compress=False, max_msg_size=1024)
        if not connection.can_prepare(request):
            raise web.HTTPUpgradeRequired(text="426: this is a WebSocket\n", headers={hdrs.UPGRADE: "websocket"})
        await connection.prepare(request)
        try:
            with feed.watched_by("websocket") as viewer:
                await _first_to_end(_send_all(connection, viewer), _hear_nothing(connection))
            await connection.close(code=WSCloseCode.GOING_AWAY)
        except TooManyViewersError:
            await connection.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many viewers")
        return connection

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        feed = self._feed(request)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: f"multipart/x-mixed-replace; boundary={_BOUNDARY}"})
        try:
            with feed.watched_by("mjpeg") as viewer:
                await response.prepare(request)
                with suppress(ConnectionError, TimeoutError, ValueError):  # The viewer is gone, or no key frame can be decoded.
                    await _send_jpegs(response, feed, viewer)
        except TooManyViewersError:
            raise web.HTTPServiceUnavailable(text="503: too many viewers\n") from None
        return response

    async def _snapshot(self, request: web.Request) -> web.Response:
        feed = self._live_feed(request)
        try:
            async with asyncio.timeout(_FIRST_PICTURE_S):
                _, data = await feed.jpeg()
        except (TimeoutError, ValueError):
            raise web.HTTPServiceUnavailable(text="503: there is no picture yet\n") from None
        return web.Response(body=data, content_type="image/jpeg")

    async def _playlist(self, request: web.Request) -> web.Response:
        feed = self._live_feed(request)
        text = feed.hls.playlist()
        if text is None:
            raise web.HTTPServiceUnavailable(text="503: there is no segment yet\n", headers={hdrs.RETRY_AFTER: "2"})
        feed.saw_hls_viewer(request.remote or "")
        return web.Response(text=text, content_type=_PLAYLIST)

    async def _segment(self, request: web.Request) -> web.Response:
        data = self._live_feed(request).hls.file(request.match_info["file"])
        if data is None:
            raise web.HTTPNotFound(text="404: no longer, or not yet\n")
        return web.Response(body=data, content_type="video/mp4")


async def _send_all(connection: web.WebSocketResponse, viewer: Viewer) -> None:
    with suppress(ConnectionError):  # The viewer is gone.
        while (item := await viewer.next()) is not None:
            if isinstance(item, bytes):
                await connection.send_bytes(item)
            else:
                await connection.send_json({"codec": item.codec})
                await connection.send_bytes(item.init)


async def _hear_nothing(connection: web.WebSocketResponse) -> None:
    await connection.receive()


async def _first_to_end(*works: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_jpegs(response: web.StreamResponse, feed: Feed, viewer: Viewer) -> None:
    pts = None
    await response.write(f"--{_BOUNDARY}\r\n".encode())
    while not viewer.is_closed:
        try:
            async with asyncio.timeout(1.0):
                pts, data = await feed.jpeg(after=pts)
        except TimeoutError:
            continue  # to see whether the camera was removed
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        async with asyncio.timeout(_SEND_PATIENCE_S):
            # The next boundary goes with the picture: browsers show none before they have read it.
            await response.write(head + data + f"\r\n--{_BOUNDARY}\r\n".encode())
        await asyncio.sleep(_MJPEG_PAUSE_S)
