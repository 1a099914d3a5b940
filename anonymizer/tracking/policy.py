"""What the tracker is told: thresholds, margins and times, as values with units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType
from typing import Literal

import numpy as np


def factor_at(at: float, factors: Sequence[tuple[float, float]]) -> float:
    """The factor for one size or score, on the straight lines between those that are named.

    >>> factor_at(0.2, ((0.1, 0.5), (0.3, 1.0)))
    0.75
    """
    return float(np.interp(at, [named for named, _ in factors], [factor for _, factor in factors]))


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """How one kind of object is believed and covered.

    A detection from `strong_score` on is covered if its track is believed; one from `weak_score` on only beside a strong one of the
    same track. The cover reaches `pad_share` of the box's width and height plus `pad_px` over its sides; `pad_above` and
    `pad_below` say how many times `pad_share` over its upper and lower edge. `pad_by_size` says how much of `pad_share` a box
    gets: rising longer sides as shares of the frame's, each with a factor; between two of them it goes in a straight line; `pad_by_score`
    how much by the score of the sightings near.
    A track is believed from a mean score of `mean_share` of `strong_score` on, times what `mean_by_size` says in the same way, or once a
    detection has `sure_score` (`Track.mean_score`).
    """

    strong_score: float = 0.5
    weak_score: float = 0.2
    mean_share: float = 0.0
    sure_score: float = 0.4
    shape: Literal["ellipse", "box"] = "box"
    pad_share: float = 0.10
    pad_extra: float = 0.0  # a share on top, at every side and whatever the size or score: what somebody asked for
    pad_px: float = 0.5  # a box is a guess of whole pixels at best
    pad_above: float = 1.0
    pad_below: float = 1.0
    mean_by_size: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    # Small things are measured and labelled tightly, of large faces half of the sources mean the whole head.
    pad_by_size: tuple[tuple[float, float], ...] = ((0.06, 0.15), (0.15, 1.0))
    pad_by_score: tuple[tuple[float, float], ...] = ((0.0, 1.0),)  # what a network is surer of it has measured better

    def __post_init__(self) -> None:
        if not 0 <= self.weak_score <= self.strong_score <= 1:
            raise ValueError(f"scores want 0 <= weak <= strong <= 1, not {self.weak_score} and {self.strong_score}")
        if not (self.mean_share >= 0 and self.sure_score >= 0):
            raise ValueError("what is believed wants scores of 0 or more")
        if not min(self.pad_share, self.pad_extra, self.pad_px, self.pad_above, self.pad_below) >= 0:
            raise ValueError("a negative margin would leave a strong detection's edge clear")
        for factors in (self.pad_by_size, self.pad_by_score, self.mean_by_size):
            named = [at for at, _ in factors]
            if not named or named != sorted(named) or min(factor for _, factor in factors) < 0:
                raise ValueError("factors by size or score want those rising, and no factor below 0")

    def believed_from(self, share: float) -> float:
        """The mean score from which a track is believed whose longer side is that share of the frame's."""
        return self.mean_share * self.strong_score * factor_at(share, self.mean_by_size)


# Margins, measured on panning clips of labelled stills: an inscribed ellipse without a margin bares up to 24 % of the
# faces of 64 to 128 px. Large faces need the larger share, until they fill a third of the frame and their boxes are exact; of small
# ones over a video a pixel is enough. What a detector's box of a face lacks, it lacks above: of one in ten a quarter of its
# height and more, below a tenth. Boxes with a score of 0.7 and more are a third larger than what they mark; those of middling
# scores lack the most, and of what has less than 0.3 too much is false to be wide. Boxes of plates hold a third more than the plate,
# mostly above and below.
# Those of faces were searched together (a random walk over all of them at once) for the least that is to be read at the same
# area: one at a time they had seemed the best there are, with a fifth more tracks to be read.
# What is believed was chosen on them too: things that most looks do not see are false, but for large faces, which one look in
# three sees; with it a third to a half of what is covered in vain goes, for 0.3 % of the faces of wide views.
_FACE = LabelPolicy(
    shape="ellipse",
    pad_share=0.13,
    pad_above=1.3,
    pad_px=0.8,
    pad_below=0.0,
    pad_by_size=((0.02, 0.3), (0.04, 0.0), (0.06, 0.0), (0.09, 0.7), (0.15, 1.1), (0.22, 1.18), (0.3, 0.35)),
    pad_by_score=((0.15, 0.8), (0.3, 1.0), (0.5, 1.26), (0.7, 0.2)),
    sure_score=0.45,
    mean_share=0.72,
    mean_by_size=((0.03, 0.9), (0.06, 1.38), (0.1, 1.38), (0.2, 0.3), (0.4, 0.3), (0.5, 1.2)),
)
_PLATE = LabelPolicy(
    shape="box",
    pad_share=0.05,
    pad_above=0.4,
    pad_px=0.0,
    pad_below=0.3,
    pad_by_size=((0.02, 0.0), (0.028, 0.2), (0.035, 0.4), (0.045, 1.0), (0.07, 0.6), (0.085, 0.1), (0.1, 0.0)),
    pad_by_score=((0.3, 1.0), (0.77, 0.7), (0.83, 0.0)),
    mean_share=1.0,
)
# What the shipped network of people calls a head is the whole part of a person where the head is: no margin, and believed if most looks see it.
# Its share is the usual padding all the same, lest that be taken for a wish beyond it, which is added in full.
PART_WITH_HEAD = LabelPolicy(shape="ellipse", pad_share=0.13, pad_px=0.0, pad_by_size=((0.0, 0.0),), mean_share=1.0)
DEFAULT_LABELS: Mapping[str, LabelPolicy] = MappingProxyType({"face": _FACE, "head": LabelPolicy(shape="ellipse", pad_share=0.13), "plate": _PLATE})

