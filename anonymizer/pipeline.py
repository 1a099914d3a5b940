"""READ FIRST: one file, from source to published video.

    read_frames -> observe -> decide -> seal_frame -> write_frame -> (end) require_all_decided -> staged rename

Reading and looking run ahead in threads of their own on bounded queues; a frame waits in `decided_frames` until the
look-ahead window has closed behind it. Nothing here catches an error: whatever goes wrong leaves every `with` block
by its exception, the staging file is removed, and nothing is published.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonymizer.config import Zone
from anonymizer.detection import Turns
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, UndecidedFrameError
from anonymizer.geometry import Geometry
from anonymizer.media import VideoReader, VideoWriter, count_packets, picture_of, plan_encoding, probe, require_unchanged
from anonymizer.overlap import overlapped, side_by_side
from anonymizer.progress import OnProgress, RunLog
from anonymizer.publishing import Plan, PlanHeader, PlanWriter, Report, file_sha256, read_plan, require_all_decided, require_target, staged
from anonymizer.redaction import seal_frame
from anonymizer.tracking import Tracker, glimpse_of
from anonymizer.types import Decision, Detections, Frame, MediaInfo, Observation, Part, Region, Tally
from anonymizer.zones import ZoneCover, planned_zones, shown_s

READ_AHEAD = 3  # Frames decoded, and frames looked at, before anyone asks: enough to keep two cores busy.


@dataclass(frozen=True, slots=True)
class Look:
    """A frame, what was seen of it, and a thumbnail for finding scene cuts."""

    frame: Frame
    observation: Observation
    glimpse: NDArray[np.uint8]


def anonymize_video(
    source: Path,
    target: Path,
    equipment: Equipment,
    *,
    plan: Path | None = None,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
    finish: threading.Event | None = None,
) -> Report:
    """Write `target`: `source` with every decided region covered, and nothing else changed.

    With a `plan` its decisions and all zones are sealed and nothing is looked at. Setting `cancel` leaves no output; setting
    `finish` ends a camera's recording after the next frame. Raises an AnonymizerError of errors.py, and then there is
    no `target` but the one that was there before.
    """
    require_target(target, source=source, overwrite=overwrite)
    info = probe(source)
    encoding = plan_encoding(info, target, equipment.encoding_choice)
    decisions = None if plan is None else read_plan(plan, source)
    log = RunLog(info, equipment, progress, cancel)
    effect, tally = equipment.effect_for(info.geometry), Tally()
    with (
        staged(target, overwrite=overwrite) as staging,
        VideoReader(info, pixel_format=encoding.pixel_format, span_s=equipment.span, on_damage=equipment.config.on_damage) as reader,
        VideoWriter(staging, info, encoding, carry=equipment.carry, span_s=equipment.span) as writer,
        closing(decided_by(decisions, frames_until(finish, reader), info, equipment, log.met)) as decided,
    ):
        for frame, decision in decided:
            tally.decided += 1
            sealed = seal_frame(frame, decision, effect)
            tally.sealed += 1
            writer.write_frame(sealed)
            log.add(frame, sealed.decision)
        writer.finish()
        require_unchanged(source, info.extra["stamp"])
        tally.read, tally.written = reader.frames_read, writer.frames_written
        require_all_decided(tally, name=target.name, packets=count_packets(staging))
    return log.report(target, tally, carriers=writer.carriers, notes=encoding.notes, warnings=(*reader.warnings, *writer.warnings))


def detect_video(
    source: Path,
    equipment: Equipment,
    *,
    plan: Path | None = None,
    overwrite: bool = False,
    on_frame: Callable[[Frame, Decision, Geometry], None] | None = None,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Decide every frame of `source` and write the decisions to `plan`, hand them to `on_frame`, or both; no pixels leave."""
    if plan is not None:
        require_target(plan, source=source, overwrite=overwrite)
    info = probe(source)
    log, tally = RunLog(info, equipment, progress, cancel), Tally()
    # Nothing is written but boxes: any file type that holds every format will do.
    pixel_format = plan_encoding(info, source.with_suffix(".mkv"), equipment.encoding_choice).pixel_format
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(info, pixel_format=pixel_format, span_s=equipment.span, on_damage=equipment.config.on_damage))
        writer = None if plan is None else stack.enter_context(PlanWriter(plan, plan_header(info, equipment), overwrite=overwrite))
        for frame, decision in stack.enter_context(closing(decided_by(None, reader.frames(), info, equipment, log.met))):
            tally.decided += 1
            if writer is not None:
                writer.write(decision, frame.pts)
            if on_frame is not None:
                on_frame(frame, decision, info.geometry)
            log.add(frame, decision)
        require_unchanged(source, info.extra["stamp"])
        tally.read = reader.frames_read
        # Nothing is sealed here; the plan's lines are what was written.
        tally.sealed = tally.written = tally.decided
        require_all_decided(tally, name=(plan or source).name)
        if writer is not None:
            writer.finish()
    return log.report(plan, tally, warnings=tuple(reader.warnings))


def zones_start_s(info: MediaInfo) -> float | None:
    """Where the times of zones count from; None is the first frame: a camera's clock began before it was opened."""
    return None if info.extra.get("live") else info.start_s


def frames_until(finish: threading.Event | None, reader: VideoReader) -> Generator[Frame, None, None]:
    """The reader's frames; the first one that comes after `finish` was set is the last."""
    with closing(reader.frames()) as frames:
        for frame in frames:
            if finish is not None and finish.is_set():
                reader.stop()
            yield frame


