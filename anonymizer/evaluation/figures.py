"""One label's figures from its raw scores, as JSON: at thresholds, by size, by attribute, along the curve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isinf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer.evaluation.intervals import rate_interval, ratio_interval, share_interval
from anonymizer.evaluation.looking import SCORE_FLOOR
from anonymizer.evaluation.scores import LabelScores, size_edges_of, threshold_for

FALSE_BOX_RATES = (0.1, 0.25, 0.5, 1.0)
_CURVE_RATES = np.geomspace(0.02, 5, 40)
_MOST_GROUPS = 40  # of one attribute; a data set whose every picture has a source of its own has no sources

Json = dict[str, Any]


def label_figures(scores: LabelScores, configured_score: float | None, *, thresholds: Mapping[float, float] | None = None) -> Json:
    """Everything that is reported of one label.

    `thresholds` are those of the false-box rates if they were set on other pictures; else they are set on these.
    """
    chosen = thresholds if thresholds is not None else thresholds_at(scores)
    return {
        "pictures": scores.pictures,
        "objects": len(scores.hidden),
        "ignored": scores.ignored,
        "object_free_pictures": scores.free_pictures,
        "as_configured": _as_configured(scores, configured_score),
        "at_false_boxes": {f"{limit:g}": at_threshold(scores, threshold) for limit, threshold in chosen.items()},
        **_average_precision(scores),
        "curve": curve(scores),
    }


def thresholds_at(scores: LabelScores, rates: Sequence[float] = FALSE_BOX_RATES, lowest: float = SCORE_FLOOR) -> dict[float, float]:
    """The threshold of each false-box rate; none without object-free pictures."""
    if not scores.free_pictures:
        return {}
    return {limit: threshold_for(scores.false, scores.free_pictures, limit, lowest) for limit in rates}


def at_threshold(scores: LabelScores, threshold: float) -> Json:
    """Every figure at one threshold."""
    hidden = scores.hidden >= threshold
    false = np.bincount(scores.false_picture[scores.false >= threshold], minlength=scores.free_pictures)
    chosen = scores.step_score >= threshold
    area = np.bincount(scores.step_picture[chosen], weights=scores.step_px[chosen], minlength=len(scores.truth_px))
    recall = None if scores.matching is None else figure(scores.matching.scores >= threshold, scores.picture)
    return {"threshold": round(threshold, 4), "at_floor": threshold <= SCORE_FLOOR, **_point(scores, hidden, false, area), "recall": recall}


def figure(right: NDArray[np.bool_], picture: NDArray[np.int64]) -> Json | None:
    """A share in per cent with its interval, or None where there is nothing to count."""
    if not len(right):
        return None
    low, high = share_interval(right, picture)
    return {"percent": _percent(right.mean()), "interval": [_percent(low), _percent(high)], "right": int(right.sum()), "objects": len(right)}


def ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Json | None:
    """A ratio of sums over pictures with its interval, or None where there is nothing to divide by."""
    if not len(bottom) or not bottom.sum():
        return None
    low, high = ratio_interval(top, bottom)
    # One picture tells nothing of how pictures differ.
    return {"value": round(float(top.sum() / bottom.sum()), 3), "interval": [round(low, 3), round(high, 3)] if len(bottom) > 1 else None}


def rate(counts: NDArray[Any]) -> Json | None:
    """A mean count of pictures with its interval, or None without pictures."""
    if not len(counts):
        return None
    low, high = rate_interval(counts)
    return {"value": round(float(counts.mean()), 4), "interval": [round(low, 4), round(high, 4)]}


def by_size(scores: LabelScores, right: NDArray[np.bool_]) -> Json:
    """The share of right objects in each range of sizes that has any."""
    groups = {}
    for low, high in pairwise(size_edges_of(scores.label)):
        inside = (scores.size_px >= low) & (scores.size_px < high)
        if inside.any():
            groups[f"{low:g}+" if isinf(high) else f"{low:g}-{high:g}"] = figure(right[inside], scores.picture[inside])
    return groups


def by_attribute(scores: LabelScores, right: NDArray[np.bool_]) -> Json:
    """The share of right objects for each value of each attribute that is known."""
    found: Json = {}
    for name in sorted({name for known in scores.attributes for name in known}):
        values = np.array([known.get(name, "") for known in scores.attributes])
        counts = Counter(values[values != ""].tolist())
        if len(counts) <= _MOST_GROUPS:
            found[name] = {value: figure(right[values == value], scores.picture[values == value]) for value in sorted(counts)}
    return found


def curve(scores: LabelScores) -> list[Json]:
    """Cover against false boxes a picture, from few to many."""
    points: list[Json] = []
    for threshold in thresholds_at(scores, tuple(_CURVE_RATES)).values():
        if points and round(threshold, 4) == points[-1]["threshold"]:
            continue
        cover = figure(scores.hidden >= threshold, scores.picture)
        if cover is not None:
            false = float((scores.false >= threshold).sum() / scores.free_pictures)
            points.append({"threshold": round(threshold, 4), "false_boxes": round(false, 4), "percent": cover["percent"], "interval": cover["interval"]})
    return points


def _as_configured(scores: LabelScores, configured_score: float | None) -> Json:
    point = _point(scores, scores.planned, scores.planned_false, scores.planned_px)
    recall = None if scores.matching is None or configured_score is None else figure(scores.matching.scores >= configured_score, scores.picture)
    return {"threshold": None if configured_score is None else round(configured_score, 4), **point, "recall": recall}


def _point(scores: LabelScores, hidden: NDArray[np.bool_], false: NDArray[Any], area: NDArray[Any]) -> Json:
    return {
        "cover": figure(hidden, scores.picture),
        "false_boxes": rate(false),
        "area": ratio(area, scores.truth_px),
        "by_size": by_size(scores, hidden),
        "by_attribute": by_attribute(scores, hidden),
    }


def _average_precision(scores: LabelScores) -> Json:
    found = scores.matching
    if found is None:
        return {"ap50": None, "ar50": None}
    return {
        "ap50": {"percent": _percent(found.ap50), "interval": [_percent(edge) for edge in found.ap50_interval]} if found.ap50 >= 0 else None,
        "ar50": {"percent": _percent(found.ar50), "interval": [_percent(edge) for edge in found.ar50_interval]} if found.ar50 >= 0 else None,
    }


def _percent(share: float) -> float:
    return round(100 * float(share), 2)
