"""Publishing: a whole and decided file, or none at all."""

from anonymizer.publishing.gate import require_all_decided
from anonymizer.publishing.ledger import LEDGER_NAME, Ledger
from anonymizer.publishing.plan import Plan, PlanWriter, file_sha256, read_plan
from anonymizer.publishing.plan_lines import PlanHeader
from anonymizer.publishing.report import Coverage, Progress, Report, Settings, summary_rows
from anonymizer.publishing.staging import find_leftovers, finish_leftover, staged, sweep_leftovers, target_of
from anonymizer.publishing.targets import require_target

__all__ = [
    "LEDGER_NAME",
    "Coverage",
    "Ledger",
    "Plan",
    "PlanHeader",
    "PlanWriter",
    "Progress",
    "Report",
    "Settings",
    "file_sha256",
    "find_leftovers",
    "finish_leftover",
    "read_plan",
    "require_all_decided",
    "require_target",
    "staged",
    "summary_rows",
    "sweep_leftovers",
    "target_of",
]
