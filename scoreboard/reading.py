"""Reading the figures: which file says what, at which size a network does best, what its smallest finds are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anonymizer.config import PRESETS
from anonymizer.errors import ConfigError
from anonymizer.evaluation.figures import Json
from scoreboard.cost import unit_name
from scoreboard.entrants import OURS
from scoreboard.peers import PEERS
from scoreboard.stills import AS_IS, MAIN_RATE
from scoreboard.store import CLIPS, COST, Store

LABELS = ("face", "plate")
RATE = f"{MAIN_RATE:g}"
# Pooled to tell the smallest size that is found: the same objects at three sizes.
SIZE_CONDITIONS = (AS_IS, "0.5x", "small")
FEWEST = 30  # objects: of fewer no group is spoken of
_WINDOW = 1.5  # sizes up to so many times an edge tell how many of that size are found


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured."""

    entrants: Mapping[str, Json]
    cost: Json | None = None
    clips: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Figures:
        """Everything in the folder; ConfigError if entrants were measured on different data."""
        entrants = dict(store.entrants([*PRESETS, OURS, *PEERS]))
        digests = {known["hashes"]["data"] for known in entrants.values()}
        if len(digests) > 1:
            raise ConfigError("the entrants were measured on different data", hint="measure all of them again on one set")
        return cls(entrants, store.read(COST), (store.read(CLIPS) or {}).get("sets", {}))

    def unit(self, name: str, condition: str, side: int | None) -> Json | None:
        """The figures of one unit, if it was measured."""
        units: Json = self.entrants[name]["units"]
        return units.get(key_of(condition, side))

    def sides(self, name: str) -> list[int]:
        """The sizes a network was measured at as the pictures are."""
        return sorted(side for key in self.entrants[name]["units"] for condition, side in [parted(key)] if condition == AS_IS and side is not None)

    def contestants(self, label: str) -> list[tuple[str, int | None]]:
        """Who stands in the tables of a label: every preset, and every network, ours and peers', at its best size."""
        found: list[tuple[str, int | None]] = [(name, None) for name in PRESETS if name in self.entrants and self.unit(name, AS_IS, None)]
        for name in (OURS, *PEERS):
            if name in self.entrants and label in self.entrants[name]["labels"] and self.sides(name):
                found.append((name, best_side(self.entrants[name]["units"], label)))
        return found

    def part(self, name: str, side: int | None, label: str, condition: str = AS_IS) -> Json | None:
        """One label's figures under one condition."""
        unit = self.unit(name, condition, side)
        return None if unit is None else unit["labels"].get(label)

    def ms(self, name: str, side: int | None) -> float | None:
        """What a frame costs."""
        known = (self.cost or {}).get("programs", {}).get(unit_name(name, side))
        return None if known is None else float(known["median_ms"])


def key_of(condition: str, side: int | None) -> str:
    """A unit's key in an entrant's file.

    >>> key_of("0.5x", None), key_of("as is", 640)
    ('0.5x', '640 as is')
    """
    return condition if side is None else f"{side} {condition}"


def parted(key: str) -> tuple[str, int | None]:
    """The condition and size of a key."""
    first, _, rest = key.partition(" ")
    return (rest, int(first)) if first.isdigit() else (key, None)


def best_side(units: Json, label: str) -> int:
    """The input size at which a network covers most of the pictures as they are; of equals the smaller."""
    covers = {side: unit["labels"][label]["at_false_boxes"][RATE]["cover"]["percent"] for side, unit in _as_is(units)}
    return max(sorted(covers), key=lambda side: covers[side])


def _as_is(units: Json) -> Iterator[tuple[int, Json]]:
    for key, unit in units.items():
        condition, side = parted(key)
        if condition == AS_IS and side is not None:
            yield side, unit


def smallest_found(parts: Sequence[Json], percent: float) -> int | None:
    """The smallest size, in pixels, of which so many are covered, and so of every size from it up to the one covered best.

    None if no size is covered so well. Sizes of which there are too few do not count.
    """
    pooled: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for part in parts:
        for edge, covered, objects in part["fine_sizes"]:
            pooled[edge][0] += covered
            pooled[edge][1] += objects
    shares: list[tuple[int, float]] = []
    for edge in sorted(pooled):
        window = [counts for other, counts in pooled.items() if edge <= other < _WINDOW * edge]
        covered, objects = (sum(counts[at] for counts in window) for at in (0, 1))
        if objects >= FEWEST:
            shares.append((edge, 100 * covered / objects))
    smallest = None
    best_at = max(range(len(shares)), key=lambda at: shares[at][1], default=-1)
    for edge, share in reversed(shares[: best_at + 1]):
        if share < percent:
            break
        smallest = edge
    return smallest


def worst_groups(part: Json, count: int) -> list[tuple[str, str, Any]]:
    """The groups, by size and by attribute, of which a smaller share is covered than of all: kind, name, figure; the worst first.

    What more than half of all belong to is no group.
    """
    point = part["at_false_boxes"][RATE]
    most, usual = part["objects"] / 2, point["cover"]["percent"] if point["cover"] else 0.0
    groups = [("size", name, known) for name, known in point["by_size"].items()]
    groups += [(kind, name, known) for kind, many in point.get("by_attribute", {}).items() for name, known in many.items()]
    groups = [group for group in groups if FEWEST <= group[2]["objects"] <= most and group[2]["percent"] < usual]
    return sorted(groups, key=lambda group: float(group[2]["percent"]))[:count]
