"""What every process of a live run does before it loads anything: die with its parent, leave no core, be read by nobody."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME = 1, 4, 15  # linux/prctl.h
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # sys/mman.h


def harden(role: str, parent_pid: int) -> None:
    """Die with the parent, leave no core, be read by nobody, ignore a terminal's Ctrl-C: the supervisor says when to end."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NAME, f"anon-{role}".encode()[:15], 0, 0, 0)  # what ps and top show
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if os.getppid() != parent_pid:  # It died before the first line took hold.
        os._exit(1)


def keep_in_memory() -> bool:
    """Whether this process's pages will never be swapped: so where the limit on locked memory is none (root, or LimitMEMLOCK=infinity).

    Under a limit, memory beyond it could not be had at all any more.
    """
    if os.geteuid() != 0 and resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False
    return int(ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)) == 0
