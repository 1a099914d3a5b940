"""Labelled pictures, from looking at them to every label's figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.evaluation.figures import Json, label_figures, thresholds_at
from anonymizer.evaluation.looking import Looker, Seen
from anonymizer.evaluation.scores import score_label
from anonymizer.evaluation.splits import split
from anonymizer.evaluation.truth import LabelledPicture
from anonymizer.publishing import Progress

OnProgress = Callable[[Progress], None]


def look_at_pictures(looker: Looker, pictures: Sequence[LabelledPicture], progress: OnProgress | None = None) -> list[Seen]:
    """Look at every picture, saying how far it is."""
    seen, covered, started_s = [], 0, time.monotonic()
    for one in looker.look_at_all(pictures):
        seen.append(one)
        covered += len(one.planned)
        if progress is not None:
            progress(Progress(len(seen), len(pictures), covered, time.monotonic() - started_s))
    return seen


def picture_figures(seen: Sequence[Seen], equipment: Equipment, *, split_by: str | None = None) -> Json:
    """The figures of every label that the pictures are marked for; ConfigError for a split that leaves nothing to count."""
    set_on, reported = (list(seen), list(seen)) if split_by is None else split(seen, split_by)
    labels = [label for label in equipment.config.detect if any(label in one.picture.labelled for one in seen)]
    figures = {}
    for label in labels:
        scores = score_label(reported, label)
        strong = equipment.picture_policies[label].strong_score
        if split_by is None:
            figures[label] = label_figures(scores, strong)
            continue
        chosen = thresholds_at(score_label(set_on, label, matching=False))
        if not chosen or not len(scores.hidden):
            lacking = "object-free pictures to set thresholds on" if not chosen else "objects to report"
            raise ConfigError(f"--split {split_by}: leaves no {lacking} for {label}", hint="add pictures, or leave --split out")
        figures[label] = label_figures(scores, strong, thresholds=chosen)
    counts = {"total": len(seen)} if split_by is None else {"total": len(seen), "set_on": len(set_on), "reported": len(reported)}
    return {"pictures": counts, "labels": figures}
