"""`anonymizer run`: write inputs with everything covered."""

from __future__ import annotations

import traceback
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonymizer.cli import flags
from anonymizer.cli.printing import JsonListing, exit_codes, on_one_line, say, say_json, say_rows, tell_error
from anonymizer.cli.progress import ProgressShow
from anonymizer.cli.sources import folder_for, is_camera, is_single, require_named, target_for
from anonymizer.cli.stopping import finishing_first
from anonymizer.errors import AnonymizerError, ConfigError

if TYPE_CHECKING:
    from anonymizer.batch import Outcome
    from anonymizer.equipment import Equipment
    from anonymizer.media import Kind
    from anonymizer.publishing import Report

EPILOG = exit_codes(0, 1, 2, 3, 4, 5, 6, 130, 143)


def run(
    context: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="IN...", help="Videos, pictures, folders, patterns, or a camera (0, /dev/video0).")],
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="A file; for several inputs a folder. Default: IN_anonymized beside the input.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("-y", "--yes", help="Replace existing outputs, at the very end.")] = False,
    detect: flags.Detect = None,
    preset: flags.PresetName = None,
    profile: flags.ProfileName = "default",
    config: flags.ConfigFile = None,
    strictness: flags.Strictness = None,
    effect: flags.EffectName = None,
    effect_color: flags.EffectColor = None,
    effect_image: flags.EffectImage = None,
    zone: flags.Zones = None,
    ignore_zone: flags.IgnoreZones = None,
    span: flags.SpanText = None,
    audio: flags.Audio = None,
    keep: flags.Keep = None,
    codec: flags.Codec = None,
    crf: flags.Crf = None,
    encoder_preset: flags.EncoderPreset = None,
    encoder_option: flags.EncoderOptions = None,
    weights: flags.Weights = None,
    on_damage: flags.OnDamage = None,
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="Cover what a plan of `anonymizer detect` says; nothing is detected.")] = None,
    threads: flags.Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object, and nothing else.")] = False,
    quiet: flags.Quiet = False,
    verbose: flags.Verbose = False,
) -> int:
    """Write inputs with every face and plate covered.

    A camera is recorded until --span ends, Ctrl-C, or SIGTERM; then the recording is finished. A second Ctrl-C stops without an output.
    """
    loaded = flags.config_from(context.params)
    quiet = quiet or as_json
    require_named(inputs)
    single = is_single(inputs)
    if plan is not None and not single:
        raise ConfigError("a plan belongs to one input", hint="name the file that the plan was made for")
    if not single:
        return _run_many(inputs, folder_for(output), loaded.config, overwrite=overwrite, quiet=quiet, as_json=as_json)
    target, notes = target_for(inputs[0], output, codec=loaded.config.encoding.codec, keep=loaded.config.keep)
    report = _run_one(Path(inputs[0]), target, loaded.config, plan=plan, overwrite=overwrite, quiet=quiet)
    report = replace(report, notes=(*notes, *report.notes))
    if as_json:
        say_json(report.to_json())
    elif not quiet:
        _say_report(report, verbose=verbose)
    return 0


def _run_one(source: Path, target: Path, config: Any, *, plan: Path | None, overwrite: bool, quiet: bool) -> Report:
    from anonymizer.equipment import Equipment
    from anonymizer.publishing import require_target

    require_target(target, source=source, overwrite=overwrite)  # before seconds of loading models
    equipment = Equipment.of(config)
    with finishing_first(quiet=quiet) if is_camera(str(source)) else nullcontext() as finish:
        return _anonymize(source, target, equipment, plan=plan, overwrite=overwrite, name=source.name, quiet=quiet, finish=finish)


def _anonymize(
    source: Path, target: Path, equipment: Equipment, *, plan: Path | None, overwrite: bool, name: str, quiet: bool, finish: Event | None = None
) -> Report:
    from anonymizer.media.kinds import kind_of
    from anonymizer.pipeline import anonymize_video
    from anonymizer.stills import anonymize_still

    with ProgressShow(name, quiet=quiet) as show:
        if kind_of(source) == "image":
            return anonymize_still(source, target, equipment, plan=plan, overwrite=overwrite, progress=show)
        return anonymize_video(source, target, equipment, plan=plan, overwrite=overwrite, progress=show, finish=finish)


