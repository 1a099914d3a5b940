"""The scoreboard's part of docs/quality.md, written from the JSON files and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anonymizer.detection import shipped_models
from anonymizer.errors import ConfigError
from anonymizer.evaluation.figures import Json
from anonymizer.evaluation.tables import share
from scoreboard.entrants import OURS
from scoreboard.peers import PEERS
from scoreboard.reading import LABELS, RATE, SIZE_CONDITIONS, Figures, smallest_found
from scoreboard.stills import AS_IS, CONDITIONS
from scoreboard.words import aims, weaknesses

BEGIN, END = "<!-- scoreboard: written by `python -m scoreboard`, do not edit -->", "<!-- end of the scoreboard -->"
PLURALS = {"face": "faces", "plate": "plates"}
_NONE = "-"


def put_into(page: str, part: str) -> str:
    """The page with its generated part replaced; ConfigError if it has no place for one."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ConfigError("the page does not say where the scoreboard begins and ends", hint=f"give it the lines {BEGIN} and {END}")
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n\n{part.strip()}\n\n{END}", page, flags=re.DOTALL)


def generated_part(figures: Figures, plots: Sequence[Path], folder: str) -> str:
    """Every table and plot there are figures for."""
    return "\n\n".join(piece for piece in _pieces(figures, plots, folder) if piece)


def _pieces(figures: Figures, plots: Sequence[Path], folder: str) -> Iterator[str]:
    yield _about(figures, folder)
    for label in LABELS:
        if not figures.contestants(label):
            continue
        yield f"### {PLURALS[label].capitalize()}"
        yield _main(figures, label)
        yield f"By {'width' if label == 'plate' else 'height'} in px, cover % at {RATE} false boxes (number of objects in the heading):\n\n" + _groups(
            figures, label, "by_size"
        )
        for name in _attributes(figures, label):
            yield f"By {name}:\n\n" + _groups(figures, label, "by_attribute", name)
        yield "Under shift, cover % at 0.25 false boxes with thresholds set under the same shift:\n\n" + _shifts(figures, label)
        words = f"As configured (peers: at the score that their own programs use), cover % / false boxes in a picture without {PLURALS[label]}"
        yield f"{words}:\n\n" + _configured(figures, label)
        yield _smallest(figures, label)
    if networks := _networks(figures):
        yield "### Networks alone, and time\n\n" + networks
    for plot in plots:
        yield f"![Cover at {RATE} false boxes against time]({folder}/{plot.name})"
    if figures.clips:
        yield "### Clips\n\n" + _clips(figures)
    if reached := aims(figures):
        yield "### What was aimed at\n\n" + _table(("", "aim", "reached"), reached)
    if known := weaknesses(figures):
        yield "### Known weaknesses\n\n" + "\n".join(f"* {line}" for line in known)


def _about(figures: Figures, folder: str) -> str:
    entrants = figures.entrants
    if not entrants:
        return "Nothing was measured yet."
    lines = [f"Every figure below comes from the JSON files in [{folder}]({folder}), which `python -m scoreboard DATA` writes together with this part."]
    counts = next(iter(entrants.values()))["data"]
    lines.append(f"Measured on `{counts['name']}`: {counts['pictures']} labelled pictures, {counts['digest'][:12]} by their labels' hash.")
    shipped = {card.sha256 for card in shipped_models()}
    stale = [name for name, known in entrants.items() if name not in PEERS and known["hashes"]["weights"] not in shipped]
    if stale:
        lines.append(f"**Measured with earlier weights than those that are shipped: {', '.join(stale)}.**")
    peers = [f"`{name}` is {entrants[name]['about']}" for name in PEERS if name in entrants]
    if peers:
        lines.append("; ".join(peers) + ".")
    return "\n".join(lines)


def _main(figures: Figures, label: str) -> str:
    rows = []
    for name, side in figures.contestants(label):
        part = figures.part(name, side, label)
        assert part is not None
        points = part["at_false_boxes"]
        main = points[RATE]
        covers = [share(point["cover"]) if rate == RATE else _percent(point["cover"]) for rate, point in points.items()]
        ms = figures.ms(name, side)
        rows.append((called(name, side), *covers, _percent(part["ap50"]), _ratio(main["area"]), _ratio(main["false_boxes"]), _number(ms)))
        plain = (figures.unit(name, AS_IS, side) or {}).get("plain", {}).get(label)
        if plain is not None:
            covers = [_percent(point["cover"]) for point in plain.values()]
            rows.append((f"{called(name, side)}, plain boxes", *covers, "", _ratio(plain[RATE]["area"]), _ratio(plain[RATE]["false_boxes"]), ""))
    first = figures.part(*figures.contestants(label)[0], label)
    assert first is not None
    heading = f"{first['objects']} {PLURALS[label]} in {first['pictures']} pictures, {first['object_free_pictures']} pictures without one."
    rates = [f"cover % at {rate}" for rate in first["at_false_boxes"]]
    return f"{heading}\n\n" + _table(("", *rates, "AP50", f"area at {RATE}, x truth", f"false boxes at {RATE}", "ms a 720p frame"), rows)


