"""What lies around a patch, and how it is diffused inwards: push-pull over an image pyramid.

Push: the erased surroundings and their weights are shrunk level by level. Pull: the levels are added up again, finer
ones counting more. Their quotient is a mean of all pixels outside the cover, each weighted by about 1 / distance^4
(Shepard's interpolation by convolution pyramids, Farbman et al. 2011): smooth everywhere, and no iteration. The finest levels
are not added: a fill that follows its rim in detail draws in there what the rim and the object have in common (`Patch.finest_px`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.redaction.color import Palette
from anonymizer.redaction.grid import Sheet, Window
from anonymizer.redaction.mask import Cover, Patch, centers, faded
from anonymizer.types import Plane

_NODES_PER_SIDE = 16  # At least so many across a region: fewer show the grid, more show streaks from the rim; by eye.
_ALIGN_NODES = 4  # Windows start on multiples of so many nodes: blocks of "pixelate" stand still, whatever the box does.
_MAX_NODES = 1 << 15  # A patch as large as the frame costs no more than this many.
_RING, _RING_MIN_PX, _RING_MAX_PX = 0.7, 8.0, 256.0  # How far the surroundings reach, in sides of the largest region.
_LEVEL_GAIN = 0.25  # 1 / (4^level / gain^level) is 1 / distance^4 at a distance of 2^level; lower pulls colours further in.
_TRACE = np.float32(1e-3)


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """All that an effect is told about a patch: means of erased samples on a coarse grid of nodes.

    `nodes` is float32 [rows, columns, samples of a pixel without alpha, and 1]: covered pixels count as 0 in the means,
    and the last value says which share of the node lies outside every cover. Node (0, 0) starts at luma pixel `origin_xy`.
    """

    nodes: NDArray[np.float32]
    origin_xy: tuple[int, int]
    node_wh: tuple[int, int]
    patch: Patch
    palette: Palette

    def trust(self) -> NDArray[np.float32]:
        """How much each node counts, 0..1, [rows, columns]: less and less towards the patch and towards the end of the ring.

        It follows the regions to a fraction of a pixel: a box that trembles must not make its rim, and so the fill, flicker.
        """
        rows, columns = self.nodes.shape[:2]
        x = centers(slice(0, columns), self.node_wh[0]) + np.float32(self.origin_xy[0])
        y = centers(slice(0, rows), self.node_wh[1]) + np.float32(self.origin_xy[1])
        left, top, right, bottom = self.patch.xyxy
        # Several soft edges can add up to a rounding error above 1, and a weight below 0 would make means of nothing.
        trust: NDArray[np.float32] = np.maximum(np.float32(1) - self.patch.strength(x, y), np.float32(0))
        trust *= faded(x, left, right, _ring_px(self.patch))
        trust *= faded(y, top, bottom, _ring_px(self.patch))[:, None]
        return trust


def look_around(planes: tuple[Plane, ...], sheets: tuple[Sheet, ...], cover: Cover, patch: Patch, palette: Palette) -> Surroundings:
    """Shrink what is left around a patch in planes whose cores are already erased to 0."""
    (node_w, node_h), window = _nodes_around(cover, patch)
    cell_w, cell_h = cover.grid.cell_wh
    columns, rows = -(-(window.right - window.left) * cell_w // node_w), -(-(window.bottom - window.top) * cell_h // node_h)
    count = max(sheet.samples.stop for sheet in sheets)
    nodes = np.empty((rows, columns, count + 1), np.float32)
    for sheet in sheets:
        if sheet.role != "a":
            part = planes[sheet.index][sheet.spanned_by(window)]
            part = _shrunk(part[..., :count] if part.ndim == 3 else part, columns, rows, node_w >> sheet.shift_wh[0], node_h >> sheet.shift_wh[1])
            nodes[..., sheet.samples] = part.reshape(rows, columns, -1)
    # The mean of what is open, not 1 less the mean of what is not: nothing must come out as 0.
    nodes[..., count] = _shrunk(cover.core[window.slices] ^ np.uint8(1), columns, rows, node_w // cell_w, node_h // cell_h)
    return Surroundings(nodes, (window.left * cell_w, window.top * cell_h), (node_w, node_h), patch, palette)


def diffuse(around: Surroundings) -> NDArray[np.float32] | None:
    """The surroundings spread over every node, [rows, columns, samples]; None where nothing is left to spread."""
    trusted, trust = np.empty_like(around.nodes), around.trust()
    for sample in range(trusted.shape[2]):
        np.multiply(around.nodes[..., sample], trust, out=trusted[..., sample])
    levels = [trusted]
    while min(levels[-1].shape[:2]) > 2:
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    coarsest = levels.pop()
    mean = coarsest.mean(axis=(0, 1))
    if mean[-1] == 0:
        return None
    # A trace of the overall mean, for nodes that no level reaches from any side.
    total = coarsest + mean * _TRACE
    finest = max(0.0, log2(around.patch.finest_px / max(around.node_wh)))
    for number, level in reversed(list(enumerate(levels))):
        total = np.asarray(cv2.pyrUp(total, dstsize=(level.shape[1], level.shape[0])), np.float32)
        # A level's part, not levels alone: a side that grows beyond a power of two would make the fill jump.
        part = min(max(number + 1 - finest, 0.0), 1.0)
        if part:
            total = np.asarray(cv2.addWeighted(total, 1 - (1 - _LEVEL_GAIN) * part, level, part, 0), np.float32)
    weight = np.float32(1) / total[..., -1]
    fill = np.empty((*weight.shape, total.shape[2] - 1), np.float32)
    for sample in range(fill.shape[2]):
        np.multiply(total[..., sample], weight, out=fill[..., sample])
    return fill


def _nodes_around(cover: Cover, patch: Patch) -> tuple[tuple[int, int], Window]:
    """Size of a node in luma pixels (powers of two, whole cells), and the window to be read."""
    (cell_w, cell_h), (rows, columns), inner = cover.grid.cell_wh, cover.grid.shape, patch.window
    # No side counts for more than the frame's: a zone of a million pixels would have nodes that do not fit into memory.
    side_px = min(*(soft.side_px for soft in patch.soft), max(cover.grid.size_wh))
    step = 1 << max(0, floor(log2(max(1.0, side_px / _NODES_PER_SIDE))))
    ring_px = _ring_px(patch)
    while True:
        node_w, node_h = max(step, cell_w), max(step, cell_h)
        align_w, align_h = node_w // cell_w * _ALIGN_NODES, node_h // cell_h * _ALIGN_NODES
        window = Window(
            max(0, floor((inner.left - ring_px / cell_w) / align_w) * align_w),
            max(0, floor((inner.top - ring_px / cell_h) / align_h) * align_h),
            min(columns, -floor(-(inner.right + ring_px / cell_w) / align_w) * align_w),
            min(rows, -floor(-(inner.bottom + ring_px / cell_h) / align_h) * align_h),
        )
        area_px = (window.right - window.left) * cell_w * (window.bottom - window.top) * cell_h
        if area_px <= _MAX_NODES * node_w * node_h:
            return (node_w, node_h), window
        step *= 2


def _ring_px(patch: Patch) -> float:
    """How far around a patch its surroundings reach."""
    return max(_RING_MIN_PX, min(_RING * max(soft.side_px for soft in patch.soft), _RING_MAX_PX))


def _shrunk(part: Plane, columns: int, rows: int, factor_w: int, factor_h: int) -> NDArray[np.float32]:
    """Means over `factor_w` x `factor_h` samples; what the frame's edge cuts off is filled up with its last row and column."""
    part = part.astype(np.float32)
    missing_w, missing_h = columns * factor_w - part.shape[1], rows * factor_h - part.shape[0]
    if missing_w or missing_h:
        part = np.asarray(cv2.copyMakeBorder(part, 0, missing_h, 0, missing_w, cv2.BORDER_REPLICATE), np.float32)
    if (factor_w, factor_h) != (1, 1):
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    return part
