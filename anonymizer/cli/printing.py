"""Everything the command line says: results on stdout, the rest on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from anonymizer.errors import AnonymizerError, TargetError

_STOPPED = {0: "done", 1: "a bug, with a traceback", 130: "interrupted", 143: "terminated"}


class OutputClosedError(BaseException):
    """Nobody reads stdout any more. No OSError: nothing on the way may take it for a fault of the disk."""


def say(text: str) -> None:
    """One line, or several, on stdout."""
    _write(sys.stdout, text)


def say_json(value: Mapping[str, Any] | list[Any]) -> None:
    """One JSON value on stdout."""
    _write(sys.stdout, json.dumps(value, indent=2, allow_nan=False))


class JsonListing:
    """One JSON object with a long list in it, printed entry by entry: hours of video, or a folder's reports, do not wait in memory.

    A run that fails leaves it without its end, so that nobody takes half a list for a whole one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts = 0  # the opening, and entries so far

    def begin(self, head: Mapping[str, Any]) -> None:
        """Print what stands before the list; a second time is harmless."""
        if self._parts == 0:
            say(json.dumps({**head, self._name: []}, allow_nan=False).removesuffix("]}"))
            self._parts = 1

    def add(self, value: Mapping[str, Any]) -> None:
        """Print one entry."""
        self.begin({})
        say(("," if self._parts > 1 else " ") + json.dumps(value, allow_nan=False))
        self._parts += 1

    def end(self, tail: Mapping[str, Any]) -> None:
        """Print what follows the list; only now is it an object."""
        self.begin({})
        say("], " + json.dumps(tail, allow_nan=False).removeprefix("{"))


def say_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Two columns on stdout, the first as wide as its longest word."""
    known = list(rows)
    width = max((len(name) for name, _ in known), default=0)
    for name, words in known:
        say(f"  {name:<{width}}  {on_one_line(words)}")


def tell(text: str) -> None:
    """One line on stderr."""
    _write(sys.stderr, on_one_line(text))


def tell_error(problem: str, hint: str | None) -> None:
    """What went wrong and one thing to try, in two lines on stderr."""
    tell(f"anonymizer: error: {problem}")
    if hint:
        tell(f"anonymizer: hint: {hint}")


def exit_codes(*codes: int) -> str:
    """A help text's last paragraph; the words are those of the error tree."""
    words = {**_error_words(AnonymizerError), **_STOPPED}
    return "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {words[code]}" for code in sorted(codes))


def _error_words(kind: type[AnonymizerError]) -> dict[int, str]:
    """The first sentence of each error's docstring, by exit code."""
    found: dict[int, str] = {}
    for below in kind.__subclasses__():
        sentence = (below.__doc__ or "").split("\n")[0].rstrip(".")
        found[below.exit_code] = sentence[:1].lower() + sentence[1:]
        found.update(_error_words(below))
    return found


def on_one_line(text: str) -> str:
    """The text without line breaks and escape sequences, which file names may hold: neither may reach a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _write(stream: TextIO, text: str) -> None:
    # What a terminal's character set lacks, and bytes of a file name that are no text, are written as escapes.
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except OSError as error:
        if stream is not sys.stdout:
            return  # Where complaints cannot be heard, the exit code speaks.
        if isinstance(error, BrokenPipeError):
            raise OutputClosedError from error
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python would try the same again as it exits.
        words = (error.strerror or str(error)).lower()
        raise TargetError(f"stdout: {words}", hint="send what is printed elsewhere; files that were written are whole") from error