def _attributes(figures: Figures, label: str) -> list[str]:
    part = figures.part(*figures.contestants(label)[0], label)
    assert part is not None
    return [name for name, values in part["at_false_boxes"][RATE]["by_attribute"].items() if len(values) > 1]


def _groups(figures: Figures, label: str, kind: str, name: str | None = None) -> str:
    known = []
    for contestant, side in figures.contestants(label):
        point = (figures.part(contestant, side, label) or {})["at_false_boxes"][RATE][kind]
        known.append((called(contestant, side), point if name is None else point.get(name, {})))
    values = list(known[0][1])
    heading = [f"{value} ({known[0][1][value]['objects']})" for value in values]
    return _table(("", *heading), [(row, *(_percent(point.get(value)) for value in values)) for row, point in known])


def _shifts(figures: Figures, label: str) -> str:
    rows = []
    for name, side in figures.contestants(label):
        covers = {}
        for condition in CONDITIONS:
            part = figures.part(name, side, label, condition)
            covers[condition] = None if part is None else part["at_false_boxes"][RATE]["cover"]
        known = [cover["percent"] for cover in covers.values() if cover is not None]
        if len(known) > 1:  # Our network alone is looked at as the pictures are, no more.
            rows.append((called(name, side), *(_percent(cover) for cover in covers.values()), _number(min(known))))
    return _table(("", *CONDITIONS, "worst"), rows)


def _configured(figures: Figures, label: str) -> str:
    rows = []
    for name, side in figures.contestants(label):
        if name == OURS:
            continue
        points = [(figures.part(name, side, label, condition) or {}).get("as_configured") for condition in CONDITIONS]
        rows.append((called(name, side), *(_NONE if point is None else f"{_percent(point['cover'])} / {_ratio(point['false_boxes'])}" for point in points)))
    return _table(("", *CONDITIONS), rows)


def _smallest(figures: Figures, label: str) -> str:
    rows = []
    for name, side in figures.contestants(label):
        parts = [part for condition in SIZE_CONDITIONS if (part := figures.part(name, side, label, condition)) is not None]
        if len(parts) < len(SIZE_CONDITIONS):
            continue
        edges = [smallest_found(parts, percent) for percent in (90, 50)]
        rows.append((called(name, side), *(_NONE if edge is None else f"{edge} px" for edge in edges)))
    sizes = "width" if label == "plate" else "height"
    return f"Smallest {sizes} still found, over the pictures as they are, at 0.5x and at 0.33x:\n\n" + _table(("", "9 of 10", "every second"), rows)


def _networks(figures: Figures) -> str:
    names = [name for name in (OURS, *PEERS) if name in figures.entrants and figures.sides(name)]
    if not names:
        return ""
    sides = sorted({side for name in names for side in figures.sides(name)})
    rows = []
    for name in names:
        for label in figures.entrants[name]["labels"]:
            cells = []
            for side in sides:
                part, ms = figures.part(name, side, label), figures.ms(name, side)
                point = None if part is None else part["at_false_boxes"][RATE]
                cells.append(_NONE if point is None else f"{_percent(point['cover'])} / {_ratio(point['area'])} / {_number(ms)}")
            rows.append((f"{name}, {PLURALS[label]}", *cells))
    words = [
        f"Cover % at {RATE} false boxes / area covered against the truth / ms of a 720p frame, by the input's long side, with the customary margins,",
        "every picture brought to that size.",
    ]
    cost = figures.cost
    if cost is not None:
        words.append(f"Processor: {cost['machine']['processor']}; ONNX Runtime {cost['machine']['onnxruntime']}, fp32, {cost['rounds']} rounds in turn.")
    return " ".join(words) + "\n\n" + _table(("", *(f"{side} px" for side in sides)), rows)


def _clips(figures: Figures) -> str:
    rows = []
    for name, programs in figures.clips.items():
        for program, known in programs.items():
            for label in LABELS:
                row = known.get(label)
                if row and row["object_frames"]:
                    rows.append(
                        (
                            *(name, program, PLURALS[label], f"{row['leak_percent']} of {row['object_frames']}"),
                            *(f"{row['tracks_leaking_percent']} of {row['tracks']}", str(row["longest_leak_frames"]), f"{row['picture_changed_ratio']}"),
                        )
                    )
    heading = ("set", "program", "", "object-frames readable, %", "tracks ever readable, %", "longest, frames", "picture changed, x truth")
    return "What a black-box bench can still read in the programs' outputs, moving clips made from labelled stills:\n\n" + _table(heading, rows)


def called(name: str, side: int | None) -> str:
    """How an entrant is called in tables."""
    return f"`{name}`" if side is None else f"{name} at {side} px"


def _percent(known: Any) -> str:
    return _NONE if known is None else f"{known['percent']:.1f}"


def _ratio(known: Json | None) -> str:
    return _NONE if known is None else f"{known['value']:.2f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
