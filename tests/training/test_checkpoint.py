"""A checkpoint is the whole state of one training, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymizer.errors import AnonymizerError, ConfigError, ModelError
from anonymizer.training import checkpoint
from tests.training.marked_sets import needs_extra

pytestmark = needs_extra
IDENTITY = {"labels": ["face"], "data": "abc"}


def state() -> checkpoint.State:
    import torch

    weights = {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
    return checkpoint.State(
        1, 40, 2.5, weights, weights, {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}, None
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path, IDENTITY) is None
    checkpoint.save(tmp_path, IDENTITY, state())
    checkpoint.save(tmp_path, IDENTITY, state())
    found = checkpoint.load(tmp_path, IDENTITY)
    assert found is not None
    assert (found.stage, found.step, found.spent_s, found.before, found.done) == (1, 40, 2.5, None, False)
    assert found.live["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.optimizer == state().optimizer
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def cut(content: bytes) -> bytes:
    return content[:-100]


def flip(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


def other_training(content: bytes) -> bytes:
    """Doctored so that the hash is right, which proves nothing."""
    return rehashed(b'{"data": "xyz", "labels": ["face"]}\n' + content.split(b"\n", 2)[2])


def code(content: bytes) -> bytes:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, ("raise SystemExit('code of a checkpoint was run')",)

    return rehashed(content.split(b"\n", 2)[1] + b"\n" + pickle.dumps(Evil()))


def no_state(content: bytes) -> bytes:
    return rehashed(content.split(b"\n", 2)[1] + b"\nwords")


def rehashed(rest: bytes) -> bytes:
    import hashlib

    return b"anonymizer training 1 " + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        pytest.param(cut, ModelError, "cut short or altered", id="cut"),
        pytest.param(flip, ModelError, "cut short or altered", id="a-bit-flipped"),
        pytest.param(lambda _: b"", ModelError, "cut short or altered", id="empty"),
        pytest.param(lambda _: b"\x80\x02}q\x00.", ModelError, "cut short or altered", id="a-pickle"),
        pytest.param(no_state, ModelError, "cannot be read", id="no-state-behind-a-right-hash"),
        pytest.param(code, ModelError, "cannot be read", id="code-behind-a-right-hash"),
        pytest.param(other_training, ConfigError, "begun with another data", id="another-training"),
    ],
)
def test_spoilt_checkpoint_is_refused(spoil, kind: type[AnonymizerError], words: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, IDENTITY, state())
    path = tmp_path / checkpoint.NAME
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(kind, match=words) as caught:
        checkpoint.load(tmp_path, IDENTITY)
    assert "another folder" in (caught.value.hint or "")
