"""Who may look at the page, and who may not."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from anonymizer.cameras.settings import Server
from anonymizer.errors import ConfigError
from anonymizer.web.access import require_safe, warning_of
from anonymizer.web.connections import MOST_CONNECTIONS
from tests.streaming.watching import open_site, run_state

TOKEN = "a-token-of-thirty-two-characters"
PASSWORD = "correct horse"
WITH_TOKEN = Server(token=TOKEN)
WITH_PASSWORD = Server(user="guard", password=PASSWORD)
PRIVATE = (
    "/",
    "/app.js",
    "/status.json",
    "/metrics",
    "/cameras/gate/readyz",
    "/cameras/gate/live",
    "/cameras/gate/snapshot.jpg",
    "/cameras/gate/hls/live.m3u8",
)

UNSAFE = [
    pytest.param(Server(host="0.0.0.0"), "would answer anybody", id="open-to-everybody"),
    pytest.param(Server(host="::"), "would answer anybody", id="open-to-everybody-over-ipv6"),
    pytest.param(Server(host="192.0.2.7", user="guard", password=PASSWORD), "unencrypted", id="a-password-in-clear"),
    pytest.param(Server(host="0.0.0.0", token=""), "empty", id="a-token-whose-variable-is-not-set"),
    pytest.param(Server(token=""), "empty", id="an-empty-token-on-loopback"),
    pytest.param(Server(user="guard"), "without a password", id="a-user-without-a-password"),
]
SAFE = [
    pytest.param(Server(), None, id="loopback"),
    pytest.param(Server(host="::1"), None, id="loopback-over-ipv6"),
    pytest.param(Server(host="0.0.0.0", token=TOKEN), "unencrypted", id="a-token-in-clear-is-warned-of"),
    pytest.param(Server(host="0.0.0.0", user="guard", password=PASSWORD, certificate=Path("c.pem")), None, id="a-password-over-tls"),
]


def with_site(server: Server, work: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with open_site(server, state=run_state()) as (_, client):
            await work(client)

    asyncio.run(run())


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def status_of(client: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> int:
    async with client.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status


@pytest.mark.parametrize(("server", "words"), UNSAFE)
def test_unsafe_server_is_refused(server: Server, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        require_safe(server)
    assert caught.value.hint


@pytest.mark.parametrize(("server", "words"), SAFE)
def test_safe_server_is_allowed(server: Server, words: str | None) -> None:
    require_safe(server)
    warning = warning_of(server)
    assert (warning is None) if words is None else (words in (warning or ""))


def test_without_credentials_nothing_is_given_but_health() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        for path in PRIVATE:
            assert await status_of(client, path) == 401, path
        for path in ("/healthz", "/readyz"):
            assert await status_of(client, path) == 200

    with_site(WITH_TOKEN, work)


def test_token_in_a_header_opens_everything() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert await status_of(client, "/status.json", headers) == 200
        assert await status_of(client, "/status.json", {"Authorization": f"Bearer {TOKEN[:-1]}"}) == 401
        assert await status_of(client, "/status.json") == 401

    with_site(WITH_TOKEN, work)


def test_token_in_the_address_becomes_a_cookie() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        async with client.get("/?token=" + TOKEN, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert TOKEN not in cookie
        assert await status_of(client, "/status.json") == 200
        assert await status_of(client, "/cameras/gate/hls/live.m3u8?token=" + TOKEN) == 303

    with_site(WITH_TOKEN, work)


def test_redirect_leads_nowhere_else() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        base = client._base_url
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(f"GET //example.org/?token={TOKEN} HTTP/1.1\r\nHost: {base.authority}\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert "Location: /\r\n" in answer or answer.startswith("HTTP/1.1 404")
        assert "example.org" not in answer

    with_site(WITH_TOKEN, work)


def test_wrong_cookie_opens_nothing() -> None:
    with_site(WITH_TOKEN, lambda client: _expect(client, 401, {"Cookie": "anonymizer-0=" + "0" * 64}))


def test_password_opens_and_a_wrong_one_does_not() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        assert await status_of(client, "/status.json", basic("guard", PASSWORD)) == 200
        for user, password in (("guard", "wrong"), ("gard", PASSWORD), ("", "")):
            assert await status_of(client, "/status.json", basic(user, password)) in (401, 429)
        async with client.get("/status.json") as answer:
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")

    with_site(WITH_PASSWORD, work)


def test_password_given_for_the_page_is_kept_as_a_cookie_for_its_websockets() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        assert await status_of(client, "/", basic("guard", PASSWORD)) == 200
        assert await status_of(client, "/status.json") == 200

    with_site(WITH_PASSWORD, work)


@pytest.mark.parametrize("value", ["Basic", "Basic !", "Basic Og==", "Bearer", "Bearer \xff", "Digest x", "Basic " + "A" * 4000])
def test_malformed_credentials_are_wrong_ones(value: str) -> None:
    with_site(WITH_TOKEN, lambda client: _expect(client, 401, {"Authorization": value}))


def test_a_thousand_wrong_tokens_are_soon_not_looked_at() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        statuses = [await status_of(client, "/status.json", {"Authorization": f"Bearer {index}"}) for index in range(1000)]
        assert statuses[:3] == [401, 401, 401]
        assert statuses.count(401) <= 8  # Waits double: a few more may have been looked at on a slow machine.
        async with client.get("/status.json", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 429, "the right one has to wait as well, else guesses would be told apart"
            assert int(answer.headers["Retry-After"]) >= 1
        assert await status_of(client, "/healthz") == 200

    with_site(WITH_TOKEN, work)


def test_viewer_who_is_logged_in_is_not_locked_out_by_others() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        await status_of(client, "/?token=" + TOKEN)
        for index in range(20):
            async with aiohttp.ClientSession(client._base_url) as stranger:
                await status_of(stranger, f"/?token={index}")
        assert await status_of(client, "/status.json") == 200

    with_site(WITH_TOKEN, work)


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "localhost.example.org:80", "192.0.2.7", "[", ""])
def test_name_that_is_not_this_machines_gets_nothing(host: str) -> None:
    """A stranger's site whose name was made to mean 127.0.0.1 (DNS rebinding)."""
    with_site(Server(), lambda client: _expect(client, 403, {"Host": host}))


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]:8080"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    with_site(Server(), lambda client: _expect(client, 200, {"Host": host}))


