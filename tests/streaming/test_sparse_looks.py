"""Looks that are few, as on a machine with too much to do: whoever is in a frame between two of them is covered there."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest

from anonymizer.equipment import Equipment
from anonymizer.geometry import Geometry
from anonymizer.streaming.sealer import live_policy
from anonymizer.streaming.window import SURE_APART_S
from anonymizer.tracking import GLIMPSE_WH, Tracker
from anonymizer.types import Decision, Detections, Observation
from tests.masks import cover_mask
from tests.streaming.bench.live_filter import camera
from tests.streaming.bench.oracle import LABEL, SCORE, oracles
from tests.streaming.bench.painted import CANVAS_WH, Painter, Secret, secret_boxes, secrets_at

FPS, WAITS = 25, 12
APART = int(SURE_APART_S * FPS)


def at_random(seed: int, start: int, frames: int) -> list[int]:
    dice, looks = random.Random(seed), [start]
    while looks[-1] < start + frames:
        looks.append(looks[-1] + dice.randint(1, APART))
    return looks


def decisions_of(looks: Sequence[int]) -> Iterator[tuple[int, Decision]]:
    """Each painted frame from the first look to the last, and what is decided when it has waited as long as live ones do."""
    policy = live_policy(Equipment.of(camera("gate", "rtsp://localhost/gate").config, detectors=oracles()).policy)
    tracker, painter = Tracker(policy, Geometry(CANVAS_WH), Fraction(FPS)), Painter()
    for number, counter in enumerate(range(looks[0], looks[-1] + 1)):
        boxes = secret_boxes(counter) if counter in looks else []
        found = Detections.of(boxes, [SCORE] * len(boxes), LABEL)
        seen = Observation(number, found) if counter in looks else Observation(number, found, how="evidence")
        luma = painter.paint(counter)[: CANVAS_WH[1]]
        tracker.push(seen, counter / FPS, np.asarray(cv2.resize(luma, GLIMPSE_WH, interpolation=cv2.INTER_AREA), np.uint8))
        for decision in tracker.decide_until(number - WAITS):
            yield looks[0] + decision.frame_index, decision


def hidden_of(secret: Secret, decision: Decision) -> float:
    """The share of a secret's pattern that lies under covers, of what of it is in the picture."""
    (x, y), half = secret.middle_xy, secret.code_side / 2
    rows, columns = (slice(max(0, round(middle - half)), max(0, round(middle + half))) for middle in (y, x))
    pattern = cover_mask(decision.regions, CANVAS_WH)[rows, columns]
    return float(pattern.mean()) if pattern.size else 1.0


# Frames 1620 to 1624 show the flash beside the stroller, who was seen on the other side until 1599: he may be thought to have leapt there.
@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([1596, 1598, 1599, 1603, 1606, 1608, 1612, 1617, 1619, 1624, 1628, 1633, 1638, 1643], id="first-seen-as-it-ends"),
        pytest.param([1598, 1599, 1601, 1602, 1606, 1609, 1610, 1613, 1616, 1620, 1625, 1630, 1631, 1636, 1640], id="seen-as-it-begins-alone"),
        *(pytest.param(at_random(seed, start, 60), id=f"random-from-{start}") for seed, start in enumerate((1588, 60, 700, 2410))),
    ],
)
def test_who_is_there_between_two_looks_is_covered(looks: list[int]) -> None:
    decided = dict(decisions_of(looks))
    assert len(decided) > 30
    bare = [(counter, secret) for counter, decision in decided.items() for secret in secrets_at(counter) if hidden_of(secret, decision) < 0.95]
    assert bare == []
