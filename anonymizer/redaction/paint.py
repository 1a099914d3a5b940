"""A painting at full size: coarse samples stretched over a plane's window, and images drawn over them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.pixels import PixelFormat
from anonymizer.redaction.color import samples_of
from anonymizer.redaction.effects import Painting
from anonymizer.redaction.mask import Patch
from anonymizer.types import Frame


def painted(
    painting: Painting, patch: Patch, pixels: PixelFormat, frame: Frame, role: str, first_sample: int, rows: slice, columns: slice, shift_wh: tuple[int, int]
) -> NDArray[np.float32]:
    """The painting in rows and columns of one plane, float32; alpha samples are opaque."""
    shape, opaque = (rows.stop - rows.start, columns.stop - columns.start), np.float32((1 << pixels.bits) - 1)
    if role == "a":
        return np.full(shape, opaque)
    count = len(role.replace("a", ""))
    fill = _stretched(painting, first_sample, count, rows, columns, shift_wh)
    if painting.image is not None:
        for soft in patch.soft:
            _draw(fill, painting.image, soft.region.xyxy, pixels, frame, first_sample, count, rows, columns, shift_wh)
    if role.endswith("a"):
        return np.concatenate([fill, np.full((*shape, 1), opaque)], axis=-1)
    return fill if count > 1 else fill[..., 0]


def _stretched(painting: Painting, first_sample: int, count: int, rows: slice, columns: slice, shift_wh: tuple[int, int]) -> NDArray[np.float32]:
    """The painting's nodes as samples of a plane [rows, columns, count]."""
    nodes = np.ascontiguousarray(painting.samples[..., first_sample : first_sample + count])
    shape = (rows.stop - rows.start, columns.stop - columns.start, count)
    if nodes.shape[:2] == (1, 1):
        return np.array(np.broadcast_to(nodes, shape), order="C")
    node_w, node_h = painting.node_wh[0] >> shift_wh[0], painting.node_wh[1] >> shift_wh[1]
    left, top = columns.start - (painting.origin_xy[0] >> shift_wh[0]), rows.start - (painting.origin_xy[1] >> shift_wh[1])
    # The nodes in sight and one more on each side, which smooth stretching looks at.
    first_x, first_y = max(0, left // node_w - 1), max(0, top // node_h - 1)
    end_x, end_y = -(-(left + shape[1]) // node_w) + 1, -(-(top + shape[0]) // node_h) + 1
    nodes = nodes[first_y:end_y, first_x:end_x]
    size = (nodes.shape[1] * node_w, nodes.shape[0] * node_h)
    full = nodes if (node_w, node_h) == (1, 1) else cv2.resize(nodes, size, interpolation=cv2.INTER_LINEAR if painting.smooth else cv2.INTER_NEAREST)
    left, top = left - first_x * node_w, top - first_y * node_h
    return np.asarray(full, np.float32).reshape(nodes.shape[0] * node_h, nodes.shape[1] * node_w, count)[top : top + shape[0], left : left + shape[1]]


def _draw(
    fill: NDArray[np.float32],
    image: NDArray[np.uint8],
    xyxy: tuple[float, float, float, float],
    pixels: PixelFormat,
    frame: Frame,
    first_sample: int,
    count: int,
    rows: slice,
    columns: slice,
    shift_wh: tuple[int, int],
) -> None:
    """Draw the image into `fill`, as large as the region's box allows, centred."""
    left, top, right, bottom = xyxy
    scale = min((right - left) / image.shape[1], (bottom - top) / image.shape[0])
    scale_w, scale_h = scale / (1 << shift_wh[0]), scale / (1 << shift_wh[1])
    # Shrunk by areas first and then placed to a fraction of a pixel: warping alone would flicker and leave out pixels.
    size = (max(1, round(image.shape[1] * scale_w)), max(1, round(image.shape[0] * scale_h)))
    small = image.astype(np.float32)
    small[..., :3] *= small[..., 3:] / np.float32(255)
    if size[0] < image.shape[1] or size[1] < image.shape[0]:
        small = np.asarray(cv2.resize(small, (min(size[0], image.shape[1]), min(size[1], image.shape[0])), interpolation=cv2.INTER_AREA), np.float32)
    step_w, step_h = scale_w * image.shape[1] / small.shape[1], scale_h * image.shape[0] / small.shape[0]
    center_x, center_y = (left + right) / 2 / (1 << shift_wh[0]) - columns.start, (top + bottom) / 2 / (1 << shift_wh[1]) - rows.start
    # Sample centres lie at halves, warpAffine's at whole numbers.
    place = np.array(
        [
            [step_w, 0, center_x - step_w * small.shape[1] / 2 + step_w / 2 - 0.5],
            [0, step_h, center_y - step_h * small.shape[0] / 2 + step_h / 2 - 0.5],
        ]
    )
    drawn = np.asarray(cv2.warpAffine(small, place, (fill.shape[1], fill.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32)
    alpha = drawn[..., 3:] / np.float32(255)
    black = samples_of(np.zeros(3, np.float32), pixels, frame.color, frame.size_wh[1])
    # Colours are premultiplied, and so are their samples once black, which alone has an offset, is.
    samples = _premultiplied(drawn[..., :3], alpha, black, pixels, frame)[..., first_sample : first_sample + count]
    fill *= np.float32(1) - alpha
    fill += samples


def _premultiplied(rgb: NDArray[np.float32], alpha: NDArray[np.float32], black: NDArray[np.float32], pixels: PixelFormat, frame: Frame) -> NDArray[np.float32]:
    """Samples of premultiplied RGB, premultiplied likewise."""
    return samples_of(rgb, pixels, frame.color, frame.size_wh[1]) - black * (np.float32(1) - alpha)
