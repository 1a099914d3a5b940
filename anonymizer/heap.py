"""How the C library keeps freed memory: told once, at the start of a process that will see many frames."""

from __future__ import annotations

import ctypes
import sys

LARGE_BYTES = 1 << 20  # a plane of 1080p is two; page faults of new blocks cost 3 % of the time, and with 4 << 20 memory still grew by a tenth
_M_MMAP_THRESHOLD = -3  # malloc.h


def return_large_blocks() -> None:
    """Have blocks of that size and more go back to the system when they are freed; nothing where the C library is not glibc.

    By itself glibc raises its limit to 32 MB with the first large block that is freed. From then on frames lie between small
    things on the heap, which gets holes: at 1080p it grew by a fifth in 6,000 frames, and went on growing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
