"""Large tensors on a CPU, piece by piece.

Each operation would be a pass through memory, which takes longer than the arithmetic, and would
leave a tensor of their size behind.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .tracing import needs_grad
from .versions import is_batched, is_distributed

# Numbers that a piece has: what a loss makes of them fits the cache of a core.
PIECE = 2**16
# Fewer pieces than this save nothing.
FEWEST_PIECES = 4


def is_large(args: Sequence[object]) -> bool:
    """Whether all tensors are large, alike, and plain ones on the CPU that nothing is
    differentiated in."""
    if torch.compiler.is_compiling():
        return False
    # Numbers and None are the same for all pieces.
    tensors = [x for x in args if isinstance(x, Tensor)]
    shape = tensors[0].shape
    if tensors[0].numel() < FEWEST_PIECES * PIECE or needs_grad(tensors):
        return False
    return all(_is_plain(x, shape) for x in tensors)


def _is_plain(x: Tensor, shape: torch.Size) -> bool:
    return x.is_cpu and x.shape == shape and not is_batched(x) and not is_distributed(x)


def in_pieces(function: Callable[..., Tensor], args: Sequence[object]) -> Tensor:
    """function(*args), which works element by element: the tensors among args are (…), the result
    is (…)."""
    tensors = [x for x in args if isinstance(x, Tensor)]
    shape, size = tensors[0].shape, tensors[0].numel()
    # Then all of them have their elements in the same order.
    if all(x.is_contiguous() for x in tensors):
        flat = [x.flatten() if isinstance(x, Tensor) else x for x in args]
        return _joined(function, flat, size, PIECE).view(shape)
    # Rows of a piece's size.
    rows = max(1, PIECE * shape[0] // size)
    return _joined(function, args, shape[0], rows)


def _joined(
    function: Callable[..., Tensor], args: Sequence[object], length: int, step: int
) -> Tensor:
    """The results for `step` entries of the first axis after the other, as one tensor of that
    length."""
    result: Tensor | None = None
    for start in range(0, length, step):
        end = start + step
        piece = function(*(x[start:end] if isinstance(x, Tensor) else x for x in args))
        # Only now is its dtype known.
        if result is None:
            result = piece.new_empty((length, *piece.shape[1:]))
        result[start:end] = piece
    assert result is not None, "a large tensor has pieces"
    return result
