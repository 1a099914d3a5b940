"""Memory of large blocks goes back to the system, whatever small things were made between them; in a training it stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from anonymizer.heap import LARGE_BYTES, return_large_blocks
if sys.argv[1] == "told":
    return_large_blocks()
def resident_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS:")).split()[1]) // 1024
before, small = resident_mb(), []
for _ in range(3):
    large = []
    for _ in range(160):
        large.append(bytearray(LARGE_BYTES + 4096))
        small.append(bytearray(600))
    del large
print(resident_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_large_blocks_go_back_to_the_system() -> None:
    left_mb = {how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how])) for how in ("told", "not told")}
    assert left_mb["told"] < 20
    assert left_mb["not told"] > 80, "the C library does it by itself: heap.py is not needed any more"


KEEPING = """
import resource
from anonymizer.heap import keep_freed_memory
kept, before = keep_freed_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    b"x" * (1 << 26)
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / (1 << 26))
"""


def test_memory_that_was_freed_is_used_again() -> None:
    kept, fetched = subprocess.check_output([sys.executable, "-c", KEEPING], text=True).split()
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert float(fetched) < 3
