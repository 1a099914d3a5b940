"""Who moves in the demo clip: two people, whose heads are cut out of a portrait, and a car with a plate.

A sprite is premultiplied BGRA [H, W, 4]; outlines are in metres, x from its middle, y down from its top.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from backdrop import FOCAL, Image, project

PX_PER_M = 420.0
PLATE_TEXT = "KX 4821"
PLATE_XYXY = (-0.26, 0.965, 0.26, 1.075)  # on the car, in metres
HEAD_PX_PER_M = 540.0
HEAD_TOP = 0.03
FACE_XYXY = (40, 58, 134, 180)  # in head.webp: hairline to chin, ear to ear

Outline = list[tuple[float, float]]
Paint = tuple[float, float, float]
DARK, CHROME, SHOE, SKIN, LAMP, GLASS = (34, 34, 36), (150, 152, 155), (38, 40, 46), (120, 150, 195), (235, 235, 228), (112, 92, 74)


def blank(width_m: float, height_m: float, shadow_m: float) -> Image:
    """An empty sprite with the shadow that a body casts on the ground."""
    sprite = np.zeros((round(height_m * PX_PER_M), round(width_m * PX_PER_M), 4), np.float32)
    shade = np.zeros(sprite.shape[:2])
    cv2.ellipse(shade, (sprite.shape[1] // 2, round((height_m - 0.06) * PX_PER_M)), (round(shadow_m * PX_PER_M), 20), 0, 0, 360, 200, -1)
    sprite[..., 3] = cv2.GaussianBlur(shade, (0, 0), 12)
    return sprite


def solid(sprite: Image, outline: Outline, color: Paint) -> None:
    """Fill an outline and round it off: darker towards its edges."""
    points = np.array([(x * PX_PER_M + sprite.shape[1] / 2, y * PX_PER_M) for x, y in outline])
    left, top = np.floor(points.min(axis=0)).astype(int) - 2
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 2
    window = sprite[top:bottom, left:right]
    mask = np.zeros(window.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((points - (left, top)) * 16).astype(np.int32)], (255,), cv2.LINE_AA, shift=4)
    depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    light = 0.62 + 0.42 * np.sqrt(np.clip(depth / (0.09 * PX_PER_M), 0, 1))[..., None]
    cover = mask[..., None] / np.float32(255)
    window[..., :3] = window[..., :3] * (1 - cover) + (np.array(color) * light).clip(0, 255) * cover
    window[..., 3] = np.maximum(window[..., 3], mask)


def both(half: Outline) -> Outline:
    """The right half of a symmetric outline, completed."""
    return half + [(-x, y) for x, y in reversed(half)]


def pair(sprite: Image, outline: Outline, color: Paint) -> None:
    """The same thing right and left."""
    solid(sprite, outline, color)
    solid(sprite, [(-x, y) for x, y in outline], color)


def darker(color: Paint, by: float) -> Paint:
    return color[0] * by, color[1] * by, color[2] * by


def person(head: Image, coat: Paint, trousers: Paint, stride: float) -> Image:
    """A person of 1.75 m who walks towards the camera; `stride` in -1..1 says which foot is in front."""
    sprite = blank(0.9, 1.85, 0.3)
    for side in (-1, 1):
        foot, hand = 1.76 + 0.05 * side * stride, 1.0 - 0.04 * side * stride
        leg = [(0.02, 0.9), (0.2, 0.9), (0.17, foot - 0.06), (0.05, foot - 0.06)]
        shoe = [(0.04, foot - 0.09), (0.17, foot - 0.09), (0.19, foot), (0.03, foot)]
        arm = [(0.17, 0.4), (0.23, 0.45), (0.31, hand - 0.1), (0.22, hand - 0.1)]
        palm = [(0.23, hand - 0.1), (0.3, hand - 0.1), (0.29, hand), (0.25, hand)]
        for outline, color in ((leg, trousers), (shoe, SHOE), (arm, coat), (palm, SKIN)):
            solid(sprite, [(side * x, y) for x, y in outline], color)
    solid(sprite, both([(0.09, 0.36), (0.18, 0.39), (0.23, 0.46), (0.19, 0.7), (0.215, 1.08)]), coat)
    put_head(sprite, head)
    pair(sprite, [(0.09, 0.37), (0.14, 0.41), (0.01, 0.68), (0.005, 0.56)], darker(coat, 0.8))
    return sprite


def put_head(sprite: Image, head: Image) -> None:
    """Set the head on the shoulders: in the middle, HEAD_TOP below the sprite's top."""
    shrink = PX_PER_M / HEAD_PX_PER_M
    small = cv2.resize(head, (round(head.shape[1] * shrink), round(head.shape[0] * shrink)), interpolation=cv2.INTER_AREA)
    top, left = round(HEAD_TOP * PX_PER_M), (sprite.shape[1] - small.shape[1]) // 2
    window = sprite[top : top + small.shape[0], left : left + small.shape[1]]
    cover = small[..., 3:] / 255.0
    window[..., :3] = window[..., :3] * (1 - cover) + small[..., :3] * cover
    window[..., 3] = np.maximum(window[..., 3], small[..., 3])