def _run_many(inputs: list[str], folder: Path, config: Any, *, overwrite: bool, quiet: bool, as_json: bool) -> int:
    from anonymizer.batch import Job, Summary, find_jobs, run_batch
    from anonymizer.equipment import Equipment
    from anonymizer.media import name_in_folder, suffix_for, suffix_note
    from anonymizer.publishing import Settings, file_sha256

    def suffix_of(source: Path, kind: Kind) -> str:
        return suffix_for(source, kind, codec=config.encoding.codec, keep=config.keep)

    hidden: list[Path] = []
    jobs, passed = find_jobs(inputs, folder, hidden=hidden, name_of=lambda source, kind: name_in_folder(source, suffix_of(source, kind)))
    equipment = Equipment.of(config)
    config_hash, weights = equipment.hashes
    places = {job.target: f"[{number}/{len(jobs)}] {job.source.name}" for number, job in enumerate(jobs, start=1)}

    def run_one(job: Job, overwrite: bool) -> Report:
        report = _anonymize(job.source, job.target, equipment, plan=None, overwrite=overwrite, name=places[job.target], quiet=quiet)
        return replace(report, notes=(*suffix_note(job.source, suffix_of(job.source, job.kind)), *report.notes))

    def settings_of(source: Path) -> Settings:
        return Settings(file_sha256(source), config_hash, weights)

    summary, listing = Summary(), JsonListing("files")
    # chain, not unpacking: each file is told as it is done, also when a later one ends the run.
    for outcome in chain(passed, run_batch(jobs, folder, run_one=run_one, settings_of=settings_of, overwrite=overwrite)):
        summary.add(outcome)
        if as_json:
            listing.add(_outcome_json(outcome))
        _say_outcome(outcome, places, quiet=quiet)
    if as_json:
        counts = {"done": summary.done, "finished": summary.finished, "failed": len(summary.failed), "skipped": len(summary.skipped), "hidden": len(hidden)}
        listing.end(counts)
    elif not quiet:
        if hidden:
            say(f"{len(hidden)} hidden file{'s' if len(hidden) > 1 else ''} or folder{'s' if len(hidden) > 1 else ''} passed over")
        say(f"{summary.done} done, {summary.finished} finished before, {len(summary.skipped)} skipped, {len(summary.failed)} failed")
    return summary.exit_code


def _say_report(report: Report, *, verbose: bool) -> None:
    from anonymizer.publishing import summary_rows

    say_rows(summary_rows(report))
    if verbose:
        say_rows((f"{carrier.kind} {carrier.name}", f"{carrier.fate} {carrier.detail}".rstrip()) for carrier in report.carriers)
        settings = report.settings
        hashes = [("source sha256", settings.source_sha256), ("config hash", settings.config_hash)]
        say_rows([*hashes, *((f"{label} weights", sha256) for label, sha256 in settings.weights_sha256.items())])


def _say_outcome(outcome: Outcome, places: dict[Path, str], *, quiet: bool) -> None:
    """What became of one file; failures in the form of every error, a bug with its traceback."""
    place = places.get(outcome.target, str(outcome.source)) if outcome.target else str(outcome.source)
    if outcome.state == "failed":
        if not isinstance(outcome.error, AnonymizerError):
            traceback.print_exception(outcome.error)
        tell_error(outcome.reason, getattr(outcome.error, "hint", None))
    elif quiet:
        return
    elif outcome.report is not None:
        say(on_one_line(f"{place}: {outcome.report.target} in {outcome.report.seconds:.1f} s, {outcome.report.coverage.regions} covered"))
        say_rows(("warning", warning) for warning in outcome.report.warnings)
    else:
        say(on_one_line(f"{place}: {'finished before' if outcome.state == 'finished' else f'skipped: {outcome.reason}'}"))


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": str(outcome.source),
        "target": None if outcome.target is None else str(outcome.target),
        "state": outcome.state,
        "reason": outcome.reason,
        "report": None if outcome.report is None else outcome.report.to_json(),
    }
