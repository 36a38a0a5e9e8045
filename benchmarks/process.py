"""What a process holds, and a limit to it. Only Linux tells the one and obeys the other."""

import ctypes
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
MIB = 2**20


def fresh(seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a process of its own, which ends after so many seconds at the latest."""
    with get_context("spawn").Pool(1) as pool:
        result = pool.apply_async(function, args, kwargs).get(seconds)
        pool.close()
        pool.join()
        return result


def held(kind: str) -> int:
    """The bytes of this process by their name in /proc: VmRSS has pages, VmHWM had at its peak,
    VmData may write."""
    status = Path("/proc/self/status").read_text()
    line = re.search(rf"^{kind}:\s*(\d+) kB", status, re.M)
    assert line is not None, f"{kind} is no memory that Linux counts"
    return int(line[1]) * 1024


def peak(call: Callable[[], R]) -> tuple[int, R]:
    """The most bytes that the process held during a call beyond those before it, and what it
    returned."""
    # What was freed and is kept for later would be taken for memory that a call does without.
    ctypes.CDLL(None).malloc_trim(0)
    # Makes Linux forget the peak so far. That of `getrusage` stays, and begins with that of the
    # parent.
    Path("/proc/self/clear_refs").write_text("5")
    before = held("VmRSS")
    result = call()
    return held("VmHWM") - before, result


@contextmanager
def limited(size: int) -> Iterator[None]:
    """So many bytes beyond those that the process may write already.

    RLIMIT_AS would count what XLA, LLVM and the allocator of C only reserve, which is more than
    what they use.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held("VmData") + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
