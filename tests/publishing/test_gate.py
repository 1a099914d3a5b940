"""Nothing is published unless every frame read was decided, sealed and written."""

import pytest

from anonymizer.errors import AnonymizerError, TargetError, UndecidedFrameError
from anonymizer.publishing import require_all_decided
from anonymizer.types import Tally

UNEQUAL = [
    pytest.param(Tally(5, 4, 4, 4), None, UndecidedFrameError, "out.mp4: 5 frames were read but 4 decided", id="a-frame-without-decision"),
    pytest.param(Tally(5, 6, 5, 5), None, UndecidedFrameError, "out.mp4: 5 frames were read but 6 decided", id="a-frame-decided-twice"),
    pytest.param(Tally(5, 5, 4, 4), None, TargetError, "out.mp4: 5 frames were read but 4 sealed and 4 written", id="a-frame-never-sealed"),
    pytest.param(Tally(5, 5, 5, 4), None, TargetError, "out.mp4: 5 frames were read but 5 sealed and 4 written", id="a-frame-never-written"),
    pytest.param(Tally(5, 5, 5, 6), None, TargetError, "out.mp4: 5 frames were read but 5 sealed and 6 written", id="a-frame-written-twice"),
    pytest.param(Tally(5, 5, 5, 5), 4, TargetError, "out.mp4: 5 frames were written but the finished file holds 4", id="a-packet-lost-by-the-muxer"),
    pytest.param(Tally(), None, TargetError, "out.mp4: not a single frame was written", id="no-frame-at-all"),
]


@pytest.mark.parametrize(("tally", "packets", "kind", "problem"), UNEQUAL)
def test_unequal_counts_publish_nothing(tally: Tally, packets: int | None, kind: type[AnonymizerError], problem: str) -> None:
    with pytest.raises(kind) as caught:
        require_all_decided(tally, name="out.mp4", packets=packets)
    assert type(caught.value) is kind
    assert caught.value.problem == problem
    assert caught.value.hint


@pytest.mark.parametrize("packets", [None, 5])
def test_equal_counts_pass(packets: int | None) -> None:
    require_all_decided(Tally(5, 5, 5, 5), name="out.mp4", packets=packets)
