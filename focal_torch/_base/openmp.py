"""How many threads PyTorch shares an operation among, for the calling thread alone.

`torch.set_num_threads` sets it for every thread that has not computed yet as well. PyTorch's
threads are those of OpenMP, which keeps a number for each thread and has functions to read and set
it (OpenMP 5.2, section 18.2). MKL, which computes square roots and exponentials for PyTorch, has a
number of its own once `torch.set_num_threads` was called, and keeps it here.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch


class OpenMP(NamedTuple):
    """Of the calling thread: how many threads an operation is shared among, and to set that."""

    get_max_threads: Callable[[], int]
    set_num_threads: Callable[[int], None]


def _openmp() -> OpenMP | None:
    """The functions of the library that PyTorch has loaded, where their names can be found."""
    try:
        library = ctypes.CDLL(None)
        get, set_ = library.omp_get_max_threads, library.omp_set_num_threads
    except (AttributeError, OSError, TypeError):
        # Windows has no list of the names of all libraries, and TypeError is what it says.
        return None
    get.argtypes, get.restype = (), ctypes.c_int
    set_.argtypes, set_.restype = (ctypes.c_int,), None
    return OpenMP(get, set_)


OPENMP = _openmp()


@contextmanager
def in_this_thread() -> Iterator[bool]:
    """Let operations be computed in the calling thread, whatever their size; False if they may be
    shared nevertheless."""
    # It also lets PyTorch set the number in a new thread, which it does once.
    number = torch.get_num_threads()
    if number == 1 or OPENMP is None:
        yield number == 1
        return
    # This may be another library of OpenMP than PyTorch's: it is left as it was.
    before = OPENMP.get_max_threads()
    try:
        OPENMP.set_num_threads(1)
        yield torch.get_num_threads() == 1
    finally:
        OPENMP.set_num_threads(before)
