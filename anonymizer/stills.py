"""One picture, from source to published file: the steps of pipeline.py for what is read and written whole.

    read_image -> observe -> decide -> seal_frame -> write_image -> (end) check_written, require_all_decided -> staged rename

An animation is decided as the short video it is, by one tracker; pages of a TIFF are decided each alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonymizer.config import Zone
from anonymizer.equipment import Equipment
from anonymizer.geometry import Geometry
from anonymizer.media import picture_of, require_unchanged, stamp_of
from anonymizer.media.image_writing import check_written, target_format, write_image
from anonymizer.media.images import StillImage, read_image
from anonymizer.pipeline import Look, decided_frames, plan_header, planned_frames
from anonymizer.progress import OnProgress, RunLog
from anonymizer.publishing import Plan, PlanWriter, Report, read_plan, require_all_decided, require_target, staged
from anonymizer.redaction import seal_frame
from anonymizer.tracking import glimpse_of
from anonymizer.types import Decision, Detections, Frame, MediaInfo, Observation, SealedFrame, Tally
from anonymizer.zones import planned_zones, shown_s

_SAME_OBJECT_IOU = 0.5  # Two looks at one pixel grid differ by a little; what overlaps more than this is one object.


def anonymize_still(
    source: Path,
    target: Path,
    equipment: Equipment,
    *,
    plan: Path | None = None,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Write `target` as anonymize_video does: the picture `source` covered, upright, and nothing beside its pixels."""
    require_target(target, source=source, overwrite=overwrite)
    stamp = stamp_of(source)
    still = read_image(source)
    kind, info = target_format(still, target), info_of(still)
    decisions = None if plan is None else read_plan(plan, source)
    log, tally, sealed = RunLog(info, equipment, progress, cancel), Tally(read=len(still.frames)), list[SealedFrame]()
    for frame, decision in decided_pages(decisions, still, equipment, log.met):
        tally.decided += 1
        sealed.append(seal_frame(frame, decision, equipment.effect_for(Geometry(frame.size_wh))))
        log.add(frame, decision)
    tally.sealed = len(sealed)
    with staged(target, overwrite=overwrite) as staging:
        notes = write_image(staging, sealed, still, format=kind)
        carriers, joined = check_written(staging, still)
        require_unchanged(source, stamp)
        tally.written = len(sealed)
        require_all_decided(tally, name=target.name)
    return log.report(target, tally, carriers=carriers, notes=(*still.notes, *notes, *joined, *_unused(equipment)))


