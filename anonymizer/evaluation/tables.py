"""A report as tables for people to read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from anonymizer.evaluation.figures import Json

_NONE = "-"
_WIDEST = 1000


def report_text(report: Json) -> str:
    """The whole report in plain text; a table takes the width it needs, for figures that are cut off are no figures."""
    console = Console(file=io.StringIO(), width=_WIDEST, color_system=None, highlight=False)
    clips = report["data"]["format"] == "clips"
    console.print(_heading(report), markup=False)
    for label, part in report["labels"].items():
        console.print()
        for piece in _clip_tables(label, part) if clips else _picture_tables(label, part):
            console.print(piece, markup=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return "\n".join(line.rstrip() for line in text.splitlines())


def _heading(report: Json) -> str:
    data, settings = report["data"], report["settings"]
    counted = data["clips"] if data["format"] == "clips" else data["pictures"]
    kind = "clips" if data["format"] == "clips" else "pictures"
    words = [f"{data['name']}: {counted['total']} {kind} ({data['format']})", f"preset {settings['preset']}", f"strictness {settings['strictness']:g}"]
    if settings["at"] != 1:
        words.append(f"at {settings['at']:g}x")
    if settings["shift"]:
        words.append(f"shift {settings['shift']}")
    if settings["split"]:
        words.append(f"thresholds set on {counted['set_on']} pictures, figures of the other {counted['reported']}")
    return ", ".join(words)


def _picture_tables(label: str, part: Json) -> Iterator[str | Table]:
    yield f"{label}: {part['objects']} objects in {part['pictures']} pictures, {part['ignored']} ignored, {part['object_free_pictures']} pictures without one"
    points = {"as configured": part["as_configured"]} | {f"{rate} false boxes": point for rate, point in part["at_false_boxes"].items()}
    yield _table(
        ("", "threshold", "cover %", "recall %", "false boxes", "area x truth"),
        [
            (name, _threshold(point), share(point["cover"]), share(point["recall"]), _ratio(point["false_boxes"]), _ratio(point["area"]))
            for name, point in points.items()
        ],
    )
    yield f"AP50 {share(part['ap50'])}, AR50 {share(part['ar50'])}"
    if not part["at_false_boxes"]:
        yield "no picture is known to show none: nothing can be said about false boxes, and no threshold be set by them"
    other = part["at_false_boxes"].get("0.25")
    columns = [part["as_configured"], *([other] if other else [])]
    names = ("as configured", *(["0.25 false boxes"] if other else []))
    rows = [*_group_rows("px", [point["by_size"] for point in columns])]
    for name in columns[0]["by_attribute"]:
        rows += _group_rows(name, [point["by_attribute"][name] for point in columns])
    if rows:
        yield _table(("cover % by", "", "objects", *names), rows)


def _clip_tables(label: str, part: Json) -> Iterator[str | Table]:
    where = f" in {part['longest_uncovered_in']}" if part["longest_uncovered_in"] else ""
    yield f"{label}: {part['objects']} objects in single frames, {part['tracks']} tracks, {part['ignored']} ignored"
    yield _table(
        ("", ""),
        [
            ("covered %", share(part["cover"])),
            ("tracks ever uncovered %", share(part["tracks_ever_uncovered"])),
            ("longest uncovered", f"{part['longest_uncovered_frames']} frames{where}"),
            ("area x truth", _ratio(part["area"])),
        ],
    )
    rows = _group_rows("px", [part["by_size"]])
    # The worst clips are those worth looking at.
    worst = sorted(part["by_clip"].items(), key=lambda item: item[1]["percent"])[:5]
    rows += _group_rows("clip", [{name: known for name, known in worst if known["percent"] < 100}])
    if rows:
        yield _table(("covered % by", "", "objects", ""), rows)


def _group_rows(name: str, points: Sequence[Json]) -> list[tuple[str, ...]]:
    return [(name, value, str(known["objects"]), *(share(point.get(value)) for point in points)) for value, known in points[0].items()]


def _table(names: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(names := tuple(names)))
    for at, name in enumerate(names):
        table.add_column(name, justify="left" if at < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def share(known: Any) -> str:
    """ "95.1 (93.0-96.8)"."""
    return _NONE if known is None else f"{known['percent']:.1f} ({known['interval'][0]:.1f}-{known['interval'][1]:.1f})"


def _ratio(known: Any) -> str:
    if known is None:
        return _NONE
    return f"{known['value']:.2f}" + (f" ({known['interval'][0]:.2f}-{known['interval'][1]:.2f})" if known["interval"] else "")


def _threshold(point: Json) -> str:
    if point["threshold"] is None:
        return _NONE
    return f"{point['threshold']:.3f}" + (" (floor)" if point.get("at_floor") else "")
