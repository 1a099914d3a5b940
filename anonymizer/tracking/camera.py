"""How the camera moved between two frames, and where a point of one frame lies in another.

Measured on glimpses, 64x36 grey pictures: a zoom and a shift, fitted by least squares on brightness (Lucas and
Kanade 1981), with gain and offset so that exposure does not pass for motion. Fractions of a cell are exact enough
to carry a box through a second of a shaking pan, where a track's own speed is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry
from anonymizer.types import Part

Floats = NDArray[np.float64]

PARTS = get_args(Part)
FLAT_LEVELS = 2.0  # below this spread of grey levels (coding noise) a glimpse tells nothing
_STEPS = 8
_DONE_CELLS = 0.003  # 0.06 px of a 1280 px frame; at 0.01 a pan's lag summed up to 4 px in half a second
_BLUR_CELLS = 0.8  # halves the error that bilinear sampling makes between cells (measured on panning clips)
_MOVED_LIKENESS = 0.97  # above it, the fit found the motion and no other start is tried
_SCALE_LIMITS = (0.8, 1.25)  # between two frames; more is a cut or a failed fit


@dataclass(frozen=True, slots=True)
class Move:
    """Where points go: u' = scale * u + shift, in shares of the picture; `likeness` is the correlation after it, -1..1."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    likeness: float = 1.0

    def in_coded(self, geometry: Geometry) -> tuple[float, Floats]:
        """The same motion in pixels of the coded frame: x' = scale * x + shift."""
        (left, top), (width, height) = self.shift, geometry.displayed_wh
        box = np.array([[left * width, top * height, (left + self.scale) * width, (top + self.scale) * height]], np.float32)
        return self.scale, np.asarray(geometry.to_coded(box)[0, :2], np.float64)


STILL = Move()


def is_flat(glimpse: NDArray[np.uint8]) -> bool:
    """Whether a glimpse is too even (black, white, fog) to be compared."""
    return float(glimpse.std()) < FLAT_LEVELS


def move_between(before: NDArray[np.uint8], after: NDArray[np.uint8], guess: Move = STILL) -> Move:
    """The camera's motion from one glimpse to the next; STILL with its likeness where no motion explains more."""
    old, new = (np.asarray(cv2.GaussianBlur(glimpse, (0, 0), _BLUR_CELLS), np.float64) for glimpse in (before.astype(np.float64), after.astype(np.float64)))
    best = _fitted(old, new, guess)
    if best.likeness >= _MOVED_LIKENESS:
        return best
    starts = [STILL, _jump(old, new)] if guess.shift != STILL.shift else [_jump(old, new)]
    still = Move(likeness=_likeness(old, new, STILL))
    return max([still, best, *(_fitted(old, new, start) for start in starts)], key=lambda move: move.likeness)


def _warp_matrices(move: Move, rows: int, columns: int) -> tuple[Floats, Floats, Floats]:
    """Bilinear sampling at the moved cells as two small matrices, and which cells stay inside the picture."""
    matrices, insides = [], []
    for count, shift in ((rows, move.shift[1]), (columns, move.shift[0])):
        cells = np.arange(count)
        at = (move.scale * (cells + 0.5) / count + shift) * count - 0.5
        matrices.append(np.maximum(0.0, 1.0 - np.abs(at[:, None] - cells)))
        insides.append(((at >= 0) & (at <= count - 1)).astype(np.float64))
    return matrices[0], matrices[1], np.outer(insides[0], insides[1])


def _likeness(old: Floats, new: Floats, move: Move) -> float:
    """Correlation of what both glimpses show, brightness and contrast aside."""
    down, across, inside = _warp_matrices(move, *old.shape)
    weight = inside.sum()
    if weight < 0.25 * old.size:
        return -1.0
    seen = down @ new @ across.T
    a = (old - (old * inside).sum() / weight) * inside
    b = (seen - (seen * inside).sum() / weight) * inside
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9))


