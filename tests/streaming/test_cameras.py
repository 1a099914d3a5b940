"""cameras.yaml: what it gives, what is refused in which words, and what a changed file changes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from anonymizer.cameras.loading import Differences, differences, load_cameras, streaming_from
from anonymizer.cameras.settings import Camera, Hls, Push, Record, Server, Streaming
from anonymizer.config.schema import TrackingChoice
from anonymizer.errors import ConfigError
from tests.conftest import REPO
from tests.documents import blocks_of

SECRET = "tr0ub4dor"
CAMERA = "rtsp://192.168.1.20/stream"


def given(cameras: Any = None, environment: dict[str, str] | None = None, **sections: Any) -> Streaming:
    return streaming_from({"cameras": cameras or {"gate": CAMERA}, **sections}, name="cameras.yaml", environment=environment or {})


def refusal(cameras: Any = None, environment: dict[str, str] | None = None, **sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        given(cameras, environment, **sections)
    assert SECRET not in f"{caught.value.problem} {caught.value.hint}"
    assert caught.value.hint
    return caught.value.problem


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("street.mp4").touch()
    return tmp_path


def test_address_alone_is_a_camera_with_the_live_profile() -> None:
    (camera,) = given().cameras
    assert (camera.name, camera.url, camera.transport, camera.lookahead_s, camera.outputs) == ("gate", CAMERA, "tcp", 0.4, ())
    assert (camera.config.preset, camera.config.strictness, camera.config.tracking.lookahead_s) == ("fast", 0.7, 0.4)


def test_camera_is_laid_over_defaults_over_profile() -> None:
    settings = given(
        {"gate": {"url": CAMERA, "zones": ["5,5,9,9"], "effect": {"color": "red"}}, "yard": {"url": 0, "preset": "thorough", "profile": "strict"}},
        defaults={"preset": "balanced", "zones": "0,0,9,9", "effect": {"kind": "solid"}, "title": "A camera", "outputs": ["recordings/{name}"]},
    )
    gate, yard = settings.cameras
    assert (gate.config.preset, gate.config.effect.kind, gate.config.effect.color) == ("balanced", "solid", "#ff0000")
    assert [str(zone) for zone in gate.config.zones] == ["0,0,9,9", "5,5,9,9"]
    assert (yard.url, yard.config.preset, yard.config.strictness, yard.title) == ("0", "thorough", 0.9, "A camera")
    assert [camera.outputs for camera in settings.cameras] == [(Record(folder=Path("recordings/gate")),), (Record(folder=Path("recordings/yard")),)]


@pytest.mark.parametrize("lookahead_s", [0, 0.2, 1.5])
def test_lookahead_is_the_trackers_too(lookahead_s: float) -> None:
    (camera,) = given({"gate": {"url": CAMERA, "lookahead_s": lookahead_s, "profile": "street"}}).cameras
    assert (camera.lookahead_s, camera.config.tracking.lookahead_s) == (lookahead_s, lookahead_s)
    assert camera.config.tracking.backfill_s == min(TrackingChoice().backfill_s, lookahead_s)


def test_outputs_in_every_form() -> None:
    outputs = ["rtsp://media/{name}", "folder", {"push": "srt://media:9000", "insecure": True}, {"record": "r", "keep_s": 60}, {"hls": "h", "segments": 9}]
    (camera,) = given({"gate": {"url": CAMERA, "outputs": outputs}}).cameras
    assert camera.outputs == (
        Push(url="rtsp://media/gate"),
        Record(folder=Path("folder")),
        Push(url="srt://media:9000", insecure=True),
        Record(folder=Path("r"), keep_s=60),
        Hls(folder=Path("h"), segments=9),
    )


def test_secrets_come_from_variables_and_files(here: Path) -> None:
    (here / "url").write_text(f"rtsp://a:{SECRET}@gate/1\n")
    (here / "token").write_text("0123456789\n")
    settings = given(
        {"gate": {"url_file": "${SECRETS}/url"}, "yard": {"url": "rtsp://a:${YARD}@yard/1", "outputs": [{"url_file": "${SECRETS}/url"}]}},
        {"SECRETS": str(here), "YARD": "p@ss/w 100%"},
        web={"host": "0.0.0.0", "token_file": "token"},
    )
    assert [camera.url for camera in settings.cameras] == [f"rtsp://a:{SECRET}@gate/1", "rtsp://a:p%40ss%2Fw%20100%25@yard/1"]
    assert settings.cameras[1].outputs == (Push(url=f"rtsp://a:{SECRET}@gate/1"),)
    assert settings.web is not None
    assert (settings.web.token, settings.web.port) == ("0123456789", 8080)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("text", "mode", "is_warned_of"), [(f"rtsp://a:{SECRET}@h/", 0o644, True), (f"rtsp://a:{SECRET}@h/", 0o600, False), (CAMERA, 0o644, False)]
)
def test_file_with_a_secret_that_others_may_read_is_warned_of(here: Path, text: str, mode: int, is_warned_of: bool) -> None:
    (here / "url").write_text(text)
    (here / "url").chmod(mode)
    warning = "cameras.yaml: cameras.gate: url_file: other users of this machine may read it: chmod 600 url"
    assert given({"gate": {"url_file": "url"}}).warnings == ((warning,) if is_warned_of else ())


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [("127.0.0.1:9000", "127.0.0.1", 9000), ("[::1]:9000", "::1", 9000), ("localhost", "localhost", 8554), (9000, "127.0.0.1", 9000)],
)
def test_place_of_a_server(value: Any, host: str, port: int) -> None:
    serve = given(serve=value).serve
    assert serve is not None
    assert (serve.host, serve.port) == (host, port)


REFUSED_CAMERAS = [
    pytest.param({"gate": f"ftp://a:{SECRET}@h/"}, "cameras.yaml: cameras.gate: url: nothing is read from ftp://", id="scheme"),
    pytest.param({"gate": f"rtsp://a:{SECRET}/1@h/"}, "cameras.yaml: cameras.gate: url: the address names no host that can be read", id="bare-slash"),
    pytest.param({"gate": "missing.mp4"}, "cameras.yaml: cameras.gate: url: missing.mp4: there is no such file", id="file"),
    pytest.param({"gate": [SECRET]}, "cameras.yaml: cameras.gate: is no section", id="list"),
    pytest.param({"gate": {"url": [SECRET]}}, "cameras.yaml: cameras.gate: url: is no text", id="no-text"),
    pytest.param({"gate": {"title": "x"}}, "cameras.yaml: cameras.gate: url: is missing", id="no-url"),
    pytest.param({"gate": {"url": CAMERA, "url_file": "x"}}, "cameras.yaml: cameras.gate: url: url and url_file are both there", id="both"),
    pytest.param({"gate": {"url_file": "nobody"}}, "cameras.yaml: cameras.gate: url_file: nobody: no such file or directory", id="no-url-file"),
    pytest.param({"gate": "rtsp://a:${NOBODY}@h/"}, "cameras.yaml: cameras.gate: url: the environment variable NOBODY is not set", id="variable"),
    pytest.param({"gate": "rtsp://a:${EMPTY}@h/"}, "cameras.yaml: cameras.gate: url: the environment variable EMPTY is empty", id="empty-variable"),
    pytest.param({"front door": CAMERA}, "cameras.yaml: cameras: 'front door' cannot stand in an address", id="name"),
    pytest.param({"gate": {"url": CAMERA, "presett": "fast"}}, "cameras.yaml: cameras.gate: no such key: presett", id="key"),
    pytest.param({"gate": {"url": CAMERA, "effect": {"knd": "solid"}}}, "cameras.yaml: cameras.gate: no such key: effect.knd", id="inner-key"),
    pytest.param({"gate": {"url": CAMERA, "preset": "slow"}}, "cameras.yaml: cameras.gate: preset: 'slow' is not one of fast, balanced, thorough", id="value"),
    pytest.param({"gate": {"url": CAMERA, "transport": "tpc"}}, "cameras.yaml: cameras.gate: transport: 'tpc' is not one of tcp, udp", id="transport"),
    pytest.param({"gate": {"url": CAMERA, "carry_frames": -1}}, "cameras.yaml: cameras.gate: carry_frames: -1: input should be", id="number"),
    pytest.param({"gate": {"url": CAMERA, "profile": "sea"}}, "profile sea: there is none of that name", id="profile"),
    pytest.param({"gate": {"url": CAMERA, "audio": "loud"}}, "cameras.yaml: cameras.gate: audio: 'loud' is not one of drop, keep, mask", id="audio"),
    pytest.param({"gate": {"url": CAMERA, "keep": ["data"]}}, "cameras.yaml: cameras.gate: keep: has no meaning in a stream", id="keep"),
    pytest.param({"gate": {"url": CAMERA, "span": "0-9"}}, "cameras.yaml: cameras.gate: span: has no meaning in a stream", id="span"),
    pytest.param({"gate": {"url": CAMERA, "plan": "p"}}, "cameras.yaml: cameras.gate: plan: has no meaning in a stream", id="plan"),
    pytest.param({"gate": {"url": CAMERA, "zones": "0,0,9,9@5-"}}, "cameras.yaml: cameras.gate: zones: a time means nothing", id="timed-zone"),
    pytest.param(
        {"gate": {"url": CAMERA, "tracking": {"lookahead_s": 1}}}, "cameras.yaml: cameras.gate: tracking.lookahead_s: is the camera's own", id="two-keys"
    ),
    pytest.param({"gate": {"url": CAMERA, "encoding": {"codec": "ffv1"}}}, "cameras.yaml: cameras.gate: encoding.codec: ffv1 cannot be used", id="codec"),
    pytest.param({"gate": {"url": CAMERA, "outputs": [f"ftp://{SECRET}@h"]}}, "cameras.yaml: cameras.gate.outputs.0: push: nothing is sent to ftp://", id="to"),
    pytest.param({"gate": {"url": CAMERA, "outputs": [{"recrd": "r"}]}}, "cameras.yaml: cameras.gate.outputs.0: is no output", id="no-output"),
    pytest.param({"gate": {"url": CAMERA, "outputs": [{"record": "r", "hls": "h"}]}}, "cameras.yaml: cameras.gate.outputs.0: is several", id="two-kinds"),
    pytest.param({"gate": {"url": CAMERA, "outputs": [{"record": "r", "keep": 1}]}}, "cameras.yaml: cameras.gate.outputs.0: no such key: keep", id="out-key"),
    pytest.param(
        {"gate": {"url": CAMERA, "outputs": [{"record": "r", "segment_s": 0}]}}, "cameras.yaml: cameras.gate.outputs.0: segment_s: 0: ", id="out-value"
    ),
    pytest.param({"gate": {"url": CAMERA, "outputs": [f"srt://h:9?passphrase={SECRET}"]}}, "cameras.yaml: cameras.gate.outputs.0: push: an srt", id="srt"),
    pytest.param({"gate": f"srt://h:9?streamid={SECRET}"}, "cameras.yaml: cameras.gate: url: an srt streamid", id="srt-key"),
    pytest.param({"gate": f"srt://h:9?streamid=read:gate:a:{SECRET}"}, "cameras.yaml: cameras.gate: url: an srt streamid", id="srt-login"),
    pytest.param({"gate": f"srt://h:9?mode=caller&streamid=#!::r=a,u={SECRET}"}, "cameras.yaml: cameras.gate: url: an srt streamid", id="srt-user"),
    pytest.param({"gate": f"srt://h:9?streamid=read:a&streamid={SECRET}"}, "cameras.yaml: cameras.gate: url: an srt streamid", id="srt-twice"),
    pytest.param({"gate": {"url": CAMERA, "outputs": [f"srt://h:9?streamid={SECRET}"]}}, "cameras.yaml: cameras.gate.outputs.0: push: an srt", id="srt-out"),
    pytest.param({"gate": {"url": CAMERA, "outputs": ["rtsp://a:b@192.168.1.20:554/stream/"]}}, "cameras.yaml: cameras.gate.outputs.0: leads back", id="loop"),
    pytest.param(
        {"a": {"url": "0", "outputs": ["r"]}, "b": {"url": "1", "outputs": [{"hls": "./r/"}]}}, "cameras.yaml: cameras.b.outputs.0: is the same", id="same"
    ),
    pytest.param({}, "cameras.yaml: cameras: names no camera", id="none"),
]


@pytest.mark.parametrize(("cameras", "problem"), REFUSED_CAMERAS)
def test_camera_is_refused_with_its_key_and_without_its_secret(cameras: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        streaming_from({"cameras": cameras}, name="cameras.yaml", environment={"EMPTY": ""})
    assert caught.value.problem.startswith(problem)
    assert caught.value.hint
    assert SECRET not in caught.value.problem + caught.value.hint


REFUSED_SECTIONS = [
    pytest.param({"serv": "127.0.0.1"}, "cameras.yaml: no such key: serv", id="key"),
    pytest.param({"defaults": {"keep": ["data"]}}, "cameras.yaml: defaults: keep: has no meaning in a stream", id="defaults"),
    pytest.param({"defaults": {"effect": {"kind": "blurr"}}}, "cameras.yaml: defaults: effect.kind: 'blurr' is not one of", id="inner"),
    pytest.param({"serve": "0.0.0.0:8554"}, "cameras.yaml: serve: 0.0.0.0 is open to other machines", id="serve-open"),
    pytest.param({"web": "gate.example:8080"}, "cameras.yaml: web: gate.example is open to other machines", id="web-open"),
    pytest.param({"serve": {"user": "a"}}, "cameras.yaml: serve: a user needs a password", id="half"),
    pytest.param({"serve": {"user": "a:b", "password": SECRET}}, "cameras.yaml: serve: a user with a colon", id="colon"),
    pytest.param({"web": {"host": "0.0.0.0", "user": "a", "password": SECRET}}, "cameras.yaml: web: the password would travel unencrypted", id="clear"),
    pytest.param({"serve": {"token": SECRET}}, "cameras.yaml: serve: no such key: token", id="token"),
    pytest.param({"web": {"certificate": "cert.pem"}}, "cameras.yaml: web: a certificate needs its key", id="certificate"),
    pytest.param({"web": {"certificate": "cert.pem", "key": "key.pem"}}, "cameras.yaml: web: cert.pem: there is no such file", id="no-certificate"),
    pytest.param({"web": {"password": 12345, "user": "a"}}, "cameras.yaml: web: password: is no text", id="number"),
    pytest.param({"serve": "127.0.0.1:99999"}, "cameras.yaml: serve: is no place to listen at", id="port"),
    pytest.param({"serve": {"port": 99999}}, "cameras.yaml: serve: port: is no port", id="port-key"),
]


@pytest.mark.parametrize(("sections", "problem"), REFUSED_SECTIONS)
def test_section_is_refused_with_its_key_and_without_its_secret(sections: dict[str, Any], problem: str) -> None:
    assert refusal(**sections).startswith(problem)


def test_camera_that_this_run_serves_itself_is_refused() -> None:
    assert refusal({"gate": "rtsp://127.0.0.1:8554/gate"}, serve="127.0.0.1:8554") == "cameras.yaml: cameras.gate: url: is what this run serves itself"


def test_what_is_only_unwise_is_warned_of() -> None:
    server = {"host": "0.0.0.0", "user": "a", "password": SECRET}
    warnings = given({"gate": {"url": CAMERA, "insecure": True}}, serve=server).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["gate", "serve"]
    assert "unencrypted" in warnings[1]


@pytest.mark.parametrize(("mode", "text", "warned"), [(0o600, SECRET, False), (0o644, SECRET, True), (0o644, "${PW}", False)])
def test_passwords_that_others_may_read_are_warned_of(here: Path, monkeypatch: pytest.MonkeyPatch, mode: int, text: str, warned: bool) -> None:
    monkeypatch.setenv("PW", SECRET)
    (here / "cameras.yaml").write_text(f"cameras:\n  gate: rtsp://a:{text}@h/1\n")
    os.chmod(here / "cameras.yaml", mode)
    warnings = load_cameras(here / "cameras.yaml").warnings
    assert bool(warnings) == warned
    assert all("chmod 600 cameras.yaml" in warning and SECRET not in warning for warning in warnings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cameras:\n  gate: rtsp://a/1\n  gate: rtsp://b/1\n", "cameras.yaml: line 3: the key gate stands twice"),
        (f"cameras:\n  gate: *{SECRET}\n", "cameras.yaml: line 2: found undefined alias '...'"),
        (f"cameras:\n  gate: {{url: !{SECRET} x}}\n", "cameras.yaml: line 2: could not determine a constructor for the tag '...'"),
        ("cameras:\n\tgate: rtsp://a/1\n", r"cameras.yaml: line 2: found character '\t' that cannot start any token"),
        ("cameras: [rtsp://a/1\nweb: x\n", "cameras.yaml: line 2: expected ',' or ']', but got ':'"),
        ("- rtsp://a/1\n", "cameras.yaml: holds no keys"),
    ],
)
def test_file_that_is_no_yaml_is_refused_without_its_secret(here: Path, text: str, problem: str) -> None:
    (here / "cameras.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_cameras(here / "cameras.yaml")
    assert caught.value.problem == problem


def test_tab_is_named_as_what_is_wrong(here: Path) -> None:
    (here / "cameras.yaml").write_text("cameras:\n\tgate: rtsp://a/1\n")
    with pytest.raises(ConfigError) as caught:
        load_cameras(here / "cameras.yaml")
    assert caught.value.hint == "YAML is indented with spaces, never with tabs"


def test_command_line_is_laid_over_the_file(here: Path) -> None:
    (here / "cameras.yaml").write_text(
        "defaults: {preset: balanced, lookahead_s: 1}\nserve: 127.0.0.1:1\ncameras: {gate: 0, yard: {url: 1, zones: '0,0,9,9'}}\n"
    )
    settings = load_cameras(here / "cameras.yaml", {"preset": "fast", "zones": ["1,1,9,9"]}, serve="127.0.0.1:2", lookahead_s=0)
    assert [(camera.config.preset, camera.lookahead_s, len(camera.config.zones)) for camera in settings.cameras] == [("fast", 0, 1), ("fast", 0, 2)]
    assert settings.serve is not None
    assert settings.serve.port == 2


def test_differences_name_what_changed_and_nothing_else() -> None:
    old = given({"gate": CAMERA, "yard": "0", "hall": "1"}, serve="127.0.0.1:8554")
    new = given({"gate": CAMERA, "yard": {"url": "0", "zones": "0,0,9,9"}, "roof": "2"}, serve="127.0.0.1:8554", web="127.0.0.1:8080")
    assert differences(old, new) == Differences(("roof",), ("hall",), ("yard",), ("web",))
    assert differences(old, old) == Differences((), (), (), ())


def test_sample_is_what_it_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "gate_url").write_text("rtsp://a:b@192.168.1.20/stream")
    (here / "gate_url").chmod(0o400)  # as systemd gives it
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(here))
    monkeypatch.setenv("YARD_PASSWORD", SECRET)
    settings = load_cameras(REPO / "samples/live/cameras.yaml")
    assert [camera.name for camera in settings.cameras] == ["gate", "yard"]
    assert [output.kind for camera in settings.cameras for output in camera.outputs] == ["record", "push", "hls"]
    assert settings.warnings == ()


def test_every_yaml_of_the_page_is_taken(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "gate_url").write_text("rtsp://a:b@192.168.1.20/stream")
    monkeypatch.setenv("GATE_PASSWORD", SECRET)
    for number, block in enumerate(block for block in blocks_of(REPO / "docs/live.md") if block.language == "yaml"):
        file = here / f"{number}.yaml"
        file.write_text(block.text)
        assert load_cameras(file).cameras, str(block)
    assert number >= 0


def test_page_names_every_key_of_cameras_outputs_and_servers() -> None:
    text = (REPO / "docs/live.md").read_text()
    tables = {kind: re.search(rf"^\| {kind} \|.*?\n\n", text, re.DOTALL | re.MULTILINE) for kind in ("camera", "output", "server")}
    named = {
        kind: set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table[0].strip().splitlines()))) for kind, table in tables.items() if table
    }
    files = {"url_file", "password_file", "token_file"}
    outputs = {key for shape in (Push, Record, Hls) for key in shape.model_fields} - {"kind", "url", "folder"}
    assert named["camera"] - files == set(Camera.model_fields) - {"name", "config"} | {"profile"}
    assert named["output"] - files == outputs | {"push", "record", "hls"}
    assert named["server"] - files == set(Server.model_fields)
