"""Synthetic signs and posters: text that is no plate, drawn where the picture shows none."""

from __future__ import annotations

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image
from anonymizer.training.plates import FONTS, LETTERS, put_text

BOARDS = (
    ((150, 70, 10), (245, 245, 245)),
    ((70, 110, 0), (245, 245, 245)),
    ((245, 245, 245), (20, 20, 20)),
    ((30, 200, 240), (20, 20, 20)),
    ((30, 30, 30), (235, 235, 235)),
    ((40, 30, 190), (245, 245, 245)),
    ((235, 235, 235), (40, 40, 180)),
    ((120, 60, 120), (240, 240, 240)),
    ((30, 110, 230), (20, 20, 20)),
)


def _word(rng: np.random.Generator) -> str:
    text = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 12))))
    return text if rng.random() < 0.4 else text.lower() if rng.random() < 0.5 else text.capitalize()


def _board(rng: np.random.Generator, wide: int, tall: int) -> Image:
    """Several lines of words, an arrow or a warning triangle."""
    back, ink = BOARDS[int(rng.integers(len(BOARDS)))]
    image = np.full((tall, wide, 3), back, np.uint8)
    draw = rng.random()
    left, right = 5, wide - 5
    if draw < 0.2:
        side = min(wide, tall)
        points = np.array([[wide / 2, tall * 0.1], [wide / 2 - side * 0.4, tall * 0.85], [wide / 2 + side * 0.4, tall * 0.85]], np.int32)
        cv2.fillPoly(image, [points], ink)
        cv2.circle(image, (wide // 2, int(tall * 0.55)), max(2, side // 12), (20, 20, 20), -1)
        return image
    if draw < 0.5:
        middle, length = tall // 2, int(wide * 0.2)
        ends = (left, middle), (left + length, middle)
        cv2.arrowedLine(image, ends[int(rng.integers(2))], ends[1] if rng.random() < 0.5 else ends[0], ink, 3, tipLength=0.4)
        left += length + 4
    font = FONTS[int(rng.integers(len(FONTS)))]
    lines = int(rng.integers(1, 6)) if wide > 2.5 * tall else int(rng.integers(3, 8))
    step = (tall - 8) / lines
    for line in range(lines):
        top = int(4 + line * step)
        text = " ".join(_word(rng) for _ in range(int(rng.integers(1, 4))))
        end = int(left + (right - left) * rng.uniform(0.55, 1.0))
        put_text(image, text, (left, top, end, int(top + step * 0.78)), font, ink, int(rng.integers(2, 6)))
    return image


def add_signs(rng: np.random.Generator, image: Image, labels: Array) -> Image:
    """Draw one to three boards away from every label."""
    image = image.copy()
    high, wide = image.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        width = int(wide * np.exp(rng.uniform(-2.5, -0.7)))
        height = int(width * np.exp(rng.uniform(-1.2, 0.4)))
        if width < 14 or height < 8 or height >= high or width >= wide:
            continue
        left, top = int(rng.integers(wide - width)), int(rng.integers(high - height))
        hit = (labels[:, 1] < left + width) & (labels[:, 3] > left) & (labels[:, 2] < top + height) & (labels[:, 4] > top)
        if hit.any():
            continue
        board = _board(rng, max(64, width), max(40, round(height * max(64, width) / width)))
        small = cv2.resize(board, (width, height), interpolation=cv2.INTER_AREA)
        light = float(np.clip(image[top : top + height, left : left + width].mean() / 130, 0.35, 1.05))
        soft = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 1.0)).astype(np.float32) * light
        image[top : top + height, left : left + width] = np.clip(soft, 0, 255).astype(np.uint8)
    return image
