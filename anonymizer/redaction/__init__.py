"""Frame and decision -> sealed frame: erase, then decorate. Arithmetic only: no model, clock, file or random source."""

from anonymizer.redaction.effects import EFFECTS, Effect
from anonymizer.redaction.seal import seal_frame

__all__ = ["EFFECTS", "Effect", "seal_frame"]
