"""What keeps the workers of a test run small and apart: released memory, and tests that share a
worker."""

import ctypes
import gc
import sys
from pathlib import Path

import jax
import torch

from parity_tests.contract.suite import PROBLEMS, kind

KINDS = sorted(set(map(kind, PROBLEMS)))
# What a worker may grow by, in bytes, before it lets go of compiled programs.
GROWTH = 700 * 2**20


class MemoryLimit:
    """A plugin. Neither framework forgets what it has compiled, and thousands of tests compile
    gigabytes."""

    def __init__(self) -> None:
        self.after_release = resident_bytes()

    def pytest_runtest_teardown(self) -> None:
        if resident_bytes() > self.after_release + GROWTH:
            release_compiled_programs()
            self.after_release = resident_bytes()


def resident_bytes() -> int:
    """The memory of this process, or 0 where the system does not say it in /proc: nothing is
    released there."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = status.read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    _, kibibytes, _ = line.split()
    return int(kibibytes) * 1024


def release_compiled_programs() -> None:
    jax.clear_caches()
    torch._dynamo.reset()
    gc.collect()
    if sys.platform == "linux":
        # The allocator of C keeps freed pages otherwise.
        ctypes.CDLL(None).malloc_trim(0)


def group(nodeid: str) -> str:
    """Tests of one kind of problem, or else of one file, use the same truths and compiled
    programs."""
    path, _, test = nodeid.partition("::")
    fitting = [name for name in KINDS if f"[{name} " in test]
    return fitting[0] if fitting else path
