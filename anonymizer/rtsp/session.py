"""One client's connection: RTSP 1.0 (RFC 2326) as far as watching a live stream over TCP needs it."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from anonymizer.cameras.listening import Attempts, Places
from anonymizer.rtsp.digest import Digest, Nonce, Verdict
from anonymizer.rtsp.feed import Feed
from anonymizer.rtsp.limits import Limits
from anonymizer.rtsp.messages import Headers, RefusedError, Request, read_message, response
from anonymizer.rtsp.rtp import SOUND_PAYLOAD_TYPE, RtpSource
from anonymizer.rtsp.sdp import SOUND_TRACK, TRACK, description
from anonymizer.rtsp.viewer import Viewer, close_soon

_log = logging.getLogger(__name__)
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
_NEVER = {"PAUSE", "ANNOUNCE", "RECORD", "REDIRECT"}
_TIMEOUT_S = 60  # how often players say that they live; we see it from the connection
_INTERLEAVED = re.compile(r"interleaved=([0-9]{1,3})-([0-9]{1,3})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions of a server share."""

    feeds: Mapping[str, Feed]
    limits: Limits
    digest: Digest | None
    attempts: Attempts
    places: Places  # of those who play
    is_tls: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    headers: Headers = ()
    body: bytes = b""
    then: Callable[[], None] | None = None  # what happens once it is on its way
    closes: bool = False


@dataclass(slots=True)
class _Stream:
    """What SETUP agreed on."""

    feed: Feed
    viewer: Viewer
    channels: tuple[int, int]  # of the picture
    session_id: str = field(default_factory=lambda: secrets.token_hex(8))
    is_playing: bool = False


