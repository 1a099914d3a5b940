"""A report counts what was decided and says it to people and programs."""

import json

import pytest

from anonymizer.publishing import Coverage, Progress, Report, Settings, summary_rows
from anonymizer.types import Carrier, Decision, Region, Tally

FACE = Region("face", "ellipse", (1, 1, 9, 9), 1)
HELD = Region("face", "ellipse", (1, 1, 9, 9), 2, "held")
PLATE = Region("plate", "box", (1, 1, 9, 9), 3)
WHOLE = Region("frame", "frame", (0, 0, 9, 9), None, "whole_frame")


def report(**changes: object) -> Report:
    coverage = Coverage()
    for index, regions in enumerate([(FACE, PLATE), (FACE, HELD), (), (WHOLE,)]):
        coverage.add(Decision(index, regions))
    carriers = (
        Carrier("audio", "1", "aac"),
        *(Carrier("tag", name) for name in ("location", "make", "model", "date")),
        Carrier("subtitle", "2", "mov_text", "copied"),
    )
    values = {"source": "in.mp4", "target": "out.mp4", "tally": Tally(4, 4, 4, 4), "seconds": 2.0, "settings": Settings("a", "b", {"face": "c"}, "0.1.0")}
    return Report(**{**values, "coverage": coverage, "damaged_frames": 1, "carriers": carriers, "notes": ("n",), "warnings": ("w",), **changes})  # type: ignore[arg-type]


def test_coverage_counts_frames_regions_and_tracks() -> None:
    coverage = report().coverage
    assert (coverage.frames, coverage.whole_frames, coverage.regions) == (3, 1, 5)
    assert coverage.by_label == {"face": 3, "plate": 1, "frame": 1}
    assert coverage.by_origin == {"detected": 3, "held": 1, "whole_frame": 1}
    assert coverage.tracks == {"face": 2, "plate": 1}


def test_json_says_everything() -> None:
    told = json.loads(json.dumps(report().to_json()))
    assert told["frames"] == {"read": 4, "decided": 4, "sealed": 4, "written": 4, "covered": 3, "covered_whole": 1, "damaged": 1}
    assert told["regions"]["by_label"] == {"face": 3, "frame": 1, "plate": 1}
    assert told["tracks"] == {"face": 2, "plate": 1}
    assert told["carriers"][0] == {"kind": "audio", "name": "1", "detail": "aac", "fate": "dropped"}
    assert told["settings"] == {"source_sha256": "a", "config_hash": "b", "weights_sha256": {"face": "c"}, "version": "0.1.0"}


def test_summary_is_said_in_words() -> None:
    assert summary_rows(report()) == [
        ("written", "out.mp4: 4 frames in 2.0 s, 2.0 frames/s"),
        ("covered", "face: 2 tracks, 3 times; plate: 1 track, 1 time; frame: 1 time"),
        ("damaged", "1 frame could not be decoded cleanly"),
        ("kept", "subtitle 2 (mov_text)"),
        ("dropped", "audio 1 (aac), 4 tags (location, make, model, ...)"),
        ("audio", "was dropped, a voice tells who speaks: --audio keep copies it, --audio mask disguises it"),
        ("note", "n"),
        ("warning", "w"),
    ]


def test_empty_run_says_that_nothing_was_found() -> None:
    rows = summary_rows(report(coverage=Coverage(), carriers=(), damaged_frames=0, notes=(), warnings=(), seconds=125))
    assert rows == [("written", "out.mp4: 4 frames in 2 min 5 s, 0.0 frames/s"), ("covered", "nothing was found")]


@pytest.mark.parametrize(
    ("done", "expected", "elapsed_s", "rate", "remaining_s"),
    [(50, 100, 5.0, 10.0, 5.0), (0, 100, 0.0, 0.0, None), (50, None, 5.0, 10.0, None), (120, 100, 6.0, 20.0, 0.0)],
)
def test_progress_estimates(done: int, expected: int | None, elapsed_s: float, rate: float, remaining_s: float | None) -> None:
    progress = Progress(done, expected, 0, elapsed_s)
    assert progress.frames_per_s == rate
    assert progress.remaining_s == remaining_s