def decided_by(
    plan: Plan | None, read: Iterator[Frame], info: MediaInfo, equipment: Equipment, met: set[Zone]
) -> Generator[tuple[Frame, Decision], None, None]:
    """Each frame with its decision: the plan's, or a fresh one, and every zone in it; zones that found a frame go to `met`."""
    zones = zones_over(info, equipment, plan, met)
    # Closed by name, the last first: a thread that still decodes while its file is closed takes the process down.
    with closing(overlapped(read, READ_AHEAD)) as frames:
        if plan is not None:
            yield from zones.over(planned_frames(frames, plan, info))
            return
        tracker = equipment.tracker_for(info.geometry, info.frame_rate)
        with closing(overlapped(observed_frames(frames, info.geometry, equipment, info.frame_rate, zones_start_s(info)), READ_AHEAD)) as looks:
            yield from zones.over(decided_frames(looks, tracker))


def zones_over(info: MediaInfo, equipment: Equipment, plan: Plan | None, met: set[Zone]) -> ZoneCover:
    """The zones of a run and of its plan over one video; whether a plan's lines hold them already does not matter."""
    live, span = bool(info.extra.get("live")), equipment.span
    ends_s = [end_s for end_s in (info.duration_s, span.end_s if span else None) if end_s is not None]
    return equipment.zones_for(
        info.geometry,
        info.frame_rate,
        planned=() if plan is None else planned_zones(plan.header.policy, plan.path.name),
        start_s=zones_start_s(info),
        end_s=info.start_s + min(ends_s) if ends_s and not live else None,
        name=info.path.name,
        met=met,
    )


def observed_frames(
    frames: Iterator[Frame], geometry: Geometry, equipment: Equipment, frame_rate: Fraction | None = None, start_s: float | None = 0.0
) -> Generator[Look, None, None]:
    """Look at every frame with every detector; zones are timed from `start_s` (None: the first frame)."""
    turns, failures = Turns(equipment.look), list[str]()

    def asked() -> Generator[tuple[Frame, tuple[float, float], Part], None, None]:
        zero_s = start_s
        for frame in frames:
            zero_s = frame.time_s if zero_s is None else zero_s
            yield frame, shown_s(frame, zero_s, frame_rate), turns.next(frame.time_s, geometry.displayed_wh)

    def look(question: tuple[Frame, tuple[float, float], Part]) -> Look:
        frame, shown, part = question
        picture = picture_of(frame, geometry, equipment.look.long_side)
        # A detector that hangs once hangs again: asked for the frames behind, it would hold up the end of the run by a deadline each.
        seen = Observation(frame.index, None, failure=failures[0]) if failures else equipment.observe(picture, shown, part)
        if seen.failure is not None:
            failures.append(seen.failure)
        return Look(frame, seen, glimpse_of(picture.rgb))

    return side_by_side(look, asked(), equipment.frames_at_once)


def decided_frames(looks: Iterator[Look], tracker: Tracker) -> Generator[tuple[Frame, Decision], None, None]:
    """Each frame with its decision, delayed by the tracker's look-ahead."""
    waiting: deque[Frame] = deque()
    for look in looks:
        waiting.append(look.frame)
        for decision in tracker.push(look.observation, look.frame.time_s, look.glimpse, damaged=look.frame.damaged):
            yield waiting.popleft(), decision
    for decision in tracker.flush():
        yield waiting.popleft(), decision
    if waiting:
        raise UndecidedFrameError(f"frame {waiting[0].index} was read and never decided", hint="this is a bug in the tracker, please report it")


def planned_frames(frames: Iterator[Frame], plan: Plan, info: MediaInfo) -> Iterator[tuple[Frame, Decision]]:
    """Each frame with the plan's decision for it; one that the plan does not know is decided by nobody."""
    if plan.header.geometry != info.geometry or plan.header.time_base != info.time_base:
        raise ConfigError(
            f"{plan.path.name}: was made for other frames than {info.path.name} has", hint="make the plan again with: anonymizer detect IN --plan PLAN"
        )
    lines = plan.frames()
    for frame in frames:
        pts, decision = next(lines, (None, None))
        if decision is None or pts != frame.pts:
            raise UndecidedFrameError(
                f"{plan.path.name}: has no decision for frame {frame.index} at {frame.time_s:.3f} s of {info.path.name}",
                hint="use the --span and --on-damage that the plan was made with",
            )
        yield frame, whole_if_damaged(frame, decision)
    if next(lines, None) is not None:
        raise UndecidedFrameError(f"{plan.path.name}: has more frames than {info.path.name}", hint="use the --span that the plan was made with")


def whole_if_damaged(frame: Frame, decision: Decision) -> Decision:
    """A damaged frame is covered as a whole, whatever a plan says: another decoder may have read it cleanly."""
    if not frame.damaged or any(region.shape == "frame" for region in decision.regions):
        return decision
    width, height = frame.size_wh
    whole = Region("frame", "frame", (0.0, 0.0, float(width), float(height)), origin="whole_frame")
    return Decision(decision.frame_index, (*decision.regions, whole))


def require_detections(observation: Observation) -> Detections:
    """What was found; UndecidedFrameError if nobody looked."""
    if observation.detections is None:
        raise UndecidedFrameError(f"frame {observation.frame_index}: {observation.failure}", hint="a frame that was not looked at is not written")
    return observation.detections


def plan_header(info: MediaInfo, equipment: Equipment) -> PlanHeader:
    """What a plan says of the file it belongs to, and of how it was made."""
    return PlanHeader(
        source_name=info.path.name,
        source_sha256=file_sha256(info.path),
        geometry=info.geometry,
        time_base=info.time_base,
        labels=equipment.labels,
        policy=equipment.config.model_dump(mode="json"),
    )
