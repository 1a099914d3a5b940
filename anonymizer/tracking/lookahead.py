"""The final word on a frame, spoken when what comes after it has been seen.

A track speaks for the frames between its sightings, for those before the first (back-fill) and after the last
(hold). Its cover is as large as the largest box near in time, around a centre calmed over a few frames, and is then
grown until it holds the frame's own detection whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.tracking import covers
from anonymizer.tracking.camera import Timeline
from anonymizer.tracking.motion import Floats
from anonymizer.tracking.policy import LabelPolicy, TrackingPolicy
from anonymizer.tracking.tracks import AGE, SCORE, Track
from anonymizer.types import Decision, Detections, Origin, Region

TREND_S = 0.25  # a track's speed is read off this much of its end, as a standard deviation of weights
TREND_REACH_S = 2 * TREND_S  # so far the weights are worth reading, and so near a leap both of its sides are read
TREND_LASTS_S = 0.4  # and believed for so long: an extrapolation slows down to a stop
TREND_RIDGE_S2 = 0.002  # what holds a speed read off one or two sightings back
RIDGE_INSIDE = 0.02  # of it between sightings: with more the cover lags behind what is small and fast
UNSEEN_WEIGHT = 0.3  # of an interpolated row against a sighting
GROWTH_PER_S = 0.1  # of the size, with the time since the nearest sighting; on panning clips three times as much hides nothing more
WEAK_REACH_S = 1.0  # weak sightings and gaps so near a strong one are covered; all of them in a trusted track
BELIEF_S = 1.0  # so far back, and as far ahead as is known, looks speak for a track
EDGE_SIZES = 0.75  # a box whose centre comes this near the frame's edge is leaving; farther in, it vanished
_WINDOW_FRAMES = 24  # to either side, whatever the frame rate


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """A frame that waits for its decision."""

    number: int
    frame_index: int
    clock_s: float
    shot: int
    strong: Detections
    holders: tuple[Track, ...]  # the track of each of them
    damaged: bool


class Lookahead:
    """Turns tracks into the regions of one frame."""

    def __init__(self, policy: TrackingPolicy, geometry: Geometry) -> None:
        self._policy = policy
        self._geometry = geometry
        self._frame_wh = geometry.coded_wh
        self._px = max(1.0, max(self._frame_wh) / policy.look_long_side) if policy.look_long_side else 1.0

    def hold_s(self, track: Track) -> float:
        """How long after its last sighting the track still covers."""
        cx, cy, width, height = track.rows(track.last, track.last + 1)[0, :4].tolist()
        far_x, far_y = EDGE_SIZES * width, EDGE_SIZES * height
        inside = far_x <= cx <= self._frame_wh[0] - far_x and far_y <= cy <= self._frame_wh[1] - far_y
        return (self._policy.vanished_hold_s if inside else self._policy.hold_s) * track.trust

    def decide(self, frame: PendingFrame, tracks: Sequence[Track], timeline: Timeline) -> Decision:
        """Every region of the frame: tracks, strong detections no track holds, damage."""
        if frame.damaged:
            whole = (0.0, 0.0, float(self._frame_wh[0]), float(self._frame_wh[1]))
            return Decision(frame.frame_index, (Region("frame", "frame", whole, origin="whole_frame"),))
        speaking = [track for track in tracks if self._speaks(track, frame, timeline)]
        speaking += [part for track in speaking for part in track.between_leaps(frame.number, timeline, TREND_REACH_S) if self._speaks(part, frame, timeline)]
        regions = self._of_tracks(frame, speaking, timeline)
        regions += self._missing(self._believable(frame, timeline), regions)
        return Decision(frame.frame_index, tuple(regions))

    def _speaks(self, track: Track, frame: PendingFrame, timeline: Timeline) -> bool:
        """Whether the track covers anything in this frame: it is believed, and near enough in time."""
        if track.shot != frame.shot or not track.strong_s:
            return False
        first_s, last_s = (timeline.clock_of(max(number, timeline.first)) for number in (track.first, track.last))
        spans = [(first_s, last_s)]
        if track.trust < 1:
            # One strong find among many weak ones (a false find mostly) does not speak for all of them.
            spans = [(max(first_s, strong_s - WEAK_REACH_S), min(last_s, strong_s + WEAK_REACH_S)) for strong_s in track.strong_s]
        backfill_s = self._policy.backfill_s * track.trust + 1e-9
        ended_s = max((end_s for begin_s, end_s in spans if begin_s - frame.clock_s <= backfill_s), default=-np.inf)
        near = frame.clock_s <= ended_s or frame.clock_s - ended_s <= self.hold_s(track) + 1e-9
        # Asked last: of a track that begins too little is known before it has to speak.
        return near and self._believed(track, frame, timeline)

    def _believed(self, track: Track, frame: PendingFrame, timeline: Timeline) -> bool:
        """Whether what is known of the track around this frame is enough to cover anything for it."""
        if not track.believed:
            policy = self._policy.of(track.label)
            start = timeline.first + int(np.searchsorted(timeline.clock_s, frame.clock_s - BELIEF_S))
            size = float(track.rows(track.last, track.last + 1)[0, 2:4].max()) / max(self._frame_wh)
            track.believed = track.best >= policy.sure_score or track.mean_score(start, timeline) >= policy.believed_from(size)
        return track.believed

    def _believable(self, frame: PendingFrame, timeline: Timeline) -> Detections:
        """The frame's strong detections without those whose track is not believed."""
        if not len(frame.strong):
            return frame.strong
        return frame.strong.where(np.array([self._believed(track, frame, timeline) for track in frame.holders], bool))

    def _of_tracks(self, frame: PendingFrame, tracks: Sequence[Track], timeline: Timeline) -> list[Region]:
        if not tracks:
            return []
        smooth, score, own = self._placed(frame, tracks, timeline)
        policies = [self._policy.of(track.label) for track in tracks]
        ellipse = np.array([policy.shape == "ellipse" for policy in policies])
        seen = own[:, SCORE] > 0
        smooth, exact = (self._hiding(boxes, score, policies, ellipse) for boxes in (smooth, own[:, :4]))
        smooth[seen] = covers.grown_to_hold(smooth[seen], exact[seen], ellipse[seen])
        boxes = covers.corners(smooth)
        width, height = self._frame_wh
        visible = (boxes[:, 0] < width) & (boxes[:, 1] < height) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        return [
            Region(
                track.label,
                policies[at].shape,
                tuple(float(v) for v in boxes[at]),  # type: ignore[arg-type]  # four of them
                track.track_id,
                _origin(frame.number, track, bool(seen[at])),
                float(own[at, SCORE]) if seen[at] else None,
            )
            for at, track in enumerate(tracks)
            if visible[at]
        ]

    def _placed(self, frame: PendingFrame, tracks: Sequence[Track], timeline: Timeline) -> tuple[Floats, Floats, Floats]:
        """Each track's calm box [T, 4] in this frame with the score of sightings near [T], and its own path row [T, 6] (score 0: not seen)."""
        step_s = max((timeline.clock_s[-1] - timeline.clock_s[0]) / max(1, len(timeline.clock_s) - 1), 1e-3)
        reach = int(np.clip(round(max(TREND_REACH_S, self._policy.hysteresis_s) / step_s), 1, _WINDOW_FRAMES))
        anchors = np.array([min(max(frame.number, track.first), track.last) for track in tracks])
        rows, valid = np.zeros((len(tracks), 2 * reach + 1, 6)), np.zeros((len(tracks), 2 * reach + 1))
        for at, (track, anchor) in enumerate(zip(tracks, anchors, strict=True)):
            start, end = max(track.first, anchor - reach, timeline.first), min(track.last, anchor + reach) + 1
            rows[at, start - anchor + reach : end - anchor + reach] = track.rows(start, end)
            valid[at, start - anchor + reach : end - anchor + reach] = 1.0
        index = np.clip(anchors[:, None] + np.arange(-reach, reach + 1) - timeline.first, 0, len(timeline.clock_s) - 1)
        scale, shift = timeline.carried_to(frame.number)
        boxes = rows[..., :4] * scale[index][..., None]
        boxes[..., :2] += shift[index]
        away = timeline.clock_s[index] - timeline.clock_s[index[:, reach]][:, None]
        beyond = frame.clock_s - timeline.clock_s[index[:, reach]]
        outside = anchors != frame.number

        spread = np.where(outside, TREND_S, max(self._policy.smoothing_s, 1e-3))[:, None]
        weight = valid * np.exp(-0.5 * (away / spread) ** 2) * np.where(rows[..., SCORE] > 0, 1.0, UNSEEN_WEIGHT)
        weight /= weight.sum(axis=1, keepdims=True)
        mean_away = (weight * away).sum(axis=1)
        sighted = weight * (rows[..., SCORE] > 0)
        score = (sighted * rows[..., SCORE]).sum(axis=1) / np.maximum(sighted.sum(axis=1), 1e-9)
        centre = (weight[..., None] * boxes[..., :2]).sum(axis=1)
        off = away - mean_away[:, None]
        trend = (weight * off)[..., None] * boxes[..., :2]
        speed = trend.sum(axis=1) / ((weight * off**2).sum(axis=1) + TREND_RIDGE_S2 * np.where(outside, 1.0, RIDGE_INSIDE))[:, None]
        ahead = np.sign(beyond) * TREND_LASTS_S * (1 - np.exp(-np.abs(beyond) / TREND_LASTS_S))
        centre = centre + speed * (ahead - mean_away)[:, None]

        near = (valid > 0) & (np.abs(away) <= self._policy.hysteresis_s + 1e-9)
        size = np.where(near[..., None], boxes[..., 2:], 0.0).max(axis=1)
        own = rows[:, reach].copy()
        own[:, :4] = boxes[:, reach]
        own[outside, SCORE] = 0.0
        age = np.where(outside, np.abs(beyond), own[:, AGE])
        return np.concatenate([centre, size * (1 + GROWTH_PER_S * age)[:, None]], axis=1), score, own

    def _hiding(self, boxes: Floats, score: Floats, policies: Sequence[LabelPolicy], ellipse: NDArray[np.bool_]) -> Floats:
        """Covers cx, cy, w, h [N, 4] of what is known to lie in these boxes, with those scores [N]."""
        return covers.beyond_edges(covers.padded(boxes, score, policies, self._px, self._geometry), ellipse, self._frame_wh)

    def _missing(self, strong: Detections, regions: Sequence[Region]) -> list[Region]:
        """Strong detections that no region holds: whatever the tracker thinks, they are covered."""
        if not len(strong):
            return []
        held = np.array([region.xyxy for region in regions]).reshape(-1, 4)
        inside = (held[None, :, :2] <= strong.xyxy[:, None, :2]).all(axis=-1) & (strong.xyxy[:, None, 2:] <= held[None, :, 2:]).all(axis=-1)
        same = np.array([region.label for region in regions])[None] == strong.label[:, None]
        left = strong.where(~(inside & same).any(axis=1)) if len(regions) else strong
        policies = [self._policy.of(str(label)) for label in left.label]
        ellipse = np.array([policy.shape == "ellipse" for policy in policies], bool)
        boxes = covers.corners(self._hiding(covers.centred(left.xyxy), left.score.astype(np.float64), policies, ellipse))
        return [
            Region(str(label), policy.shape, tuple(float(v) for v in box), None, "detected", float(score))  # type: ignore[arg-type]
            for label, policy, box, score in zip(left.label, policies, boxes, left.score, strict=True)
        ]


def _origin(number: int, track: Track, seen: bool) -> Origin:
    if seen:
        return "detected"
    if number < track.first:
        return "backfilled"
    return "held" if number > track.last else "interpolated"
