"""From an object's box to the area that hides it: margins, the ellipse that holds a face, the frame's edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anonymizer.geometry import Geometry
from anonymizer.tracking.motion import Floats
from anonymizer.tracking.policy import LabelPolicy, factor_at

_NEAR_EDGE = 0.15  # of its side: a box this near the frame's edge may be cut by it, one that touches it surely is
_BEYOND_EDGE = 0.3  # of its side; the ellipse is then as high at the frame's edge as the face in it


def padded(boxes: Floats, score: Floats, policies: Sequence[LabelPolicy], px: float, geometry: Geometry) -> Floats:
    """Boxes cx, cy, w, h [N, 4] of the coded frame with their margins, each seen with a score; `px` is how many of its pixels a policy's pixel has."""
    columns = [(policy.pad_share, policy.pad_extra, policy.pad_above, policy.pad_below, policy.pad_px * px) for policy in policies]
    share, extra, above, below, pixels = np.array(columns).reshape(-1, 5).T
    size = boxes[:, 2:].max(axis=1, initial=0.0) / max(geometry.coded_wh)
    share = share * [factor_at(one, policy.pad_by_size) * factor_at(sure, policy.pad_by_score) for one, sure, policy in zip(size, score, policies, strict=True)]
    up_x, up_y = geometry.up_xy
    upright, across = (2, 3) if up_x else (3, 2)
    out = boxes.copy()
    out[:, across] *= 1 + 2 * (share + extra)
    out[:, upright] *= 1 + share * (above + below) + 2 * extra
    out[:, upright - 2] += (up_x + up_y) * boxes[:, upright] * share * (above - below) / 2
    out[:, 2:] += 2 * pixels[:, None]
    return out


def beyond_edges(boxes: Floats, ellipse: np.ndarray, frame_wh: tuple[int, int]) -> Floats:
    """Faces cut by the frame's edge, continued outside: an ellipse in the visible half would bare its corners."""
    out = boxes.copy()
    for axis in (0, 1):
        side = boxes[:, 2 + axis]
        room_low, room_high = boxes[:, axis] - side / 2, frame_wh[axis] - boxes[:, axis] - side / 2
        # By degrees, so that a cover does not jump when its object nears the edge.
        low, high = (_BEYOND_EDGE * np.clip(1 - room / (_NEAR_EDGE * side), 0, 1) * ellipse for room in (room_low, room_high))
        out[:, axis] += side * (high - low) / 2
        out[:, 2 + axis] *= 1 + low + high
        # So much wider across, the longer ellipse still holds the whole of the shorter one.
        out[:, 3 - axis] *= np.sqrt(1 + np.maximum(low, high))
    return out


def grown_to_hold(outer: Floats, inner: Floats, ellipse: np.ndarray) -> Floats:
    """Covers cx, cy, w, h [N, 4] enlarged until each holds the inner one of its row, as ellipses or as boxes.

    An ellipse with axes A holds another at distance d, measured in A, if d plus the largest ratio of their axes is
    at most 1. That is enough, not always needed; a box is exact.
    """
    out = outer.copy()
    half = outer[:, 2:] / 2
    apart = np.sqrt((((inner[:, :2] - outer[:, :2]) / half) ** 2).sum(axis=1))
    factor = apart + (inner[:, 2:] / outer[:, 2:]).max(axis=1)
    out[:, 2:] *= np.where(ellipse, np.maximum(factor, 1.0), 1.0)[:, None]
    low = np.minimum(outer[:, :2] - half, inner[:, :2] - inner[:, 2:] / 2)
    high = np.maximum(outer[:, :2] + half, inner[:, :2] + inner[:, 2:] / 2)
    boxes = ~ellipse
    out[boxes, :2], out[boxes, 2:] = ((low + high) / 2)[boxes], (high - low)[boxes]
    return out


def corners(boxes: Floats) -> Floats:
    """cx, cy, w, h as left, top, right, bottom."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def centred(xyxy: np.ndarray) -> Floats:
    """left, top, right, bottom as cx, cy, w, h."""
    xyxy = np.asarray(xyxy, np.float64)
    return np.concatenate([(xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]], axis=1)
