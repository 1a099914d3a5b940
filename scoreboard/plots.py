"""Cover against time as pictures: a line for each network over its input sizes, a mark for each preset."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

from anonymizer.config import PRESETS
from anonymizer.evaluation.extras import require_extra
from scoreboard.entrants import OURS
from scoreboard.peers import PEERS
from scoreboard.reading import RATE, Figures
from scoreboard.stills import AS_IS

_SIZE_INCHES, _DPI = (7.0, 4.5), 110
_TICKS_MS = (2, 5, 10, 20, 50, 100, 200)
DIGEST_KEY = "Comment"  # of the PNG: the hash of what was drawn, so that a test can tell an old picture


def points_of(figures: Figures, label: str) -> dict[str, list[tuple[float, float, str]]]:
    """(milliseconds, cover %, size or nothing) of each entrant that was measured and timed."""
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for name in (*PRESETS, OURS, *PEERS):
        if name not in figures.entrants or label not in figures.entrants[name]["labels"]:
            continue
        points = []
        for side in (None,) if name in PRESETS else figures.sides(name):
            part, ms = figures.part(name, side, label, AS_IS), figures.ms(name, side)
            cover = part["at_false_boxes"][RATE]["cover"] if part else None
            if cover and ms is not None:
                points.append((ms, cover["percent"], "" if side is None else str(side)))
        if points:
            lines[name] = points
    return lines


def digest_of(lines: dict[str, list[tuple[float, float, str]]]) -> str:
    """The hash of what a plot shows."""
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def time_png(label: str, lines: dict[str, list[tuple[float, float, str]]]) -> bytes:
    """The plot as PNG."""
    module: Any = require_extra("matplotlib.figure")
    figure = module.Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, points) in enumerate(lines.items()):
        ms, covers, sides = zip(*points, strict=True)
        style: dict[str, Any] = {"marker": "*", "markersize": 13, "linestyle": "none"} if name in PRESETS else {"marker": "o", "markersize": 4}
        axes.plot(ms, covers, color=f"C{number}", label=name, **style)
        for x, y, side in zip(ms, covers, sides, strict=True):
            axes.annotate(side, (x, y), textcoords="offset points", xytext=(3, 4), fontsize=7, color=f"C{number}")
    axes.set_xscale("log")
    axes.set_xticks(_TICKS_MS, [f"{tick:g}" for tick in _TICKS_MS])
    axes.minorticks_off()
    axes.set_xlabel("ms of a 720p frame, one thread")
    axes.set_ylabel(f"{label}s covered at {RATE} false boxes, %")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None, DIGEST_KEY: digest_of(lines)})
    return data.getvalue()
