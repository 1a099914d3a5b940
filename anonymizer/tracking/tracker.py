"""Observations in, decisions out: follows every object and decides each frame once its look-ahead is seen.

Union law: tracking adds, and takes away in one case only. Every strong detection is covered in its own frame whatever becomes of
its track, unless most looks at the track saw nothing there and none was sure (`Track.mean_score`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from anonymizer.errors import ModelError, UndecidedFrameError
from anonymizer.geometry import Geometry
from anonymizer.tracking.association import likeliness, pairs
from anonymizer.tracking.camera import Timeline
from anonymizer.tracking.covers import centred
from anonymizer.tracking.cuts import Shots, Step
from anonymizer.tracking.lookahead import Lookahead, PendingFrame
from anonymizer.tracking.motion import Floats, Motion
from anonymizer.tracking.policy import TrackingPolicy
from anonymizer.tracking.tracks import Track
from anonymizer.types import Decision, Detections, Observation, Part

# One frame moves the tracker's clock on by at least and at most this much. Frames that pile up on one time stamp
# still grow old, so memory stays bounded; what was there before a long pause is expected after it.
MIN_STEP_S, MAX_STEP_S = 1 / 120, 0.5
WEAK_PATIENCE = 0.6  # share of the usual reach within which a weak detection continues a track
BRIEF_LINK_S = 0.3  # how long a track without a strong detection waits for the next one, and any track for a weak one
LINK_S = 1.0  # how long a trusted track waits for its next strong detection: the gap is then interpolated
HISTORY_S = 0.6  # frames before the oldest pending one that smoothing looks back on


class Tracker:
    """Give it every frame's observation in order; it gives back every frame's decision in order, each once."""

    def __init__(self, policy: TrackingPolicy, geometry: Geometry, frame_rate: Fraction | float | None = None) -> None:
        self._policy = policy
        self._geometry = geometry
        self._nominal_step_s = float(np.clip(1 / float(frame_rate), MIN_STEP_S, MAX_STEP_S)) if frame_rate else MIN_STEP_S
        self._lookahead = Lookahead(policy, geometry)
        self._shots = Shots()
        self._timeline = Timeline()
        self._motion = Motion(geometry.coded_wh)
        self._tracks: list[Track] = []
        self._resting: list[Track] = []  # no longer matched, but still holding
        self._pending: deque[PendingFrame] = deque()
        self._next_id = 0
        self._last_time_s: float | None = None
        self._last_index: int | None = None

    def push(self, observation: Observation, time_s: float, glimpse: NDArray[np.uint8], *, damaged: bool = False) -> list[Decision]:
        """Take one frame; returns the decisions that became final.

        ModelError if the observation is a failure, UndecidedFrameError if a frame was left out.
        """
        if observation.detections is None:
            raise ModelError(f"frame {observation.frame_index}: {observation.failure}", hint="nothing is published without an answer for every frame")
        if self._last_index is not None and observation.frame_index != self._last_index + 1:
            raise UndecidedFrameError(
                f"frame {observation.frame_index} came after frame {self._last_index}, what lies between has no decision",
                hint="this is a bug, please report it",
            )
        clock_s, step_s = self._advance(time_s)
        number = self._timeline.end
        step = self._shots.see(number, clock_s, None if damaged else glimpse)
        self._move_on(step, clock_s, step_s, None if damaged or observation.how == "evidence" else observation.part)
        # What a detector says about guessed pixels is no evidence; the whole frame is covered instead.
        detections = Detections.none() if damaged else observation.detections
        strong, holders = self._associate(number, step.shot, detections)
        self._last_index = observation.frame_index
        self._pending.append(PendingFrame(number, observation.frame_index, clock_s, step.shot, strong, holders, damaged))
        decisions = self._settle(clock_s - self._policy.lookahead_s)
        self._forget(clock_s)
        return decisions

    def decide_until(self, frame_index: int) -> list[Decision]:
        """The decisions of all frames up to this one, with what is known now: for who cannot wait for the look-ahead."""
        until_s = max((frame.clock_s for frame in self._pending if frame.frame_index <= frame_index), default=-np.inf)
        return self._settle(until_s)

    def shot_of(self, frame_index: int) -> int | None:
        """The shot that a frame which still waits belongs to, as far as is known now; None for one that does not wait."""
        return next((frame.shot for frame in self._pending if frame.frame_index == frame_index), None)

    def flush(self) -> list[Decision]:
        """The decisions of all frames that still wait: the stream has ended."""
        return self._settle(np.inf)

    def _advance(self, time_s: float) -> tuple[float, float]:
        """The tracker's own clock, which always moves on, and by how much."""
        if self._last_time_s is None:
            self._last_time_s = time_s
            return 0.0, 0.0
        step_s = time_s - self._last_time_s
        step_s = min(max(step_s, MIN_STEP_S), MAX_STEP_S) if step_s > 0 else self._nominal_step_s
        self._last_time_s = max(time_s, self._last_time_s)
        return float(self._timeline.clock_s[-1]) + step_s, step_s

    def _move_on(self, step: Step, clock_s: float, step_s: float, part: Part | None) -> None:
        """Bring tracks and memory to the new frame."""
        scale, shift = step.move.in_coded(self._geometry)
        self._timeline.append(clock_s, scale, shift, step.since, part)
        if step.undone:
            for track in (*self._tracks, *self._resting):
                track.shot = step.shot if track.shot in step.undone else track.shot
            for at, frame in enumerate(self._pending):
                if frame.shot in step.undone:
                    self._pending[at] = replace(frame, shot=step.shot)
        if self._tracks:
            # The step tells the motion since a key frame; the filters already stand at the last one (or, after a
            # flash, where the flash found them).
            before = step.since if step.undone and step.since is not None else self._timeline.end - 2
            scales, shifts = self._timeline.carried_to(self._timeline.end - 1)
            at = max(0, before - self._timeline.first)
            self._motion.follow_camera(np.array([track.shot == step.shot for track in self._tracks]), float(scales[at]), shifts[at])
            self._motion.predict(step_s)

    def _associate(self, number: int, shot: int, detections: Detections) -> tuple[Detections, tuple[Track, ...]]:
        """Give every believable detection a track, new or old; returns the strong ones, and the track of each."""
        holders: dict[int, Track] = {}
        limits = [self._policy.of(str(label)) for label in detections.label]
        strong = detections.score >= np.array([limit.strong_score for limit in limits], np.float32)
        counts = strong * (1 + (detections.score >= np.array([limit.sure_score for limit in limits], np.float32)))
        weak = (detections.score >= np.array([limit.weak_score for limit in limits], np.float32)) & ~strong
        boxes = centred(detections.xyxy)
        free = np.array([track.shot == shot for track in self._tracks], bool)
        fresh = free & (self._timeline.clock_s[-1] - self._last_seen_s() <= BRIEF_LINK_S)
        labels = np.array([track.label for track in self._tracks], np.str_)
        for chosen, patience in ((strong, 1.0), (weak, WEAK_PATIENCE)):
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            candidates = np.flatnonzero(free if chosen is strong else free & fresh)
            fit = likeliness(self._motion, candidates, boxes[rows], patience) * (labels[candidates][:, None] == detections.label[rows][None])
            matched, found = pairs(fit)
            self._motion.update(candidates[matched], boxes[rows[found]])
            free[candidates[matched]] = False
            for at, row in zip(candidates[matched], rows[found], strict=True):
                holders[int(row)] = self._tracks[at]
                self._tracks[at].see(number, boxes[row], float(detections.score[row]), int(counts[row]), self._timeline)
            new = np.delete(rows, found)
            self._motion.add(boxes[new])
            free, fresh = (np.concatenate([flags, np.zeros(len(new), bool)]) for flags in (free, fresh))
            labels = np.concatenate([labels, detections.label[new]])
            for row in new:
                track = Track(self._next_id, str(detections.label[row]), shot, number, self._policy.trusted_after, self._policy.leap_overlap)
                track.see(number, boxes[row], float(detections.score[row]), int(counts[row]), self._timeline)
                self._tracks.append(track)
                holders[int(row)] = track
                self._next_id += 1
        return detections.where(strong), tuple(holders[int(row)] for row in np.flatnonzero(strong))

    def _last_seen_s(self) -> Floats:
        """When each living track was last seen, on the tracker's clock."""
        return self._timeline.clock_s[np.array([track.last for track in self._tracks], np.intp) - self._timeline.first]

    def _settle(self, until_s: float) -> list[Decision]:
        decisions: list[Decision] = []
        # By age, so that a frame's regions stand in the same order whatever came after it.
        tracks = sorted((*self._tracks, *self._resting), key=lambda track: track.track_id)
        while self._pending and self._pending[0].clock_s <= until_s + 1e-9:
            decisions.append(self._lookahead.decide(self._pending.popleft(), tracks, self._timeline))
        return decisions

    def _forget(self, clock_s: float) -> None:
        """Drop what no pending or coming frame can need."""
        clocks, first = self._timeline.clock_s, self._timeline.first
        waits_s = np.array([BRIEF_LINK_S + (LINK_S - BRIEF_LINK_S) * track.trust for track in self._tracks])
        alive = clock_s - self._last_seen_s() <= waits_s
        if not alive.all():
            self._resting += [track for track, keep in zip(self._tracks, alive, strict=True) if not keep and track.strong_s]
            self._tracks = [track for track, keep in zip(self._tracks, alive, strict=True) if keep]
            self._motion.keep(alive)
        oldest_s = self._pending[0].clock_s if self._pending else clock_s
        self._resting = [track for track in self._resting if oldest_s - clocks[track.last - first] <= self._policy.vanished_hold_s]
        keep_s = oldest_s - HISTORY_S
        needed = [track.last for track in (*self._tracks, *self._resting)]
        before = min([first + int(np.searchsorted(clocks, keep_s)), *needed])
        self._timeline.drop_before(before)
        for track in (*self._tracks, *self._resting):
            if track.last - track.first > 8 and before - track.first > 64:
                track.drop_before(before)
