"""The real role of the detector with the oracle in the place of the models: `python oracle_detector.py FD [PARENT_PID]`."""

from __future__ import annotations

import sys
from pathlib import Path

# Started by its path: the tests' package has to be found from there.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


def main(fd: str, parent_pid: str | None = None) -> int:
    """As anonymizer.streaming.child does it, but for what looks."""
    from anonymizer.ipc.channel import Channel, ChannelClosedError
    from anonymizer.ipc.hardening import harden
    from anonymizer.streaming.detector import run
    from tests.streaming.bench.oracle import oracles

    if parent_pid is not None:
        harden("detector", int(parent_pid))
    with Channel.inherited(int(fd)) as channel:
        try:
            run(channel, detectors=oracles)
        except ChannelClosedError:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
