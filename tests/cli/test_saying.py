"""What is said, where, and that nothing in a file name can break it."""

import io
import json
import os
import pty
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anonymizer.cli import progress as progress_module
from anonymizer.cli.detect import _regions
from anonymizer.cli.printing import JsonListing, say, tell_error
from anonymizer.cli.progress import ProgressShow, progress_words
from anonymizer.geometry import Geometry
from anonymizer.publishing import Progress
from anonymizer.types import Decision, Region
from tests.conftest import ClipMaker

ZONE = ["--detect", "none", "--zone", "8,8,16,16"]


def anonymizer(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "anonymizer", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(120, 300, 85, 4.8), "120/300 frames, 25.0 frames/s, 0:07 left, 85 covered"),
        (Progress(120, None, 0, 4.8), "120 frames, 25.0 frames/s, 0 covered"),
        (Progress(1, 100_000, 3, 1.0), "1/100000 frames, 1.0 frames/s, 27:46:39 left, 3 covered"),
        (Progress(0, 300, 0, 0.0), "0/300 frames, 0.0 frames/s, 0 covered"),
    ],
)
def test_progress_in_words(progress: Progress, words: str) -> None:
    assert progress_words(progress) == words


@pytest.mark.parametrize(("quiet", "lines"), [(False, 2), (True, 0)])
def test_progress_is_plain_lines_where_there_is_no_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: bool, lines: int
) -> None:
    monkeypatch.setattr(progress_module, "_BETWEEN_LINES_S", 0)
    with ProgressShow("in.mp4", quiet=quiet) as show:
        show(Progress(1, 2, 0, 1.0))
        show(Progress(2, 2, 0, 2.0))
    said = capfd.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == lines
    assert "\x1b" not in said.err


def test_progress_moves_on_a_terminal(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=40)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "anonymizer", "run", clip.name, *ZONE]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=clip.parent, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:
            pass  # Linux says EIO when the other side is closed.
        assert process.wait() == 0
    os.close(ours)
    assert b"in.mp4" in said
    assert b"\x1b[" in said


def test_names_cannot_break_lines_or_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error("a\nb\x1b[31m\u2028.mp4: is bad", "try\tthis")
    assert capsys.readouterr().err == "anonymizer: error: a?b?[31m?.mp4: is bad\nanonymizer: hint: try?this\n"


def test_what_a_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    say("b\u00fcro-\udcff.mp4")
    assert out.buffer.getvalue() == b"b\\xfcro-\\udcff.mp4\n"  # type: ignore[attr-defined]


def test_run_json_is_one_object_and_nothing_else(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=4, audio="aac")
    done = anonymizer("run", clip.name, *ZONE, "--json", cwd=clip.parent)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["frames"]["written"] == 4
    assert report["regions"] == {"by_label": {"zone": 4}, "by_origin": {"zone": 4}}
    assert any(carrier["kind"] == "audio" and carrier["fate"] == "dropped" for carrier in report["carriers"])


def test_folder_json_is_one_object(make_clip: ClipMaker) -> None:
    clip = make_clip("one.mp4", frames=3)
    folder = clip.parent / "in"
    folder.mkdir()
    clip.rename(folder / clip.name)
    (folder / "bad.mp4").write_text("words")
    done = anonymizer("run", "in", "-o", "out", *ZONE, "--json", cwd=clip.parent)
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert [(file["source"], file["state"]) for file in told["files"]] == [("in/bad.mp4", "failed"), ("in/one.mp4", "done")]
    assert (told["done"], told["failed"]) == (1, 1)
    assert done.stderr.startswith("anonymizer: error: bad.mp4: ")


def test_long_list_is_printed_entry_by_entry(capsys: pytest.CaptureFixture[str]) -> None:
    listing, said = JsonListing("files"), ""
    listing.begin({"source": "in"})
    for number in range(3):
        listing.add({"number": number})
        said += capsys.readouterr().out
        assert said.rstrip().endswith(f'{{"number": {number}}}')
    listing.end({"done": 3})
    assert json.loads(said + capsys.readouterr().out) == {"source": "in", "files": [{"number": 0}, {"number": 1}, {"number": 2}], "done": 3}
    empty = JsonListing("files")
    empty.end({"done": 0})
    assert json.loads(capsys.readouterr().out) == {"files": [], "done": 0}


def test_detect_json_lists_every_frame(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=4)
    done = anonymizer("detect", clip.name, *ZONE, "--json", cwd=clip.parent)
    listing = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line["frame"] for line in listing["frames"]] == [0, 1, 2, 3]
    assert listing["frames"][0]["regions"] == [
        {"label": "zone", "xyxy": [8.0, 8.0, 24.0, 24.0], "score": None, "track_id": None, "shape": "box", "origin": "zone"}
    ]
    assert listing["report"]["frames"]["decided"] == 4
    assert [path.name for path in clip.parent.iterdir()] == [clip.name]


def test_boxes_are_those_of_the_picture_as_displayed() -> None:
    turned = Geometry((64, 48), orientation=6, sample_aspect_ratio=Fraction(2))
    region = Region("face", "ellipse", (0, 0, 16, 12), 5, "detected", float(np.float32(0.7)))
    (told,) = _regions(Decision(0, (region,)), turned)
    assert told == {"label": "face", "xyxy": [36.0, 0.0, 48.0, 32.0], "score": 0.7, "track_id": 5, "shape": "ellipse", "origin": "detected"}
    assert _regions(Decision(0), turned) == []


def test_reader_that_has_enough_is_no_error(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=200)
    command = [sys.executable, "-m", "anonymizer", "detect", clip.name, *ZONE, "--json"]
    with subprocess.Popen(command, cwd=clip.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_bug_prints_a_traceback_and_ends_with_1(make_clip: ClipMaker) -> None:
    clip = make_clip(frames=2)
    code = """
import sys
import anonymizer.pipeline as pipeline
from anonymizer.cli import main
def seal_frame(*_): raise ZeroDivisionError("a bug")
pipeline.seal_frame = seal_frame
sys.exit(main(["run", "in.mp4", "--detect", "none", "--zone", "1,1,9,9"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=clip.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: a bug\n")
    assert [path.name for path in clip.parent.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_a_run(make_clip: ClipMaker, closed: str) -> None:
    clip = make_clip()
    words = [sys.executable, "-m", "anonymizer", "run", "in.mp4", "-o", "out.mp4", *ZONE]
    ended = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *words], cwd=clip.parent, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert anonymizer("run", "out.mp4", "-o", "again.mp4", *ZONE, cwd=clip.parent).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_report_that_finds_no_room_is_an_error_in_words(make_clip: ClipMaker) -> None:
    clip = make_clip()
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "anonymizer", "run", "in.mp4", "-o", "out.mp4", "--json", *ZONE]
        ended = subprocess.run(words, cwd=clip.parent, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == 6
    assert ended.stderr.splitlines()[0] == "anonymizer: error: stdout: no space left on device"
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("arguments", [("x" * 300 + ".mp4",), ("in.mp4", "-o", "x" * 300 + ".mp4"), ("in.mp4", "in.mp4", "-o", "x" * 300)])
def test_name_that_no_system_takes_is_refused_in_words(make_clip: ClipMaker, arguments: tuple[str, ...]) -> None:
    said = anonymizer("run", *arguments, *ZONE, cwd=make_clip().parent)
    assert said.returncode in (2, 3, 6)
    assert len(said.stderr.splitlines()) == 2
    assert said.stderr.startswith("anonymizer: error: ")
