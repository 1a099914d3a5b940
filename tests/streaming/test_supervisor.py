"""The parent of a live run, without any process: how it ends others, and what it repeats of what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from anonymizer.cameras.loading import load_cameras, streaming_from
from anonymizer.cameras.settings import Push, Server, Streaming
from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.ipc.channel import Channel
from anonymizer.ipc.process import Watched
from anonymizer.streaming import detector as detecting
from anonymizer.streaming.line import CameraLine
from anonymizer.streaming.logs import Event
from anonymizer.streaming.ring import Ring
from anonymizer.streaming.supervisor import Supervisor
from anonymizer.types import Detections
from tests.streaming.bench.live_filter import camera
from tests.streaming.raw_frames import raw_frame


@dataclass
class Child:
    """What the supervisor ends; `stuck`: it waits for a dead camera, and hears nothing."""

    role: str
    stuck: bool = False
    done: list[str] = field(default_factory=list)

    def send(self, message: dict[str, str]) -> None:
        self.done.append(message["do"])

    def wait(self, timeout_s: float) -> bool:
        if self.stuck and "kill" not in self.done:
            time.sleep(max(0.0, timeout_s))
            return False
        if "kill" not in self.done and "ended" not in self.done and "stop" in self.done and timeout_s > 0:
            self.done.append("ended")
        return True

    def kill(self) -> None:
        self.done.append("kill")


def supervisor(**values: object) -> Supervisor:
    return Supervisor(Streaming(cameras=(camera("gate", "rtsp://user:geheim123@127.0.0.1/x"),)), **values)  # type: ignore[arg-type]


def test_dead_cameras_do_not_keep_the_others_from_ending_properly() -> None:
    dead = [Child("reader", stuck=True) for _ in range(12)]
    ending = [Child("sealer"), Child("sealer"), Child("record"), Child("detector")]
    begun_s = time.monotonic()
    supervisor()._stop([*dead, *ending], begun_s + 4.0)  # type: ignore[list-item]
    assert time.monotonic() - begun_s < 2
    assert all("ended" in child.done for child in ending), "each was given time between its stop and its kill"


def test_what_strangers_say_stays_short_and_masked() -> None:
    parent = supervisor()
    ours, theirs = Channel.pair()
    reader = Watched("reader", "gate", "reader", [], channel=ours)
    for at in range(300):
        theirs.send({"fault": f"{at} geheim123 " + "\ufffd" * 1000})
        parent._hear(reader)
    theirs.close()
    ours.close()
    state = json.dumps(parent.state())
    assert len(state) < 500_000
    assert reader.fault is not None
    assert "geheim123" not in state + reader.fault


SLEEPING = ("sh", "-c", "exec sleep 60")


class World:
    """A supervisor with one camera and a page, whose processes sleep: what they say is written here."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        gate = camera("gate", "rtsp://127.0.0.1/x").model_copy(update={"outputs": (Push(url="rtsp://127.0.0.1/y"),)})
        programs = dict.fromkeys(("detector", "reader", "sealer", "web", "push"), SLEEPING)
        self.parent = Supervisor(Streaming(cameras=(gate,), web=Server()), tell=self.events.append, programs=programs)
        self.parent._begin()
        self.ends: dict[str, Channel] = {}
        for watched in self.parent._all():
            assert watched.channel is not None
            watched.channel.close()
            watched.channel, self.ends[watched.role] = Channel.pair()

    def of(self, role: str) -> Watched:
        return next(watched for watched in self.parent._all() if watched.role == role)

    def turn(self) -> None:
        self.parent._state_s = 0.0
        self.parent._turn()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    try:
        yield world
    finally:
        for watched in world.parent._all():
            watched.kill()
        for end in world.ends.values():
            end.close()
        for line in world.parent._lines.values():
            line.close()


def test_dead_sealer_shows_nothing_and_its_counts_stand(world: World) -> None:
    counts = {"decided": 7, "carried": 0, "curtained": 1, "dropped": 0}
    world.ends["detector"].send({"beat": True, "state": "ready", "looks_per_s": {"gate": 4.0}})
    world.ends["sealer"].send({"beat": True, "state": "decided", "counts": counts, "covered_total": 3, "covered_now": 2, "fps": 25.0})
    world.turn()
    assert world.parent.state()["ready"]
    sealer = world.of("sealer")
    assert sealer._process is not None
    sealer._process.kill()
    sealer._process.wait()
    world.turn()
    state = world.parent.state()
    gate = state["cameras"]["gate"]
    assert not sealer.is_alive
    assert (state["ready"], gate["state"]) == (False, "starting")
    assert (gate["counts"], gate["covered_total"]) == (counts, 3), "a metric must not run backwards"
    assert "covered_now" not in gate
    assert "fps" not in gate


