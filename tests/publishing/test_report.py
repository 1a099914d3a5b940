"""A report counts what was decided and says it to people and programs."""

import json

import pytest

from anonymizer.media import kind_of, probe, read_image
from anonymizer.publishing import Coverage, Progress, Report, Settings, summary_rows
from anonymizer.types import Carrier, Decision, Region, Tally
from tests.conftest import SHARED, needs_shared

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
        ("dropped", "tag location, audio 1 (aac), tag make, tag model, tag date"),
        ("audio", "was dropped, a voice tells who speaks: --audio keep copies it, --audio mask disguises it"),
        ("note", "n"),
        ("warning", "w"),
    ]


def test_of_one_picture_the_summary_says_how_many_are_covered() -> None:
    assert ("covered", "face: 3; plate: 1; frame: 1") in summary_rows(report(tally=Tally(1, 1, 1, 1)))


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


def dropped_words(*carriers: Carrier) -> str:
    return dict(summary_rows(report(carriers=carriers)))["dropped"]


def test_what_tells_most_is_said_first() -> None:
    words = dropped_words(
        *(Carrier("tag", name, "says") for name in ("0:0 handler_name", "Exif", "make", "software", "lens serial number", "GPS position")),
        Carrier("audio", "0:1", "aac"),
        Carrier("video", "0:2", "mjpeg, cover art or thumbnail"),
        Carrier("box", "moov/udta", "user data, 8 bytes"),
        Carrier("box", "moov/udta/CAME", "camera serial number, 24 bytes"),
    )
    assert words == (
        "tag GPS position, video 0:2 (mjpeg, cover art or thumbnail), tag lens serial number, box moov/udta/CAME (camera serial number, 24 bytes), "
        "audio 0:1 (aac), 4 more tags (0:0 handler_name, Exif, make, ...), box moov/udta (user data, 8 bytes)"
    )


def test_what_a_telling_tag_said_is_not_printed() -> None:
    assert dropped_words(Carrier("tag", "location", "+48.1371+011.5754/"), Carrier("tag", "title", "position of power")) == (
        "tag location, tag title (position of power)"
    )


TOLD_FIRST = [
    ("ianare_DSCN0010.jpg", "tag GPS position, picture Exif thumbnail"),
    ("et_GoPro.jpg", "tag GPS position, picture Exif thumbnail, tag maker note, tag camera serial number, 6 more tags (Exif, "),
    ("immich_thompson-springs.jpg", "tag GPS position, 5 more tags (comment, "),
    ("ianare_BlueSquare.jpg", "picture Exif thumbnail, picture Photoshop thumbnail, 7 tags (Exif, "),
    ("gpmf_karma.mp4", "data 0:2 (unknown), data 0:3 (bin_data), data 0:4 (unknown), box moov/udta/CAME (camera serial number, 24 bytes), audio 0:1 (aac)"),
]


@needs_shared
@pytest.mark.parametrize(("name", "first"), TOLD_FIRST)
def test_real_files_tell_the_worst_first(name: str, first: str) -> None:
    path = SHARED / "media/metadata" / name
    assert dropped_words(*(read_image(path) if kind_of(path) == "image" else probe(path)).carriers).startswith(first)
