"""What `anonymizer stream` makes of its flags, what it says first, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from anonymizer.cameras import listening
from anonymizer.cameras.settings import Hls, Push, Record, Server, Streaming
from anonymizer.cli import stream as command
from anonymizer.cli.app import app
from anonymizer.errors import ConfigError
from anonymizer.streaming import supervisor
from anonymizer.streaming.logs import Event

CAMERA = "rtsp://192.168.1.20/stream"
SECRET = "tr0ub4dor"


class FakeSupervisor:
    """Takes what the command hands over, and ends at once."""

    settings: Streaming
    reload: Callable[[], Streaming] | None
    tell: Callable[[Event], None]

    def __init__(self, settings: Streaming, *, reload: Any, tell: Any, programs: Any) -> None:
        type(self).settings, type(self).reload, type(self).tell = settings, reload, tell

    def run(self) -> int:
        return 0


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisor, "Supervisor", FakeSupervisor)
    monkeypatch.setattr(listening, "why_not_free", lambda server: None)  # whatever runs on the machine of the tests
    return tmp_path


def streamed(*arguments: str) -> Streaming:
    assert typer.main.get_command(app).main(["stream", *arguments], standalone_mode=False) == 0
    return FakeSupervisor.settings


def test_without_an_output_this_machine_can_look(capsys: pytest.CaptureFixture[str]) -> None:
    settings = streamed(CAMERA)
    assert (settings.serve, settings.web) == (Server(port=8554), Server(port=8080))
    said = capsys.readouterr()
    assert said.out.splitlines()[:2] == ["  camera  watch: rtsp://127.0.0.1:8554/camera", "  page    http://127.0.0.1:8080/"]
    assert said.err == ""


def test_without_the_extra_there_is_no_page_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    settings = streamed(CAMERA)
    assert settings.web is None
    assert "video-anonymizer[live]" in settings.warnings[0]
    with pytest.raises(ConfigError, match="no page without aiohttp, prometheus_client") as caught:
        streamed(CAMERA, "--page", "127.0.0.1:8080")
    assert caught.value.hint == "pip install 'video-anonymizer[live]'"
    assert streamed(CAMERA, "--record", "r").web is None


def test_flags_are_a_cameras_keys() -> None:
    wishes = [
        "--preset",
        "thorough",
        "--strictness",
        "strict",
        "--effect",
        "solid",
        "--effect-color",
        "red",
        "--zone",
        "0,0,9,9",
        "--detect",
        "face",
        "--audio",
        "mask",
    ]
    more = ["--lookahead", "0", "--transport", "udp", "--insecure", "--name", "gate", "--threads", "2"]
    (camera,) = streamed(CAMERA, "--out", "rtsp://media/{name}", "--record", "r", "--hls", "h", *wishes, *more).cameras
    assert (camera.name, camera.transport, camera.insecure, camera.lookahead_s) == ("gate", "udp", True, 0)
    assert camera.outputs == (Push(url="rtsp://media/gate"), Record(folder=Path("r")), Hls(folder=Path("h")))
    config = camera.config
    assert (config.preset, config.effect.kind, config.effect.color, config.detect, config.threads) == ("thorough", "solid", "#ff0000", ("face",), 2)
    assert (config.audio, streamed(CAMERA).cameras[0].config.audio) == ("mask", "drop")
    assert (len(config.zones), config.tracking.lookahead_s, config.tracking.backfill_s) == (1, 0, 0)


def test_name_may_stand_behind_the_port() -> None:
    settings = streamed(CAMERA, "--serve", "127.0.0.1:9000/gate")
    assert (settings.cameras[0].name, settings.serve, settings.web) == ("gate", Server(port=9000), None)


def test_typed_password_works_and_is_warned_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert streamed(f"rtsp://a:{SECRET}@h/1").cameras[0].url == f"rtsp://a:{SECRET}@h/1"
    said = capsys.readouterr()
    assert "anonymizer: warning: IN: its password stands in the list of processes" in said.err
    monkeypatch.setenv("PW", SECRET)
    assert streamed("rtsp://a:${PW}@h/1").cameras[0].url == f"rtsp://a:{SECRET}@h/1"
    assert capsys.readouterr().err == ""
    assert SECRET not in said.out + said.err


def test_log_masks_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    streamed(f"rtsp://a:{SECRET}@h/1", "--log-json")
    capsys.readouterr()
    FakeSupervisor.tell(Event(f"401 for {SECRET}", "warning", "camera"))
    assert json.loads(capsys.readouterr().err)["words"] == "401 for ***"


@pytest.mark.parametrize(("flag", "levels"), [("-q", ["error"]), ("", ["info", "warning", "error"]), ("-v", ["debug", "info", "warning", "error"])])
def test_how_much_is_said(capsys: pytest.CaptureFixture[str], flag: str, levels: list[str]) -> None:
    streamed(CAMERA, *([flag] if flag else []))
    assert (capsys.readouterr().out == "") == (flag == "-q")
    for level in ("debug", "info", "warning", "error"):
        FakeSupervisor.tell(Event("words", level))  # type: ignore[arg-type]
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == levels


def test_file_is_read_again_and_a_bad_one_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "cameras.yaml"
    file.write_text("cameras: {gate: 0}\n")
    settings = streamed("--config", "cameras.yaml", "--preset", "thorough")
    assert settings.serve == Server(port=8554)
    assert FakeSupervisor.reload is not None
    file.write_text(f"cameras: {{gate: 0, yard: 'rtsp://a:{SECRET}@h/'}}\n")
    new = FakeSupervisor.reload()
    assert [(camera.name, camera.config.preset) for camera in new.cameras] == [("gate", "thorough"), ("yard", "thorough")]
    FakeSupervisor.tell(Event(SECRET))
    assert SECRET not in capsys.readouterr().err
    file.write_text("cameras: {gate: {url: 0, presett: fast}}\n")
    with pytest.raises(ConfigError, match="no such key: presett"):
        FakeSupervisor.reload()


def test_nothing_is_read_again_without_a_file() -> None:
    streamed(CAMERA)
    assert FakeSupervisor.reload is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cameras: {gate: 0, yard: {url: 1, outputs: [r]}}", "gate: has no output, and there is no server either"),
        ("cameras: {gate: 0}\nweb: 0.0.0.0:1", "cameras.yaml: web: 0.0.0.0 is open to other machines"),
    ],
)
def test_file_that_leads_nowhere_is_refused(here: Path, text: str, problem: str) -> None:
    (here / "cameras.yaml").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        streamed("--config", "cameras.yaml")


@pytest.mark.parametrize(
    "arguments", [["0"], ["--out", "rtsp://h/1"], ["--record", "r"], ["--hls", "h"], ["--name", "a"], ["--transport", "udp"], ["--insecure"]]
)
def test_what_belongs_to_one_camera_is_not_said_of_a_file(here: Path, arguments: list[str]) -> None:
    (here / "cameras.yaml").write_text("cameras: {gate: 0}\n")
    with pytest.raises(ConfigError, match="cannot be said together"):
        streamed("--config", "cameras.yaml", *arguments)


def test_check_says_what_would_be_done_without_secrets(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "cameras.yaml").write_text(f"serve: {{host: 0.0.0.0, user: a, password: {SECRET}}}\ncameras: {{gate: 'rtsp://b:{SECRET}@h/1?{SECRET}'}}\n")
    (here / "cameras.yaml").chmod(0o600)
    assert typer.main.get_command(app).main(["stream", "--config", "cameras.yaml", "--check"], standalone_mode=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  gate     from: rtsp://h/1 over tcp",
        "  gate     covers: face, plate; fast, strictness 0.7, blur, look-ahead 0.4 s",
        "  gate     watch: rtsp://127.0.0.1:8554/gate",
        "  serve    listens at 0.0.0.0 port 8554, for user and password, without TLS",
        "  warning  serve: pictures travel unencrypted: set certificate and key, or put a proxy with TLS in front",
    ]


def test_port_that_somebody_has_is_refused_at_the_start_and_warned_of_by_a_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(supervisor, "Supervisor", FakeSupervisor)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"--serve: 127\.0\.0\.1 port \d+: address already in use"):
            streamed(CAMERA, "--serve", place)
        assert capsys.readouterr().out == "", "nobody is told to look where nothing is"
        assert typer.main.get_command(app).main(["stream", CAMERA, "--serve", place, "--check"], standalone_mode=False) == 0
        assert "address already in use" in capsys.readouterr().out
    assert streamed(CAMERA, "--serve", place).serve is not None


def test_address_that_is_not_up_yet_is_left_to_the_server_that_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert listening.why_not_free(Server(host="192.0.2.7", port=8554)) is None, "no machine has this address: RFC 5737"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert listening.why_not_free(Server(host="127.0.0.1", port=taken.getsockname()[1])) is not None


def test_check_tries_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").write_text("")
    assert typer.main.get_command(app).main(["stream", CAMERA, "--record", "file/deep", "--hls", "new/deep", "--check"], standalone_mode=False) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert warnings == [f"  warning  camera: file/deep cannot be written to, {here / 'file'} is no folder"]


def test_what_a_variable_put_into_a_path_is_not_printed(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KEY", SECRET)
    (here / "cameras.yaml").write_text("cameras: {gate: {url: 'rtsp://h/1', outputs: ['rtsp://h/live/${KEY}/x']}}\n")
    streamed("--config", "cameras.yaml")
    assert typer.main.get_command(app).main(["stream", "--config", "cameras.yaml", "--check"], standalone_mode=False) == 0
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert said.out.count("rtsp://h/live/***/x") == 2


def test_log_of_json_is_json_from_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    streamed(f"rtsp://a:{SECRET}@h/1", "--log-json", "--record", "r")
    said = capsys.readouterr()
    assert said.out == ""
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning"]
    assert lines[0]["words"] == "camera, record: r"


@pytest.mark.slow
def test_stop_before_a_camera_answers_ends_with_0_and_leaves_no_process(here: Path) -> None:
    words = [sys.executable, "-m", "anonymizer", "stream", "rtsp://127.0.0.1:9/nobody", "--record", "r"]
    with subprocess.Popen(words, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "record: r" in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := children.read_text().split()):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert [pid for pid in found if os.path.exists(f"/proc/{pid}")] == []
