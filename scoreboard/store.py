"""The figures as JSON files, one an entrant: what is there and still true is not measured again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizer._version import __version__
from anonymizer.errors import ConfigError
from anonymizer.evaluation import LabelledPicture
from anonymizer.evaluation.figures import Json

SCHEMA, VERSION = "anonymizer-scoreboard", 1
COST, CLIPS = "cost", "clips"  # two files that are no entrant's


def data_digest(root: Path, pictures: Sequence[LabelledPicture]) -> str:
    """A hash of which pictures were looked at and of what is marked in them."""
    digest = hashlib.sha256()
    for picture in pictures:
        boxes = [(box.label, [round(edge, 6) for edge in box.xyxy], box.ignored) for box in picture.boxes]
        digest.update(repr((picture.path.relative_to(root).as_posix(), boxes, picture.misses_only)).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of figures."""

    folder: Path

    def read(self, name: str) -> Json | None:
        """The file of that name, if there is one; ConfigError for one that is something else."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        try:
            known = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path.name}: is not JSON", hint="remove it and measure again") from error
        if not isinstance(known, dict) or (known.get("schema"), known.get("version")) != (SCHEMA, VERSION):
            raise ConfigError(f"{path.name}: holds no figures of this scoreboard", hint="remove it and measure again")
        return known

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a file, whole or not at all: a stopped run leaves what there was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{name}.json"
        partial.write_text(_text({"schema": SCHEMA, "version": VERSION, **content}), "utf-8")
        partial.replace(self.folder / f"{name}.json")

    def entrants(self, names: Sequence[str]) -> Iterator[tuple[str, Json]]:
        """Those of the names that were measured."""
        for name in names:
            if (known := self.read(name)) is not None:
                yield name, known

    def is_current(self, name: str, unit: str, fingerprint: Mapping[str, str]) -> bool:
        """Whether a unit was measured with the same weights, settings and data."""
        known = self.read(name)
        return known is not None and unit in known["units"] and known["units"][unit]["fingerprint"] == _fingerprint(fingerprint)

    def add(self, name: str, about: Mapping[str, Any], unit: str, fingerprint: Mapping[str, str], figures: Json) -> None:
        """Put one unit into an entrant's file; units of other weights, settings or data leave it."""
        known = self.read(name) or {"units": {}}
        now = _fingerprint(fingerprint)
        units = {other: content for other, content in known["units"].items() if content["fingerprint"] == now}
        self.write(
            name, {"program": __version__, "name": name, **about, "hashes": dict(fingerprint), "units": {**units, unit: {"fingerprint": now, **figures}}}
        )


def _fingerprint(parts: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


def _text(content: Any) -> str:
    """JSON with one figure a line: what a change of weights changes can be read in a diff."""
    return _laid_out(content, "") + "\n"


def _laid_out(content: Any, indent: str) -> str:
    plain = json.dumps(content, allow_nan=False)
    if not isinstance(content, dict) or len(plain) + len(indent) <= 150:
        return plain
    lines = [f"{indent} {json.dumps(str(key))}: {_laid_out(value, indent + ' ')}" for key, value in content.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