NONSENSE = [
    pytest.param("reader", '{"beat": true, "within_s": "x"}', id="pause-is-text"),
    pytest.param("reader", '{"beat": true, "within_s": NaN}', id="pause-is-nan"),
    pytest.param("reader", '{"beat": true, "within_s": 1e999}', id="pause-is-infinite"),
    pytest.param("reader", f'{{"beat": true, "within_s": 1{"0" * 400}}}', id="pause-is-huge"),
    pytest.param("push", '{"fault": 5}', id="fault-is-a-number"),
    pytest.param("web", '{"beat": true, "state": {}}', id="state-is-a-table"),
    pytest.param("detector", '{"beat": true, "state": "ready", "looks_per_s": 5}', id="looks-are-a-number"),
    pytest.param("sealer", '{"beat": true, "looks_per_s": "x"}', id="looks-are-text"),
    pytest.param("sealer", '{"beat": true, "counts": {"decided": null}}', id="count-is-nothing"),
    pytest.param("sealer", '{"beat": true, "counts": {"decided": NaN}}', id="count-is-nan"),
    pytest.param("sealer", '{"beat": true, "sinks_lost": 3}', id="lost-is-a-number"),
    pytest.param("sealer", f'{{"beat": true, "x": {"[" * 900}{"]" * 900}}}', id="nested"),
    pytest.param("sealer", "[" * 5000, id="nested-too-deeply-to-read"),
    pytest.param("reader", "+", id="no-file"),
    pytest.param("reader", "5", id="no-message"),
]


@pytest.mark.parametrize(("role", "said"), NONSENSE)
def test_process_that_says_nonsense_is_killed_and_nothing_else(world: World, role: str, said: str) -> None:
    world.ends[role]._end.send(said.encode())
    world.turn()
    world.turn()
    assert {watched.role for watched in world.parent._all() if not watched.is_alive} == {role}
    assert any("said what no process of ours says and was killed" in event.words for event in world.events)
    json.dumps(world.parent.state(), allow_nan=False)


def test_process_that_never_stops_talking_is_not_listened_to_for_ever(world: World) -> None:
    sent = 0
    while world.ends["reader"].send({"beat": True}):
        sent += 1
    heard = len(world.of("reader").heard())
    assert 0 < heard <= 200 < sent
    assert len(world.of("reader").heard()) > 0, "the rest is still there"


def test_process_that_cannot_be_told_of_a_camera_is_killed(world: World) -> None:
    web, line = world.of("web"), world.parent._lines["gate"]
    assert web.channel is not None
    while web.channel.send({"fill": "x" * 10000}):
        pass
    web.send({"do": "state"}, may_be_lost=True)
    assert web.ended(time.monotonic()) is None
    line.join_server(web)
    world.turn()
    assert not web.is_alive
    assert any("web did not take what it was sent and was killed" in event.words for event in world.events)


def test_page_is_told_the_state_from_its_first_beat_on(world: World) -> None:
    world.turn()
    assert world.ends["web"].receive(0) is None
    world.ends["web"].send({"beat": True, "state": "up"})
    world.turn()
    received = world.ends["web"].receive(1)
    assert received is not None
    assert received[0]["do"] == "state"


def test_where_an_output_leads_is_masked() -> None:
    document = {"cameras": {"gate": {"url": "0", "outputs": ["rtsp://host/live/${KEY}"]}}}
    parent = Supervisor(streaming_from(document, environment={"KEY": "tr0ub4dor"}))
    line = parent._lines["gate"] = CameraLine.of(parent._settings.cameras[0], {})
    (output,) = parent.state()["cameras"]["gate"]["outputs"]
    assert output["where"] == "rtsp://host/live/***"
    line.close()


def test_process_that_the_kernel_holds_does_not_hold_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched("reader", "gate", "reader", [sys.executable, "-c", "import time; time.sleep(60)"])
    watched.start(os.environ)
    process = watched._process
    assert process is not None
    with monkeypatch.context() as held:
        held.setattr(process, "kill", lambda: None)
        begun_s = time.monotonic()
        watched.kill()
        assert time.monotonic() - begun_s < 5
    assert not watched.is_alive
    process.kill()
    process.wait()


