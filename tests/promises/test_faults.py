"""The fault matrix: what can go wrong, what is said, and that nothing leaks, hangs or is left behind.

Every row is one fault. `Case.run` breaks something and returns what the run did; the folder listing and the scan for
the secret are the same for all. docs/privacy.md shows the table with what was seen.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anonymizer.errors import AnonymizerError, ConfigError, ModelError, SourceError, TargetError, UndecidedFrameError
from anonymizer.types import Detections
from tests.promises.cases import Case, assert_nothing_left, leaks, listing
from tests.promises.secret import FRAMES, Oracle, readable_frames, secret_clip

Trouble = Callable[[int, Detections], object]
AT = 5  # the look at which a detector's trouble begins


def nan_box(look: int, found: Detections) -> Detections:
    if look >= AT:
        found.xyxy[:] = np.nan
    return found


def nan_score(look: int, found: Detections) -> Detections:
    if look >= AT:
        found.score[:] = np.nan
    return found


def at(value: object) -> Trouble:
    return lambda look, found: value if look == AT else found


def raises(error: BaseException) -> Trouble:
    def trouble(look: int, found: Detections) -> Detections:
        if look == AT:
            raise error
        return found

    return trouble


def hangs(look: int, found: Detections) -> Detections:
    if look == AT:
        threading.Event().wait(8)
    return found


def resized(look: int, found: Detections) -> Detections:
    if look == AT:
        object.__setattr__(found, "xyxy", np.zeros((3, 2), np.float32))
    return found


DETECTOR_FAULTS = [
    pytest.param(raises(RuntimeError("device lost")), id="detector-raises"),
    pytest.param(raises(ModelError("oracle: no answer")), id="detector-raises-our-own-error"),
    pytest.param(raises(MemoryError("no memory")), id="detector-runs-out-of-memory"),
    pytest.param(hangs, id="detector-hangs"),
    pytest.param(nan_box, id="detector-returns-nan-boxes"),
    pytest.param(nan_score, id="detector-returns-nan-scores"),
    pytest.param(resized, id="detector-returns-wrong-shapes"),
    pytest.param(at(None), id="detector-returns-none"),
    pytest.param(at([]), id="detector-returns-a-list"),
    pytest.param(at(Detections.of([[0, 0, 9, 9]], [2.0], "plate")), id="detector-returns-a-score-of-2"),
    pytest.param(at(Detections.of([[0, 0, 9, 9]], [0.9], "dog")), id="detector-returns-an-unknown-label"),
]


@pytest.mark.parametrize("frames_at_once", [1, 2])
@pytest.mark.parametrize("trouble", DETECTOR_FAULTS)
def test_failing_detector_publishes_nothing(case: Case, trouble: Trouble, frames_at_once: int) -> None:
    case.oracle, case.frames_at_once = Oracle(trouble), frames_at_once
    with pytest.raises((ModelError, UndecidedFrameError)) as caught:
        case.run()
    assert caught.value.problem
    assert_nothing_left(case)


def test_detector_that_hangs_is_asked_for_no_frame_behind(case: Case) -> None:
    """Each would hold up the end of the run by a deadline."""
    hung: list[int] = []

    def hangs_on(look: int, found: Detections) -> Detections:
        if look >= AT:
            hung.append(look)
            threading.Event().wait(8)
        return found

    case.oracle, case.frames_at_once, case.settings = Oracle(hangs_on), 2, {"timeout_s": 0.5}
    with pytest.raises(ModelError, match="did not answer within"):
        case.run()
    assert 1 <= len(hung) <= 2
    assert_nothing_left(case)


def test_looking_at_two_frames_at_once_changes_nothing(case: Case) -> None:
    written = []
    for frames_at_once in (1, 2):
        case.frames_at_once, case.target = frames_at_once, case.folder / f"{frames_at_once}.mp4"
        case.run()
        assert readable_frames(case.target) == 0
        written.append(case.target.read_bytes())
    assert written[0] == written[1]


def test_detector_that_finds_nothing_for_a_moment_leaks_nothing(case: Case) -> None:
    """The slip of a detector is not an error; the tracker covers what it missed."""
    case.oracle = Oracle(lambda look, found: Detections.none() if 8 <= look < 14 else found)
    report = case.run()
    assert report.tally.written == FRAMES
    assert readable_frames(case.target) == 0


def cut_to(share: float) -> Callable[[Case], None]:
    def damage(case: Case) -> None:
        data = case.source.read_bytes()
        case.source.write_bytes(data[: int(len(data) * share)])

    return damage


def replaced_by(data: bytes) -> Callable[[Case], None]:
    return lambda case: case.source.write_bytes(data) and None


def without_picture(case: Case) -> None:
    import av

    case.source.unlink()
    with av.open(str(case.source), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def zero_sized(case: Case) -> None:
    """The width in the track header and the sample description becomes 0."""
    data = bytearray(case.source.read_bytes())
    place = data.index(b"avc1") + 4 + 24
    data[place : place + 4] = bytes(4)
    sps = data.index(b"avcC")
    data[sps + 4 : sps + 60] = bytes(56)
    case.source.write_bytes(data)


def renamed_sample_entry(case: Case) -> None:
    data = case.source.read_bytes()
    case.source.write_bytes(data.replace(b"avc1", b"encv", 2))


def becomes_a_pipe(case: Case) -> None:
    case.source.unlink()
    os.mkfifo(case.source)


INPUT_FAULTS = [
    pytest.param(lambda case: case.source.unlink(), SourceError, id="input-is-missing"),
    pytest.param(replaced_by(b""), SourceError, id="input-is-empty"),
    pytest.param(replaced_by(b"\0" * 5000), SourceError, id="input-is-zeros"),
    pytest.param(replaced_by(b"this is not a video\n" * 400), SourceError, id="input-is-text"),
    pytest.param(replaced_by(np.random.default_rng(1).bytes(20000)), SourceError, id="input-is-noise"),
    pytest.param(cut_to(0.5), SourceError, id="input-is-cut-before-its-index"),
    pytest.param(cut_to(0.01), SourceError, id="input-is-cut-to-its-header"),
    pytest.param(without_picture, SourceError, id="input-has-no-video-stream"),
    pytest.param(zero_sized, SourceError, id="input-has-no-size"),
    pytest.param(renamed_sample_entry, SourceError, id="input-is-encrypted"),
    pytest.param(lambda case: (case.source.unlink(), case.source.mkdir()), SourceError, id="input-is-a-folder"),
    pytest.param(becomes_a_pipe, SourceError, id="input-is-a-pipe"),
]


@pytest.mark.parametrize(("damage", "expected"), INPUT_FAULTS)
def test_unreadable_input_publishes_nothing(case: Case, damage: Callable[[Case], object], expected: type[AnonymizerError]) -> None:
    damage(case)
    with pytest.raises(expected) as caught:
        case.run()
    assert caught.value.problem.startswith("in.mp4: ")
    assert caught.value.hint
    assert_nothing_left(case, source_may_be_gone=True)


LISTS = [
    pytest.param("in.mp4", "ffconcat version 1.0\nfile other.mp4\n", id="ffconcat"),
    pytest.param("in.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{folder}/other.ts\n#EXT-X-ENDLIST\n", id="playlist"),
    pytest.param("in.sdp", "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n", id="session"),
]


@pytest.mark.parametrize(("name", "words"), LISTS)
def test_list_that_names_other_files_is_refused(case: Case, name: str, words: str) -> None:
    """FFmpeg would open whatever the list names: files that nobody meant, of which the report would not know."""
    secret_clip(case.folder / "other.mp4")
    secret_clip(case.folder / "other.ts")
    case.source = case.folder / name
    case.source.write_text(words.format(folder=case.folder))
    with pytest.raises(SourceError, match="is a list of other files"):
        case.run()
    assert not case.target.exists()


def flipped(case: Case) -> None:
    """Damage bytes inside the coded pictures: some frames decode wrongly, all of them show something."""
    data = bytearray(case.source.read_bytes())
    start = data.index(b"mdat") + 2500
    for place in range(start, start + 400, 7):
        data[place] ^= 0xFF
    case.source.write_bytes(data)


def test_damaged_pictures_are_covered_and_counted(case: Case) -> None:
    flipped(case)
    report = case.run()
    assert report.tally.written == report.tally.read >= FRAMES - 2  # a decoder may give up a picture it cannot guess
    assert report.damaged_frames > 0
    assert report.coverage.whole_frames >= report.damaged_frames
    assert readable_frames(case.target) == 0


def test_damaged_pictures_end_the_run_when_told_so(case: Case) -> None:
    flipped(case)
    case.settings = {"on_damage": "stop"}
    with pytest.raises(SourceError, match=r"frame \d+ .*is damaged"):
        case.run()
    assert_nothing_left(case)


def test_file_that_ends_early_is_published_up_to_there(case: Case) -> None:
    case.source = secret_clip(case.folder / "in.mkv")
    case.target = case.folder / "out.mkv"
    (case.folder / "in.mp4").unlink()
    cut_to(0.6)(case)
    report = case.run()
    assert 0 < report.tally.written < FRAMES
    assert report.warnings
    assert readable_frames(case.target) == 0


def links_to_input(case: Case) -> None:
    case.target.symlink_to(case.source)


def hard_link_to_input(case: Case) -> None:
    case.target.hardlink_to(case.source)


def no_folder(case: Case) -> None:
    case.target = case.folder / "missing" / "out.mp4"


TARGET_FAULTS = [
    pytest.param(lambda case: setattr(case, "target", case.source), {}, ConfigError, id="output-is-the-input"),
    pytest.param(links_to_input, {"overwrite": True}, ConfigError, id="output-is-a-link-to-the-input"),
    pytest.param(hard_link_to_input, {"overwrite": True}, ConfigError, id="output-is-a-hard-link-to-the-input"),
    pytest.param(lambda case: case.target.write_text("mine"), {}, ConfigError, id="output-exists"),
    pytest.param(no_folder, {}, TargetError, id="output-folder-is-missing"),
    pytest.param(lambda case: setattr(case, "target", case.source / "out.mp4"), {}, TargetError, id="output-folder-is-a-file"),
    pytest.param(lambda case: case.target.mkdir(), {"overwrite": True}, TargetError, id="output-is-a-folder"),
    pytest.param(lambda case: setattr(case, "target", case.folder / "out.xyz"), {}, ConfigError, id="output-container-is-unknown"),
    pytest.param(lambda case: setattr(case, "target", case.folder / ("x" * 300 + ".mp4")), {}, TargetError, id="output-name-is-too-long"),
    pytest.param(lambda case: case.settings.update({"encoding.codec": "nosuch"}), {}, ConfigError, id="codec-is-unknown"),
    pytest.param(lambda case: case.settings.update({"encoding.codec": "aac"}), {}, ConfigError, id="codec-is-no-video-codec"),
    pytest.param(lambda case: case.settings.update({"encoding.options": {"nosuch": "1"}}), {}, ConfigError, id="encoder-option-is-unknown"),
    pytest.param(lambda case: case.settings.update({"span": "100-200"}), {}, ConfigError, id="span-holds-no-frame"),
]


@pytest.mark.parametrize(("damage", "wishes", "expected"), TARGET_FAULTS)
def test_impossible_output_publishes_nothing(case: Case, damage: Callable[[Case], object], wishes: dict[str, Any], expected: type[AnonymizerError]) -> None:
    damage(case)
    before = listing(case.folder)
    case.wishes = wishes
    with pytest.raises(expected) as caught:
        case.run()
    assert caught.value.hint
    assert listing(case.folder) == before
    assert not leaks(case)