class Session:
    """Answers one client until it goes, plays nothing for too long, or sends nonsense."""

    def __init__(self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        self._house, self._limits = house, house.limits
        self._reader, self._writer, self._address = reader, writer, address
        self._nonce = Nonce(house.limits.nonce_s)
        self._wrong = 0
        self._stream: _Stream | None = None
        self._sending: asyncio.Task[None] | None = None
        self._began_s = self._window_s = time.monotonic()
        self._messages = 0

    async def run(self) -> None:
        """Until the connection is closed."""
        try:
            while await self._answer_next():
                pass
        except (EOFError, OSError):  # TimeoutError is one.
            pass
        finally:
            await self._leave()

    async def _leave(self) -> None:
        close_soon(self._writer)
        if self._stream is None or self._sending is None:
            return
        feed, viewer = self._stream.feed, self._stream.viewer
        viewer.end("it went")
        feed.leave(viewer)
        self._house.places.leave(self._address)
        self._sending.cancel()
        (outcome,) = await asyncio.gather(self._sending, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
        _log.info("camera %s: a viewer left: %s; it lost %d frames", feed.name, viewer.ended, viewer.lost)

    async def _answer_next(self) -> bool:
        """Answer one message; False if there will be no other."""
        request = None
        try:
            request = await read_message(self._reader, self._limits, self._patience_s())
            self._count_message()
            if request is None:
                return True
            answer = await self._answer(request)
        except RefusedError as error:
            cseq = request.cseq if request else error.cseq
            self._writer.write(response(error.status, cseq, [*error.headers, *([("Connection", "close")] if error.closes else [])]))
            await self._drained()
            return not error.closes
        headers = [*answer.headers, *([("Connection", "close")] if answer.closes else [])]
        self._writer.write(response(200, request.cseq, headers, answer.body))
        if answer.then is not None:
            answer.then()
        await self._drained()
        return not answer.closes

    def _patience_s(self) -> float | None:
        if self._stream is not None and self._stream.is_playing:
            return None  # A player may have nothing to say: one that is gone no longer reads (Viewer.tick).
        return max(0.0, min(self._limits.idle_s, self._began_s + self._limits.setup_s - time.monotonic()))

    def _count_message(self) -> None:
        now_s = time.monotonic()
        if now_s - self._window_s > self._limits.messages_s:
            self._window_s, self._messages = now_s, 0
        self._messages += 1
        if self._messages > self._limits.messages:
            raise EOFError("too many messages")

    async def _drained(self) -> None:
        async with asyncio.timeout(self._limits.stall_s):
            await self._writer.drain()

    async def _answer(self, request: Request) -> _Answer:
        answers = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "GET_PARAMETER": self._parameter,
            "SET_PARAMETER": self._parameter,
            "TEARDOWN": self._teardown,
        }
        if request.method in _NEVER:
            raise RefusedError(405, [("Allow", _METHODS)])
        if request.method not in answers:
            raise RefusedError(501, [("Public", _METHODS)])
        if "require" in request.headers:
            raise RefusedError(551, [("Unsupported", request.headers["require"])])
        if request.method != "OPTIONS" and (self._stream is None or not self._stream.is_playing):
            self._require_credentials(request)
        return await answers[request.method](request)

    def _require_credentials(self, request: Request) -> None:
        if self._house.digest is None:
            return
        wait_s = self._house.attempts.wait_s(self._address)
        if wait_s > 0:
            raise RefusedError(503, [("Retry-After", str(math.ceil(wait_s)))], closes=True)
        header = request.headers.get("authorization")
        verdict = None if header is None else self._house.digest.verdict(header, request.method, request.path, self._nonce)
        if verdict is Verdict.GRANTED:
            self._house.attempts.succeeded(self._address)
            return
        if verdict is Verdict.REFUSED:
            self._wrong += 1
            self._house.attempts.failed(self._address)
            _log.warning("wrong user or password from %s", self._address)
        challenges = self._nonce.challenges(is_stale=verdict is Verdict.STALE)
        raise RefusedError(401, challenges, closes=self._wrong >= self._limits.passwords)

    async def _options(self, request: Request) -> _Answer:
        return _Answer([("Public", _METHODS)])

    async def _describe(self, request: Request) -> _Answer:
        feed = self._feed(request)
        accepted = request.headers.get("accept", "*/*")
        if not any(kind in accepted for kind in ("application/sdp", "application/*", "*/*")):
            raise RefusedError(406)
        stream = await feed.wait_for_format(self._limits.format_s)
        if stream is None:
            raise RefusedError(503, [("Retry-After", str(math.ceil(self._limits.format_s)))])
        headers = [("Content-Base", self._address_of(feed, request) + "/"), ("Content-Type", "application/sdp"), ("Cache-Control", "no-store")]
        return _Answer(headers, description(feed.title or feed.name, stream, feed.session_id))

    async def _setup(self, request: Request) -> _Answer:
        feed = self._feed(request)
        if self._stream is not None and feed is not self._stream.feed:
            raise RefusedError(459)
        if request.path[1:] == [SOUND_TRACK]:
            return self._setup_sound(request)
        if self._stream is not None:
            raise RefusedError(455)
        channels = _channels(request.headers.get("transport", ""))
        if channels is None:
            raise RefusedError(461)
        if feed.format is None:
            raise RefusedError(503, [("Retry-After", str(math.ceil(self._limits.format_s)))])
        source = RtpSource(*channels)
        self._stream = _Stream(feed, Viewer(self._writer, source, feed.format.codec, self._limits), channels)
        return _set_up(self._stream, source, channels)

    def _setup_sound(self, request: Request) -> _Answer:
        """The second track, of whoever has set up the first and does not play yet."""
        if self._stream is None:
            raise RefusedError(455)
        stream = self._session(request)
        sound = stream.feed.format.sound if stream.feed.format is not None else None
        if sound is None:
            raise RefusedError(404)
        channels = _channels(request.headers.get("transport", ""), otherwise=(2, 3))
        if channels is None or set(channels) & set(stream.channels):
            raise RefusedError(461)
        if stream.is_playing or stream.viewer.sound is not None:
            raise RefusedError(455)
        stream.viewer.sound = RtpSource(*channels, payload_type=SOUND_PAYLOAD_TYPE, clock=sound.rate)
        return _set_up(stream, stream.viewer.sound, channels)

    async def _play(self, request: Request) -> _Answer:
        stream = self._session(request)
        if self._feed(request) is not stream.feed:
            raise RefusedError(459)
        headers = [("Session", stream.session_id), ("Range", "npt=now-")]
        if stream.is_playing:
            return _Answer(headers)
        if not self._house.places.take(self._address):
            raise RefusedError(453, closes=True)
        stream.is_playing = True
        self._sending = asyncio.get_running_loop().create_task(stream.viewer.send_all())
        first_pts = stream.feed.first_pts()
        infos = []
        for track, source in ((TRACK, stream.viewer.source), (SOUND_TRACK, stream.viewer.sound)):
            if source is not None:
                when = "" if first_pts is None else f";rtptime={source.timestamp(first_pts)}"
                infos.append(f"url={self._address_of(stream.feed, request)}/{track};seq={source.sequence}{when}")
        _log.info("camera %s: a viewer from %s", stream.feed.name, self._address)
        return _Answer([*headers, ("RTP-Info", ",".join(infos))], then=lambda: stream.feed.begin(stream.viewer))

    async def _parameter(self, request: Request) -> _Answer:
        if request.body:
            raise RefusedError(451)
        return _Answer([("Session", self._session(request).session_id)] if "session" in request.headers else [])

    async def _teardown(self, request: Request) -> _Answer:
        return _Answer([("Session", self._session(request).session_id)], closes=True)

    def _feed(self, request: Request) -> Feed:
        path = request.path
        feed = self._house.feeds.get(path[0]) if path else None
        if feed is None:
            raise RefusedError(404)
        has_sound = feed.format is not None and feed.format.sound is not None
        if path[1:] not in ([], [TRACK], *([[SOUND_TRACK]] if has_sound else [])):
            raise RefusedError(404)
        return feed

    def _session(self, request: Request) -> _Stream:
        given = request.headers.get("session", "").partition(";")[0].strip()
        if self._stream is None:
            raise RefusedError(454 if given else 455)
        if given != self._stream.session_id:
            raise RefusedError(454)
        return self._stream

    def _address_of(self, feed: Feed, request: Request) -> str:
        """A camera's address as this client wrote it: behind a gateway, ours would lead nowhere."""
        own = self._writer.get_extra_info("sockname") or ("127.0.0.1", 554)
        host = request.host or (f"[{own[0]}]:{own[1]}" if ":" in own[0] else f"{own[0]}:{own[1]}")
        return f"{'rtsps' if self._house.is_tls else 'rtsp'}://{host}/{feed.name}"


def _set_up(stream: _Stream, source: RtpSource, channels: tuple[int, int]) -> _Answer:
    transport = f'RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]};ssrc={source.ssrc:08X};mode="PLAY"'
    return _Answer([("Transport", transport), ("Session", f"{stream.session_id};timeout={_TIMEOUT_S}")])


def _channels(header: str, otherwise: tuple[int, int] = (0, 1)) -> tuple[int, int] | None:
    """The pair of channels for the first transport a client offers that is ours; None if none is.

    >>> _channels("RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=2-3"), _channels("RTP/AVP;unicast;client_port=5000-5001")
    ((2, 3), None)
    """
    for offer in header.split(","):
        profile, *parameters = (part.strip() for part in offer.split(";"))
        modes = [part.partition("=")[2].strip('"').upper() for part in parameters if part.lower().startswith("mode=")]
        if profile.upper() != "RTP/AVP/TCP" or "multicast" in parameters or modes not in ([], ["PLAY"]):
            continue
        match = next(filter(None, map(_INTERLEAVED.fullmatch, parameters)), None)
        channels = (int(match[1]), int(match[2])) if match else otherwise
        if max(channels) <= 255 and channels[0] != channels[1]:
            return channels
    return None
