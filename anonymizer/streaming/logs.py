"""What a live run says while it runs: one line an event, for people or as JSON, without secrets."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TextIO

from anonymizer.cameras.secrets import masked

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that whoever runs cameras may want to know, in words."""

    words: str
    level: Level = "info"
    camera: str | None = None  # None: the run as a whole
    time_s: float = field(default_factory=time.time)  # wall clock


class EventLog:
    """Writes events to stderr, masking what it was told to be secret; what masking removes is gone before anything is written."""

    def __init__(self, secrets: Iterable[str] = (), *, as_json: bool = False, least: Level = "info", stream: TextIO | None = None) -> None:
        self._secrets = frozenset(secrets)
        self._as_json = as_json
        self._least = _LEVELS.index(least)
        self._stream = stream

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Mask these too: those of before a reload may still be in an error that is on its way."""
        self._secrets |= frozenset(secrets)

    def __call__(self, event: Event) -> None:
        """Write an event, unless it is less than what was asked for."""
        if _LEVELS.index(event.level) < self._least:
            return
        stream = self._stream or sys.stderr
        line = event_line(event, self._secrets, as_json=self._as_json)
        try:
            stream.write(line.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8") + "\n")
            stream.flush()
        except OSError:
            pass  # A log that nobody can take must not end the stream.


def event_line(event: Event, secrets: Iterable[str] = (), *, as_json: bool = False) -> str:
    """An event as one line: "16:03:34 gate  warning  words", or a JSON object with time, level, camera and words."""
    words = masked(event.words, secrets)
    if as_json:
        moment = datetime.fromtimestamp(event.time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"time": moment, "level": event.level, "camera": event.camera, "words": words}, ensure_ascii=False)
    clock = time.strftime("%H:%M:%S", time.localtime(event.time_s))
    text = f"{clock} {event.camera or '-'}  {event.level:<7}  {words}"
    # Servers and files choose words too: no line break or escape sequence of theirs may reach a terminal.
    return "".join(character if character.isprintable() else "?" for character in text)
