"""How many threads PyTorch shares an operation among, for the calling thread alone.

`torch.set_num_threads` says it for all threads. OpenMP, of which PyTorch has its threads, keeps the
number for each thread, and has a function for it (OpenMP 5.2, 18.2.1: omp_set_num_threads).
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def _function_of_openmp() -> Callable[[int], None] | None:
    """The function of the library that PyTorch has loaded, where its name can be found."""
    try:
        function = ctypes.CDLL(None).omp_set_num_threads
    except (AttributeError, OSError, TypeError):
        # Windows has no list of the names of all libraries, and TypeError is what it says.
        return None
    function.argtypes, function.restype = (ctypes.c_int,), None
    return function


_set_num_threads = _function_of_openmp()


@contextmanager
def in_this_thread() -> Iterator[bool]:
    """Let operations be computed in the calling thread, whatever their size; False if they may be
    shared nevertheless."""
    # It also lets PyTorch set the number in a new thread, which it does once.
    number = torch.get_num_threads()
    if number == 1 or _set_num_threads is None:
        yield number == 1
        return
    _set_num_threads(1)
    try:
        # There may be two libraries with this function.
        yield torch.get_num_threads() == 1
    finally:
        _set_num_threads(number)