FOREIGN = [
    pytest.param({"Origin": "https://example.org"}, 403, id="another-origin"),
    pytest.param({"Origin": "null"}, 403, id="a-sandboxed-frame"),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403, id="an-image-on-another-site"),
    pytest.param({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403, id="another-port"),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200, id="a-link"),
    pytest.param({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200, id="our-own-page"),
]


@pytest.mark.parametrize(("headers", "status"), FOREIGN)
def test_other_sites_pages_get_nothing(headers: dict[str, str], status: int) -> None:
    with_site(Server(), lambda client: _expect(client, status, headers))


def test_websocket_of_another_sites_page_is_refused() -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect("/cameras/gate/live", origin="https://example.org")
        assert caught.value.status == 403

    with_site(Server(), work)


@pytest.mark.parametrize("path", ["/", "/status.json", "/nowhere", "/healthz", "/metrics"])
def test_every_answer_has_the_security_headers(path: str) -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        async with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers

    with_site(Server(), work)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    async def work(client: aiohttp.ClientSession) -> None:
        async with client.request(method, "/status.json", data=b"x" * 100_000) as answer:
            assert answer.status == 405

    with_site(Server(), work)


def test_connections_are_bounded_and_silent_ones_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonymizer.web.connections.MOST_CONNECTIONS", 20)
    monkeypatch.setattr("anonymizer.web.connections.FIRST_REQUEST_S", 0.5)
    assert MOST_CONNECTIONS > 20

    async def work(client: aiohttp.ClientSession) -> None:
        base = client._base_url
        silent = [await asyncio.open_connection(base.host, base.port) for _ in range(30)]
        ended = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True), 5)
        assert all(answer == b"" or isinstance(answer, ConnectionError) for answer in ended)
        for _, writer in silent:
            writer.close()
        assert await status_of(client, "/healthz") == 200

    with_site(Server(), work)


def test_one_address_cannot_take_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonymizer.web.connections.MOST_PER_ADDRESS", 5)
    monkeypatch.setattr("anonymizer.web.connections.is_loopback", lambda host: host == "127.0.0.1")

    @asynccontextmanager
    async def places_of(client: aiohttp.ClientSession, address: str) -> AsyncIterator[int]:
        base = client._base_url
        pairs = [await asyncio.open_connection(base.host, base.port, local_addr=(address, 0)) for _ in range(8)]
        await asyncio.sleep(0.2)
        try:
            yield sum(not reader.at_eof() and reader.exception() is None for reader, _ in pairs)
        finally:
            for _, writer in pairs:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    async def work(client: aiohttp.ClientSession) -> None:
        for _ in range(2):  # Who has gone leaves his place.
            async with places_of(client, "127.0.0.2") as one, places_of(client, "127.0.0.3") as another:
                assert (one, another) == (5, 5)
            await asyncio.sleep(0.2)
        async with places_of(client, "127.0.0.1") as behind_a_proxy:
            assert behind_a_proxy == 8
            assert await status_of(client, "/healthz") == 200

    with_site(Server(), work)


async def _expect(client: aiohttp.ClientSession, status: int, headers: dict[str, str]) -> None:
    assert await status_of(client, "/status.json", headers) == status
