"""Cuts of a real film, and of none."""

from __future__ import annotations

import av
import numpy as np
import pytest

from anonymizer.tracking.cuts import Shots, glimpse_of
from tests.conftest import SHARED, needs_shared

SCENES = [
    pytest.param("hamilton_stage.mp4", [20, 82, 211], id="a-stage-with-three-cuts-and-close-ups-that-fill-the-picture"),
    pytest.param("intel_car_topdown.mp4", [], id="cars-that-fill-half-the-picture"),
    pytest.param("kart_dashcam.mp4", [], id="a-fast-dashcam"),
]


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(("name", "cuts"), SCENES)
def test_cuts_of_a_real_film(name: str, cuts: list[int]) -> None:
    shots, found, shot = Shots(), [], 0
    with av.open(str(SHARED / "media" / "scenes" / name)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number > 300:
                break
            step = shots.see(number, number / 25, glimpse_of(frame.to_ndarray(width=320, height=180, format="rgb24")))
            if step.shot != shot:
                found.append(number)
            shot = step.shot
    assert found == cuts


@pytest.mark.parametrize("rgb_hw", [(1, 1), (20, 3), (36, 64), (1080, 1920)])
def test_glimpse_of_any_picture(rgb_hw: tuple[int, int]) -> None:
    glimpse = glimpse_of(np.full((*rgb_hw, 3), 77, np.uint8))
    assert (glimpse.shape, glimpse.dtype) == ((36, 64), np.uint8)
    assert (glimpse == 77).all()
