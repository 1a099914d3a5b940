"""Every error a caller can meet, with the exit code the command line gives it.

AnonymizerError                 (abstract)
├── ConfigError                 2   the request is wrong: fix the command or the config
├── SourceError                 3   the input cannot be read
├── ModelError                  4   a model is missing, altered, or failed while running
├── UndecidedFrameError         5   a frame was read that nobody could decide
├── TargetError                 6   the output cannot be written or published
├── VerificationError           7   a published file does not keep its promise
└── CancelledError            130   the caller asked to stop; nothing was published

Anything else that escapes is a bug, and prints a traceback.
"""

from __future__ import annotations


class AnonymizerError(Exception):
    """A problem in words, file name first, and one thing to try.

    `problem` and `hint` are lower case without a full stop: the command line prints them as two lines.
    """

    exit_code = 1

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class ConfigError(AnonymizerError):
    """The request is wrong: fix the command or the config."""

    exit_code = 2


class SourceError(AnonymizerError):
    """The input cannot be read."""

    exit_code = 3


class ModelError(AnonymizerError):
    """A model is missing, altered, or failed while running."""

    exit_code = 4


class UndecidedFrameError(AnonymizerError):
    """A frame was read that nobody could decide."""

    exit_code = 5


class TargetError(AnonymizerError):
    """The output cannot be written or published."""

    exit_code = 6


class VerificationError(AnonymizerError):
    """A published file does not keep its promise."""

    exit_code = 7


class CancelledError(AnonymizerError):
    """The caller asked to stop; nothing was published."""

    exit_code = 130
