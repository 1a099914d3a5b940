"""Light, colour, blur, noise and compression, as cheap as they can be."""

from __future__ import annotations

import math

import cv2
import numpy as np

from anonymizer.training.arrays import Image


def photometric(rng: np.random.Generator, image: Image) -> Image:
    """Gamma, gain, colour cast, saturation, grey, night; one look-up table for each channel."""
    if rng.random() < 0.15:
        return image
    base = np.arange(256, dtype=np.float32) / 255
    night = rng.random() < 0.14
    gamma = math.exp(rng.uniform(0.3, 1.1) if night else rng.uniform(-0.45, 0.5))
    gain = rng.uniform(0.18, 0.6) if night else rng.uniform(0.7, 1.25)
    lift = rng.uniform(-0.06, 0.08)
    cast = np.exp(rng.uniform(-0.18, 0.18, 3)) if rng.random() < 0.4 else np.ones(3)
    curves = [np.clip((base**gamma * gain * c + lift) * 255, 0, 255) for c in cast]
    table = np.stack(curves, 1).astype(np.uint8)[None]
    image = np.asarray(cv2.LUT(image, table), np.uint8)
    draw = rng.random()
    if draw < 0.1:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)
    elif draw < 0.35:
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        turn, depth = int(rng.integers(-8, 9)), rng.uniform(0.4, 1.6)
        index = np.arange(256)
        tables = np.stack([(index + turn) % 180, np.clip(index * depth, 0, 255), index], 1)
        hsv = cv2.LUT(hsv, tables.astype(np.uint8)[None])
        image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)
    if night and rng.random() < 0.7:
        image = _noise(rng, image, rng.uniform(4, 14))
    return image


def _noise(rng: np.random.Generator, image: Image, sigma: float) -> Image:
    tile = rng.standard_normal((64, 97, 3)).astype(np.float32) * sigma
    height, width = image.shape[:2]
    field = np.tile(tile, (height // 64 + 1, width // 97 + 1, 1))[:height, :width]
    return np.asarray(np.clip(image + field, 0, 255), np.uint8)


def _motion(rng: np.random.Generator, image: Image) -> Image:
    length = 2 * int(rng.integers(1, 6)) + 1  # odd: an even one has no middle, and would move what it blurs
    kernel = np.zeros((length, length), np.float32)
    turn, half = rng.uniform(0, math.pi), (length - 1) / 2
    for step in np.linspace(-half, half, 2 * length):
        x, y = round(half + step * math.cos(turn)), round(half + step * math.sin(turn))
        kernel[y, x] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def spoil(rng: np.random.Generator, canvas: Image, strong: bool = True) -> Image:
    """What a camera and an encoder do to the whole canvas."""
    ease = 1.0 if strong else 0.6
    draw = rng.random() / ease
    if draw < 0.08:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 1.9)), np.uint8)
    elif draw < 0.16:
        canvas = _motion(rng, canvas)
    elif draw < 0.22:
        side = canvas.shape[0]
        small = int(side * rng.uniform(0.5, 0.85))
        canvas = np.asarray(cv2.resize(cv2.resize(canvas, (small, small), interpolation=cv2.INTER_AREA), (side, side)), np.uint8)
    if rng.random() < 0.08 * ease:
        canvas = _noise(rng, canvas, rng.uniform(3, 12))
    draw = rng.random() / ease
    if draw < 0.4:
        # WebP's lossy pictures are VP8 key frames: blocks, prediction and smoothed edges as in a video of few bits, at the price of a picture.
        kind, option, qualities = (".jpg", cv2.IMWRITE_JPEG_QUALITY, (14, 75)) if draw < 0.22 else (".webp", cv2.IMWRITE_WEBP_QUALITY, (1, 40))
        data = cv2.imencode(kind, canvas, [option, int(rng.uniform(*qualities))])[1]
        canvas = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return canvas
