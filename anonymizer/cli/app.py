"""The program as a whole: its commands, how it stops, how it says what went wrong."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from anonymizer._version import __version__
from anonymizer.cli import config, detect, doctor, evaluate, models, run, stream, train
from anonymizer.cli.printing import OutputClosedError, say, tell_error
from anonymizer.cli.stopping import StoppedError, end_at_the_next, stop_on_signals
from anonymizer.errors import AnonymizerError
from anonymizer.heap import return_large_blocks

FIRST_STEPS = """\
anonymizer covers every face and license plate in a video or picture.

  anonymizer run street.mp4              writes street_anonymized.mp4 beside it
  anonymizer run street.mp4 -o out.mp4   writes out.mp4
  anonymizer run holiday/ -o covered/    a folder, with everything in it

All commands: anonymizer --help      All flags of one: anonymizer run --help"""

_STDOUT, _STDERR = 1, 2

# Plain help: with rich's panels it would take twice the time to appear.
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True)
app.command("run", epilog=run.EPILOG)(run.run)
app.command("detect", epilog=detect.EPILOG)(detect.detect)
app.command("stream", epilog=stream.EPILOG)(stream.stream)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("train", epilog=train.EPILOG)(train.train)
app.add_typer(config.app, name="config")
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("models", epilog=models.EPILOG)(models.models)


@app.callback()
def anonymizer(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Cover every face and license plate in videos and pictures."""
    if version:
        say(f"anonymizer {__version__}")
    elif context.invoked_subcommand is None:
        say(FIRST_STEPS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a bug leaves by its exception."""
    _open_standard_streams()
    _forbid_core_dumps()
    return_large_blocks()
    stop_on_signals()
    try:
        outcome = typer.main.get_command(app).main(args=arguments, prog_name="anonymizer", standalone_mode=False)
        sys.stdout.flush()
    except AnonymizerError as error:
        tell_error(error.problem, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        tell_error(*_usage_error(error))
        return error.exit_code
    except StoppedError as error:
        end_at_the_next()
        tell_error(error.words, "nothing unfinished was left under the output's name; run the same command again")
        return error.exit_code
    except (OutputClosedError, BrokenPipeError):
        # Whoever read the output has enough of it. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return outcome if isinstance(outcome, int) else 0


def _usage_error(error: typer.TyperException) -> tuple[str, str]:
    """What Typer says of a wrong command line, in our form."""
    problem, _, meant = error.format_message().split(" (Possible options")[0].removesuffix(".").partition(". Did you mean ")
    context = getattr(error, "ctx", None)
    # Typer's own guesses go as far as --crf for --foo.
    near = difflib.get_close_matches(getattr(error, "option_name", ""), getattr(error, "possibilities", None) or [], n=1, cutoff=0.7)
    hint = f"see: {context.command_path if context else 'anonymizer'} --help"
    if near or (meant and not hasattr(error, "option_name")):
        hint = f"did you mean {near[0] if near else meant.removesuffix('?')}?"
    if problem.startswith("No such command '") and os.path.exists(named := problem.partition("'")[2].removesuffix("'")):
        hint = f"did you mean: anonymizer run {named}"
    return problem[:1].lower() + problem[1:], hint


def _open_standard_streams() -> None:
    """Closed ones lead nowhere: else the first file that is opened gets their number, and what libraries print lands in it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass  # It is the lowest free one.
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)


def _forbid_core_dumps() -> None:
    """A core file would hold frames in clear."""
    try:
        import resource
    except ImportError:  # Windows writes none unless told to
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
