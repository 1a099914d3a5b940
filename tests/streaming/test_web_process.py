"""The page's process as the supervisor sees it: beats, faults in words, and an end."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from anonymizer.cameras.settings import Server, as_message
from anonymizer.ipc.packets import packet_sockets
from tests.streaming.feeding import RunningSink

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-thirty-two-characters"


def start(process: RunningSink, server: Server) -> None:
    assert process.channel.send({"do": "start", "server": as_message(server)})


@pytest.fixture
def process() -> Iterator[RunningSink]:
    running = RunningSink("web", {})
    yield running
    running.close()


def test_taken_port_is_said_and_tried_again(process: RunningSink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        start(process, Server(port=port))
        beat = process.wait_for(lambda beat: beat["fault"] is not None)
        assert beat["state"] == "connecting"
        assert "in use" in beat["fault"]
    beat = process.wait_for(lambda beat: beat["state"] == "up", 10)
    assert beat["port"] == port
    assert beat["fault"] is None
    assert process.longest_silence_s() < 2
    assert process.stop() == 0


def test_unsafe_server_does_not_listen_and_says_why(process: RunningSink) -> None:
    start(process, Server(host="0.0.0.0", password="s3cret", user="guard"))
    beat = process.wait_for(lambda beat: beat["state"] == "failed")
    assert "unencrypted" in beat["fault"]
    assert "s3cret" not in beat["fault"]
    assert beat["port"] is None
    assert process.stop() == 0


def test_process_ends_with_its_supervisor(process: RunningSink) -> None:
    start(process, Server())
    process.wait_for(lambda beat: beat["state"] == "up")
    process.channel.close()
    assert process.process.wait(5) == 1


def test_camera_without_a_sealer_is_known_and_a_removed_one_is_not(process: RunningSink) -> None:
    start(process, Server())
    beat = process.wait_for(lambda beat: beat["state"] == "up")

    async def work() -> None:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{beat['port']}") as client:

            async def cameras() -> dict[str, object]:
                async with client.get("/status.json") as answer:
                    return (await answer.json())["cameras"]

            ours, theirs = packet_sockets()
            with ours, theirs:
                process.channel.send({"do": "camera", "name": "gate", "title": "Gate"})
                process.channel.send({"do": "camera", "name": "yard", "title": "Yard"}, [theirs.fileno()])
                await wait_until(cameras, {"gate", "yard"})
                async with client.ws_connect("/cameras/gate/live") as viewer:
                    process.channel.send({"do": "remove", "name": "gate"})
                    message = await viewer.receive(timeout=5)
                    assert message.type is aiohttp.WSMsgType.CLOSE
                await wait_until(cameras, {"yard"})

    asyncio.run(work())


async def wait_until(ask: Callable[[], Awaitable[dict[str, object]]], names: set[str]) -> None:
    deadline_s = time.monotonic() + 5
    while set(await ask()) != names:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_page_over_tls(process: RunningSink, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    start(process, Server(host="0.0.0.0", token=TOKEN, certificate=certificate, key=key))
    beat = process.wait_for(lambda beat: beat["state"] == "up")

    async def work() -> None:
        trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificate))
        async with aiohttp.ClientSession(f"https://127.0.0.1:{beat['port']}", connector=trusting) as client:
            async with client.get("/", params={"token": TOKEN}, allow_redirects=False) as answer:
                assert answer.status == 303
                assert "Secure" in answer.headers["Set-Cookie"]
            async with client.get("/status.json", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
                assert (await answer.json())["warning"] is None

    asyncio.run(work())
    assert process.stop() == 0


def test_certificate_that_cannot_be_read_is_said(process: RunningSink, tmp_path: Path) -> None:
    start(process, Server(token=TOKEN, certificate=tmp_path / "missing.pem"))
    beat = process.wait_for(lambda beat: beat["fault"] is not None)
    assert "missing.pem" in beat["fault"]
