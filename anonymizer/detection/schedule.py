"""How pictures are looked at: sizes, tiles, which of them when, what is returned, where nothing is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

from anonymizer.detection.vehicles import VehicleTrust
from anonymizer.types import Part

Box = tuple[float, float, float, float]
_COARSE_ALONE = 0.55  # of the fine look of a picture that stands alone: with more the two cost more than 1.6 times the next best network's one look
_HARDLY_SMALLER = 0.85
NEIGHBOURS_S = 0.075  # Beyond, a person who runs has moved too far for one sighting to speak for the next.


@dataclass(frozen=True, slots=True)
class LookPlan:
    """One way to look at every frame.

    `long_side` is the size of the picture that is made of a frame, in pixels; with `tile_wh` it is looked at in tiles
    of that size that share `tile_overlap` of it, and once more as a whole. A fine look at a whole picture of more than
    `near_side` is one for small things (`LookPlan.is_near`). With `coarse_side` it is looked at once more at
    that smaller size, for what fills much of it: networks know the sizes they were taught. What `mirrored`
    names is looked for both ways round. With `least_alone` a picture that stands alone is looked at smaller (`alone`). With
    `in_turn` neighbours in time share the two looks (`Turns`). With `is_confirmed` a small look tells whether what is large and unsure
    is a face (`second_look`). `weak` holds, for each label, the score
    from which detections are returned (a label without one: all); which of them are strong is not decided here.
    `ignore_zones_xyxy` are boxes of the displayed picture at full size: what has its centre in one is dropped and
    counted. Heads in which a face of at least `face_from` lies are left out (`heads`). `vehicles` says how far those speak for unsure plates.
    `deadline_s` bounds one detector's look at one frame, for detectors that have no clock of their own.
    """

    long_side: int = 960
    tile_wh: tuple[int, int] | None = None
    tile_overlap: float = 0.2
    near_side: int | None = None
    coarse_side: int | None = None
    mirrored: tuple[str, ...] = ()
    least_alone: int | None = None
    in_turn: bool = False
    is_confirmed: bool = False
    weak: Mapping[str, float] = field(default_factory=dict)
    ignore_zones_xyxy: tuple[Box, ...] = ()
    face_from: float = inf
    vehicles: VehicleTrust | None = None
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        if self.long_side < 1 or (self.tile_wh is not None and min(self.tile_wh) < 32):
            raise ValueError("a look needs a picture, and tiles of at least 32 pixels")
        if not 0 <= self.tile_overlap <= 0.9:
            raise ValueError("tiles share 0 to 0.9 of their size")
        if self.deadline_s <= 0:
            raise ValueError("a deadline lies in the future")

    def is_near(self, size_wh: tuple[int, int]) -> bool:
        """Whether a fine look at the whole of a picture of that size shows more than one at `near_side`.

        >>> [LookPlan(1280, near_side=960).is_near(size) for size in ((1280, 720), (1000, 562))]
        [True, False]
        """
        return self.near_side is not None and self.near_side < max(size_wh) * _HARDLY_SMALLER

    def alone(self, size_wh: tuple[int, int]) -> LookPlan:
        """The look at a picture of that size that stands alone.

        It cannot share two looks with neighbours in time. With `least_alone` it gets both for the price of one and a half:
        at half its own size, from that side up to `long_side`, and once more at `_COARSE_ALONE` of it.

        >>> [LookPlan(960, coarse_side=640, least_alone=640).alone(size).long_side for size in ((640, 480), (1600, 900), (4000, 3000))]
        [640, 800, 960]
        """
        alone = replace(self, near_side=None, is_confirmed=False, vehicles=None)
        if self.least_alone is None:
            return alone
        fine = min(self.near_side or self.long_side, max(self.least_alone, max(size_wh) // 2))
        return replace(alone, long_side=fine, coarse_side=round(fine * _COARSE_ALONE))


class Turns:
    """Which part of a look each frame of a stream gets: a frame's neighbours, a moment away, get the other.

    What one size of picture shows a network and another does not, the tracker carries from frame to frame. So a few frames have
    for one look each what each of them would have for two. Where frames are far apart in time each gets all of it.
    """

    def __init__(self, look: LookPlan) -> None:
        self._look = look
        self._in_turn = look.in_turn and look.coarse_side is not None
        self._last_s: float | None = None
        self._turn = 0

    def next(self, time_s: float, size_wh: tuple[int, int]) -> Part:
        """The part for the next frame, of that displayed size, which is shown at `time_s`."""
        near = self._last_s is not None and 0 <= time_s - self._last_s <= NEIGHBOURS_S
        self._last_s = time_s
        if not self._in_turn or not near:
            return "all"
        # Every third, not every fourth: encoders give frames of better and worse pictures in turns of two and four.
        turns: tuple[Part, ...] = ("coarse", "fine", "coarse") if self._look.is_near(size_wh) else ("coarse", "fine")
        self._turn += 1
        return turns[(self._turn - 1) % len(turns)]
