"""The state of a training on disk: replaced whole or not at all, and refused if a byte of it has changed.

A line with the hash of all that follows, a line of JSON that says which training it is, then what torch writes. It is read
with `weights_only`: a checkpoint cannot run code.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizer.errors import ConfigError, ModelError
from anonymizer.publishing import staged
from anonymizer.regular import read_regular

NAME = "last.pt"
_MAGIC = b"anonymizer training 1 "
_MOST_BYTES = 1 << 34

Identity = Mapping[str, Any]  # JSON: what a training was begun with


@dataclass(slots=True)
class State:
    """Where a training stands. Weights are state dicts; `before` is the averaged one of the stage before."""

    stage: int
    step: int  # of this stage
    spent_s: float  # on this stage
    live: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any] | None
    before: dict[str, Any] | None
    done: bool = False


def save(folder: Path, identity: Identity, state: State) -> None:
    """Replace the checkpoint; killed at any moment, there is the old one or the new one."""
    buffer = io.BytesIO()
    importlib.import_module("torch").save({name: getattr(state, name) for name in State.__slots__}, buffer)
    content = json.dumps(identity, sort_keys=True).encode() + b"\n" + buffer.getvalue()
    with staged(folder / NAME, overwrite=True) as staging:
        staging.write_bytes(_MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def load(folder: Path, identity: Identity) -> State | None:
    """The state of this training; None if it was not begun. ModelError for a file that is not whole, ConfigError for another training's."""
    path = folder / NAME
    if not path.exists():
        return None
    hint = f"remove {path.name} to begin anew, or name another folder with -o"
    try:
        head, _, content = read_regular(path, _MOST_BYTES).partition(b"\n")
    except OSError as error:
        raise ModelError(f"{path.name}: the checkpoint cannot be read ({error.strerror})", hint=hint) from error
    if head != _MAGIC + hashlib.sha256(content).hexdigest().encode():
        raise ModelError(f"{path.name}: the checkpoint was cut short or altered", hint=hint)
    told, _, payload = content.partition(b"\n")
    begun = json.loads(told)
    ours = json.loads(json.dumps(identity))
    if changed := sorted(key for key in {*begun, *ours} if begun.get(key) != ours.get(key)):
        raise ConfigError(
            f"{folder.name}: holds a training that was begun with another {' and '.join(changed)}",
            hint="say the same as then to go on, or name another folder with -o",
        )
    try:
        return State(**importlib.import_module("torch").load(io.BytesIO(payload), map_location="cpu", weights_only=True))
    except Exception as error:  # torch's own, and ours for keys that are missing
        raise ModelError(f"{path.name}: the checkpoint cannot be read ({type(error).__name__})", hint=hint) from error
