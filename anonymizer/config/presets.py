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
    coarse_side: int | None = None  # and looked at once more at this size, for what fills the picture
    mirrored: tuple[str, ...] = ()  # labels that are looked for mirrored, too, in a picture that stands alone
    least_alone: int | None = None  # a picture that stands alone is looked at at half its size, but from this side up to `long_side`
    in_turn: bool = False  # frames of a video that need no tiles get one of the two sizes each, in turn
    about: str = ""


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(640, about="pictures of 640 px: large faces and plates, the least time"),
    "balanced": Preset(
        960, coarse_side=640, least_alone=640, in_turn=True, about="pictures of 960 px and of 640, frame by frame in turn: what most footage needs"
    ),
    "thorough": Preset(
        3840,
        (1280, 1280),
        coarse_side=640,
        mirrored=("face",),
        in_turn=True,
        about="pictures of up to 3840 px, whole and in tiles of 1280: small and far objects, several times the time",
    ),
}
