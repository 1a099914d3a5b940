"""What passes between the parts of the training: pictures, and rows of boxes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]  # BGR, as cv2 has it


def corners_of(middle: Array, size: Array) -> Array:
    """Rows x1 y1 x2 y2 of boxes told by middles and sizes, both N x 2."""
    return np.concatenate([middle - size / 2, middle + size / 2], 1)


def overlap(one: Array, many: Array) -> Array:
    """Intersection over the smaller of the two areas; a zero where there are no others."""
    if len(many) == 0:
        return np.zeros(1, np.float32)
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:4], many[:, 2:4])
    inter = np.clip(high - low, 0, None).prod(1)
    area = np.clip(many[:, 2:4] - many[:, :2], 0, None).prod(1)
    return np.asarray(inter / np.maximum(np.minimum(area, (one[2:4] - one[:2]).prod()), 1e-6))


def mask(image: Image, box: Array, keep: Array) -> None:
    """Blur a box beyond recognition, in place, but leave the labelled boxes in `keep` as they were."""
    height, width = image.shape[:2]
    grow = 0.1 * (box[2:4] - box[:2])
    x1, y1 = np.maximum(np.floor(box[:2] - grow), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(box[2:4] + grow), (width, height)).astype(int)
    if x2 <= x1 or y2 <= y1:
        return
    area = image[y1:y2, x1:x2]
    flat = cv2.resize(area, (2, 2), interpolation=cv2.INTER_AREA)
    filled = cv2.resize(flat, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    for other in keep:
        a, b = np.clip(other[[0, 2]] - x1, 0, x2 - x1).astype(int)
        c, d = np.clip(other[[1, 3]] - y1, 0, y2 - y1).astype(int)
        filled[c:d, a:b] = area[c:d, a:b]
    image[y1:y2, x1:x2] = filled


def for_warping(change: Array) -> Array:
    """A map of points, 3x3, as OpenCV's warps want it: boxes count from a picture's corner, warps from its first pixel's middle.

    Without it a mirrored picture lies a pixel beside its boxes.
    """
    to_corner, to_middle = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    to_corner[:2, 2], to_middle[:2, 2] = 0.5, -0.5
    return np.asarray(to_middle @ change @ to_corner, np.float32)
