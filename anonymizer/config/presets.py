"""Detection quality by name: how large a picture is looked at, and in how many pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """What one word of `--preset` stands for."""

    long_side: int  # of the picture a detector sees, in pixels; a frame is never enlarged to it
    tile_wh: tuple[int, int] | None = None  # looked at in tiles of this size besides
    tile_overlap: float = 0.2
    near_side: int | None = None  # what a fine look shows larger than this is seen too near: faces in it are believed less
    coarse_side: int | None = None  # and looked at once more at this size, for what fills the picture
    mirrored: tuple[str, ...] = ()  # labels that are looked for mirrored, too, in a picture that stands alone
    least_alone: int | None = None  # a picture that stands alone is looked at at half its size, but from this side up to `usual_side`
    in_turn: bool = False  # frames of a video that need no tiles get one of the two sizes each, in turn
    is_wary: bool = False  # covers in videos are wider, and more is believed
    besides: tuple[str, ...] = ()  # labels that are looked for in videos besides, where faces are
    with_vehicles: bool = False  # which speak for unsure plates in videos, and against them
    about: str = ""

    @property
    def usual_side(self) -> int:
        """The size that scores and margins are told for."""
        return self.near_side or self.long_side


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(640, about="pictures of 640 px: large faces and plates, the least time"),
    "balanced": Preset(
        1280,
        near_side=960,
        coarse_side=640,
        least_alone=640,
        in_turn=True,
        with_vehicles=True,
        about="pictures of 640 and of up to 1280 px, frame by frame in turn, and in videos what vehicles say of unsure plates: what most footage needs",
    ),
    "thorough": Preset(
        3840,
        (1280, 1280),
        coarse_side=640,
        mirrored=("face",),
        near_side=960,
        in_turn=True,
        is_wary=True,
        besides=("head",),
        with_vehicles=True,
        about="wider covers, in videos heads of people whose face is not seen and more of what may be a vehicle's plate,"
        " and pictures of up to 3840 px, whole and in tiles of 1280: small and far objects; above 1280 px several times the time",
    ),
}
