"""One entrant under one condition: it looks at every picture once, and each label's figures follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from anonymizer.evaluation import SHIFTS, LabelledPicture, Seen
from anonymizer.evaluation.average_precision import matched
from anonymizer.evaluation.figures import Json, at_threshold, label_figures
from scoreboard.entrants import Entrant
from scoreboard.halves import Halves, halves_of

AS_IS = "as is"
# Each condition's scale and shift; `small` is among the shifts.
CONDITIONS: Mapping[str, tuple[float, str | None]] = {AS_IS: (1.0, None), "0.5x": (0.5, None), **{shift: (1.0, shift) for shift in SHIFTS}}
MAIN_RATE = 0.25  # false boxes in an object-free picture, at which everything is told in full
# Finer than the tables' sizes, to tell the smallest that is found: lower edges, a quarter to a third apart.
FINE_EDGES_PX = (4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192)


def measured(entrant: Entrant, side: int | None, condition: str, pictures: Sequence[LabelledPicture]) -> Json:
    """Figures of every label of the entrant; `plain` holds those without a margin, of single networks."""
    scale, shift = CONDITIONS[condition]
    look, look_again = entrant.look(side, scale, shift)
    wanted = frozenset(entrant.labels)
    seen: list[Seen] = []
    plain: list[Seen] = []
    for picture in pictures:
        if not picture.labelled & wanted:
            continue
        seen.append(look(picture))
        if look_again is not None:
            plain.append(look_again(picture))
    in_full = condition == AS_IS
    figures: Json = {"labels": {label: _label_json(seen, label, in_full=in_full) for label in entrant.labels}}
    if look_again is not None and in_full:
        figures["plain"] = {label: _points(halves_of(plain, label), in_full=False) for label in entrant.labels}
    return figures


def _label_json(seen: Sequence[Seen], label: str, *, in_full: bool) -> Json:
    halves = halves_of(seen, label)
    whole = halves.whole
    if in_full:
        whole = replace(whole, matching=matched([one for one in seen if label in one.picture.labelled], label))
    known = label_figures(whole, None)
    configured = {name: known["as_configured"][name] for name in ("cover", "false_boxes", "area")}
    return {
        **{name: known[name] for name in ("pictures", "objects", "ignored", "object_free_pictures", "ap50", "ar50")},
        "as_configured": configured,
        "at_false_boxes": _points(halves, in_full=in_full),
        "fine_sizes": _fine_sizes(halves),
    }


def _points(halves: Halves, *, in_full: bool) -> Json:
    points: Json = {}
    for rate, scores in halves.at_rate.items():
        point: dict[str, Any] = at_threshold(scores, 1.0)
        kept = ["cover", "false_boxes", "area"]
        if rate == MAIN_RATE:
            kept += ["by_size"] + (["by_attribute"] if in_full else [])
        points[f"{rate:g}"] = {"thresholds": [round(threshold, 4) for threshold in halves.thresholds[rate]], **{name: point[name] for name in kept}}
    return points


def _fine_sizes(halves: Halves) -> list[list[int]]:
    """Lower edge, covered, objects: at the main rate, of every size that there is."""
    scores = halves.at_rate[MAIN_RATE]
    at = np.searchsorted(FINE_EDGES_PX, scores.size_px, side="right") - 1
    hidden = scores.hidden >= 1.0
    return [[edge, int(hidden[at == place].sum()), int((at == place).sum())] for place, edge in enumerate(FINE_EDGES_PX) if (at == place).any()]
