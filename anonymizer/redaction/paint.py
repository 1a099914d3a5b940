"""A painting at full size: coarse samples stretched over a part of a plane, and images drawn over them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.redaction.color import Palette
from anonymizer.redaction.effects import Painting
from anonymizer.redaction.grid import Sheet, Window
from anonymizer.redaction.mask import Patch


def painted(painting: Painting, window: Window, patch: Patch, sheet: Sheet, palette: Palette) -> NDArray[np.float32]:
    """The painting in a window of one plane, as an array of its own shaped like the plane; alpha samples are opaque."""
    rows, columns = sheet.spanned_by(window)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if sheet.role == "a":
        return np.full(shape, palette.opaque, np.float32)
    fill = _stretched(painting, sheet, rows, columns)
    if painting.image is not None:
        for soft in patch.soft:
            _draw(fill, painting.image, soft.region.xyxy, sheet, rows, columns, palette)
    if sheet.role.endswith("a"):
        return np.concatenate([fill, np.full((*shape, 1), palette.opaque, np.float32)], axis=-1)
    return fill if len(sheet.role) > 1 else fill[..., 0]


def _stretched(painting: Painting, sheet: Sheet, rows: slice, columns: slice) -> NDArray[np.float32]:
    """The painting's nodes as samples [rows, columns, samples of the sheet]."""
    nodes, (shift_w, shift_h) = painting.samples[..., sheet.samples], sheet.shift_wh
    height, width, count = rows.stop - rows.start, columns.stop - columns.start, nodes.shape[2]
    if nodes.shape[:2] == (1, 1):
        return np.array(np.broadcast_to(nodes, (height, width, count)))
    node_w, node_h = painting.node_wh[0] >> shift_w, painting.node_wh[1] >> shift_h
    left, top = columns.start - (painting.origin_xy[0] >> shift_w), rows.start - (painting.origin_xy[1] >> shift_h)
    # The nodes in sight and one more on each side, which smooth stretching looks at.
    first_x, first_y = max(0, left // node_w - 1), max(0, top // node_h - 1)
    nodes = np.ascontiguousarray(nodes[first_y : -(-(top + height) // node_h) + 1, first_x : -(-(left + width) // node_w) + 1])
    if (node_w, node_h) != (1, 1):
        size = (nodes.shape[1] * node_w, nodes.shape[0] * node_h)
        full = cv2.resize(nodes, size, interpolation=cv2.INTER_LINEAR if painting.smooth else cv2.INTER_NEAREST)
        nodes = np.asarray(full, np.float32).reshape(size[1], size[0], count)
    left, top = left - first_x * node_w, top - first_y * node_h
    return nodes[top : top + height, left : left + width]


def _draw(
    fill: NDArray[np.float32],
    image: tuple[NDArray[np.float32], ...],
    xyxy: tuple[float, float, float, float],
    sheet: Sheet,
    rows: slice,
    columns: slice,
    palette: Palette,
) -> None:
    """Draw an image, given as a pyramid of premultiplied RGBA, into `fill`: centred, as large as the region's box allows."""
    unit_w, unit_h = 1 << sheet.shift_wh[0], 1 << sheet.shift_wh[1]
    left, top, right, bottom = xyxy
    scale = min((right - left) / image[0].shape[1], (bottom - top) / image[0].shape[0])
    width, height = image[0].shape[1] * scale / unit_w, image[0].shape[0] * scale / unit_h
    # Shrunk by areas first and then placed to a fraction of a pixel: warping alone would skip pixels and flicker.
    small = next((level for level in reversed(image) if level.shape[1] >= width and level.shape[0] >= height), image[0])
    size = (min(max(1, round(width)), small.shape[1]), min(max(1, round(height)), small.shape[0]))
    if size != (small.shape[1], small.shape[0]):
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.float32)
    step_w, step_h = width / size[0], height / size[1]
    from_left, from_top = (left + right) / 2 / unit_w - columns.start - width / 2, (top + bottom) / 2 / unit_h - rows.start - height / 2
    # Centres of samples lie at halves, those of warpAffine at whole numbers.
    place = np.array([[step_w, 0, from_left + step_w / 2 - 0.5], [0, step_h, from_top + step_h / 2 - 0.5]])
    drawn = np.asarray(cv2.warpAffine(small, place, (fill.shape[1], fill.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32)
    clear = np.float32(1) - drawn[..., 3:] / np.float32(255)
    # Black is what shows where the image is clear: its samples come off, for luma and chroma have offsets.
    black = palette.samples(np.zeros(3, np.float32))
    fill *= clear
    fill += (palette.samples(drawn[..., :3]) - black * clear)[..., sheet.samples]
