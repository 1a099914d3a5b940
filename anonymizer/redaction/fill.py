"""What lies around a patch, and how it is diffused inwards: push-pull over an image pyramid.

Push: the erased surroundings and their weights are shrunk level by level. Pull: the levels are added up again, finer
ones counting more. Their quotient is a mean of all pixels outside the cover, each weighted by about 1 / distance^3
(Shepard's interpolation by convolution pyramids, Farbman et al. 2011): smooth everywhere, and no iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat
from anonymizer.redaction.mask import Cover, Patch, Window
from anonymizer.types import Color, Plane

_NODES_ACROSS_HALF_SIDE = 8  # Finer shows streaks from the rim, coarser shows the grid; chosen by eye.
_ALIGN_NODES = 8  # Windows start on multiples of so many nodes: a box that moves a little does not move the grid.
_MAX_NODES = 1 << 15  # A patch the size of a 4K frame costs no more than this many.
_RING = 0.7  # How far the surroundings reach, in shorter sides of the largest region.
_LEVEL_GAIN = 0.5  # Gain per pyramid level; 4**l * _LEVEL_GAIN**-l is the cube of the distance 2**l.


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """All that an effect is told about a patch: means of erased samples on a coarse grid of nodes.

    `samples` [rows, columns, samples of a pixel without alpha] are float32 and 0 under the cover, `open_share`
    [rows, columns] says how much of a node lies outside every cover. Node (0, 0) starts at luma pixel `origin_xy`.
    """

    samples: NDArray[np.float32]
    open_share: NDArray[np.float32]
    origin_xy: tuple[int, int]
    node_wh: tuple[int, int]
    patch: Patch
    pixels: PixelFormat
    color: Color
    size_wh: tuple[int, int]


def look_around(planes: tuple[Plane, ...], cover: Cover, patch: Patch, pixels: PixelFormat, color: Color) -> Surroundings:
    """Shrink what is left around a patch in planes whose cores are already erased to 0."""
    node_wh, window = _nodes_around(cover, patch)
    (cell_w, cell_h), (node_w, node_h) = cover.grid.cell_wh, node_wh
    columns, rows = -(-(window.right - window.left) * cell_w // node_w), -(-(window.bottom - window.top) * cell_h // node_h)
    parts = []
    for plane, role in enumerate(pixels.planes):
        if role == "a":
            continue
        shift = pixels.shift_wh(plane)
        part = planes[plane][cover.plane_window(window, shift, pixels.plane_wh(plane, cover.grid.size_wh))].astype(np.float32)
        part = _shrunk(part, columns, rows, node_w >> shift[0], node_h >> shift[1])
        parts.append(part[..., :3] if role.endswith("a") else part)
    # The mean of what is open, not 1 less the mean of what is not: 0 must come out as 0.
    open_share = _shrunk((cover.core[window.slices] ^ 1).astype(np.float32), columns, rows, node_w // cell_w, node_h // cell_h)
    samples = parts[0] if parts[0].ndim == 3 else np.stack(parts, axis=-1)
    origin = (window.left * cell_w, window.top * cell_h)
    return Surroundings(samples, open_share, origin, node_wh, patch, pixels, color, cover.grid.size_wh)


def diffuse(around: Surroundings) -> NDArray[np.float32] | None:
    """The surroundings spread over every node, [rows, columns, samples]; None where nothing is left to spread."""
    if not around.open_share.any():
        return None
    level = np.concatenate([around.samples, around.open_share[..., None]], axis=-1)
    levels = [level]
    while min(level.shape[:2]) > 2:
        level = np.asarray(cv2.pyrDown(level), np.float32)
        levels.append(level)
    # A trace of the overall mean, for nodes that no level reaches from any side.
    total = level + level.mean(axis=(0, 1)) * np.float32(1e-3)
    for level in reversed(levels[:-1]):
        total = np.asarray(cv2.pyrUp(total, dstsize=(level.shape[1], level.shape[0])), np.float32)
        total *= np.float32(_LEVEL_GAIN)
        total += level
    return np.asarray(total[..., :-1] / total[..., -1:], np.float32)


def _nodes_around(cover: Cover, patch: Patch) -> tuple[tuple[int, int], Window]:
    """Size of a node in luma pixels (powers of two, whole cells), and the window to be read."""
    (cell_w, cell_h), sides = cover.grid.cell_wh, patch.sides_px
    step = 1 << max(0, floor(log2(max(1.0, min(sides) / 2 / _NODES_ACROSS_HALF_SIDE))))
    inner = patch.window
    ring_px = max(8.0, min(_RING * max(sides), 256.0))
    while True:
        node_w, node_h = max(step, cell_w), max(step, cell_h)
        align_w, align_h = node_w // cell_w * _ALIGN_NODES, node_h // cell_h * _ALIGN_NODES
        ring_w, ring_h = ring_px / cell_w, ring_px / cell_h
        window = Window(
            max(0, floor((inner.left - ring_w) / align_w) * align_w),
            max(0, floor((inner.top - ring_h) / align_h) * align_h),
            min(cover.grid.columns, -floor(-(inner.right + ring_w) / align_w) * align_w),
            min(cover.grid.rows, -floor(-(inner.bottom + ring_h) / align_h) * align_h),
        )
        area_px = (window.right - window.left) * cell_w * (window.bottom - window.top) * cell_h
        if area_px <= _MAX_NODES * node_w * node_h:
            return (node_w, node_h), window
        step *= 2


def _shrunk(part: NDArray[np.float32], columns: int, rows: int, factor_w: int, factor_h: int) -> NDArray[np.float32]:
    """Means over `factor_w` x `factor_h` samples; what the frame's edge cuts off is filled up with its last row and column."""
    missing_w, missing_h = columns * factor_w - part.shape[1], rows * factor_h - part.shape[0]
    if missing_w or missing_h:
        part = np.asarray(cv2.copyMakeBorder(part, 0, missing_h, 0, missing_w, cv2.BORDER_REPLICATE), np.float32)
    if (factor_w, factor_h) != (1, 1):
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    return part
