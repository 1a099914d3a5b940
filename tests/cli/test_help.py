"""Help is quick because it loads next to nothing, and says how each command can end."""

import re
import subprocess
import sys

import pytest

from anonymizer import errors
from anonymizer.cli import flags, run
from anonymizer.config import all_keys
from tests.conftest import REPO

COMMANDS = {"run": [0, 1, 2, 3, 4, 5, 6, 130, 143], "detect": [0, 1, 2, 3, 4, 5, 6, 130, 143], "doctor": [0, 1, 2, 4, 6], "models": [0, 1, 2, 4]}
COMMANDS |= {"evaluate": [0, 1, 2, 3, 4, 5, 6, 130, 143]}
COMMANDS |= {"stream": [0, 1, 2, 130, 143]}
COMMANDS |= {"train": [0, 1, 2, 3, 4, 6, 130, 143]}
COMMANDS |= {"config show": [0, 1, 2], "config keys": [0, 1, 2], "config profiles": [0, 1, 2]}
LISTING = """
import sys
from anonymizer.cli.app import main
sys.argv[0] = "anonymizer"
code = main(sys.argv[1:])
heavy = {"av", "cv2", "numpy", "onnxruntime", "anonymizer.config", "rich", "yaml", "torch", "PIL"} & set(sys.modules)
print("loaded:", sorted(heavy), "code:", code)
"""


def help_of(command: str) -> str:
    done = subprocess.run([sys.executable, "-c", LISTING, *command.split(), "--help"], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    assert help_of(command).splitlines()[-1] == "loaded: [] code: 0"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_the_exit_codes(command: str) -> None:
    listed = dict(re.findall(r"^ {4,}(\d+)  (.+)$", help_of(command), re.MULTILINE))
    assert [int(code) for code in listed] == COMMANDS[command]
    for kind in (errors.ConfigError, errors.SourceError, errors.ModelError, errors.UndecidedFrameError, errors.TargetError):
        if kind.exit_code in COMMANDS[command]:
            assert f"{listed[str(kind.exit_code)]}." == (kind.__doc__ or "")[0].lower() + (kind.__doc__ or "")[1:]


def test_every_flag_sets_a_key_that_exists() -> None:
    keys = set(all_keys())
    parameters = run.run.__annotations__
    for parameter, (key, flag) in flags._KEYS.items():
        assert key in keys
        assert parameter in parameters
        assert f"{flag}," in f"{help_of('run')},".replace(" ", ","), flag


def test_core_files_are_off() -> None:
    code = "import resource; from anonymizer.cli.app import main; main(['--version']); print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert done.stdout.splitlines()[-1] == "0"