class _Blind:
    name, labels = "blind", ("face",)

    def detect(self, pictures: list[object]) -> list[Detections]:
        return [Detections.none() for _ in pictures]


def test_detector_keeps_nothing_of_sealers_that_died() -> None:
    ours, theirs = Channel.pair()
    loop = detecting.DetectorLoop(theirs, lambda config: [_Blind()])  # type: ignore[list-item]
    memory, config = Ring.create(), load_config({"detect": "face"}, profile="live").config.model_dump(mode="json")
    ring = Ring(os.dup(memory), writable=True)
    open_before = len(os.listdir("/proc/self/fd"))
    for at in range(4):
        sealer, detector = Channel.pair()
        fds = [os.dup(memory), os.eventfd(0, os.EFD_NONBLOCK), os.dup(detector.fileno())]
        loop._obey({"do": "watch", "name": "gate", "config": config}, fds)
        for end in (sealer, detector):
            end.close()
        ring.write(raw_frame(at))
        loop._look(loop._cameras["gate"])
        assert len(os.listdir("/proc/self/fd")) == open_before
    ring.close()
    os.close(memory)
    for end in (ours, theirs):
        end.close()


def test_networks_are_loaded_once_for_cameras_that_differ_in_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Channel.pair()
    loop = detecting.DetectorLoop(theirs)
    configs = [load_config({"detect": "face", "zones": zones}, profile="live").config for zones in ([], ["0,0,9,9"])]
    first = loop._equipment_for(configs[0])
    monkeypatch.setattr("anonymizer.equipment.load_detectors", lambda *args, **values: pytest.fail("loaded again"))
    second = loop._equipment_for(configs[1])
    assert second.detectors == first.detectors
    assert second.look == first.look
    for end in (ours, theirs):
        end.close()


@pytest.mark.parametrize("presets", [("balanced", "thorough"), ("fast", "balanced"), ("thorough", "balanced"), ("balanced", "balanced")])
def test_every_camera_has_the_networks_of_its_own_preset(presets: tuple[str, str]) -> None:
    ours, theirs = Channel.pair()
    loop = detecting.DetectorLoop(theirs)
    for at, preset in enumerate(presets):
        config = load_config({"preset": preset, "threads": 1, "zones": [f"0,0,9,{at + 9}"]}).config
        made, alone = loop._equipment_for(config), Equipment.of(config)
        assert [one.name for one in made.detectors] == [one.name for one in alone.detectors]
        assert (made.vehicles is None) == (alone.vehicles is None) == (preset == "fast")
    for end in (ours, theirs):
        end.close()


def test_helper_of_a_reader_dies_with_it(tmp_path: Path) -> None:
    helper = f"{tmp_path}/ffmpeg"
    with open(helper, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\nexec sleep 60\n")
    os.chmod(helper, 0o700)
    code = "from anonymizer.media.camera_source import CameraSource; CameraSource('srt://127.0.0.1:9', pixel_format='yuv420p').__enter__()"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}) as reader:
        children: list[str] = []
        until_s = time.monotonic() + 30
        while not children and time.monotonic() < until_s:
            time.sleep(0.1)
            with open(f"/proc/{reader.pid}/task/{reader.pid}/children", encoding="ascii") as file:
                children = file.read().split()
        assert children
        time.sleep(0.5)  # It has to be past its exec.
        reader.kill()
    time.sleep(0.5)
    assert not os.path.exists(f"/proc/{children[0]}") or _state_of(children[0]) == "Z"


def _state_of(pid: str) -> str:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_name_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(f"cameras: {{gate: {'a' * 5000}}}", "utf-8")
    with pytest.raises(ConfigError, match="no such file"):
        load_cameras(file)


def test_state_of_hundreds_of_cameras_arrives() -> None:
    ours, theirs = Channel.pair()
    sent = {"cameras": {f"camera{index}": {"outputs": ["x" * 1000]} for index in range(1000)}}
    with ours, theirs, open(os.devnull, "rb") as file:
        assert ours.send(sent, [file.fileno()])
        received = theirs.receive(1.0)
        assert received is not None
        message, fds = received
        assert (message, len(fds)) == (sent, 1), "the file that carried it is no file of the message"
        os.close(fds[0])
