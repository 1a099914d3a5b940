"""Cover against false boxes as a picture, by matplotlib."""

from __future__ import annotations

import io
from typing import Any

from anonymizer.errors import ConfigError
from anonymizer.evaluation.extras import require_extra
from anonymizer.evaluation.figures import Json

_TICKS = (0, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
_SIZE_INCHES, _DPI = (7.0, 4.5), 120


def require_plot(report_format: str) -> None:
    """ConfigError if there could be no plot: no matplotlib, or clips, which have no such curve."""
    if report_format == "clips":
        raise ConfigError("--plot: clips have no curve of cover against false boxes", hint="plots are made of labelled pictures")
    require_extra("matplotlib")


def plot_png(report: Json) -> bytes:
    """Each label's cover at every number of false boxes a picture, with its intervals and the point that is configured."""
    figures: Any = require_extra("matplotlib.figure")
    # No pyplot: it would look for a display.
    figure = figures.Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, (label, part) in enumerate(report["labels"].items()):
        color, points = f"C{number}", part["curve"]
        false = [point["false_boxes"] for point in points]
        if points:
            axes.plot(false, [point["percent"] for point in points], color=color, label=label, marker=".")
            low, high = zip(*(point["interval"] for point in points), strict=True)
            axes.fill_between(false, low, high, color=color, alpha=0.15, linewidth=0)
        configured = part["as_configured"]
        if configured["cover"] and configured["false_boxes"]:
            place = (configured["false_boxes"]["value"], configured["cover"]["percent"])
            axes.plot(*place, "o", markersize=9, markerfacecolor="none", color=color, label=f"{label} as configured")
    # Logarithmic, but for the first step: a model without any false box has its place, too.
    axes.set_xscale("symlog", linthresh=_TICKS[1], linscale=0.5)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlim(0, _TICKS[-1])
    axes.set_xlabel("false boxes in a picture without objects")
    axes.set_ylabel("objects covered, %")
    axes.set_title(f"{report['data']['name']}, preset {report['settings']['preset']}", fontsize="medium")
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right")
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
