"""What a run says while it works, and what it says at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from anonymizer._version import __version__
from anonymizer.config import Zone
from anonymizer.equipment import Equipment
from anonymizer.errors import CancelledError
from anonymizer.publishing import Coverage, Progress, Report, Settings, file_sha256
from anonymizer.types import Carrier, Decision, Frame, MediaInfo, Tally

OnProgress = Callable[[Progress], None]
_EVERY_S = 0.1


class RunLog:
    """Counts frames as they leave; stops the run when the caller wants it stopped."""

    def __init__(self, info: MediaInfo, equipment: Equipment, progress: OnProgress | None, cancel: threading.Event | None) -> None:
        self._info = info
        self._equipment = equipment
        self._progress = progress
        self._cancel = cancel
        self._started_s = time.monotonic()
        self._told_s = 0.0
        self._frames = 0
        self._damaged = 0
        self._coverage = Coverage()
        self.met: set[Zone] = set()  # Zones in whose time a frame was shown, filled by whoever lays them over the decisions.

    def add(self, frame: Frame, decision: Decision) -> None:
        """Count one frame; CancelledError if the caller asked to stop."""
        self._frames += 1
        self._damaged += frame.damaged
        self._coverage.add(decision)
        if self._cancel is not None and self._cancel.is_set():
            raise CancelledError(f"{self._info.path.name}: stopped after {self._frames} frames, as was asked", hint="nothing was published")
        now_s = time.monotonic()
        if self._progress is not None and now_s - self._told_s >= _EVERY_S:
            self._told_s = now_s
            self._progress(self._now())

    def report(
        self, target: Path | None, tally: Tally, *, carriers: tuple[Carrier, ...] = (), notes: tuple[str, ...] = (), warnings: tuple[str, ...] = ()
    ) -> Report:
        """The run's report; tells the progress once more, so that it ends at the end."""
        if self._progress is not None:
            self._progress(self._now())
        config_hash, weights = self._equipment.hashes
        ignored = self._equipment.config.ignore_zones
        if ignored:
            notes = (*notes, f"nothing was looked for in {len(ignored)} ignore zone{'s' if len(ignored) > 1 else ''}: {', '.join(map(str, ignored))}")
        unmet = tuple(
            f"the zone {zone} covered nothing: no frame was shown in its time" for zone in dict.fromkeys(self._equipment.config.zones) if zone not in self.met
        )
        untested = tuple(f"whether the weights for '{label}' see anything was not tested: the test picture shows none" for label in self._equipment.untested)
        return Report(
            source=str(self._info.path),
            target="" if target is None else str(target),
            tally=tally,
            seconds=time.monotonic() - self._started_s,
            settings=Settings(file_sha256(self._info.path) if self._info.path.is_file() else "", config_hash, weights, __version__),
            coverage=self._coverage,
            damaged_frames=self._damaged,
            carriers=carriers,
            notes=notes,
            warnings=(*warnings, *unmet, *untested),
        )

    def _now(self) -> Progress:
        return Progress(self._frames, self._expected(), self._coverage.regions, time.monotonic() - self._started_s)

    def _expected(self) -> int | None:
        """Frames to come, from what the container claims and the span leaves of it."""
        info, span = self._info, self._equipment.span
        if span is None:
            if info.frame_count is not None:
                return info.frame_count
            return round(info.duration_s * info.frame_rate) if info.duration_s and info.frame_rate else None
        end_s = info.duration_s if span.end_s is None else min(span.end_s, info.duration_s or span.end_s)
        return max(0, round((end_s - span.start_s) * info.frame_rate)) if end_s is not None and info.frame_rate else None
