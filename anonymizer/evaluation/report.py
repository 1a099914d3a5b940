"""A whole evaluation as one JSON object: what was measured, with what, how, and every figure.

The schema is stable: keys are added, never renamed, and `version` rises if one ever changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anonymizer._version import __version__
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError
from anonymizer.evaluation.clips import clip_figures
from anonymizer.evaluation.cover import HIDDEN_SHARE, HIDDEN_SHARE_OTHER
from anonymizer.evaluation.extras import require_extra
from anonymizer.evaluation.figures import Json
from anonymizer.evaluation.intervals import ABOUT
from anonymizer.evaluation.looking import SCORE_FLOOR, Looker
from anonymizer.evaluation.pictures import OnProgress, look_at_pictures, picture_figures
from anonymizer.evaluation.shifts import SHIFTS
from anonymizer.evaluation.splits import SPLITS
from anonymizer.evaluation.truth import DataSet

SCHEMA, VERSION = "anonymizer-evaluation", 1
MEASURE: Mapping[str, str] = {
    "cover": "share of the marked objects of which the plan's regions, ellipses as ellipses, hide at least hidden_share of the box; one picture alone, or "
    "for clips after tracking",
    "as_configured": "the plan that a run would seal; any label's region hides an object",
    "at_false_boxes": "regions of the label itself, from the lowest threshold on that finds at most so many false boxes in each object-free picture",
    "threshold": f"boxes below {SCORE_FLOOR} are not looked at; at_floor says that even there fewer false boxes are found",
    "false_boxes": "regions of the label in each object-free picture",
    "recall": "share of the objects matched one to one by a box found, without margins, at IoU 0.5",
    "area": "pixels that the label's regions cover in pictures with objects, against those of the marked boxes; ignored boxes left out of both",
    "ap50, ar50": f"COCO's, by pycocotools, at IoU 0.5, boxes from score {SCORE_FLOOR} on",
    "by_size": "height of the marked box, width for plates, in pixels of the picture looked at",
    "by_attribute": "as the data set gives it; source by file name, light and blur measured where it does not say",
    "interval": ABOUT,
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """How pictures are to be looked at; clips are looked at as they are."""

    scale: float = 1.0
    shift: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        """ConfigError for what there is not."""
        if not 0 < self.scale <= 1:
            raise ConfigError(f"--at: {self.scale:g} is not above 0 and at most 1", hint="pictures are shrunk, 0.5 is half their size")
        if self.shift is not None and self.shift not in SHIFTS:
            raise ConfigError(f"--shift: {self.shift!r} is not one of {', '.join(SHIFTS)}", hint="name one of them")
        if self.split is not None and self.split not in SPLITS:
            raise ConfigError(f"--split: {self.split!r} is not one of {', '.join(SPLITS)}", hint="half cuts every source in two, source keeps each whole")


def evaluate(data: DataSet, equipment: Equipment, wishes: Wishes, progress: OnProgress | None = None) -> Json:
    """Look at all of a data set and report it, ready for JSON.

    ConfigError if the extra is not installed or the wishes do not fit the data; SourceError and ModelError as in a run.
    """
    if data.clips:
        if wishes != Wishes():
            raise ConfigError("--at, --shift and --split are for labelled pictures", hint="clips are evaluated as they are")
        return _report(data, equipment, wishes, clip_figures(data.clips, equipment, progress))
    require_extra("pycocotools.cocoeval")  # before minutes of looking
    looker = Looker(equipment, scale=wishes.scale, shift=wishes.shift)
    seen = look_at_pictures(looker, data.pictures, progress)
    return _report(data, equipment, wishes, picture_figures(seen, equipment, split_by=wishes.split))


def _report(data: DataSet, equipment: Equipment, wishes: Wishes, figures: Json) -> Json:
    config_hash, weights = equipment.hashes
    labels: dict[str, Any] = figures.pop("labels")
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "program": __version__,
        "data": {"name": data.name, "format": data.format, **figures},
        "settings": {
            "preset": equipment.config.preset,
            "strictness": equipment.config.strictness,
            "detect": list(equipment.config.detect),
            "at": wishes.scale,
            "shift": wishes.shift,
            "split": wishes.split,
            "config_hash": config_hash,
            "weights_sha256": weights,
        },
        "measure": dict(MEASURE),
        "hidden_share": {label: HIDDEN_SHARE.get(label, HIDDEN_SHARE_OTHER) for label in labels},
        "labels": labels,
    }
