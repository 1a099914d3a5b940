"""Find faces and license plates in video and cover them before anything is stored.

    >>> import anonymizer
    >>> anonymizer.Detections.none().xyxy.shape
    (0, 4)

What is heavy (models, FFmpeg) is loaded when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anonymizer._version import __version__
from anonymizer.errors import AnonymizerError, CancelledError, ConfigError, ModelError, SourceError, TargetError, UndecidedFrameError, VerificationError

if TYPE_CHECKING:
    from anonymizer.config import Config
    from anonymizer.detection import Detector
    from anonymizer.library import Anonymizer, anonymize_image, anonymize_video
    from anonymizer.publishing import Plan, Progress, Report, read_plan
    from anonymizer.types import Decision, Detections, Region

_WHERE = {
    "Anonymizer": "library",
    "Config": "config",
    "Decision": "types",
    "Detections": "types",
    "Detector": "detection",
    "Plan": "publishing",
    "Progress": "publishing",
    "Region": "types",
    "Report": "publishing",
    "anonymize_image": "library",
    "anonymize_video": "library",
    "read_plan": "publishing",
}

__all__ = [
    "Anonymizer",
    "AnonymizerError",
    "CancelledError",
    "Config",
    "ConfigError",
    "Decision",
    "Detections",
    "Detector",
    "ModelError",
    "Plan",
    "Progress",
    "Region",
    "Report",
    "SourceError",
    "TargetError",
    "UndecidedFrameError",
    "VerificationError",
    "__version__",
    "anonymize_image",
    "anonymize_video",
    "read_plan",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"anonymizer.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'anonymizer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
