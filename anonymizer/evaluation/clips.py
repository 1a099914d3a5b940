"""Labelled clips, decided as a run would decide them: how much stays covered once the tracker has had its say."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from anonymizer.equipment import Equipment
from anonymizer.errors import SourceError
from anonymizer.evaluation.cover import covered_px, hidden_share_of, is_hidden, painted
from anonymizer.evaluation.figures import Json, figure, ratio
from anonymizer.evaluation.pictures import OnProgress
from anonymizer.evaluation.scores import size_edges_of, size_of
from anonymizer.evaluation.truth import Box, ClipBox, LabelledClip, require_size
from anonymizer.geometry import Geometry
from anonymizer.pipeline import detect_video
from anonymizer.publishing import Progress
from anonymizer.types import Decision, Frame, Region


@dataclass(slots=True)
class ClipScores:
    """One label over all clips; clips are counted from 0."""

    hidden: list[bool] = field(default_factory=list)  # of each object in each frame
    size_px: list[float] = field(default_factory=list)
    clip: list[int] = field(default_factory=list)
    ignored: int = 0
    bare: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))  # of each track its uncovered frames
    covered_px: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # of each clip about this label
    truth_px: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def clip_figures(clips: Sequence[LabelledClip], equipment: Equipment, progress: OnProgress | None = None) -> Json:
    """The figures of every label that the clips are marked for; SourceError where a clip and its truth do not fit together."""
    labels = [label for label in equipment.config.detect if any(box.label == label for clip in clips for frame in clip.frames for box in frame)]
    scores = {label: ClipScores() for label in labels}
    started_s, done, covered = time.monotonic(), 0, 0
    total = sum(len(clip.frames) for clip in clips)
    for number, clip in enumerate(clips):
        for frame, regions, size_wh in _decided(clip, equipment):
            _score_frame(number, clip, frame, regions, size_wh, scores)
            done, covered = done + 1, covered + len(regions)
            if progress is not None:
                progress(Progress(done, total, covered, time.monotonic() - started_s))
    return {"clips": {"total": len(clips), "frames": total}, "labels": {label: _figures(label, scores[label], clips) for label in labels}}


def _decided(clip: LabelledClip, equipment: Equipment) -> list[tuple[int, tuple[Region, ...], tuple[int, int]]]:
    """Each frame of a clip with its regions in pixels as displayed."""
    frames: list[tuple[int, tuple[Region, ...], tuple[int, int]]] = []

    def add(frame: Frame, decision: Decision, geometry: Geometry) -> None:
        require_size(clip.path, geometry.displayed_wh, clip.marked_wh)
        frames.append((len(frames), _displayed(decision, geometry), geometry.displayed_wh))

    detect_video(clip.path, equipment, on_frame=add)
    if len(frames) != len(clip.frames):
        raise SourceError(f"{clip.path.name}: has {len(frames)} frames, and its labels {len(clip.frames)}", hint="the labels belong to another video")
    return frames


def _displayed(decision: Decision, geometry: Geometry) -> tuple[Region, ...]:
    boxes = geometry.to_displayed(np.array([region.xyxy for region in decision.regions], np.float32).reshape(-1, 4))
    return tuple(
        Region(region.label, region.shape, (box[0], box[1], box[2], box[3]), region.track_id, region.origin, region.score)
        for region, box in zip(decision.regions, boxes.tolist(), strict=True)
    )


def _score_frame(number: int, clip: LabelledClip, frame: int, regions: tuple[Region, ...], size_wh: tuple[int, int], scores: Mapping[str, ClipScores]) -> None:
    truth = [box for box in clip.frames[frame] if box.label in scores]
    for box in truth:
        mine = scores[box.label]
        if box.ignored:
            mine.ignored += 1
            continue
        hidden = is_hidden(box.xyxy, regions, hidden_share_of(box.label))
        mine.hidden.append(hidden)
        mine.size_px.append(size_of(box.label, box.xyxy))
        mine.clip.append(number)
        mine.bare[number, box.track_id] += [] if hidden else [frame]
    for label in clip.labelled & set(scores):
        ignored: list[Box] = [box.xyxy for box in _of(truth, label) if box.ignored]
        covers = [region for region in regions if region.label == label]
        scores[label].covered_px[number] += sum(px for _, px in painted(covers, size_wh, ignored))
        scores[label].truth_px[number] += covered_px([box.xyxy for box in _of(truth, label) if not box.ignored], size_wh, ignored)


def _figures(label: str, scores: ClipScores, clips: Sequence[LabelledClip]) -> Json:
    hidden, clip, size_px = np.array(scores.hidden, bool), np.array(scores.clip, np.int64), np.array(scores.size_px)
    bared = np.array([bool(frames) for frames in scores.bare.values()], bool)
    longest = {key: longest_run(frames) for key, frames in scores.bare.items()}
    worst = max(longest, key=lambda key: longest[key], default=None)
    sizes = {}
    for low, high in zip(size_edges_of(label), size_edges_of(label)[1:], strict=False):
        inside = (size_px >= low) & (size_px < high)
        if inside.any():
            sizes[f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}+"] = figure(hidden[inside], clip[inside])
    about = sorted(scores.truth_px)
    return {
        "objects": len(hidden),
        "ignored": scores.ignored,
        "cover": figure(hidden, clip),
        "tracks": len(scores.bare),
        "tracks_ever_uncovered": figure(bared, np.array([key[0] for key in scores.bare], np.int64)),
        "longest_uncovered_frames": longest[worst] if worst is not None else 0,
        "longest_uncovered_in": clips[worst[0]].path.name if worst is not None and longest[worst] else None,
        "area": ratio(np.array([scores.covered_px[number] for number in about]), np.array([scores.truth_px[number] for number in about])),
        "by_size": sizes,
        "by_clip": {clips[at].path.name: figure(hidden[clip == at], clip[clip == at]) for at in sorted(set(scores.clip))},
    }


def longest_run(frames: Sequence[int]) -> int:
    """How many of these frame numbers, which rise, follow one upon the other.

    >>> longest_run([3, 7, 8, 12])
    2
    """
    longest = run = 0
    for at, frame in enumerate(frames):
        run = run + 1 if at and frame == frames[at - 1] + 1 else 1
        longest = max(longest, run)
    return longest


def _of(truth: Sequence[ClipBox], label: str) -> list[ClipBox]:
    return [box for box in truth if box.label == label]
