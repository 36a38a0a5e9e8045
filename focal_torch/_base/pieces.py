"""Large tensors on a CPU, piece by piece.

Each operation would be a pass through memory, which takes longer than the arithmetic, and would
leave a tensor of their size behind. PyTorch would also share each operation among its threads, and
wait for all of them at its end: beside other processes one of them is always late. Here PyTorch
shares no operation, and each thread works off pieces by itself.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress

import torch
from torch import Tensor

from .openmp import in_this_thread
from .tracing import needs_grad
from .versions import autocast_dtype, has_modes, is_batched, is_distributed

# Tensors of fewer numbers have nothing to save.
SMALLEST = 2**18
# Numbers that a piece has where PyTorch cannot be told to share nothing: it shares no operation on
# less than 2¹⁵.
PIECE = 2**15 - 2**8
# With larger ones threads wait less for each other, and they still fit the cache. A little less
# than a power of 2, so that tensors do not meet in the same lines of it.
LARGE_PIECE = 2**16 - 2**8
# Python runs one thread at a time between operations, so that more would wait for each other.
MOST_THREADS = 8


def is_large(args: Sequence[object]) -> bool:
    """Whether all tensors are large, alike, and plain ones on the CPU that nothing is
    differentiated in."""
    if torch.compiler.is_compiling():
        return False
    # Numbers and None are the same for all pieces.
    tensors = [x for x in args if isinstance(x, Tensor)]
    shape = tensors[0].shape
    if tensors[0].numel() < SMALLEST or needs_grad(tensors):
        return False
    return all(_is_plain(x, shape) for x in tensors)


def _is_plain(x: Tensor, shape: torch.Size) -> bool:
    return x.is_cpu and x.shape == shape and not is_batched(x) and not is_distributed(x)


def in_pieces(function: Callable[..., Tensor], args: Sequence[object]) -> Tensor:
    """function(*args), which works element by element: the tensors among args are (…), the result
    is (…)."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    shape = tensors[0].shape
    # Then all of them have their elements in the same order.
    if all(x.is_contiguous() for x in tensors):
        flat = [x.flatten() if isinstance(x, Tensor) else x for x in args]
        return _joined(function, flat, 0).view(shape)
    longest = max(range(len(shape)), key=lambda axis: shape[axis])
    return _joined(function, args, longest)


def _joined(function: Callable[..., Tensor], args: Sequence[object], axis: int) -> Tensor:
    """The results for parts along an axis as one tensor."""
    first = next(x for x in args if isinstance(x, Tensor))
    length = first.shape[axis]

    def of_part(start: int, size: int) -> Tensor:
        size = min(size, length - start)
        return function(
            *(x.narrow(axis, start, size) if isinstance(x, Tensor) else x for x in args)
        )

    threads = _threads()
    fits = first.numel() <= LARGE_PIECE * length
    # PyTorch's threads have enough to do where a piece cannot be small.
    with in_this_thread() if fits else nullcontext(False) as is_unshared:
        step = max(1, _piece(first.numel(), threads, is_unshared) * length // first.numel())
        # Only now is the dtype known.
        part = of_part(0, step)
        result = part.new_empty(first.shape)
        result.narrow(axis, 0, step).copy_(part)

        def put(start: int) -> None:
            part = of_part(start, step)
            result.narrow(axis, start, part.shape[axis]).copy_(part)

        if part.numel() > PIECE and not is_unshared:
            threads = 1
        _work_off(put, range(step, length, step), threads)
    return result


def _threads() -> int:
    # A mode sees the operations of its own thread.
    if has_modes():
        return 1
    return min(torch.get_num_threads(), MOST_THREADS)


def _piece(numbers: int, threads: int, is_unshared: bool) -> int:
    """How many of these numbers a piece has."""
    if not is_unshared:
        return PIECE
    # Two for each thread, since one may be late.
    return min(LARGE_PIECE, max(PIECE, numbers // (2 * threads)))


def _work_off(task: Callable[[int], None], arguments: Sequence[int], threads: int) -> None:
    """Call the task with each argument, in this thread and others, which end with the call."""
    # Its popleft is safe in several threads.
    remaining = deque(arguments)

    def work() -> None:
        while True:
            try:
                argument = remaining.popleft()
            except IndexError:
                return
            task(argument)

    if threads == 1:
        work()
        return
    # Each thread of PyTorch has its own.
    gradient, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast = autocast_dtype("cpu")

    def work_as_here() -> None:
        with (
            in_this_thread(),
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradient),
            torch.autocast("cpu", autocast, enabled=autocast is not None),
        ):
            work()

    with ThreadPoolExecutor(threads - 1) as pool:
        others: list[Future[None]] = []
        # While Python ends there are no new threads, and this one works alone.
        with suppress(RuntimeError):
            for _ in range(threads - 1):
                others.append(pool.submit(work_as_here))
        work()
    for other in others:
        # An error in it is raised here.
        other.result()
