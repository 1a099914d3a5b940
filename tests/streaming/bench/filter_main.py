"""A live run as `anonymizer stream` starts it, with programs of a test's own for some roles: `python filter_main.py SETTINGS PROGRAMS`.

SETTINGS is a file of settings.Streaming as JSON, read again at SIGHUP; PROGRAMS is JSON: commands by role.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def main(settings: str, programs: str) -> int:
    """Until SIGTERM; events go to stderr."""
    from pydantic import ValidationError

    from anonymizer.cameras.settings import Streaming
    from anonymizer.errors import ConfigError
    from anonymizer.ipc import process
    from anonymizer.streaming.logs import EventLog
    from anonymizer.streaming.supervisor import Supervisor

    # Fault upon fault, as no camera has them: each would wait longer for its restart than the one before.
    process.HEALTHY_S = 2.0

    def load() -> Streaming:
        try:
            return Streaming.model_validate_json(Path(settings).read_text("utf-8"))
        except ValidationError as error:
            raise ConfigError("the settings are wrong", hint="") from error

    return Supervisor(load(), reload=load, tell=EventLog(), programs=json.loads(programs)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
