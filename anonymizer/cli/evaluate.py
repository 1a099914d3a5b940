"""`anonymizer evaluate`: how much a configuration covers of what people marked in their own pictures and clips."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from anonymizer.cli import flags
from anonymizer.cli.printing import exit_codes, say, tell
from anonymizer.cli.progress import ProgressShow
from anonymizer.errors import ConfigError

EPILOG = exit_codes(0, 1, 2, 3, 4, 5, 6, 130, 143)


def evaluate(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of labelled pictures or clips, or their label file.")],
    format: Annotated[str, typer.Option("--format", metavar="yolo|wider|coco|clips", help="How they are labelled; default: what it looks like.")] = "auto",
    rename: Annotated[
        list[str] | None,
        typer.Option("--rename", metavar="NAME=LABEL", help="A class of the data is this label; none leaves it out, * is all others; repeatable."),
    ] = None,
    at: Annotated[float, typer.Option("--at", metavar="SCALE", help="Shrink pictures first: 0.5 is half their size.")] = 1.0,
    shift: Annotated[str | None, typer.Option("--shift", metavar="jpeg|h264|blur|night|cast|small|turned", help="Make pictures worse first.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="half|source", help="Set thresholds on half of each source, or of the sources; report the rest.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every figure as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw cover against false boxes as a PNG.")] = None,
    overwrite: Annotated[bool, typer.Option("-y", "--yes", help="Replace existing files.")] = False,
    detect: flags.Detect = None,
    preset: flags.PresetName = None,
    profile: flags.ProfileName = "default",
    config: flags.ConfigFile = None,
    strictness: flags.Strictness = None,
    weights: flags.Weights = None,
    threads: flags.Threads = None,
    quiet: flags.Quiet = False,
) -> None:
    """Measure what is covered and what is missed."""
    loaded = flags.config_from(context.params)
    from anonymizer.evaluation import Naming, Wishes, load_data, plot_png, report_text, require_plot
    from anonymizer.evaluation import evaluate as evaluated
    from anonymizer.publishing import require_target

    wishes = Wishes(scale=at, shift=shift, split=split)
    if not loaded.config.detect:
        raise ConfigError("--detect: nothing would be looked for", hint="name what the data is labelled with: --detect face,plate")
    for target in (json_file, plot):
        if target is not None:
            require_target(target, overwrite=overwrite)
    found = load_data(data, Naming(loaded.config.detect, flags.pairs(rename or [], "--rename")), format)
    if plot is not None:
        require_plot(found.format)
    from anonymizer.equipment import Equipment

    with ProgressShow(found.name, quiet=quiet) as show:
        report = evaluated(found, Equipment.of(loaded.config), wishes, show)
    if json_file is not None:
        _write(json_file, (json.dumps(report, indent=1, allow_nan=False) + "\n").encode(), overwrite=overwrite)
    if plot is not None:
        _write(plot, plot_png(report), overwrite=overwrite)
    if not quiet:
        say(report_text(report))
        _tell_written(path for path in (json_file, plot) if path is not None)


def _write(path: Path, content: bytes, *, overwrite: bool) -> None:
    from anonymizer.publishing import staged

    with staged(path, overwrite=overwrite) as staging:
        staging.write_bytes(content)


def _tell_written(paths: Iterable[Path]) -> None:
    for path in paths:
        tell(f"wrote {path}")
