"""Libraries that only evaluation needs, and that a default install does not bring."""

from __future__ import annotations

import importlib
from types import ModuleType

from anonymizer.errors import ConfigError

EXTRA = "evaluate"


def require_extra(name: str) -> ModuleType:
    """Import a module of the extra; ConfigError saying how to install it if it is not there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name.partition('.')[0]} is not installed", hint=f"evaluating needs it: pip install 'video-anonymizer[{EXTRA}]'") from error
