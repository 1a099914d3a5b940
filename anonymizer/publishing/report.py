"""What a run did: counted while it runs, told to people and programs when it is over. No pixels, no coordinates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from anonymizer.types import Carrier, Decision, Tally

# Words for what tells most of a person, in the names that FFmpeg, Exif and this program give carriers; ranks in _rank.
_TELLING = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        r"gps|location|geo(tiff|data|code)|\bposition|l(at|ong)itude|\bplace of|xyz\b|gpmd|gpmf",
        r"^(picture|video) |thumb|preview|cover|motion photo",
        r"serial|owner|imei|device.?id|unique image id|maker note|^data \d+:",  # cameras keep their sensors' track in a data stream
        r"^audio ",
    )
)
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    frames_done: int
    frames_expected: int | None  # what the container claims; a hint for an estimate, never a promise
    covered: int  # regions covered so far
    elapsed_s: float

    @property
    def frames_per_s(self) -> float:
        return self.frames_done / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """An estimate from the rate so far, or None where the end is not known."""
        if not self.frames_expected or not self.frames_done:
            return None
        return max(0, self.frames_expected - self.frames_done) * self.elapsed_s / self.frames_done


@dataclass(frozen=True, slots=True)
class Settings:
    """What an output was made from and with, as hashes: with equal hashes there is no reason to make it again."""

    source_sha256: str
    config_hash: str
    weights_sha256: Mapping[str, str] = field(default_factory=dict)  # by label
    version: str = ""


@dataclass(slots=True)
class Coverage:
    """Counts decisions as they go by."""

    frames: int = 0  # frames in which anything is covered
    whole_frames: int = 0  # frames covered as a whole
    by_label: Counter[str] = field(default_factory=Counter)
    by_origin: Counter[str] = field(default_factory=Counter)
    _tracks: dict[str, set[int]] = field(default_factory=dict)

    def add(self, decision: Decision) -> None:
        """Count one frame's regions."""
        self.frames += bool(decision.regions)
        self.whole_frames += any(region.shape == "frame" for region in decision.regions)
        for region in decision.regions:
            self.by_label[region.label] += 1
            self.by_origin[region.origin] += 1
            if region.track_id is not None:
                self._tracks.setdefault(region.label, set()).add(region.track_id)

    @property
    def regions(self) -> int:
        """Regions covered, over all frames."""
        return self.by_label.total()

    @property
    def tracks(self) -> dict[str, int]:
        """How many objects were followed, by label."""
        return {label: len(found) for label, found in sorted(self._tracks.items())}


@dataclass(frozen=True, slots=True)
class Report:
    """One finished run."""

    source: str
    target: str
    tally: Tally
    seconds: float
    settings: Settings
    coverage: Coverage = field(default_factory=Coverage)
    damaged_frames: int = 0
    carriers: tuple[Carrier, ...] = ()
    notes: tuple[str, ...] = ()  # what is as it should be, and worth knowing
    warnings: tuple[str, ...] = ()  # what somebody should look at

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "source": self.source,
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "frames": {**asdict(self.tally), "covered": self.coverage.frames, "covered_whole": self.coverage.whole_frames, "damaged": self.damaged_frames},
            "regions": {"by_label": dict(sorted(self.coverage.by_label.items())), "by_origin": dict(sorted(self.coverage.by_origin.items()))},
            "tracks": self.coverage.tracks,
            "carriers": [asdict(carrier) for carrier in self.carriers],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "settings": {
                "source_sha256": self.settings.source_sha256,
                "config_hash": self.settings.config_hash,
                "weights_sha256": dict(self.settings.weights_sha256),
                "version": self.settings.version,
            },
        }


def summary_rows(report: Report, *, covered: str = "covered") -> list[tuple[str, str]]:
    """The report for people: (what, words) in reading order; the first row speaks of the run as a whole.

    `covered` is what that row is called: nothing has been covered yet where decisions alone were written.
    """
    frames = report.tally.written
    rate = f", {frames / report.seconds:.1f} frames/s" if report.seconds > 0 and frames > 1 else ""
    rows = [("written", f"{report.target}: {_count(frames, 'frame')} in {_duration(report.seconds)}{rate}")]
    rows.append((covered, "; ".join(_covered(report)) or "nothing was found"))
    if report.damaged_frames:
        rows.append(("damaged", f"{_count(report.damaged_frames, 'frame')} could not be decoded cleanly"))
    for fate, what in (("copied", "kept"), ("masked", "masked"), ("converted", "changed"), ("dropped", "dropped")):
        if words := _carriers(carrier for carrier in report.carriers if carrier.fate == fate):
            rows.append((what, words))
    if any(carrier.kind == "audio" and carrier.fate == "dropped" for carrier in report.carriers):
        rows.append(("audio", "was dropped, a voice tells who speaks: --audio keep copies it, --audio mask disguises it"))
    rows.extend(("note", note) for note in report.notes)
    rows.extend(("warning", warning) for warning in report.warnings)
    return rows


def _covered(report: Report) -> list[str]:
    """One phrase a label: "face: 3 tracks, 410 times"; "face: 3" of a picture, where nothing is followed."""
    phrases = []
    for label, times in report.coverage.by_label.most_common():
        tracks = report.coverage.tracks.get(label)
        if report.tally.decided == 1:
            phrases.append(f"{label}: {times}")
        else:
            phrases.append(f"{label}: " + (f"{_count(tracks, 'track')}, " if tracks else "") + _count(times, "time"))
    return phrases


def _carriers(carriers: Iterable[Carrier]) -> str:
    """Carriers, what tells most first: "tag location, audio 1 (aac), 9 more tags (make, model, date, ...)"; of many of a kind only how many."""
    groups: dict[tuple[int, str], list[Carrier]] = {}
    for carrier in sorted(carriers, key=_rank):
        groups.setdefault((_rank(carrier), carrier.kind), []).append(carrier)
    phrases: list[str] = []
    named: set[str] = set()
    for (_, kind), found in groups.items():
        if len(found) > _MOST_NAMED:
            more = "more " if kind in named else ""
            phrases.append(f"{len(found)} {more}{kind.replace('_', ' ')}s ({', '.join(carrier.name for carrier in found[:_MOST_NAMED])}, ...)")
        else:
            phrases.extend(map(_phrase, found))
        named.add(kind)
    return ", ".join(phrases)


def _rank(carrier: Carrier) -> int:
    """How much a carrier tells of a person: 0 where, 1 pictures in clear, 2 which camera, 3 voices, 4 the rest."""
    # What a tag says may be anybody's words; its name says what it is about.
    words = carrier.name if carrier.kind == "tag" else f"{carrier.kind} {carrier.name} {carrier.detail}"
    return next((rank for rank, telling in enumerate(_TELLING) if telling.search(words)), len(_TELLING))


def _phrase(carrier: Carrier) -> str:
    # A place or a serial number that was dropped from the file does not go to the terminal's log either.
    detail = "" if carrier.kind == "tag" and _rank(carrier) < len(_TELLING) else carrier.detail
    return f"{carrier.kind.replace('_', ' ')} {carrier.name}" + (f" ({detail})" if detail else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(seconds: float) -> str:
    """Seconds as people say them: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
