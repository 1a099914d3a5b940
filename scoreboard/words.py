"""What the figures mean in plain words: what is known to be missed, and how far the aims were reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from scoreboard.cost import in_video
from scoreboard.reading import LABELS, RATE, SIZE_CONDITIONS, Figures, smallest_found, worst_groups
from scoreboard.stills import AS_IS, CONDITIONS

_MAIN = "balanced"  # the default: its weaknesses are those that most people meet
_PLURALS = {"face": "faces", "plate": "plates"}
_SHIFTED = {
    "0.5x": "pictures at half their size",
    "jpeg": "JPEG at a low rate",
    "h264": "H.264 at a low rate",
    "blur": "blur",
    "night": "night",
    "cast": "sodium light",
    "small": "pictures at a third of their size",
    "turned": "pictures that lie on their side",
}
_FASTANPR = ("fastanpr", 640)
_MOST_AREA, _MOST_TIME = 1.7, 1.6  # against the truth, against fastanpr


def weaknesses(figures: Figures) -> list[str]:
    """Sentences on what the default preset misses, each with its figure."""
    if _MAIN not in figures.entrants:
        return []
    return [line for label in LABELS if figures.part(_MAIN, None, label) for line in _of(figures, label)]


def _of(figures: Figures, label: str) -> Iterator[str]:
    many = _PLURALS[label]
    part = figures.part(_MAIN, None, label)
    assert part is not None
    for kind, name, known in worst_groups(part, 3):
        words = f"{many} of {name} px" if kind == "size" else f"{many} of {kind} `{name}`"
        low, high = known["interval"]
        yield f"Of {words} `{_MAIN}` misses {100 - known['percent']:.0f} % ({100 - high:.0f} to {100 - low:.0f}, {known['objects']} objects)."
    parts = [found for condition in SIZE_CONDITIONS if (found := figures.part(_MAIN, None, label, condition)) is not None]
    side = "wide" if label == "plate" else "high"
    edges = {percent: smallest_found(parts, percent) for percent in (90, 50)}
    if edges[90] is not None:
        small = f", every second from {edges[50]} px" if edges[50] is not None and edges[50] < edges[90] else ""
        yield f"Nine of ten {many} are covered from {edges[90]} px {side} on{small}; smaller ones have to be counted as missed."
    elif edges[50] is not None:
        yield f"Every second one of the {many} is covered from {edges[50]} px {side} on; there is no size at which nine of ten are."
    usual = part["at_false_boxes"][RATE]["cover"]
    falls = []
    for condition in CONDITIONS:
        shifted = None if condition == AS_IS else figures.part(_MAIN, None, label, condition)
        if shifted and usual and shifted["at_false_boxes"][RATE]["cover"]:
            falls.append((usual["percent"] - shifted["at_false_boxes"][RATE]["cover"]["percent"], _SHIFTED[condition]))
    if falls and max(falls)[0] > 0:
        fall, condition = max(falls)
        yield f"What costs most {many} is {condition}: {fall:.1f} points of cover."


def aims(figures: Figures) -> list[tuple[str, str, str]]:
    """What was aimed at, the aim, what was reached; only of what was measured."""
    found: list[tuple[str, str, str]] = []
    for preset, label, words, aim, pick in _COVER_AIMS:
        part = figures.part(preset, None, label, "0.5x" if "0.5x" in words else AS_IS) if preset in figures.entrants else None
        known = None if part is None else pick(part["at_false_boxes"][RATE])
        if known is not None:
            found.append((f"`{preset}`, cover of {words}", f">= {aim} %", f"{known['percent']:.1f} % ({_verdict(known['percent'] >= aim)})"))
    for preset in ("balanced", "thorough"):
        for label in LABELS:
            part = figures.part(preset, None, label) if preset in figures.entrants else None
            area = part["at_false_boxes"][RATE]["area"] if part else None
            if area:
                found.append(
                    (f"`{preset}`, area covered, {_PLURALS[label]}", "<= 1.7 x the truth", f"{area['value']:.2f} ({_verdict(area['value'] <= _MOST_AREA)})")
                )
    theirs = figures.ms(*_FASTANPR)
    for name, words in ((in_video(_MAIN), "in a video, whose frames share its looks"), (_MAIN, "for a picture that stands alone")):
        ours = figures.ms(name, None)
        if ours and theirs and _MAIN in figures.entrants:
            reached = f"{ours / theirs:.2f} ({_verdict(ours <= _MOST_TIME * theirs)})"
            found.append((f"`{_MAIN}`, time of both kinds together {words}", f"<= {_MOST_TIME:g} x fastanpr at 640 px", reached))
    return found + list(_clip_aims(figures))


def _clip_aims(figures: Figures) -> Iterator[tuple[str, str, str]]:
    for name, programs in figures.clips.items():
        for preset, times in (("balanced", 1.0), ("thorough", 0.5)):
            for label, key, words, most in _CLIP_AIMS.get(name, ()) if preset in programs else ():
                known, what = programs[preset][label].get(key), f"`{preset}`, clips {name}, {_PLURALS[label]}: {words}"
                if known is not None and key == _CHANGED and preset != _MAIN:
                    yield what, "none: it is what less to be read costs", f"{known:g}"
                elif known is not None:
                    yield what, f"<= {most * times:g}", f"{known:g} ({_verdict(known <= most * times)})"


_READABLE, _TRACKS, _CHANGED = "leak_percent", "tracks_leaking_percent", "picture_changed_ratio"
# By the name of the set: object-frames and tracks readable in per cent (`thorough`: half of it), picture changed against the truth (`balanced` alone).
_CLIP_AIMS = {
    name: (
        ("face", _READABLE, "object-frames readable, %", frames),
        ("face", _TRACKS, "tracks ever readable, %", tracks),
        ("face", _CHANGED, "picture changed, x truth", changed),
        ("plate", _READABLE, "object-frames readable, %", plates),
        ("plate", _CHANGED, "picture changed, x truth", changed),
    )
    for name, frames, tracks, plates, changed in (("720p", 1.2, 4.0, 4.0, 1.7), ("360p", 1.5, 5.0, 6.0, 1.7), ("grid", 3.0, 10.0, 12.0, 2.0))
}
_Pick = Callable[[Any], Any]
_whole: _Pick = lambda point: point["cover"]  # noqa: E731


def _widths(low: float) -> _Pick:
    """All sizes from one on, put together."""

    def pick(point: Any) -> Any:
        known = [one for name, one in point["by_size"].items() if float(name.rstrip("+").split("-")[0]) >= low]
        objects = sum(one["objects"] for one in known)
        return {"percent": 100 * sum(one["right"] for one in known) / objects} if objects else None

    return pick


def _group(kind: str, name: str) -> _Pick:
    return lambda point: point["by_size"].get(name) if kind == "size" else point.get("by_attribute", {}).get(kind, {}).get(name)


_COVER_AIMS: tuple[tuple[str, str, str, float, _Pick], ...] = (
    ("balanced", "plate", "plates", 90, _whole),
    ("balanced", "plate", "plates of 24 px and more", 94, _widths(24)),
    ("balanced", "plate", "plates of 12-24 px", 60, _group("size", "12-24")),
    ("balanced", "plate", "motorcycles' plates (source egm)", 90, _group("source", "egm")),
    ("balanced", "face", "faces", 95, _whole),
    ("balanced", "face", "faces at 0.5x", 94, _whole),
    ("thorough", "plate", "plates", 94, _whole),
    ("thorough", "plate", "plates of 12-24 px", 75, _group("size", "12-24")),
    ("thorough", "face", "faces", 97, _whole),
)


def _verdict(reached: bool) -> str:
    return "reached" if reached else "missed"
