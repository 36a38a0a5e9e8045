"""Tensors on a mesh of devices: PyTorch here, JAX in the file of the same name."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from torch import Tensor

from .arrays import Operand
from .versions import HasFullTensor, is_distributed

Loss = TypeVar("Loss", bound=Callable[..., Tensor])


def on_any_mesh(
    each_row: bool, rows: Iterable[str], classes: Mapping[str, int]
) -> Callable[[Loss], Loss]:
    """With DTensors call a function for the shards of each rank.

    `rows` has the names of the arguments, or of their fields, whose first axes are rows; `classes`
    has those with an axis of classes, and which that is. The result is a sum over all rows, which
    is then that of all ranks, or with `each_row` one number for each, sharded as the rows are.
    """

    def decorate(loss: Loss) -> Loss:
        @wraps(loss)
        def call_on_any_mesh(*args: Any, **kwargs: Any) -> Tensor:
            # Nearly always there is none, and nothing is imported.
            if not any(_has_distributed(x) for x in (*args, *kwargs.values())):
                return loss(*args, **kwargs)
            # DTensors take as long to import as half of PyTorch.
            from .dtensors import Axes, call_with_shards

            axes = Axes(frozenset(rows), dict(classes))
            return call_with_shards(loss, axes, args, kwargs, each_row)

        return cast(Loss, call_on_any_mesh)

    return decorate


def _has_distributed(x: object) -> bool:
    """Whether x is a DTensor, or a record with one."""
    # Most arguments are one of these.
    if x is None or type(x) is Tensor:
        return False
    # The records of the linear loss.
    if isinstance(x, tuple):
        return any(is_distributed(field) for field in x)
    return is_distributed(x)


def beside(first: Tensor, x: Operand) -> Operand | Tensor:
    """A plain tensor, which is the same on all ranks, as a DTensor where the first tensor is one;
    all else as it is."""
    if not is_distributed(first) or not isinstance(x, Tensor) or is_distributed(x):
        return x
    from .dtensors import replicated

    return replicated(x, cast(Any, first).device_mesh)


def full_tensor(x: Tensor) -> Tensor:
    """All of a DTensor; any other tensor as it is."""
    return cast(HasFullTensor, x).full_tensor() if is_distributed(x) else x
