"""The nouns refuse to hold what is not so."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from anonymizer.pixels import pixel_format
from anonymizer.types import Decision, Detections, Frame, Observation, Region, SealedFrame

BROKEN_ANSWERS = [
    pytest.param([[0, 0, np.nan, 5]], [0.5], id="a-coordinate-is-nan"),
    pytest.param([[0, 0, np.inf, 5]], [0.5], id="a-coordinate-is-infinite"),
    pytest.param([[0, 0, 5, 5]], [np.nan], id="a-score-is-nan"),
    pytest.param([[5, 0, 5, 5]], [0.5], id="a-box-has-no-width"),
    pytest.param([[0, 5, 5, 1]], [0.5], id="a-box-is-upside-down"),
    pytest.param([[0, 0, 5, 5]], [0.5, 0.5], id="more-scores-than-boxes"),
]


@pytest.mark.parametrize(("xyxy", "score"), BROKEN_ANSWERS)
def test_broken_answer_is_no_answer(xyxy: object, score: object) -> None:
    with pytest.raises(ValueError, match=r"detections|fit together"):
        Detections.of(xyxy, score, "face")


def test_detections_convert_to_and_from_plain_arrays() -> None:
    boxes = np.array([[1, 2, 3, 4], [5, 6, 9, 9]], np.float64)
    found = Detections.of(boxes, [0.25, 0.5], ["face", "plate"])
    assert found.xyxy.dtype == np.float32
    assert np.array_equal(found.xyxy, boxes)
    assert found.label.tolist() == ["face", "plate"]
    assert found.where(found.label == "plate").xyxy.tolist() == [[5, 6, 9, 9]]
    assert len(Detections.joined([found, Detections.none(), found])) == 4


def test_found_nothing_and_did_not_look_are_different_values() -> None:
    assert Observation(0, Detections.none()).detections is not None
    assert Observation(0, None, failure="no answer").detections is None
    for detections, failure in ((None, None), (Detections.none(), "no answer")):
        with pytest.raises(ValueError, match="never both and never neither"):
            Observation(0, detections, failure=failure)


@pytest.mark.parametrize("xyxy", [(0, 0, 0, 5), (0, 0, float("nan"), 5), (3, 0, 1, 5), (0, 0, float("inf"), 5)])
def test_region_without_area_is_refused(xyxy: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="needs an area"):
        Region("face", "box", xyxy)


def test_sealed_frame_cannot_be_made_without_the_token() -> None:
    frame = Frame(0, 0, Fraction(1, 25), "gray", (np.zeros((2, 2), np.uint8),))
    with pytest.raises(TypeError, match=r"only redaction\.seal"):
        SealedFrame(frame, Decision(0), token=object())


WORKABLE = [
    ("yuv420p", ("y", "u", "v"), 8, (1, 1)),
    ("yuvj422p", ("y", "u", "v"), 8, (1, 0)),
    ("yuv444p12le", ("y", "u", "v"), 12, (0, 0)),
    ("yuva420p10le", ("y", "u", "v", "a"), 10, (1, 1)),
    ("yuv410p", ("y", "u", "v"), 8, (2, 2)),
    ("gbrap16le", ("g", "b", "r", "a"), 16, (0, 0)),
    ("gray10le", ("y",), 10, (0, 0)),
    ("bgra", ("bgra",), 8, (0, 0)),
]


@pytest.mark.parametrize(("name", "planes", "bits", "shift"), WORKABLE)
def test_pixel_format_is_read_off_its_name(name: str, planes: tuple[str, ...], bits: int, shift: tuple[int, int]) -> None:
    known = pixel_format(name)
    assert known is not None
    assert (known.planes, known.bits, known.chroma_shift_wh) == (planes, bits, shift)
    assert known.has_alpha == ("a" in planes[-1])


@pytest.mark.parametrize("name", ["yuyv422", "pal8", "monow", "yuv420p10be", "yuv420p10", "nv12", "x2rgb10le", "grayf32le"])
def test_format_without_whole_samples_of_its_own_is_not_workable(name: str) -> None:
    assert pixel_format(name) is None


def test_odd_sizes_round_up() -> None:
    known = pixel_format("yuv420p")
    assert known is not None
    assert [known.plane_wh(i, (5, 3)) for i in range(3)] == [(5, 3), (3, 2), (3, 2)]
