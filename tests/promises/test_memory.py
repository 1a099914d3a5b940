"""A file of hours takes the memory of a minute: no picture waits for Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import av
import numpy as np
import pytest

from anonymizer.types import Frame
from tests.promises.cases import Case
from tests.promises.secret import SIZE_WH


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pictures_alive() -> int:
    """FFmpeg's frames, ours, and arrays of a picture's size."""
    large = SIZE_WH[0] * SIZE_WH[1] // 4
    return sum(isinstance(thing, (av.VideoFrame, Frame)) or (isinstance(thing, np.ndarray) and thing.size >= large) for thing in gc.get_objects())


@pytest.mark.parametrize("kind", ["blur", "pixelate", "solid"])
def test_pictures_are_let_go_at_once(case: Case, kind: str, without_collector: None) -> None:
    case.settings = {"effect": {"kind": kind}, "audio": "keep"}
    before = pictures_alive()
    case.run()
    # The oracle may keep one or two; a circle of references in which a frame stands keeps all 24.
    assert pictures_alive() - before <= 3
