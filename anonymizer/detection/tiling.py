"""Looking at a picture in several ways, in overlapping tiles and mirrored too, and making one set of boxes of what each of them saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonymizer.detection.nms import areas, intersections, suppressed
from anonymizer.types import Detections

FACES = ("face", "head")
BORDER_PX = 4  # A box that ends this close to a tile's inner edge may have been cut by it.
_SMALLER = 0.7  # A coarse picture that is hardly smaller shows nothing new,
_LEAST_COARSE = 80  # nor does one in which a face is a few pixels.
# Shares of the picture's longer side, chosen on moving clips: large false faces go, faces that fill the picture come.
COARSE_FROM = 0.1
FINE_UP_TO = 0.3
_NEAR_DOUBT = 0.6  # of unsure faces: seen so near, hands, wheels and signs are taken for one; plates gain, and lose nothing
SURE = 0.5
_CUT_SHARE = 0.25  # Two parts of one thing share at least this much of the smaller part: the tiles' overlap,
_CUT_ALONG = 0.5  # and this much (intersection over union) of their extent along the edge that cut them.


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture, scaled and perhaps mirrored, looked at by itself. `xyxy` is where it lies in the picture."""

    xyxy: tuple[int, int, int, int]
    scale: float = 1.0
    mirrored: bool = False

    def of(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Its pixels."""
        left, top, right, bottom = self.xyxy
        part = rgb[top:bottom, left:right]
        if self.scale != 1:
            size_wh = (max(1, round((right - left) * self.scale)), max(1, round((bottom - top) * self.scale)))
            part = np.asarray(cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR), np.uint8)
        return np.ascontiguousarray(part[:, ::-1]) if self.mirrored else part

    def placed(self, found: Detections) -> Detections:
        """What was found in these pixels, as boxes of the picture."""
        left, top, right, _ = self.xyxy
        xyxy = found.xyxy / np.float32(self.scale)
        if self.mirrored:
            xyxy[:, [0, 2]] = np.float32(right - left) - xyxy[:, [2, 0]]
        return Detections(xyxy + np.asarray([left, top, left, top], np.float32), found.score, found.label)


def views(picture_wh: tuple[int, int], tile_wh: tuple[int, int] | None, overlap: float) -> tuple[View, ...]:
    """The whole picture and, where it is bigger than a tile, the tiles; the whole then is shrunk to a tile's size.

    The whole is always looked at: a face that fills half the picture fits in no tile. `overlap` is a share of the tile.
    """
    width, height = picture_wh
    whole = (0, 0, width, height)
    if tile_wh is None or (width <= tile_wh[0] and height <= tile_wh[1]):
        return (View(whole),)
    columns, rows = _starts(width, tile_wh[0], overlap), _starts(height, tile_wh[1], overlap)
    tiles = (View((x, y, min(x + tile_wh[0], width), min(y + tile_wh[1], height))) for y in rows for x in columns)
    return (View(whole, min(tile_wh[0] / width, tile_wh[1] / height)), *tiles)


def coarse_view(picture_wh: tuple[int, int], coarse_side: int | None) -> tuple[View, ...]:
    """The whole picture at its coarse size, if one is asked for: that side at most, and so much smaller than the picture's own.

    >>> coarse_view((640, 360), 480)[0].scale, coarse_view((100, 80), 480)
    (0.7, ())
    """
    if coarse_side is None or max(picture_wh) * _SMALLER < _LEAST_COARSE:
        return ()
    return (View((0, 0, *picture_wh), coarse_scale(picture_wh, coarse_side)),)


def coarse_scale(picture_wh: tuple[int, int], coarse_side: int | None) -> float:
    """How many times smaller a coarse look is; without a side of its own as little as shows anything new."""
    return _SMALLER if coarse_side is None else min(coarse_side / max(picture_wh), _SMALLER)


def both_ways(parts: tuple[View, ...]) -> tuple[View, ...]:
    """The same views, and each of them mirrored: what a network misses one way round it often sees the other."""
    return (*parts, *(replace(part, mirrored=True) for part in parts))


def by_size(fine: Detections, coarse: Detections, long_side: int) -> Detections:
    """What both looks saw, but for what each sees badly: the coarse one small things, the fine one large ones."""
    return Detections.joined([without_unsure_large(fine, long_side), coarse.where(longer_sides(coarse) >= COARSE_FROM * long_side)])


def without_unsure_large(fine: Detections, long_side: int) -> Detections:
    """What a fine look saw, but for large things that it is not sure of: a knee, seen so near, has the skin of a face."""
    return fine.where((longer_sides(fine) <= FINE_UP_TO * long_side) | (fine.score >= SURE))


def without_near_faces(fine: Detections, long_side: int) -> Detections:
    """What a look saw that shows things too near, but for faces, which the other sees better: no large ones, and unsure ones less sure."""
    faces = np.isin(fine.label, FACES)
    score = np.where(faces & (fine.score < SURE), fine.score * np.float32(_NEAR_DOUBT), fine.score)
    return Detections(fine.xyxy, score, fine.label).where(~faces | (longer_sides(fine) <= FINE_UP_TO * long_side))


def longer_sides(found: Detections) -> NDArray[np.float32]:
    """The longer side of each box."""
    return np.asarray(np.maximum(found.xyxy[:, 2] - found.xyxy[:, 0], found.xyxy[:, 3] - found.xyxy[:, 1]))


def _starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin so that they cover a side evenly, neighbours sharing at least `overlap` of a tile.

    >>> _starts(1920, 960, 0.2)
    [0, 480, 960]
    """
    if side <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(side - tile) // step)
    return [round(index * (side - tile) / count) for index in range(count + 1)]


def merged(parts: Sequence[tuple[View, Detections]], picture_wh: tuple[int, int]) -> Detections:
    """What several views of one picture saw, each in its own pixels, as boxes of the picture, each thing once.

    Boxes that a tile cut are joined with the others of the same thing to one box around them: never to a smaller one.
    """
    if not parts:
        return Detections.none()
    boxes, cuts = [], []
    for view, found in parts:
        left, top, right, bottom = view.xyxy
        placed = view.placed(found).xyxy
        # A picture's own edge cuts nothing that another view could complete.
        inner = np.asarray([left > 0, top > 0, right < picture_wh[0], bottom < picture_wh[1]])
        cuts.append((np.abs(placed - np.asarray(view.xyxy, np.float32)) <= BORDER_PX) & inner)
        boxes.append(placed)
    together = Detections.joined(Detections(placed, found.score, found.label) for placed, (_, found) in zip(boxes, parts, strict=True) if len(found))
    cut = np.concatenate(cuts)
    return Detections.joined(_merged_label(together.where(chosen), cut[chosen]) for chosen in _by_label(together))


def _by_label(found: Detections) -> list[NDArray[np.intp]]:
    return [np.flatnonzero(found.label == label) for label in sorted(set(found.label.tolist()))]


def _merged_label(found: Detections, cut: NDArray[np.bool_]) -> Detections:
    """One label's boxes: cut ones joined with what completes them, then the usual suppression."""
    xyxy, score = found.xyxy.copy(), found.score.copy()
    joined = True
    while joined:  # A thing may lie in more than two tiles; every round leaves one box fewer.
        joined = False
        for index in np.flatnonzero(cut.any(axis=1)):
            others = _same_thing(xyxy, int(index), cut[index])
            if not len(others):
                continue
            group = np.append(others, index)
            strongest = group[np.argmax(score[group])]
            xyxy[strongest] = np.concatenate([xyxy[group, :2].min(axis=0), xyxy[group, 2:].max(axis=0)])
            cut[strongest] = cut[group].all(axis=0)
            stays = np.ones(len(xyxy), bool)
            stays[group] = False
            stays[strongest] = True
            xyxy, score, cut = xyxy[stays], score[stays], cut[stays]
            joined = True
            break
    best = suppressed(xyxy, score)
    return Detections.of(xyxy[best], score[best], str(found.label[0]))


def _same_thing(xyxy: NDArray[np.float32], index: int, cut: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The boxes that show more of what the cut box `index` shows a part of."""
    box = xyxy[index]
    shared = intersections(box, xyxy) / np.minimum(areas(xyxy), areas(xyxy[index : index + 1]))
    along = np.zeros(len(xyxy), np.float32)
    for axis in (0, 1):  # cut left or right: compare the vertical extents, and the other way round
        if cut[axis] or cut[axis + 2]:
            low, high = 1 - axis, 3 - axis
            inner = np.minimum(box[high], xyxy[:, high]) - np.maximum(box[low], xyxy[:, low])
            outer = np.maximum(box[high], xyxy[:, high]) - np.minimum(box[low], xyxy[:, low])
            along = np.maximum(along, inner / outer)
    same = (shared >= _CUT_SHARE) & (along >= _CUT_ALONG)
    same[index] = False
    return np.flatnonzero(same)
