"""One process of a live run: `python -m anonymizer.streaming.child ROLE FD`, started by the supervisor alone.

It is hardened before anything is loaded: it dies with its parent, leaves no core file, and its memory is closed to others.
"""

from __future__ import annotations

import importlib
import sys

from anonymizer.heap import return_large_blocks
from anonymizer.ipc.channel import Channel, ChannelClosedError
from anonymizer.ipc.hardening import harden, keep_in_memory

ROLES = {
    "reader": "anonymizer.streaming.reader",
    "detector": "anonymizer.streaming.detector",
    "sealer": "anonymizer.streaming.sealer",
    "push": "anonymizer.sinks.push",
    "record": "anonymizer.sinks.record",
    "hls": "anonymizer.sinks.hls",
    "serve": "anonymizer.rtsp.server",
    "web": "anonymizer.web.server",
}
HOLD_RAW_FRAMES = {"reader", "detector", "sealer"}


def main(arguments: list[str]) -> int:
    """Run one role until its channel says so, or is gone."""
    role, fd, parent_pid = arguments
    harden(role, int(parent_pid))
    return_large_blocks()
    if role in HOLD_RAW_FRAMES:
        keep_in_memory()
    with Channel.inherited(int(fd)) as channel:
        try:
            importlib.import_module(ROLES[role]).run(channel)
        except ChannelClosedError:
            return 1  # Nobody is left to report to.
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