def detect_still(
    source: Path,
    equipment: Equipment,
    *,
    plan: Path | None = None,
    overwrite: bool = False,
    on_frame: Callable[[Frame, Decision, Geometry], None] | None = None,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Decide every page of `source`, for the same uses as detect_video; no pixels leave."""
    if plan is not None:
        require_target(plan, source=source, overwrite=overwrite)
    stamp = stamp_of(source)
    still = read_image(source)
    info = info_of(still)
    log, tally = RunLog(info, equipment, progress, cancel), Tally(read=len(still.frames))
    decided = []
    for frame, decision in decided_pages(None, still, equipment, log.met):
        tally.decided += 1
        decided.append((frame, decision))
        if on_frame is not None:
            on_frame(frame, decision, Geometry(frame.size_wh))
        log.add(frame, decision)
    tally.sealed = tally.written = len(decided)  # Nothing is sealed here; the plan's lines are what is written.
    require_all_decided(tally, name=(plan or source).name)
    if plan is not None:
        with PlanWriter(plan, plan_header(info, equipment), overwrite=overwrite) as writer:
            for frame, decision in decided:
                writer.write(decision, frame.pts)
            require_unchanged(source, stamp)
            writer.finish()
    return log.report(plan, tally, notes=still.notes)


def decided_pages(plan: Plan | None, still: StillImage, configured: Equipment, met: set[Zone]) -> Iterator[tuple[Frame, Decision]]:
    """Each page or moment of a picture with its decision: the plan's, or a fresh one, and every zone in it, as decided_by does."""
    planned = None if plan is None else planned_frames(iter(still.frames), plan, info_of(still))
    planned_too = () if plan is None else planned_zones(plan.header.policy, plan.path.name)
    for pages in (still.frames,) if still.animated else ((frame,) for frame in still.frames):
        geometry, rate = Geometry(pages[0].size_wh), _rate_of(pages)
        equipment = configured if still.animated else configured.for_picture(geometry.displayed_wh)
        zones = equipment.zones_for(geometry, rate, planned=planned_too, start_s=pages[0].time_s, name=still.path.name, met=met)
        if planned is not None:
            yield from zones.over(islice(planned, len(pages)))
        else:
            yield from zones.over(decided_frames((_look_at(page, equipment, pages[0].time_s, rate) for page in pages), equipment.tracker_for(geometry, rate)))
    yield from planned or ()  # Nothing more, but the plan's own look at what is left of it.


def info_of(still: StillImage) -> MediaInfo:
    """What probing a video would have said of the picture."""
    return MediaInfo(
        path=still.path,
        container=still.format.lower(),
        codec=still.format.lower(),
        stream_index=0,
        geometry=Geometry(still.size_wh),
        pixel_format=still.frame.pixel_format,
        frame_rate=_rate_of(still.frames),
        time_base=still.frame.time_base,
        duration_s=None,
        frame_count=len(still.frames),
        color=still.frame.color,
        carriers=still.carriers,
    )


def _rate_of(pages: Sequence[Frame]) -> Fraction | None:
    duration = sum(page.duration for page in pages) * pages[0].time_base
    return len(pages) / duration if len(pages) > 1 and duration else None


def _look_at(page: Frame, equipment: Equipment, start_s: float, frame_rate: Fraction | None) -> Look:
    """Look at the pixels as stored, and where some are transparent also as they show on white and on black.

    Stored colours hold what transparency hides, and transparency alone can draw what stored colours do not hold.
    """
    geometry, shown = Geometry(page.size_wh), shown_s(page, start_s, None if page.duration else frame_rate)
    picture = picture_of(page, geometry, equipment.look.long_side)
    seen = equipment.observe(picture, shown)
    for paper in _on_paper(page):
        seen = _together(seen, equipment.observe(picture_of(paper, geometry, equipment.look.long_side), shown))
    return Look(page, seen, glimpse_of(picture.rgb))


def _on_paper(page: Frame) -> Iterator[Frame]:
    pixels = page.planes[0]
    if page.pixel_format not in ("rgba", "rgba64le"):
        return
    opaque = np.iinfo(pixels.dtype).max
    if (pixels[..., 3] == opaque).all():
        return
    share = pixels[..., 3:].astype(np.float32) / opaque
    for paper in (opaque, 0):
        shown = np.rint(pixels[..., :3] * share + paper * (1 - share)).astype(pixels.dtype)
        yield Frame(page.index, page.pts, page.time_base, "rgb24" if opaque == 255 else "rgb48le", (shown,), color=page.color)


def _together(first: Observation, second: Observation) -> Observation:
    """Both looks at one frame as one; a look that failed fails both."""
    if first.detections is None or second.detections is None:
        return first if first.detections is None else second
    kept, more = first.detections, second.detections
    new = np.array([not _is_known(more.xyxy[at], str(more.label[at]), float(more.score[at]), kept) for at in range(len(more))], bool)
    return Observation(first.frame_index, Detections.joined([kept, more.where(new)]), ignored=max(first.ignored, second.ignored))


def _is_known(box: NDArray[np.float32], label: str, score: float, known: Detections) -> bool:
    """Whether a box as believable, and of the same label, covers about the same place."""
    if not len(known):
        return False
    corners = np.concatenate([np.maximum(known.xyxy[:, :2], box[:2]), np.minimum(known.xyxy[:, 2:], box[2:])], axis=1)
    both = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    either = (known.xyxy[:, 2:] - known.xyxy[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - both
    return bool(((both / either > _SAME_OBJECT_IOU) & (known.label == label) & (known.score >= score)).any())


def _unused(equipment: Equipment) -> tuple[str, ...]:
    return ("written whole: a picture has no span",) if equipment.span is not None else ()