# For who would rather lose half as much picture again than half of what still leaks: wider covers, and more is believed.
_FACE_WARY = replace(
    _FACE,
    pad_above=1.4,
    pad_below=0.55,
    pad_by_size=((0.02, 0.8), (0.04, 1.1), (0.15, 1.15), (0.22, 1.6), (0.3, 0.46)),
    pad_by_score=((0.15, 0.85), (0.3, 1.35), (0.5, 1.24), (0.7, 0.38)),
    sure_score=0.4,
    mean_share=0.4,
    mean_by_size=((0.1, 1.0), (0.2, 0.5), (0.4, 0.5), (0.5, 1.0)),
)
_PLATE_WARY = replace(_PLATE, pad_px=1.3, pad_above=1.4, pad_below=1.2, pad_by_size=((0.02, 2.0), (0.08, 1.2)), pad_by_score=((0.0, 1.0),), mean_share=0.4)
WARY_LABELS: Mapping[str, LabelPolicy] = MappingProxyType({**DEFAULT_LABELS, "face": _FACE_WARY, "plate": _PLATE_WARY})
TRUSTED_AFTER = 8
WARY_TRUSTED_AFTER = 3  # what is believed covers longer, too

# A picture that stands alone has no neighbours in time whose boxes make up for one that is too short, and nothing is seen
# twice in it: covers are wider by two pixels, chosen on marked stills by the share of them that is hidden whole (faces 70 %,
# plates 90 % of the box) with at most 1.7 times the truth covered. With those of videos, 73 instead of 96 % of the faces are. Most of what is
# covered too short is a tenth to a third of the picture with the whole head marked, and has a middling score; of what fills half
# of it, each share costs the most.
_FACE_ALONE = replace(
    _FACE,
    pad_px=2.0,
    pad_above=1.85,
    pad_below=0.8,
    pad_by_size=((0.06, 0.85), (0.2, 1.12), (0.3, 0.65), (0.45, 0.08)),
    pad_by_score=((0.3, 0.7), (0.5, 1.4), (0.7, 1.15), (0.85, 0.65)),
)
_PLATE_ALONE = replace(_PLATE, pad_px=1.1, pad_above=1.4, pad_below=1.4, pad_by_size=((0.05, 0.6), (0.08, 0.2), (0.15, 0.0)), pad_by_score=((0.0, 1.0),))
PICTURE_LABELS: Mapping[str, LabelPolicy] = MappingProxyType({**DEFAULT_LABELS, "face": _FACE_ALONE, "plate": _PLATE_ALONE})


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """Everything the tracker may know beside what it sees.

    The times are measured on the same clips, where objects never vanish. Without back-fill and hold a tenth more of
    the face object-frames leaks and tracks ever readable rise by half; twice the times change nothing more. Without
    hysteresis a quarter more leaks.
    """

    lookahead_s: float = 1.0  # decisions wait so long for what comes next (docs/architecture.md: files 1.0, live 0.4)
    labels: Mapping[str, LabelPolicy] = field(default_factory=lambda: DEFAULT_LABELS)
    other: LabelPolicy = LabelPolicy()  # every label that `labels` does not name
    backfill_s: float = 0.4  # cover before the first sighting; never more than the look-ahead
    hold_s: float = 0.3  # cover after the last sighting of an object that reached the frame's edge
    vanished_hold_s: float = 0.6  # and of one that vanished in the middle of the picture
    hysteresis_s: float = 0.05  # a cover is never smaller than its neighbours so far to either side
    smoothing_s: float = 0.12  # standard deviation of the weights that calm the centre
    trusted_after: int = TRUSTED_AFTER  # strong sightings, a sure one counting as two; with fewer a track reaches less far in time: false finds are short
    leap_overlap: float = 0.0  # two sightings with a gap between that overlap by less: what is between is covered at both ends, too
    look_long_side: int | None = None  # pad_px counts pixels of a look of this long side; None: of the coded frame

    def __post_init__(self) -> None:
        if self.trusted_after < 1:
            raise ValueError("a track is trusted after one sighting at the soonest")
        times = (self.lookahead_s, self.backfill_s, self.hold_s, self.vanished_hold_s, self.hysteresis_s, self.smoothing_s)
        if not all(0 <= time_s < inf for time_s in times):
            raise ValueError("a time span is a number of seconds, 0 or more")

    def of(self, label: str) -> LabelPolicy:
        """The policy of one label."""
        return self.labels.get(label, self.other)
