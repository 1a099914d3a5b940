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


def _whole_sources(sources: dict[str, list[Seen]]) -> set[int]:
    """The largest source first, each to the side that has fewer pictures."""
    sides: list[list[Seen]] = [[], []]
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        min(sides, key=len).extend(sources[name])
    return {id(one) for one in sides[0]}


def _order_of(picture: LabelledPicture) -> bytes:
    """A fixed order that has nothing to do with what is in the picture."""
    return hashlib.sha256(picture.path.name.encode("utf-8", "surrogateescape")).digest()
