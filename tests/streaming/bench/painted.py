"""A street that nobody filmed: a counter that machines can read, and secrets that nobody may see.

Every frame is a function of its counter alone. The counter stands in the upper left corner as large black and white blocks with
a checksum; the secrets are discs that hold one pattern of 6 x 6 blocks and move, jump, appear, vanish and come in over the edges.
Places are those of a canvas of 640 x 360, and are stretched to whatever size is painted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Box = tuple[float, float, float, float]

CANVAS_WH = (640, 360)
COUNTER_BITS = 24
_CHECK_BITS, _CHECK_POLYNOMIAL = 8, 0x1D
_CELL = 13  # Pixels of the canvas, half where a detector looks at half the size. No multiple of a code's blocks: rows of one must not look like the other.
_ROWS, _COLUMNS = 2, 16
_DARK, _BRIGHT = 20, 235
_LEAST_CONTRAST = 60

CODE = np.array(
    [[1, 1, 0, 1, 0, 0], [0, 1, 0, 0, 1, 1], [1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 1]],
    np.uint8,
)  # as many ones as zeros, and like none of its own shifts, turns and mirror images
CODE_SIDES = (36, 48, 60)  # pixels of the canvas
_DISC = math.sqrt(2) * 1.06  # the disc's diameter for a code of side 1: a cover may be an ellipse


@dataclass(frozen=True, slots=True)
class Secret:
    """Where one secret is: its middle and the side of its code, in pixels of the canvas."""

    middle_xy: tuple[float, float]
    code_side: int

    @property
    def xyxy(self) -> Box:
        """The box of the disc; it may reach beyond the canvas."""
        half = self.code_side * _DISC / 2
        x, y = self.middle_xy
        return x - half, y - half, x + half, y + half


def secrets_at(counter: int) -> list[Secret]:
    """Every secret in the frame of this counter, also one of which only a part is in the picture."""
    return [secret for secret in (_stroller(counter), _intruder(counter), _flash(counter)) if secret is not None]


def _stroller(counter: int) -> Secret | None:
    """Walks up and down for 8 s with a jump in the middle, then is gone for 2 s."""
    phase = counter % 250
    if phase >= 200:
        return None
    x, y = 320 + 230 * math.sin(counter * math.tau / 330), 165 + 25 * math.sin(counter * math.tau / 90)
    return Secret((x, y) if phase < 100 else (640 - x, y + 95), 48)


def _intruder(counter: int) -> Secret | None:
    """Comes in over the right edge or the lower one, in turn, and vanishes in the middle of the picture."""
    turn, phase = divmod(counter, 160)
    if phase >= 90:
        return None
    return Secret((667 - 3 * phase, 318), 36) if turn % 2 else Secret((90 + 40 * (turn % 11), 387 - 1.6 * phase), 36)


def _flash(counter: int) -> Secret | None:
    """Is there for five frames only, each time elsewhere."""
    turn, phase = divmod(counter, 90)
    if phase >= 5:
        return None
    return Secret((80.0 + turn * 211 % 480, 150.0 + turn * 97 % 150), 60)


def secret_boxes(counter: int, size_wh: tuple[int, int] = CANVAS_WH) -> list[Box]:
    """The true boxes in a picture of that size, cut at its edges."""
    across, down = size_wh[0] / CANVAS_WH[0], size_wh[1] / CANVAS_WH[1]
    boxes = []
    for left, top, right, bottom in (secret.xyxy for secret in secrets_at(counter)):
        box = max(0.0, left * across), max(0.0, top * down), min(float(size_wh[0]), right * across), min(float(size_wh[1]), bottom * down)
        if box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            boxes.append(box)
    return boxes


class Painter:
    """Paints frames of one size as planes Y, U, V below each other [H * 3 / 2, W], as PyAV takes them for yuv420p.

    `pan_px` is how far the street moves in a frame; 0 is a camera that stands still. Without `secrets`, nothing is to be hidden.
    """

    def __init__(self, size_wh: tuple[int, int] = CANVAS_WH, *, pan_px: float = 1.0, secrets: bool = True) -> None:
        if size_wh[0] % 2 or size_wh[1] % 4:
            raise ValueError(f"a painted frame has an even width and a height that four divides, not {size_wh}")
        self.size_wh = size_wh
        self._pan_px = pan_px
        self._secrets = secrets
        self._luma, self._blue, self._red = _street(size_wh)

    def paint(self, counter: int) -> NDArray[np.uint8]:
        """The frame of this counter."""
        width, height = self.size_wh
        shift = int(counter * self._pan_px) % (self._luma.shape[1] - width) & ~1
        planes = np.empty((height * 3 // 2, width), np.uint8)
        luma = planes[:height]
        luma[:] = self._luma[:, shift : shift + width]
        chroma = slice(shift // 2, (shift + width) // 2)
        planes[height : height * 5 // 4] = self._blue[:, chroma].reshape(height // 4, width)
        planes[height * 5 // 4 :] = self._red[:, chroma].reshape(height // 4, width)
        if self._secrets:
            for secret in secrets_at(counter):
                _put(luma, *_disc(secret.code_side, self.size_wh), _corner(secret, self.size_wh))
        paint_counter(luma, counter)
        return planes


def _corner(secret: Secret, size_wh: tuple[int, int]) -> tuple[int, int]:
    left, top, _, _ = secret.xyxy
    return round(left * size_wh[0] / CANVAS_WH[0]), round(top * size_wh[1] / CANVAS_WH[1])


@cache
def code_picture(code_side: int, size_wh: tuple[int, int] = CANVAS_WH) -> Luma:
    """The pattern alone, as it is painted in a frame of that size."""
    wh = round(code_side * size_wh[0] / CANVAS_WH[0]), round(code_side * size_wh[1] / CANVAS_WH[1])
    return np.asarray(cv2.resize(np.where(CODE, 240, 15).astype(np.uint8), wh, interpolation=cv2.INTER_NEAREST), np.uint8)


@cache
def _disc(code_side: int, size_wh: tuple[int, int]) -> tuple[Luma, NDArray[np.bool_]]:
    """The disc with its pattern, and which pixels of its box it covers."""
    code = code_picture(code_side, size_wh)
    width, height = (round(code_side * _DISC * size_wh[axis] / CANVAS_WH[axis]) for axis in (0, 1))
    x, y = np.meshgrid((np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / height * 2 - 1)
    disc = np.full((height, width), 130, np.uint8)
    top, left = (height - code.shape[0]) // 2, (width - code.shape[1]) // 2
    disc[top : top + code.shape[0], left : left + code.shape[1]] = code
    return disc, x * x + y * y <= 1


def _put(luma: Luma, patch: Luma, shape: NDArray[np.bool_], left_top: tuple[int, int]) -> None:
    """Lay a patch into a picture, cut at its edges."""
    left, top = left_top
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(luma.shape[1], left + patch.shape[1]), min(luma.shape[0], top + patch.shape[0])
    if x0 < x1 and y0 < y1:
        inside = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        np.copyto(luma[y0:y1, x0:x1], patch[inside], where=shape[inside])


@cache
def _street(size_wh: tuple[int, int]) -> tuple[Luma, Luma, Luma]:
    """Luma and both chroma planes of a street twice as wide as the picture: house fronts with windows, a pavement, a road."""
    width, height = size_wh[0] * 2, size_wh[1]
    dice = np.random.default_rng(11)
    luma = np.full((height, width), 150.0)
    left = 0
    while left < width:
        right = left + int(size_wh[0] * dice.uniform(0.12, 0.3))
        luma[: height * 2 // 3, left:right] = dice.uniform(110, 180)
        for x in range(left + width // 80, right - width // 60, width // 36):
            for y in range(height // 9, height // 2, height // 7):
                luma[y : y + height // 13, x : x + width // 75] = dice.uniform(50, 100)
        left = right
    luma[height * 2 // 3 :] = 105
    luma[height * 2 // 3 : height * 3 // 4] = 160
    for x in range(0, width, width // 12):
        luma[height * 7 // 8 : height * 8 // 9, x : x + width // 30] = 200
    grain = cv2.resize(dice.standard_normal((height // 6, width // 6)), (width, height), interpolation=cv2.INTER_CUBIC)
    luma += 9 * grain + 3 * dice.standard_normal((height, width))
    half = (width // 2, height // 2)
    blue, red = (128 + 6 * np.asarray(cv2.resize(dice.standard_normal((height // 40, width // 40)), half, interpolation=cv2.INTER_CUBIC)) for _ in range(2))
    return tuple(np.clip(plane, 16, 235).astype(np.uint8) for plane in (luma, blue, red))  # type: ignore[return-value]  # three planes


def _check(value: int) -> int:
    """CRC-8 of the counter: a curtain or a damaged corner must not read as one."""
    check = 0xFF
    for byte in value.to_bytes(COUNTER_BITS // 8, "big"):
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ (_CHECK_POLYNOMIAL if check & 0x80 else 0)) & 0xFF
    return check


def _cells(size_wh: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The edges of the counter's columns and rows; one more on each side holds blocks of known brightness."""
    edges = np.arange(_COLUMNS + 3) * _CELL * size_wh[0] / CANVAS_WH[0], np.arange(_ROWS + 1) * _CELL * size_wh[1] / CANVAS_WH[1]
    return edges[0], edges[1]


