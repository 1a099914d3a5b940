"""A plan's nouns as the objects of its lines, and back: floats exactly, and nothing taken that is not understood."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from anonymizer.geometry import Geometry
from anonymizer.types import Decision, Region

PLAN_VERSION = 1
FARTHEST_PX = 1e9  # Zones reach 2e6 pixels of a picture as displayed; near 1e19 a seal's arithmetic overflows, and covers nothing.
_MOST = 2**63  # of FFmpeg's clocks and counts
_RATIO = re.compile(r"-?\d{1,19}(/\d{1,19})?", re.ASCII)
FRAME_KEYS = {"frame", "pts", "regions"}
_HEADER_KEYS = {"anonymizer_plan", "source", "coded_wh", "displayed_wh", "orientation", "sample_aspect_ratio", "time_base", "labels", "policy"}
_REGION_KEYS = {"label", "shape", "xyxy", "track_id", "origin", "score"}


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan says before its first frame."""

    source_name: str
    source_sha256: str
    geometry: Geometry
    time_base: Fraction
    labels: tuple[str, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)  # the settings it was made with, as JSON values


def header_line(header: PlanHeader) -> dict[str, Any]:
    geometry = header.geometry
    return {
        "anonymizer_plan": PLAN_VERSION,
        "source": {"name": header.source_name, "sha256": header.source_sha256},
        "coded_wh": list(geometry.coded_wh),
        "displayed_wh": list(geometry.displayed_wh),
        "orientation": geometry.orientation,
        "sample_aspect_ratio": str(geometry.sample_aspect_ratio),
        "time_base": str(header.time_base),
        "labels": list(header.labels),
        "policy": dict(header.policy),
    }


def region_line(region: Region) -> dict[str, Any]:
    # float() takes numpy's numbers exactly; json writes the shortest text that reads back as the same double.
    return {
        "label": str(region.label),
        "shape": region.shape,
        "xyxy": [float(edge) for edge in region.xyxy],
        "track_id": None if region.track_id is None else int(region.track_id),
        "origin": region.origin,
        "score": None if region.score is None else float(region.score),
    }


def header_of(line: Mapping[str, Any]) -> PlanHeader:
    if line.get("anonymizer_plan") != PLAN_VERSION:
        raise ValueError(f"it should say anonymizer_plan {PLAN_VERSION}")
    require_keys(line, _HEADER_KEYS)
    require_keys(line["source"], {"name", "sha256"})
    if not isinstance(line["policy"], dict):
        raise ValueError("its policy is not an object")
    width, height = (whole(edge) for edge in line["coded_wh"])
    geometry = Geometry((width, height), whole(line["orientation"]), _ratio(line["sample_aspect_ratio"]))
    return PlanHeader(
        source_name=_text(line["source"]["name"]),
        source_sha256=_text(line["source"]["sha256"]),
        geometry=geometry,
        time_base=_ratio(line["time_base"]),
        labels=tuple(_label(label) for label in line["labels"]),
        policy=line["policy"],
    )


def frame_of(line: Mapping[str, Any]) -> tuple[int, Decision]:
    require_keys(line, FRAME_KEYS)
    if not isinstance(line["regions"], list):
        raise ValueError("its regions are not a list")
    return whole(line["pts"]), Decision(whole(line["frame"]), tuple(_region_of(region) for region in line["regions"]))


def _region_of(line: Any) -> Region:
    require_keys(line, _REGION_KEYS)
    if not isinstance(line["xyxy"], list) or len(line["xyxy"]) != 4:
        raise ValueError("a region's xyxy is not a list of four numbers")
    left, top, right, bottom = (_edge(edge) for edge in line["xyxy"])
    return Region(
        label=_label(line["label"]),
        shape=line["shape"],
        xyxy=(left, top, right, bottom),
        track_id=None if line["track_id"] is None else whole(line["track_id"]),
        origin=line["origin"],
        score=None if line["score"] is None else _number(line["score"]),
    )


def require_keys(line: Any, keys: set[str]) -> None:
    if not isinstance(line, dict):
        raise ValueError(f"an object with {', '.join(sorted(keys))} was expected")
    if missing := keys - line.keys():
        raise ValueError(f"{sorted(missing)[0]} is missing")
    if unknown := line.keys() - keys:
        raise ValueError(f"{sorted(unknown)[0]} is unknown")


def whole(value: Any) -> int:
    if type(value) is not int:  # bool is an int, and no count
        raise ValueError(f"{_said(value)} is not a whole number")
    if not -_MOST <= value < _MOST:
        raise ValueError(f"{_said(value)} is a number beyond every count and clock")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{_said(value)} is not a number")
    number = float(value)
    if not math.isfinite(number):  # What JSON spells as 1e999.
        raise ValueError(f"{number} is not a number")
    return number


def _edge(value: Any) -> float:
    edge = _number(value)
    if abs(edge) > FARTHEST_PX:
        raise ValueError(f"{edge:g} is an edge beyond every picture")
    return edge


def _ratio(value: Any) -> Fraction:
    # Fraction itself takes "1e999999999", and fills the memory with it.
    if not _RATIO.fullmatch(_text(value)):
        raise ValueError(f"{_said(value)} is not a ratio of two whole numbers")
    return Fraction(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_said(value)} is not text")
    return value


def _label(value: Any) -> str:
    _text(value).encode()  # Half a character can be spelled in JSON, and printed nowhere.
    return str(value)


def _said(value: Any) -> str:
    """A wrong value in a message, however long and deep it is."""
    return reprlib.repr(value)
