"""The run's figures as Prometheus reads them. Labels are names and states, never an address: it may hold a password."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anonymizer.ipc.channel import Message
from anonymizer.web.feeds import Feed

_QUANTILES = {"median": "0.5", "p99": "0.99"}
_CAMERA_GAUGES = {
    "fps": ("anonymizer_frames_per_second", "Sealed frames a second."),
    "looks_per_s": ("anonymizer_looks_per_second", "Looks of the detector at this camera a second."),
    "covered_now": ("anonymizer_covered_now", "Objects covered in the newest frame."),
}
_CAMERA_COUNTERS = {
    "covered_total": ("anonymizer_covered", "Objects covered since the start."),
    "restarts": ("anonymizer_restarts", "Restarts of this camera's processes."),
}


class Source(Protocol):
    """Whence the figures come."""

    @property
    def told(self) -> Message: ...
    @property
    def age_s(self) -> float | None: ...
    @property
    def feeds(self) -> Mapping[str, Feed]: ...
    def is_ready(self, camera: str | None = None) -> bool: ...


class RunCollector(Collector):
    """Makes every figure at the moment in which it is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Every metric of the run and of its cameras."""
        told = self._source.told
        cameras: Mapping[str, Mapping[str, Any]] = told.get("cameras", {})
        yield GaugeMetricFamily("anonymizer_ready", "Whether the detector runs and a camera is shown.", value=float(self._source.is_ready()))
        if self._source.age_s is not None:
            yield GaugeMetricFamily("anonymizer_state_age_seconds", "Since the supervisor last spoke.", value=self._source.age_s)
        yield from _detector(told.get("detector", {}))
        yield from _frames(cameras)
        yield from _plain(cameras)
        yield from _outputs(cameras)
        yield from self._viewers()

    def _viewers(self) -> Iterator[Metric]:
        viewers = GaugeMetricFamily("anonymizer_viewers", "Who watches this camera on the page, and how.", labels=["camera", "way"])
        lost = CounterMetricFamily("anonymizer_viewers_lost_fragments", "Pieces of video that viewers were too slow for.", labels=["camera"])
        for name, feed in self._source.feeds.items():
            for way, count in feed.viewers_by_way().items():
                viewers.add_metric([name, way], count)
            lost.add_metric([name], feed.lost)
        yield from (viewers, lost)


def _detector(detector: Mapping[str, Any]) -> Iterator[Metric]:
    state = GaugeMetricFamily("anonymizer_detector_state", "1 for the state that the detector is in.", labels=["state"])
    if detector.get("state"):
        state.add_metric([str(detector["state"])], 1)
    yield state
    if (looks := _number(detector.get("looks_per_s"))) is not None:
        yield GaugeMetricFamily("anonymizer_detector_looks_per_second", "Looks a second at all cameras.", value=looks)


def _frames(cameras: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    frames = CounterMetricFamily("anonymizer_frames", "Frames by the way in which they left: decided, carried, curtained, dropped.", labels=["camera", "way"])
    latency = GaugeMetricFamily("anonymizer_latency_seconds", "From a frame's arrival until it is sealed and coded.", labels=["camera", "quantile"])
    for name, camera in cameras.items():
        for way, count in (camera.get("counts") or {}).items():
            frames.add_metric([name, way], count)
        for key, quantile in _QUANTILES.items():
            if (milliseconds := _number((camera.get("latency_ms") or {}).get(key))) is not None:
                latency.add_metric([name, quantile], milliseconds / 1000)
    yield from (frames, latency)


def _plain(cameras: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    state = GaugeMetricFamily("anonymizer_camera_state", "1 for the state that the camera is in.", labels=["camera", "state"])
    for name, camera in cameras.items():
        if camera.get("state"):
            state.add_metric([name, str(camera["state"])], 1)
    yield state
    for key, (metric, words) in _CAMERA_GAUGES.items():
        yield _filled(GaugeMetricFamily(metric, words, labels=["camera"]), key, cameras)
    for key, (metric, words) in _CAMERA_COUNTERS.items():
        yield _filled(CounterMetricFamily(metric, words, labels=["camera"]), key, cameras)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, key: str, cameras: Mapping[str, Mapping[str, Any]]) -> GaugeMetricFamily | CounterMetricFamily:
    for name, camera in cameras.items():
        if (value := _number(camera.get(key))) is not None:
            family.add_metric([name], value)
    return family


def _outputs(cameras: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    # An output is known by its place in the camera's list: where it goes would be an address.
    names = ["camera", "output", "kind"]
    state = GaugeMetricFamily("anonymizer_output_state", "1 for the state that the output is in.", labels=[*names, "state"])
    lost = CounterMetricFamily("anonymizer_output_lost_packets", "Coded frames that the output was too slow for.", labels=names)
    for name, camera in cameras.items():
        for index, output in enumerate(camera.get("outputs") or ()):
            labels = [name, str(index), str(output.get("kind", ""))]
            if output.get("state"):
                state.add_metric([*labels, str(output["state"])], 1)
            if (count := _number(output.get("lost"))) is not None:
                lost.add_metric(labels, count)
    yield from (state, lost)


def _number(value: Any) -> float | None:
    """A figure, where there is one yet."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
