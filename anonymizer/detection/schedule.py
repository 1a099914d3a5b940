"""How pictures are looked at: sizes, tiles, which of them when, what is returned, where nothing is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Part = Literal["all", "fine", "coarse"]
Box = tuple[float, float, float, float]
_COARSE_ALONE = 0.55  # of the fine look of a picture that stands alone: with more the two cost more than 1.6 times the next best network's one look
NEIGHBOURS_S = 0.075  # Beyond, a person who runs has moved too far for one sighting to speak for the next.


@dataclass(frozen=True, slots=True)
class LookPlan:
    """One way to look at every frame.

    `long_side` is the size of the picture that is made of a frame, in pixels; with `tile_wh` it is looked at in tiles
    of that size that share `tile_overlap` of it, and once more as a whole. With `coarse_side` it is looked at once more at
    that smaller size, for what fills much of it: networks know the sizes they were taught. What `mirrored`
    names is looked for both ways round. With `least_alone` a picture that stands alone is looked at smaller (`alone`). With
    `in_turn` neighbours in time share the two looks (`Turns`). `weak` holds, for each label, the score
    from which detections are returned (a label without one: all); which of them are strong is not decided here.
    `ignore_zones_xyxy` are boxes of the displayed picture at full size: what has its centre in one is dropped and
    counted. `deadline_s` bounds one detector's look at one frame, for detectors that have no clock of their own.
    """

    long_side: int = 960
    tile_wh: tuple[int, int] | None = None
    tile_overlap: float = 0.2
    coarse_side: int | None = None
    mirrored: tuple[str, ...] = ()
    least_alone: int | None = None
    in_turn: bool = False
    weak: Mapping[str, float] = field(default_factory=dict)
    ignore_zones_xyxy: tuple[Box, ...] = ()
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        if self.long_side < 1 or (self.tile_wh is not None and min(self.tile_wh) < 32):
            raise ValueError("a look needs a picture, and tiles of at least 32 pixels")
        if not 0 <= self.tile_overlap <= 0.9:
            raise ValueError("tiles share 0 to 0.9 of their size")
        if self.deadline_s <= 0:
            raise ValueError("a deadline lies in the future")

    def alone(self, size_wh: tuple[int, int]) -> LookPlan:
        """The look at a picture of that size that stands alone.

        It cannot share two looks with neighbours in time. With `least_alone` it gets both for the price of one and a half:
        at half its own size, from that side up to `long_side`, and once more at `_COARSE_ALONE` of it.

        >>> [LookPlan(960, coarse_side=640, least_alone=640).alone(size).long_side for size in ((640, 480), (1600, 900), (4000, 3000))]
        [640, 800, 960]
        """
        if self.least_alone is None:
            return self
        fine = min(self.long_side, max(self.least_alone, max(size_wh) // 2))
        return replace(self, long_side=fine, coarse_side=round(fine * _COARSE_ALONE))


class Turns:
    """Which part of a look each frame of a stream gets: a frame's neighbours, a moment away, get the other.

    What one size of picture shows a network and another does not, the tracker carries from frame to frame. So two frames have
    for one look each what each of them would have for two. Where frames are far apart in time each gets all of it.
    """

    def __init__(self, look: LookPlan) -> None:
        self._in_turn = look.in_turn and look.coarse_side is not None
        self._last_s: float | None = None
        self._fine = True

    def next(self, time_s: float) -> Part:
        """The part for the next frame, which is shown at `time_s`."""
        near = self._last_s is not None and 0 <= time_s - self._last_s <= NEIGHBOURS_S
        self._last_s = time_s
        if not self._in_turn or not near:
            return "all"
        self._fine = not self._fine
        return "fine" if self._fine else "coarse"
