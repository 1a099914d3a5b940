"""Synthetic plates drawn over real ones: other colours, texts, two-line layouts, oblique views."""

from __future__ import annotations

import math

import cv2
import numpy as np

from anonymizer.training.arrays import Array, Image, for_warping

# background, text (BGR)
COLOURS = (
    ((245, 245, 245), (20, 20, 20)),
    ((240, 240, 240), (20, 20, 20)),
    ((60, 200, 245), (20, 20, 20)),
    ((30, 190, 230), (25, 25, 25)),
    ((235, 235, 235), (40, 30, 160)),
    ((235, 235, 235), (150, 50, 20)),
    ((25, 25, 25), (230, 230, 230)),
    ((140, 60, 20), (240, 240, 240)),
    ((60, 120, 30), (240, 240, 240)),
    ((40, 30, 170), (240, 240, 240)),
    ((235, 240, 235), (50, 110, 20)),
    ((200, 205, 205), (30, 30, 30)),
    ((215, 235, 215), (25, 25, 25)),
    ((235, 215, 190), (120, 40, 20)),
)
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"


def _text(rng: np.random.Generator, length: int) -> str:
    mixed = [LETTERS, DIGITS][int(rng.integers(2))], [LETTERS, DIGITS][int(rng.integers(2))]
    cut = int(rng.integers(1, max(2, length)))
    letters = [str(rng.choice(list(mixed[0 if i < cut else 1]))) for i in range(length)]
    if length > 4 and rng.random() < 0.4:
        letters.insert(cut, str(rng.choice(list("- ."))))
    return "".join(letters)


def put_text(image: Image, text: str, box: tuple[int, int, int, int], font: int, colour: tuple[int, ...], weight: int) -> None:
    """Fill a box with a line of text."""
    (wide, tall), _ = cv2.getTextSize(text, font, 2.0, weight)
    line = np.zeros((tall + 8, wide + 8, 1), np.uint8)
    cv2.putText(line, text, (4, tall + 4), font, 2.0, 255, weight, cv2.LINE_AA)
    x1, y1, x2, y2 = box
    if x2 - x1 < 4 or y2 - y1 < 4:
        return
    alpha = cv2.resize(line, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    area = image[y1:y2, x1:x2]
    image[y1:y2, x1:x2] = (area * (1 - alpha) + np.array(colour) * alpha).astype(np.uint8)


def render(rng: np.random.Generator, aspect: float) -> Image:
    """A plate, 72 px high."""
    high, wide = 72, max(40, round(72 * aspect))
    back, ink = COLOURS[int(rng.integers(len(COLOURS)))]
    image = np.full((high, wide, 3), back, np.uint8)
    left = 4
    if rng.random() < 0.3:
        band = round(wide * rng.uniform(0.07, 0.12))
        colour = (150, 60, 20) if rng.random() < 0.8 else ink
        image[:, :band] = colour
        left = band + 3
    font, weight = FONTS[int(rng.integers(len(FONTS)))], int(rng.integers(4, 8))
    if aspect < 2.1 and rng.random() < 0.8:
        split = int(high * rng.uniform(0.38, 0.55))
        inset = int(wide * rng.uniform(0.02, 0.2))
        put_text(image, _text(rng, int(rng.integers(2, 5))), (left + inset, 6, wide - 5 - inset, split), font, ink, weight)
        put_text(image, _text(rng, int(rng.integers(3, 5))), (left, split + 3, wide - 5, high - 6), font, ink, weight)
    else:
        top = int(high * rng.uniform(0.1, 0.3)) if aspect < 3 else 9
        if aspect < 3 and rng.random() < 0.6:
            put_text(image, _text(rng, 8), (wide // 4, 3, wide * 3 // 4, top), font, ink, 4)
        put_text(image, _text(rng, int(rng.integers(5, 9))), (left + 3, top + 3, wide - 6, high - 9), font, ink, weight)
    if rng.random() < 0.5:
        frame = ink if rng.random() < 0.6 else (30, 30, 30)
        cv2.rectangle(image, (0, 0), (wide - 1, high - 1), frame, int(rng.integers(2, 6)))
    return image


def _quad(rng: np.random.Generator, middle: Array, wide: float, tall: float) -> Array:
    """Four corners of a slightly turned and foreshortened rectangle."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * (wide / 2, tall / 2)
    lean = rng.uniform(-0.14, 0.14)
    half[[1, 2], 1] *= 1 + lean
    half[[0, 3], 1] *= 1 - lean
    turn = math.radians(rng.normal(0, 4))
    cos, sin = math.cos(turn), math.sin(turn)
    return np.asarray(half @ np.array([[cos, sin], [-sin, cos]]) + middle, np.float32)


def replace_plates(rng: np.random.Generator, image: Image, labels: Array, plate: int = 1) -> tuple[Image, Array]:
    """Draw a synthetic plate over some of the real ones; the label follows."""
    plates = np.where((labels[:, 0] == plate) & (labels[:, 3] - labels[:, 1] >= 22))[0]
    if len(plates) == 0 or len(plates) > 4:
        return image, labels
    image, labels = image.copy(), labels.copy()
    height, width = image.shape[:2]
    for index in plates:
        if rng.random() < 0.3:
            continue
        x1, y1, x2, y2 = labels[index, 1:]
        w, h = x2 - x1, y2 - y1
        aspect = rng.uniform(3.2, 5.2) if rng.random() < 0.45 else rng.uniform(1.1, 2.3)
        wide = w * rng.uniform(1.0, 1.12)
        tall = wide / aspect
        if tall < h:
            tall = h * 1.03
            wide = min(tall * aspect, 1.6 * w)
        quad = _quad(rng, np.array([(x1 + x2) / 2, (y1 + y2) / 2]), wide, tall)
        low = np.maximum(np.floor(quad.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(quad.max(0)), (width, height)).astype(int)
        others = np.delete(labels, index, 0)[:, 1:]
        near = (others[:, 0] < high[0]) & (others[:, 2] > low[0]) & (others[:, 1] < high[1]) & (others[:, 3] > low[1])
        if near.any() or (high - low).min() < 4:
            continue
        area = image[low[1] : high[1], low[0] : high[0]]
        light = np.percentile(area, 92) / 245
        texture = render(rng, wide / tall)
        source = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * texture.shape[1::-1]
        shrink = max(1.0, 72 / tall)
        if shrink > 1.5:
            texture = np.asarray(cv2.resize(texture, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA), np.uint8)
            source = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * texture.shape[1::-1]
        change = for_warping(np.asarray(cv2.getPerspectiveTransform(source.astype(np.float32), (quad - low).astype(np.float32)), np.float32))
        size = (int(high[0] - low[0]), int(high[1] - low[1]))
        drawn = cv2.warpPerspective(texture, change, size).astype(np.float32)
        alpha = cv2.warpPerspective(np.ones(texture.shape[:2], np.float32), change, size)
        soft = rng.uniform(0.3, 1.3)
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.6)[..., None]
        ramp = np.linspace(rng.uniform(0.75, 1.1), rng.uniform(0.75, 1.1), size[0])[None, :, None]
        lit = cv2.GaussianBlur(drawn, (0, 0), soft) * float(np.clip(light, 0.12, 1.05)) * ramp
        mixed = area * (1 - alpha) + lit * alpha
        image[low[1] : high[1], low[0] : high[0]] = np.clip(mixed, 0, 255).astype(np.uint8)
        labels[index, 1:] = [*np.maximum(quad.min(0), 0), *np.minimum(quad.max(0), (width, height))]
    return image, labels
