"""The serving process as the supervisor sees it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from anonymizer.ipc.channel import Channel, Message
from tests.streaming.drawn_stream import sealer
from tests.streaming.rtsp_world import Client


class Process:
    """The role in a process of its own."""

    def __init__(self) -> None:
        self.channel, theirs = Channel.pair()
        command = [sys.executable, "-W", "error", "-m", "anonymizer.streaming.child", "serve", str(theirs.fileno()), str(os.getpid())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()

    def beat(self, **wanted: Any) -> Message:
        """The next beat that says all this."""
        end_s = time.monotonic() + 15
        while time.monotonic() < end_s:
            got = self.channel.receive(1.0)
            if got is not None and all(got[0].get(key) == value for key, value in wanted.items()):
                assert got[0]["beat"] is True
                return got[0]
        raise AssertionError(f"no beat with {wanted}")

    def end(self, timeout_s: float = 3) -> tuple[int, str]:
        code = self.process.wait(timeout_s)
        assert self.process.stderr
        return code, self.process.stderr.read().decode()


@pytest.fixture
def process() -> Iterator[Process]:
    running = Process()
    yield running
    running.channel.close()
    running.process.kill()
    running.process.wait()
    if running.process.stderr:
        running.process.stderr.close()


def camera(channel: Channel, name: str, end: socket.socket) -> None:
    assert channel.send({"do": "camera", "name": name, "title": name.title()}, [end.fileno()])


def test_cameras_come_are_restarted_and_go(process: Process) -> None:
    channel = process.channel
    channel.send({"do": "start", "server": {"host": "127.0.0.1", "user": "viewer", "password": "secret"}})
    with sealer() as first, sealer() as second:
        camera(channel, "gate", first.receiver._end)
        first.receiver.close()
        port = process.beat(state="up", fault=None)["port"]
        with Client(port) as client:
            client.play("gate", ("viewer", "secret"))
            assert process.beat(viewers={"gate": 1})["port"] == port
            first.stop()
            camera(channel, "gate", second.receiver._end)
            second.receiver.close()
            for _ in range(60):
                client.frame()
            assert process.beat(viewers={"gate": 1})["packets"] > 20
            channel.send({"do": "remove", "name": "gate"})
            channel.send({"do": "nothing that is known"})
            assert client.is_closed()
        process.beat(viewers={})
    with open(f"/proc/{process.process.pid}/cmdline") as file:
        assert "secret" not in file.read()
    channel.send({"do": "stop"})
    assert process.end() == (0, "")


def test_stopping_says_goodbye_in_time_even_to_who_does_not_read(process: Process) -> None:
    process.channel.send({"do": "start", "server": {}})
    with sealer("h264", (1280, 720), 25, 8) as running:
        camera(process.channel, "gate", running.receiver._end)
        running.receiver.close()
        port = process.beat(state="up")["port"]
        with Client(port) as client, Client(port, receive_bytes=4096) as deaf, Client(port) as idle:
            client.play("gate")
            deaf.play("gate")
            idle.ask("OPTIONS", "*")
            process.beat(viewers={"gate": 2})
            time.sleep(0.5)
            began_s = time.monotonic()
            process.channel.send({"do": "stop"})
            assert client.is_closed()
            assert process.end() == (0, "")
            assert time.monotonic() - began_s < 2


def test_a_supervisor_that_is_gone_ends_the_process(process: Process) -> None:
    process.channel.send({"do": "start", "server": {}})
    process.beat(state="up")
    process.channel.close()
    assert process.end() == (1, "")


def test_a_port_that_is_taken_is_said_and_tried_again(process: Process) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process.channel.send({"do": "start", "server": {"port": port}})
        fault = next(fault for _ in range(20) if (fault := process.beat(state="connecting", port=None)["fault"]))
        assert "in use" in fault
    assert process.beat(state="up", fault=None)["port"] == port


def test_what_is_not_safe_is_never_served(process: Process) -> None:
    process.channel.send({"do": "start", "server": {"host": "0.0.0.0"}})
    assert "anybody" in process.beat(state="failed")["fault"]
    assert process.process.poll() is None
    process.channel.send({"do": "stop"})
    assert process.end() == (0, "")