def _jump(old: Floats, new: Floats) -> Move:
    """The whole-cell shift that phase correlation finds: fast pans lie beyond what a least-squares fit can reach."""
    rows, columns = old.shape
    window = np.outer(np.hanning(rows), np.hanning(columns))
    cross = np.fft.rfft2((new - new.mean()) * window) * np.conj(np.fft.rfft2((old - old.mean()) * window))
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-6), s=old.shape)
    row, column = np.unravel_index(int(np.argmax(peak)), old.shape)
    dy = (int(row) + rows // 2) % rows - rows // 2
    dx = (int(column) + columns // 2) % columns - columns // 2
    return Move(shift=(dx / columns, dy / rows))


def _fitted(old: Floats, new: Floats, start: Move) -> Move:
    """Gauss-Newton on zoom, shift, gain and offset; cells that do not follow the camera are weighed down."""
    rows, columns = old.shape
    slope_y, slope_x = np.gradient(new)
    x = np.broadcast_to((np.arange(columns) + 0.5) / columns, old.shape)
    y = np.broadcast_to(((np.arange(rows) + 0.5) / rows)[:, None], old.shape)
    scale, (dx, dy) = start.scale, start.shift
    gain, offset = 1.0, 0.0
    for step in range(_STEPS):
        down, across, inside = _warp_matrices(Move(scale, (dx, dy)), rows, columns)
        seen, along_x, along_y = (down @ image @ across.T for image in (new, slope_x, slope_y))
        if step == 0:
            offset = float((seen - old).mean())
        wrong = seen - gain * old - offset
        spread = float(np.abs(wrong).mean()) + 0.5
        weight = inside / (1.0 + (wrong / spread) ** 2)
        along_x, along_y = along_x * columns, along_y * rows
        slopes = np.stack([(x - 0.5) * along_x + (y - 0.5) * along_y, along_x, along_y, -old, -np.ones_like(old)]).reshape(5, -1)
        weighed = slopes * weight.ravel()
        # The ridge keeps even pictures still; a real gradient outweighs it by orders of magnitude.
        change = np.linalg.solve(weighed @ slopes.T + np.diag([5.0, 5.0, 5.0, 1.0, 1e-3]), -weighed @ wrong.ravel())
        scale, dx, dy = scale + change[0], dx + change[1] - 0.5 * change[0], dy + change[2] - 0.5 * change[0]
        gain, offset = gain + change[3], offset + change[4]
        if not (_SCALE_LIMITS[0] < scale < _SCALE_LIMITS[1] and max(abs(dx), abs(dy)) < 0.75):
            return Move(likeness=-1.0)
        if max(abs(change[0]) / 2, abs(change[1]), abs(change[2])) * columns < _DONE_CELLS:
            break
    move = Move(float(scale), (float(dx), float(dy)))
    return Move(move.scale, move.shift, _likeness(old, new, move))


class Timeline:
    """Clock and camera of the frames in memory: carries boxes from any of them to any other.

    Frames are numbered from 0 as they come. Only ratios between frames in memory matter, so the sums start afresh
    with the oldest: a zoom that goes on for hours cannot overflow them.
    """

    def __init__(self) -> None:
        self.first = 0
        self.clock_s: Floats = np.zeros(0)
        self.part: NDArray[np.intp] = np.zeros(0, np.intp)  # index in PARTS of what was looked at, -1 for nothing
        self._scale: Floats = np.ones(0)
        self._shift: Floats = np.zeros((0, 2))

    @property
    def end(self) -> int:
        """The number the next frame gets."""
        return self.first + len(self.clock_s)

    def clock_of(self, number: int) -> float:
        """When a frame in memory was, on the tracker's clock."""
        return float(self.clock_s[number - self.first])

    def append(self, clock_s: float, scale: float, shift: Floats, since: int | None, part: Part | None = "all") -> None:
        """Add a frame reached from frame `since` by x' = scale * x + shift (None: from nowhere), of which `part` was looked at."""
        old_scale, old_shift = 1.0, np.zeros(2)
        if since is not None and len(self.clock_s):
            at = max(0, since - self.first)
            old_scale, old_shift = float(self._scale[at]), self._shift[at]
        self.clock_s = np.append(self.clock_s, clock_s)
        self.part = np.append(self.part, -1 if part is None else PARTS.index(part))
        self._scale = np.append(self._scale, scale * old_scale)
        self._shift = np.concatenate([self._shift, (scale * old_shift + shift)[None]])

    def carried_to(self, number: int) -> tuple[Floats, Floats]:
        """For every frame in memory, scale [K] and shift [K, 2] that take its points to frame `number`."""
        at = number - self.first
        scale = self._scale[at] / self._scale
        return scale, self._shift[at] - scale[:, None] * self._shift

    def drop_before(self, number: int) -> None:
        """Forget the frames before `number`."""
        drop = min(number, self.end - 1) - self.first
        if drop <= 0:
            return
        self.first += drop
        base_scale, base_shift = self._scale[drop], self._shift[drop]
        self.clock_s, self.part, self._scale = self.clock_s[drop:], self.part[drop:], self._scale[drop:] / base_scale
        self._shift = self._shift[drop:] - self._scale[:, None] * base_shift
