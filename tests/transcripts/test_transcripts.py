"""Runs the transcripts beside this file: what is typed, what is said, the exit code, and which files are there afterwards.

A transcript is read line by line, in an empty folder:

    clip NAME [frames=10] [size_wh=64x48] [codec=libx264] [audio=aac]    write a small video
    picture NAME WxH                                                     write a small picture
    text NAME WORDS                                                      write a text file; \\n is a line break
    folder NAME, copy FROM TO, link FROM TO, hardlink FROM TO, cut NAME BYTES
    $ anonymizer ...                                                     run it; the lines below are all that it says
    exit CODE                                                            how it ended; follows every command
    present NAME, absent NAME                                            is such a file there?
    only NAME ...                                                        the folder holds just these

In what is said, <...> stands for anything on one line and a line of ... for any lines; empty lines do not count.
# begins a comment.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import draw_picture, write_clip

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
STEP = re.compile(r"(\$|clip|picture|text|folder|copy|link|hardlink|cut|exit|present|absent|only) ")


def set_up(verb: str, words: list[str], here: Path) -> None:
    match verb, words:
        case "clip", [name, *wishes]:
            options: dict[str, object] = dict(wish.split("=", 1) for wish in wishes)
            if "frames" in options:
                options["frames"] = int(str(options["frames"]))
            if "size_wh" in options:
                width, height = str(options["size_wh"]).split("x")
                options["size_wh"] = (int(width), int(height))
            write_clip(here / name, **options)  # type: ignore[arg-type]
        case "picture", [name, size]:
            width, height = size.split("x")
            Image.fromarray(draw_picture(0, (int(width), int(height)))).save(here / name)
        case "text", [name, *text]:
            (here / name).write_text(" ".join(text).replace("\\n", "\n"))
        case "folder", [name]:
            (here / name).mkdir(parents=True)
        case "copy", [old, new]:
            shutil.copy(here / old, here / new)
        case "link", [old, new]:
            (here / new).symlink_to(old)
        case "hardlink", [old, new]:
            (here / new).hardlink_to(here / old)
        case "cut", [name, size]:
            with (here / name).open("rb+") as file:
                file.truncate(int(size))
        case _:
            raise AssertionError(f"no such step: {verb} {words}")


def check_files(verb: str, words: list[str], here: Path) -> None:
    if verb == "only":
        assert sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if not path.is_dir()) == sorted(words)
    for name in words if verb in ("present", "absent") else ():
        assert (here / name).exists() == (verb == "present"), f"{name} should be {verb}"


def run(command: str, here: Path) -> tuple[str, int]:
    program, *arguments = shlex.split(command)
    assert program == "anonymizer"
    installed = Path(sys.executable).with_name("anonymizer")
    start = [str(installed)] if installed.exists() else [sys.executable, "-m", "anonymizer"]
    done = subprocess.run(
        [*start, *arguments], cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    return re.sub(r"\n+", "\n", done.stdout), done.returncode


def pattern_of(expected: list[str]) -> str:
    """A pattern for everything that was said."""
    lines = ["(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("<...>"))) + "\n" for line in expected]
    return "".join(lines)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(transcript: Path, tmp_path: Path) -> None:
    said, code = "", None
    expected: list[str] = []
    command = ""
    for line in transcript.read_text(encoding="utf-8").splitlines():
        step = STEP.match(line)
        if not line.strip() or line.startswith("#"):
            continue
        if command and not (step and step[1] == "exit"):
            expected.append(line)
            continue
        assert step, f"{transcript.name}: not understood: {line}"
        verb, rest = step[1], line[step.end() :]
        if verb == "$":
            command, expected = rest, []
            said, code = run(command, tmp_path)
        elif verb == "exit":
            assert re.fullmatch(pattern_of(expected), said), f"$ {command}\n{said}"
            assert code == int(rest), f"$ {command}\n{said}"
            command = ""
        elif verb in ("present", "absent", "only"):
            check_files(verb, rest.split(), tmp_path)
        else:
            set_up(verb, rest.split(), tmp_path)
    assert not command, f"{transcript.name}: a command without its exit code"
    assert code is not None, f"{transcript.name}: runs nothing"
