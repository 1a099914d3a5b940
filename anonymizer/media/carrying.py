"""What is carried over beside the picture, when it was asked for by name: sound, subtitles, data, tags, chapters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from av.container import InputContainer, OutputContainer

from anonymizer.media.encoding import Encoding
from anonymizer.types import Carrier, MediaInfo

AudioPolicy = Literal["drop", "keep", "mask"]
KEEPABLE = frozenset({"subtitles", "data", "metadata", "chapters", "attachments"})


@dataclass(frozen=True, slots=True)
class CarryPolicy:
    """What else of the source goes into the output; by default nothing."""

    audio: AudioPolicy = "drop"
    keep: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if unknown := self.keep - KEEPABLE:
            raise ValueError(f"{sorted(unknown)[0]} is none of {sorted(KEEPABLE)}")


class SideStreams:
    """The source read a second time, for everything but the picture, in step with the writer."""

    def __init__(self, info: MediaInfo, encoding: Encoding, policy: CarryPolicy, span_s: tuple[float, float | None] | None) -> None:
        self.carriers: tuple[Carrier, ...] = info.carriers
        self.warnings: list[str] = []
        self.starts_at_s: float | None = None
        self._source: InputContainer | None = None

    def open(self, container: OutputContainer) -> None:
        """Add the streams to the output."""

    def start(self, shift_s: Fraction, first_s: Fraction) -> None:
        """The first frame is known: every time is moved by `shift_s`."""

    def feed(self, container: OutputContainer, until_s: float) -> None:
        """Write everything that is heard or shown before `until_s` of the output."""

    def feed_all(self, container: OutputContainer) -> None:
        """Write all the rest."""

    def close(self) -> None:
        """Let go of the source."""