def paint_counter(luma: Luma, counter: int) -> None:
    """Write the counter into the upper left corner."""
    counter %= 1 << COUNTER_BITS
    value = counter << _CHECK_BITS | _check(counter)
    bits = np.array([value >> shift & 1 for shift in range(_ROWS * _COLUMNS - 1, -1, -1)]).reshape(_ROWS, _COLUMNS)
    known = np.array([[0], [1]])
    cells = np.where(np.hstack([known, bits, 1 - known]), _BRIGHT, _DARK)
    columns, rows = (np.rint(edges).astype(int) for edges in _cells((luma.shape[1], luma.shape[0])))
    for row in range(_ROWS):
        for column in range(_COLUMNS + 2):
            luma[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = cells[row, column]


def counter_of(luma: NDArray[np.uint8]) -> int | None:
    """The counter in a picture of any size, or None where there is none that can be trusted."""
    columns, rows = _cells((luma.shape[1], luma.shape[0]))
    if columns[1] - columns[0] < 2 or luma.shape[0] <= rows[-1]:
        return None
    levels = np.array([[_middle(luma, columns, rows, column, row) for column in range(_COLUMNS + 2)] for row in range(_ROWS)])
    dark, bright = (levels[0, 0], levels[1, -1]), (levels[1, 0], levels[0, -1])
    contrast = min(bright) - max(dark)
    if contrast < _LEAST_CONTRAST:
        return None
    share = (levels[:, 1:-1] - np.mean(dark)) / (np.mean(bright) - np.mean(dark))
    if (np.abs(share - 0.5) < 0.15).any():
        return None
    value = int("".join("1" if bit else "0" for bit in (share > 0.5).ravel()), 2)
    counter, check = value >> _CHECK_BITS, value & (1 << _CHECK_BITS) - 1
    return counter if check == _check(counter) else None


def _middle(luma: Luma, columns: NDArray[np.float64], rows: NDArray[np.float64], column: int, row: int) -> float:
    """The brightness of a block's inner half."""
    x0, x1 = columns[column] * 0.75 + columns[column + 1] * 0.25, columns[column] * 0.25 + columns[column + 1] * 0.75
    y0, y1 = rows[row] * 0.75 + rows[row + 1] * 0.25, rows[row] * 0.25 + rows[row + 1] * 0.75
    return float(luma[int(y0) : max(int(y0) + 1, round(y1)), int(x0) : max(int(x0) + 1, round(x1))].mean())
