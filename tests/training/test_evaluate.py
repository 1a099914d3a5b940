"""The figures that model cards are made of come from the same counting as everybody's."""

from __future__ import annotations

import numpy as np
import pytest

from anonymizer.training.evaluate import EnlargingDetector, report
from tests.evaluation.marked import ColorDetector, draw, seen_by_hand

BOX = (10.0, 10.0, 30.0, 40.0)


def test_boxes_come_back_in_the_pixels_of_the_picture() -> None:
    shown: list[tuple[int, ...]] = []

    class Watching(ColorDetector):
        def _found(self, rgb: np.ndarray) -> object:  # type: ignore[override]
            shown.append(rgb.shape)
            return super()._found(rgb)

    small, large = draw((100, 60), face=[BOX]), draw((400, 240), face=[BOX])
    found = EnlargingDetector(Watching(), 200).detect([small, large])
    assert shown == [(120, 200, 3), (240, 400, 3)]
    for each in found:
        assert each.xyxy[0].tolist() == pytest.approx(BOX, abs=0.5)


def test_report_has_what_a_card_needs() -> None:
    seen = [seen_by_hand(f"gate_{at}.jpg", truth=[BOX], found=[(BOX, 0.35)]) for at in range(4)]
    seen += [seen_by_hand(f"neg_{at}.jpg", found=[(BOX, 0.1 + at / 10)]) for at in range(4)]
    found = report(seen, "face")
    assert (found["objects"], found["found_at_all"]) == (4, 100)
    assert found["at_0.25"] == {"threshold": 0.3, "cover": 100, "by_size": {"24-32": [100, 4]}, "by_source": {"gate": [100, 4]}}
    assert found["at_1.0"]["threshold"] == 0.05
    assert found["at_threshold"]["0.2"] == {"cover": 100, "false_boxes": 0.75}
    assert found["at_threshold"]["0.4"] == {"cover": 0, "false_boxes": 0.25}
    assert [sorted(point) for point in found["precision"]] == [["boxes", "precision", "score"]] * len(found["precision"])
