"""How much is missed: a run's own plan against what people marked, in pictures and in clips."""

from anonymizer.evaluation.calibration import precision_map, rising_shares
from anonymizer.evaluation.datasets import load_data
from anonymizer.evaluation.looking import SCORE_FLOOR, Looker, Seen, rgb_of
from anonymizer.evaluation.plot import plot_png, require_plot
from anonymizer.evaluation.report import MEASURE, Wishes, evaluate
from anonymizer.evaluation.scores import LabelScores, score_label
from anonymizer.evaluation.shifts import SHIFTS
from anonymizer.evaluation.splits import SPLITS, hold_out
from anonymizer.evaluation.tables import report_text
from anonymizer.evaluation.truth import FORMATS, DataSet, LabelledClip, LabelledPicture, Naming, TrueBox

__all__ = [
    "FORMATS",
    "MEASURE",
    "SCORE_FLOOR",
    "SHIFTS",
    "SPLITS",
    "DataSet",
    "LabelScores",
    "LabelledClip",
    "LabelledPicture",
    "Looker",
    "Naming",
    "Seen",
    "TrueBox",
    "Wishes",
    "evaluate",
    "hold_out",
    "load_data",
    "plot_png",
    "precision_map",
    "report_text",
    "require_plot",
    "rgb_of",
    "rising_shares",
    "score_label",
]
