"""What changes about the picture's shape on the way: everything downstream goes by the first frame, so a person must be told."""

from __future__ import annotations

from fractions import Fraction

import av

from anonymizer.media.orientation import orientation_of, parse_display_matrix
from anonymizer.media.side_data import side_data_of

_WORDS = {1: "upright", 2: "mirrored", 3: "upside down", 4: "flipped", 5: "turned and mirrored", 6: "turned left", 7: "turned and mirrored", 8: "turned right"}
_SURELY_UNSAID = 4  # Frames after a key frame without a word on how they are turned: then they are not.


class ShapeWatch:
    """Compares each frame with the ones before it, and says each new shape once."""

    def __init__(self, size_wh: tuple[int, int], orientation: int) -> None:
        self._size_wh = size_wh
        self._orientation = orientation
        self._aspect: Fraction | None = None
        self._unsaid_from_s: float | None = None  # the key frame since which no frame said how it is turned
        self._unsaid = 0
        self._told: set[tuple[str, object]] = {("size", size_wh), ("turn", orientation)}

    def changes(self, frame: av.VideoFrame, aspect: Fraction | None, time_s: float) -> list[str]:
        """Sentences about what is new at this frame; `aspect` is the decoder's, which may be frames ahead."""
        return [*self._size(frame, time_s), *self._aspect_ratio(frame, aspect or Fraction(1), time_s), *self._turn(frame, time_s)]

    def _size(self, frame: av.VideoFrame, time_s: float) -> list[str]:
        if not self._is_new("size", (frame.width, frame.height)):
            return []
        width, height = self._size_wh
        return [f"the picture changes to {frame.width}x{frame.height} at {time_s:.3f} s, it is scaled to {width}x{height} as FFmpeg does"]

    def _aspect_ratio(self, frame: av.VideoFrame, aspect: Fraction, time_s: float) -> list[str]:
        if self._aspect is None:
            self._aspect = aspect
            self._told.add(("aspect", aspect))
        # A decoder knows it from the packet it reads, and new ones begin at key frames: this is the frame it is about.
        if not frame.key_frame or not self._is_new("aspect", aspect):
            return []
        first, now = (f"{ratio.numerator}:{ratio.denominator}" for ratio in (self._aspect, aspect))
        return [f"the pixel aspect ratio changes from {first} to {now} at {time_s:.3f} s, the output says {first} from beginning to end"]

    def finish(self) -> list[str]:
        """Sentences that only the end of the stream allows; also right before each key frame."""
        if self._unsaid_from_s is None or self._unsaid < _SURELY_UNSAID:
            return []
        return self._turned(1, self._unsaid_from_s)

    def _turn(self, frame: av.VideoFrame, time_s: float) -> list[str]:
        # A stream says it once for all frames up to the next key frame, and encoders put it on the key frame or the
        # one after; that a picture is upright is mostly said by saying nothing.
        said = self.finish() if frame.key_frame else []
        turn = _orientation(frame)
        if turn is not None:
            self._unsaid_from_s = None
            return [*said, *self._turned(turn, time_s)]
        if frame.key_frame and self._unsaid_from_s is None:
            self._unsaid_from_s, self._unsaid = time_s, 0
        self._unsaid += 1
        return said

    def _turned(self, turn: int, time_s: float) -> list[str]:
        if not self._is_new("turn", turn):
            return []
        before = _WORDS[self._orientation]
        return [
            f"the picture is stored {_WORDS[turn]} from {time_s:.3f} s on and {before} before that: it is looked at and shown as if all were {before}, "
            "which misses people who lie on their side; cut the file there and run again"
        ]

    def _is_new(self, what: str, shape: object) -> bool:
        new = (what, shape) not in self._told
        self._told.add((what, shape))
        return new


def _orientation(frame: av.VideoFrame) -> int | None:
    return next((orientation_of(parse_display_matrix(content)) for name, content in side_data_of(frame) if name == "DISPLAYMATRIX"), None)