def face_xyxy(sprite: Image, head: Image) -> tuple[float, float, float, float]:
    """Where the face is in a person's sprite, in pixels."""
    left, top, right, bottom = (value * PX_PER_M / HEAD_PX_PER_M for value in FACE_XYXY)
    x, y = (sprite.shape[1] - head.shape[1] * PX_PER_M / HEAD_PX_PER_M) / 2, HEAD_TOP * PX_PER_M
    return left + x, top + y, right + x, bottom + y


def car(paint: Paint) -> Image:
    """A car seen from the front, with its plate."""
    sprite = blank(2.3, 1.5, 1.0)
    pair(sprite, [(0.6, 1.0), (0.88, 1.0), (0.87, 1.45), (0.64, 1.45)], DARK)  # tyres
    pair(sprite, [(0.72, 0.5), (0.97, 0.48), (0.97, 0.62), (0.78, 0.64)], paint)  # mirrors
    solid(sprite, both([(0.56, 0.06), (0.78, 0.58), (0.9, 0.72), (0.92, 1.12), (0.86, 1.26)]), paint)
    solid(sprite, both([(0.51, 0.12), (0.7, 0.54)]), GLASS)
    solid(sprite, [(-0.1, 0.12), (0.16, 0.12), (-0.1, 0.54), (-0.42, 0.54)], (150, 134, 118))  # the sky in the windscreen
    pair(sprite, [(0.22, 0.36), (0.42, 0.36), (0.47, 0.54), (0.17, 0.54)], (52, 46, 44))  # empty seats
    solid(sprite, both([(0.5, 0.78), (0.44, 0.93)]), DARK)
    for y in (0.81, 0.85, 0.89):
        solid(sprite, both([(0.47, y), (0.47, y + 0.014)]), CHROME)
    solid(sprite, both([(0.88, 0.95), (0.86, 1.24)]), darker(paint, 0.9))
    solid(sprite, both([(0.6, 1.12), (0.54, 1.21)]), DARK)
    pair(sprite, [(0.54, 0.76), (0.87, 0.72), (0.88, 0.86), (0.58, 0.9)], LAMP)
    pair(sprite, [(0.62, 0.79), (0.78, 0.77), (0.78, 0.85), (0.64, 0.86)], (255, 255, 255))
    left, top, right, bottom = (round(value) for value in plate_xyxy(sprite))
    sprite[top:bottom, left:right, :3] = plate(right - left, bottom - top)
    return sprite


def plate_xyxy(sprite: Image) -> tuple[float, float, float, float]:
    """Where the plate is in the car's sprite, in pixels."""
    left, top, right, bottom = (value * PX_PER_M for value in PLATE_XYXY)
    return left + sprite.shape[1] / 2, top, right + sprite.shape[1] / 2, bottom


def plate(width: int, height: int) -> Image:
    """A European plate of invented characters."""
    picture = np.full((height * 4, width * 4, 3), 232, np.uint8)
    cv2.rectangle(picture, (0, 0), (width // 3, height * 4), (150, 70, 20), -1)
    start, size, thickness = (width // 3 + 34, round(height * 3.32)), height / 9.2, round(height / 3.4)
    cv2.putText(picture, PLATE_TEXT, start, cv2.FONT_HERSHEY_DUPLEX, size, (24, 22, 22), thickness, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (width * 4 - 1, height * 4 - 1), (40, 40, 40), 9)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class Actor:
    """A sprite standing in the world at one moment, and the part of it that must be covered."""

    sprite: Image
    x: float
    z: float
    label: str
    secret_xyxy: tuple[float, float, float, float]  # in sprite pixels

    def matrix(self) -> Image:
        """Sprite pixels to canvas pixels."""
        scale = FOCAL / self.z / PX_PER_M
        foot = project(self.x, 0, self.z)
        return np.array([[scale, 0, foot[0] - scale * self.sprite.shape[1] / 2], [0, scale, foot[1] - scale * self.sprite.shape[0]]])

    def paint(self, canvas: Image) -> None:
        """Blend it in, as sharp as its distance allows."""
        soft = cv2.GaussianBlur(self.sprite, (0, 0), 0.45 * PX_PER_M * self.z / FOCAL)
        matrix = self.matrix()
        left, top = np.maximum(np.floor(matrix[:, 2]).astype(int), 0)
        right, bottom = np.ceil(matrix @ (self.sprite.shape[1], self.sprite.shape[0], 1)).astype(int) + 1
        window = canvas[top:bottom, left:right]
        matrix[:, 2] -= left, top
        seen = cv2.warpAffine(soft, matrix, window.shape[1::-1], flags=cv2.INTER_LINEAR)
        window[:] = window * (1 - seen[..., 3:] / 255) + seen[..., :3]
