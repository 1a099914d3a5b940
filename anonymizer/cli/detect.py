"""`anonymizer detect`: decide what would be covered, and write it down without a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonymizer.cli import flags
from anonymizer.cli.printing import JsonListing, exit_codes, say_rows
from anonymizer.cli.progress import ProgressShow
from anonymizer.cli.sources import require_named
from anonymizer.errors import ConfigError

if TYPE_CHECKING:
    from anonymizer.geometry import Geometry
    from anonymizer.types import Decision, Frame

_TO_COVER = "to be covered"
EPILOG = exit_codes(0, 1, 2, 3, 4, 5, 6, 130, 143)


def detect(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IN", help="A video or picture.")],
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="Write a plan (JSON Lines) for `anonymizer run IN --plan FILE`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print boxes, labels, scores and tracks of every frame as one JSON object.")] = False,
    overwrite: Annotated[bool, typer.Option("-y", "--yes", help="Replace an existing plan.")] = False,
    detect: flags.Detect = None,
    preset: flags.PresetName = None,
    profile: flags.ProfileName = "default",
    config: flags.ConfigFile = None,
    strictness: flags.Strictness = None,
    zone: flags.Zones = None,
    ignore_zone: flags.IgnoreZones = None,
    span: flags.SpanText = None,
    weights: flags.Weights = None,
    on_damage: flags.OnDamage = None,
    threads: flags.Threads = None,
    quiet: flags.Quiet = False,
) -> None:
    """Say what would be covered, without a pixel."""
    if plan is None and not as_json:
        raise ConfigError("nowhere to put what is found", hint="say --plan FILE, or --json to print it")
    require_named([source])
    loaded = flags.config_from(context.params)
    from anonymizer.equipment import Equipment
    from anonymizer.media.kinds import kind_of
    from anonymizer.pipeline import detect_video
    from anonymizer.publishing import require_target, summary_rows
    from anonymizer.stills import detect_still

    if plan is not None:
        require_target(plan, source=Path(source), overwrite=overwrite)
    equipment = Equipment.of(loaded.config)
    listing = JsonListing("frames")

    def list_frame(frame: Frame, decision: Decision, geometry: Geometry) -> None:
        listing.begin({"source": source, "displayed_wh": geometry.displayed_wh})
        listing.add(_frame_json(frame, decision, geometry))

    detect_file = detect_still if kind_of(Path(source)) == "image" else detect_video
    with ProgressShow(Path(source).name, quiet=quiet or as_json, covered=_TO_COVER) as show:
        report = detect_file(Path(source), equipment, plan=plan, overwrite=overwrite, on_frame=list_frame if as_json else None, progress=show)
    if as_json:
        listing.end({"report": report.to_json()})
    elif not quiet:
        say_rows(summary_rows(report, covered=_TO_COVER))


def _frame_json(frame: Frame, decision: Decision, geometry: Geometry) -> dict[str, Any]:
    """One frame: boxes as displayed, as everything that people get."""
    return {"frame": frame.index, "pts": frame.pts, "time_s": round(frame.time_s, 6), "regions": _regions(decision, geometry)}


def _regions(decision: Decision, geometry: Geometry) -> list[dict[str, Any]]:
    import numpy as np

    boxes = geometry.to_displayed(np.array([region.xyxy for region in decision.regions], np.float32).reshape(-1, 4))
    return [
        {
            "label": region.label,
            "xyxy": [round(float(edge), 2) for edge in box],
            "score": None if region.score is None else round(float(region.score), 4),
            "track_id": region.track_id,
            "shape": region.shape,
            "origin": region.origin,
        }
        for region, box in zip(decision.regions, boxes, strict=True)
    ]
