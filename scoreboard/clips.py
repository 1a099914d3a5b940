"""Figures of clips: the reports of a black-box leak bench, each for one set of clips and one program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from anonymizer.errors import ConfigError
from anonymizer.evaluation.figures import Json
from scoreboard.reading import LABELS

_FORM = "say --clips SET/PROGRAM=REPORT.json, for instance --clips 720p/balanced=c720.json"
_KEPT = (
    *("object_frames", "leak_percent", "tracks", "tracks_leaking_percent", "longest_leak_frames"),
    *("picture_changed_ratio", "changed_far_from_truth_ratio", "by_size_percent"),
)


def with_reports(sets: Json, words: Sequence[str]) -> Json:
    """The sets with these reports added; ConfigError for a report that is none, or of a run that broke."""
    found = {name: dict(programs) for name, programs in sets.items()}
    for word in words:
        place, equals, file = word.partition("=")
        name, slash, program = place.partition("/")
        if not (equals and slash and name and program):
            raise ConfigError(f"--clips: {word!r} names no set, program and report", hint=_FORM)
        found.setdefault(name, {})[program] = _report(Path(file))
    return found


def _report(path: Path) -> Json:
    try:
        read = json.loads(path.read_text("utf-8"))
        kept = {label: {key: read[label][key] for key in _KEPT} for label in LABELS}
        broken, clips = len(read["broken"]), int(read["clips"])
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read ({error.strerror})", hint=_FORM) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path.name}: is no report of the leak bench", hint=_FORM) from error
    if broken:
        raise ConfigError(f"{path.name}: {broken} of {clips} clips broke", hint="a run that broke has no figures")
    return {"clips": clips, **kept}
