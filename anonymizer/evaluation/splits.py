"""Two halves of a data set: thresholds are set on the first and reported on the second, so that none is fitted to its test.

`half` cuts every source in two. `source` keeps each source whole on one side; where all pictures of a kind come from one
source, that one is cut in two. Which picture goes where depends on its name alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from anonymizer.evaluation.looking import Seen
from anonymizer.evaluation.truth import LabelledPicture

SPLITS = ("half", "source")


def split(seen: Sequence[Seen], how: str) -> tuple[list[Seen], list[Seen]]:
    """The half that thresholds are set on, and the half that is reported."""
    kinds: dict[tuple[str, ...], list[Seen]] = defaultdict(list)
    for one in seen:
        # Object-free pictures set the thresholds, pictures with objects tell the cover: each kind is halved for itself.
        kinds[tuple(sorted(one.picture.free))].append(one)
    first: set[int] = set()
    for many in kinds.values():
        sources: dict[str, list[Seen]] = defaultdict(list)
        for one in sorted(many, key=lambda one: _order_of(one.picture)):
            sources[one.picture.source].append(one)
        if how == "source" and len(sources) > 1:
            first.update(_whole_sources(sources))
        else:
            first.update(id(one) for pictures in sources.values() for one in pictures[: (len(pictures) + 1) // 2])
    return [one for one in seen if id(one) in first], [one for one in seen if id(one) not in first]


def hold_out(pictures: Sequence[LabelledPicture], share: float) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """Pictures to learn from, and about that `share` of every source and kind to be measured on; both in the order given.

    >>> from pathlib import Path
    >>> pictures = [LabelledPicture(Path(f"gate_{at}.jpg"), (), frozenset(), frozenset(), "gate") for at in range(10)]
    >>> [len(side) for side in hold_out(pictures, 0.2)]
    [8, 2]
    """
    groups: dict[tuple[str, ...], list[LabelledPicture]] = defaultdict(list)
    for picture in pictures:
        groups[(*sorted(picture.free), picture.source)].append(picture)
    held: set[int] = set()
    for many in groups.values():
        # At the turns of the running share, so that it holds over small groups too.
        ordered = sorted(many, key=_order_of)
        held.update(id(picture) for at, picture in enumerate(ordered) if int((at + 1) * share + 0.5) > int(at * share + 0.5))
    return [one for one in pictures if id(one) not in held], [one for one in pictures if id(one) in held]


def _whole_sources(sources: dict[str, list[Seen]]) -> set[int]:
    """The largest source first, each to the side that has fewer pictures."""
    sides: list[list[Seen]] = [[], []]
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        min(sides, key=len).extend(sources[name])
    return {id(one) for one in sides[0]}


def _order_of(picture: LabelledPicture) -> bytes:
    """A fixed order that has nothing to do with what is in the picture."""
    return hashlib.sha256(picture.path.name.encode("utf-8", "surrogateescape")).digest()
