"""The empty street of the demo clip: houses, road, pavements and trees in perspective, drawn with OpenCV alone.

Lengths are in metres, x to the right, y up, z away from the camera.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

SIZE_WH = (1280, 720)
MARGIN = 40  # pixels around the picture that the shaking camera may show
FOCAL, CAMERA_Y = 1100.0, 1.62
CENTER = (SIZE_WH[0] / 2 + MARGIN, 300 + MARGIN)

dice = np.random.default_rng(4)  # the same street every time


def project(x: float, y: float, z: float) -> tuple[float, float]:
    """Where a point of the world lies in the canvas, the picture with its margin."""
    return CENTER[0] + FOCAL * x / z, CENTER[1] - FOCAL * (y - CAMERA_Y) / z


def mottled(shape_hw: tuple[int, int], grain_px: float, strength: float) -> Image:
    """Soft noise around 1 [H, W, 1]: plaster, asphalt, clouds, leaves."""
    small = dice.standard_normal((max(2, round(shape_hw[0] / grain_px)), max(2, round(shape_hw[1] / grain_px))))
    return 1 + strength * cv2.resize(small, shape_hw[::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def facade(length_m: int, px_per_m: int = 70, height_m: int = 13) -> Image:
    """A row of houses as seen from straight ahead: plaster, windows, shops, doors."""
    wall = np.full((height_m * px_per_m, length_m * px_per_m, 3), 180.0)
    left = 0
    while left < wall.shape[1]:
        right = left + int(dice.uniform(7, 11) * px_per_m)
        hue = np.sort(dice.uniform(-26, 26, 3)) + dice.uniform(145, 195)
        wall[:, left:right] = hue
        cv2.rectangle(wall, (left, wall.shape[0] - 4 * px_per_m), (right, wall.shape[0]), (hue * 0.55).tolist(), -1)
        for floor_m in (5.0, 8.0, 11.0):
            for column in np.arange(left + 0.9 * px_per_m, right - 1.6 * px_per_m, 2.1 * px_per_m):
                x, y = int(column), int(wall.shape[0] - floor_m * px_per_m)
                cv2.rectangle(wall, (x - 6, y - 100), (x + 76, y + 12), (hue * 1.12).tolist(), -1)
                glass = dice.uniform(45, 120)
                cv2.rectangle(wall, (x, y - 94), (x + 70, y), (glass * 1.15, glass, glass * 0.85), -1)
                cv2.line(wall, (x + 35, y - 94), (x + 35, y), (hue * 1.1).tolist(), 5)
                cv2.line(wall, (x, y - 60), (x + 70, y - 60), (hue * 1.1).tolist(), 4)
        base, shop = wall.shape[0], dice.uniform(-30, 30, 3) + dice.uniform(60, 130)
        cv2.rectangle(wall, (left + 35, base - 205), (right - 150, base - 35), (70, 62, 52), -1)
        window = wall[base - 195 : base - 45, left + 45 : right - 160]
        window[:] = np.linspace(70, 150, len(window))[:, None, None] * (1.06, 1, 0.9)
        for x in range(10, window.shape[1] - 70, 75):
            cv2.rectangle(
                window, (x, int(dice.uniform(50, 100))), (x + int(dice.uniform(25, 60)), 150), (dice.uniform(40, 90, 3) + dice.uniform(20, 90)).tolist(), -1
            )
        cv2.rectangle(wall, (left + 20, base - 255), (right - 30, base - 205), shop.tolist(), -1)
        cv2.rectangle(wall, (right - 120, base - 190), (right - 45, base), (shop * 0.5).tolist(), -1)
        cv2.rectangle(wall, (right - 6, 0), (right + 2, base), (70, 74, 80), -1)
        left = right
    shade = np.linspace(0.92, 1.06, wall.shape[0])[:, None, None]
    return wall * shade * mottled(wall.shape[:2], 60, 0.05) * mottled(wall.shape[:2], 4, 0.02)


def ground(width_m: float, length_m: int, px_per_m: int = 60) -> Image:
    """Road and pavements as seen from above, far end first."""
    plane = np.full((length_m * px_per_m, round(width_m * px_per_m), 3), 92.0) * (1.02, 1, 0.98)
    pavement = round((width_m / 2 - 3.0) * px_per_m)
    for side in (slice(0, pavement), slice(-pavement, None)):
        plane[:, side] = (158, 163, 166)
        plane[:: px_per_m // 2, side] = 128
        plane[1 :: px_per_m // 2, side] = 138
    for x in range(0, pavement, px_per_m // 2):
        plane[:, (x, -1 - x)] = 130
    for kerb in (pavement, plane.shape[1] - pavement):
        plane[:, kerb - 6 : kerb + 6] = (190, 194, 196)
        plane[:, kerb + (6 if kerb == pavement else -18) : kerb + (18 if kerb == pavement else -6)] = 62
    middle = plane.shape[1] // 2
    for start in range(0, plane.shape[0], 5 * px_per_m):
        plane[start : start + 2 * px_per_m, middle - 4 : middle + 4] = 205
    return plane * mottled(plane.shape[:2], 90, 0.05) * mottled(plane.shape[:2], 2, 0.07)


def onto(canvas: Image, plane: Image, corners_xyz: list[tuple[float, float, float]]) -> None:
    """Lay a plane whose corners (top left, top right, bottom right, bottom left) stand in the world, with haze at its far end."""
    height, width = plane.shape[:2]
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen = np.array([project(*corner) for corner in corners_xyz], np.float32) * 2
    matrix = cv2.getPerspectiveTransform(flat, seen)
    laid = cv2.warpPerspective(plane.clip(0, 255).astype(np.uint8), matrix, canvas.shape[1::-1], flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, canvas.shape[1::-1]) > 127
    canvas[inside] = laid[inside]


def street() -> Image:
    """The empty street [H, W, 3], margin included: drawn at twice the size and shrunk, which smooths every edge."""
    height, width = SIZE_WH[1] + 2 * MARGIN, SIZE_WH[0] + 2 * MARGIN
    sky = np.linspace(0, 1, 2 * height)[:, None, None] * np.array([18.0, 34, 60]) + np.array([225.0, 196, 160])
    canvas = (sky * np.ones((1, 2 * width, 1)) * mottled((2 * height, 2 * width), 260, 0.035)).clip(0, 255).astype(np.uint8)
    near, far, wall = 1.9, 66.0, 5.2
    onto(canvas, facade(11), [(-5.5, 11, far), (5.5, 11, far), (5.5, 0, far), (-5.5, 0, far)])
    onto(canvas, ground(2 * wall, 64), [(-wall, 0, far), (wall, 0, far), (wall, 0, near), (-wall, 0, near)])
    onto(canvas, facade(64), [(-wall, 13, near), (-wall, 13, far), (-wall, 0, far), (-wall, 0, near)])
    onto(canvas, facade(64)[:, ::-1] * 0.86, [(wall, 13, far), (wall, 13, near), (wall, 0, near), (wall, 0, far)])
    canvas = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    haze = np.exp(-np.hypot((columns - CENTER[0]) / 130, (rows - CENTER[1]) / 90))[..., None] * 0.75
    hazy: Image = (canvas * (1 - haze) + np.array([214.0, 205, 196]) * haze).astype(np.uint8)
    for z in (40.0, 27.0, 18.0, 11.5):
        for x in (-4.5, 4.5):
            tree(hazy, x, z)
    return hazy


def tree(canvas: Image, x: float, z: float) -> None:
    """A trunk, and clumps of leaves with the light from above."""
    foot, top, scale = project(x, 0, z), project(x, 3.1, z), FOCAL / z
    cv2.line(canvas, (int(foot[0]), int(foot[1])), (int(top[0]), int(top[1])), (52, 62, 72), max(2, int(0.22 * scale)), cv2.LINE_AA)
    clumps = dice.normal(0, 0.5, (26, 2)) * (1.0, 0.75)
    for leaf in range(2600):
        across, up = clumps[leaf % len(clumps)] + dice.normal(0, 0.2, 2)
        light = 0.55 + 0.5 * leaf / 2600 - 0.22 * up + 0.1 * across
        green = np.array([52, 98, 84]) * dice.uniform(0.75, 1.2) * light
        spot = (int(top[0] + across * scale), int(top[1] + (up - 0.4) * scale))
        cv2.circle(canvas, spot, max(1, int(0.045 * scale)), green.clip(0, 255).tolist(), -1, cv2.LINE_AA)
