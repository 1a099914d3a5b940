"""The last question before a file gets its name: was every frame that was read decided, sealed and written?"""

from __future__ import annotations

from anonymizer.errors import TargetError, UndecidedFrameError
from anonymizer.types import Tally


def require_all_decided(tally: Tally, *, name: str = "output", packets: int | None = None) -> None:
    """Raise unless all four counts are equal, and equal to the `packets` of the re-opened file where they were counted.

    UndecidedFrameError where a frame lacks a decision or has two, TargetError where one was lost behind that.
    `name` is the file the message speaks of.
    """
    if tally.decided != tally.read:
        raise UndecidedFrameError(
            f"{name}: {tally.read} frames were read but {tally.decided} decided",
            hint="nothing was published; this is a bug, please report it",
        )
    if tally.sealed != tally.read or tally.written != tally.read:
        raise TargetError(
            f"{name}: {tally.read} frames were read but {tally.sealed} sealed and {tally.written} written",
            hint="nothing was published; this is a bug, please report it",
        )
    if tally.read == 0:
        raise TargetError(f"{name}: not a single frame was written", hint="check that the input or the span holds a picture")
    if packets is not None and packets != tally.written:
        raise TargetError(
            f"{name}: {tally.written} frames were written but the finished file holds {packets}",
            hint="nothing was published; try another encoder or container, with -c:v or another file ending",
        )
