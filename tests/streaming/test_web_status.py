"""State, health and metrics: what people, probes and Prometheus are told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from anonymizer.web.status import Status
from tests.streaming.watching import CAMERAS, camera_state, open_site, run_state

SECRET = "s3cret"


def answers(state: dict[str, Any] | None, *paths: str) -> list[tuple[int, str]]:
    """Status and text of each path after this state was told."""

    async def run() -> list[tuple[int, str]]:
        found = []
        async with open_site(state=state) as (_, client):
            for path in paths:
                async with client.get(path) as answer:
                    found.append((answer.status, await answer.text()))
        return found

    return asyncio.run(run())


STATES = [
    pytest.param(run_state(), 200, 200, id="one-camera-is-decided"),
    pytest.param(run_state({"gate": camera_state("curtained"), "yard": camera_state()}), 200, 503, id="only-the-other-one-is"),
    pytest.param(run_state({"gate": camera_state("carried")}), 200, 200, id="its-newest-frame-is-carried"),
    pytest.param(run_state({"gate": camera_state("curtained")}), 503, 503, id="every-camera-is-curtained"),
    pytest.param(run_state(detector="starting"), 503, 503, id="the-detector-is-not-ready"),
    pytest.param(run_state({}), 503, 503, id="no-camera"),
    pytest.param({"do": "state"}, 503, 503, id="nothing-is-known-yet"),
]


@pytest.mark.parametrize(("state", "ready", "gate_ready"), STATES)
def test_ready_when_the_detector_runs_and_a_camera_is_decided(state: dict[str, Any], ready: int, gate_ready: int) -> None:
    health, readiness, of_gate, of_none = answers(state, "/healthz", "/readyz", "/cameras/gate/readyz", "/cameras/nowhere/readyz")
    assert (health[0], readiness[0], of_gate[0], of_none[0]) == (200, ready, gate_ready, 404)


def test_silent_supervisor_is_neither_healthy_nor_ready() -> None:
    assert [status for status, _ in answers(None, "/healthz", "/readyz", "/status.json", "/metrics")] == [503, 503, 200, 200]
    now_s = 0.0
    status = Status({}, clock=lambda: now_s)
    status.tell(run_state())
    assert status.is_ready()
    now_s = 4.9
    assert status.is_fresh()
    now_s = 5.1
    assert not status.is_fresh()
    assert not status.is_ready()


def test_status_holds_what_the_supervisor_told_and_the_streams() -> None:
    log = [{"time_s": 1.0, "camera": "gate", "level": "warning", "words": "lost"}]
    ((_, text),) = answers(run_state(log=log), "/status.json")
    status = json.loads(text)
    assert status["fresh"]
    assert status["ready"]
    assert status["log"] == log
    assert "do" not in status
    assert set(status["cameras"]) == set(CAMERAS)
    assert status["cameras"]["gate"]["counts"]["decided"] == 1000
    assert status["cameras"]["gate"]["stream"]["codec"] is None


def test_metrics_can_be_parsed_and_hold_no_address() -> None:
    outputs = [
        {"kind": "push", "where": f"rtsp://user:{SECRET}@media.example.org/gate", "state": "up", "fault": SECRET, "lost": 7},
        {"kind": "record", "where": "/srv/gate", "state": "stopped", "fault": None, "lost": 0},
    ]
    cameras = {"gate": camera_state(outputs=outputs, fault=SECRET), "yard": camera_state("curtained", latency_ms={"median": None}, fps=float("nan"))}
    ((_, text),) = answers(run_state(cameras), "/metrics")
    assert SECRET not in text
    assert "://" not in text
    assert "example" not in text
    samples = {(sample.name, *sorted(sample.labels.items())): sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert samples["anonymizer_frames_total", ("camera", "gate"), ("way", "carried")] == 20
    assert samples["anonymizer_latency_seconds", ("camera", "gate"), ("quantile", "0.99")] == 0.61
    assert samples["anonymizer_camera_state", ("camera", "yard"), ("state", "curtained")] == 1
    assert samples["anonymizer_output_lost_packets_total", ("camera", "gate"), ("kind", "push"), ("output", "0")] == 7
    assert samples["anonymizer_output_state", ("camera", "gate"), ("kind", "record"), ("output", "1"), ("state", "stopped")] == 1
    assert samples["anonymizer_covered_total", ("camera", "gate")] == 321
    assert samples["anonymizer_restarts_total", ("camera", "gate")] == 1
    assert samples["anonymizer_viewers", ("camera", "gate"), ("way", "websocket")] == 0
    assert samples[("anonymizer_ready",)] == 1
    assert not any(key[0] == "anonymizer_frames_per_second" and ("camera", "yard") in key for key in samples)
