"""What a configuration becomes: values for the steps."""

from __future__ import annotations

import pytest

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.tracking import WARY_TRUSTED_AFTER
from anonymizer.tracking.policy import DEFAULT_LABELS, WARY_LABELS, LabelPolicy


def policy_of(label: str, **settings: object) -> LabelPolicy:
    return Equipment.of(load_config(settings).config, seeing=False).policy.of(label)


@pytest.mark.parametrize("label", ["face", "plate"])
@pytest.mark.parametrize(("wished", "extra"), [(None, 0.0), (0.0, 0.0), (0.3, 0.3)])
def test_padding_beyond_the_measured_share_is_added_in_full(label: str, wished: float | None, extra: float) -> None:
    measured = DEFAULT_LABELS[label].pad_share
    policy = policy_of(label, **({} if wished is None else {f"padding.{label}": wished}))
    assert policy.pad_share == (0.0 if wished == 0 else measured)
    assert policy.pad_extra == pytest.approx(max(0.0, extra - measured))


def test_margins_follow_the_scores_of_the_shipped_weights_alone() -> None:
    own = {"face": "own.onnx"}
    assert policy_of("face").pad_by_score == DEFAULT_LABELS["face"].pad_by_score != LabelPolicy().pad_by_score
    assert policy_of("face", weights=own).pad_by_score == LabelPolicy().pad_by_score
    assert policy_of("face", weights={"plate": "own.onnx"}).pad_by_score == DEFAULT_LABELS["face"].pad_by_score


@pytest.mark.parametrize(("preset", "labels"), [("fast", DEFAULT_LABELS), ("balanced", DEFAULT_LABELS), ("thorough", WARY_LABELS)])
def test_only_thorough_is_wary(preset: str, labels: dict[str, LabelPolicy]) -> None:
    equipment = Equipment.of(load_config({"preset": preset}).config, seeing=False)
    assert {label: policy.mean_share for label, policy in equipment.policy.labels.items() if label != "head"} == {
        label: labels[label].mean_share for label in ("face", "plate")
    }
    assert (equipment.policy.trusted_after == WARY_TRUSTED_AFTER) == (preset == "thorough")
