"""Tensors: their dtypes, masks, products in which 0·inf is 0, and infinities."""

from collections.abc import Sequence
from typing import TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from .ranges import Range
from .versions import autocast_dtype, is_plain

# α or γ: one number, or one for each class or element.
Number: TypeAlias = float | Tensor
# The same as people have it.
Several: TypeAlias = Sequence[float] | np.ndarray | Tensor
OneOrSeveral: TypeAlias = float | Several
# A tensor, or what a formula takes as it is: a number, a group, None.
Operand = TypeVar("Operand")


def is_array(x: object) -> TypeGuard[Tensor]:
    return isinstance(x, Tensor)


def is_sequence(x: object) -> bool:
    """Whether x holds several numbers that a framework does not take."""
    # torch.compile of PyTorch 2.4 knows no union of types.
    return isinstance(x, (list, tuple, np.ndarray))


def is_floating(x: Tensor) -> bool:
    return x.dtype.is_floating_point


def is_bool(x: Tensor) -> bool:
    return x.dtype == torch.bool


def is_integer(x: Tensor) -> bool:
    """Whether x holds integers, or booleans as 0 and 1."""
    dtype = x.dtype
    return not (dtype.is_floating_point or dtype.is_complex)


def dtype_name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def compute_dtype(x: Tensor) -> torch.dtype:
    """float32 for half precision, else the dtype of x."""
    # Losses and probabilities are too small for half precision, and sums of them too long.
    return torch.float32 if x.dtype.itemsize < 4 else x.dtype


def as_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    # A call that changes nothing takes as long as an operation on few numbers.
    return x if x.dtype == dtype else x.to(dtype)


def upcast(x: Operand) -> Operand | Tensor:
    """A floating tensor in its compute dtype; all else as it is."""
    if isinstance(x, Tensor) and is_floating(x):
        return as_dtype(x, compute_dtype(x))
    return x


def promote(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the dtype that holds either; under autocast in its dtype, as for every product of
    matrices."""
    dtype, device = torch.promote_types(x.dtype, y.dtype), x.device.type
    if dtype == torch.float32:
        dtype = autocast_dtype(device) or dtype
    return as_dtype(x, dtype), as_dtype(y, dtype)


def as_class_ids(x: Tensor) -> Tensor:
    """Class ids in a signed type that can count all classes."""
    return x.long()


def not_equal(targets: Tensor, x: int) -> Tensor:
    """Which targets (…) are not x, which may be a number that their type does not have."""
    if is_floating(targets):
        return targets != x
    limits = (0, 1) if is_bool(targets) else _limits(targets)
    if limits[0] <= x <= limits[1]:
        return targets != x
    return torch.ones_like(targets, dtype=torch.bool)


def _limits(x: Tensor) -> tuple[int, int]:
    """The least and the greatest integer of the type of x."""
    limits = torch.iinfo(x.dtype)
    return int(limits.min), int(limits.max)


def align(row: Tensor, x: Tensor) -> Tensor:
    """row (…) as (…, 1) beside x (…, C), and as it is beside x (…)."""
    return row.unsqueeze(-1) if row.ndim < x.ndim else row


def zero_outside(where: Tensor | None, x: Operand) -> Operand | Tensor:
    """x (…) or (…, C) with 0 outside the mask (…); what is no tensor stays as it is."""
    if where is None or not isinstance(x, Tensor):
        return x
    # A product with the mask would keep NaN, and so would the gradient of one.
    return torch.where(align(where, x), x, torch.zeros_like(x))


def nan_outside(allowed: Range, x: Tensor) -> Tensor:
    """x (…), and NaN where it is out of range: a value that nobody has checked may be any."""
    # A product, for NaN in the gradient as well.
    factor = torch.where(cast(Tensor, allowed.contains(x)), torch.ones_like(x), torch.nan)
    return x * factor


def multiply_no_nan(factor: Number, x: Tensor) -> Tensor:
    """factor·x, where 0·inf is 0."""
    if not isinstance(factor, Tensor) and factor:
        return x if factor == 1 else factor * x
    if is_plain(x):
        product = factor * x
        # NaN equals nothing. One look takes as long as one of the six operations below.
        if product.equal(product):
            return product
    # Inductor's loops are slow at isinf, and PyTorch 2.4 has none of a DTensor.
    undefined = (x.abs() == torch.inf) & (factor == 0)
    # Both selections are needed: the gradient of the product would be NaN in the branch that is not
    # taken.
    return torch.where(undefined, 0, factor * torch.where(undefined, 1, x))


def large() -> float:
    """What stands for inf in derivatives: σ(u)·softplus(−u) then reaches its limit 0, instead of
    0·inf."""
    # A global number would be an input to torch.compile's graphs, and stop it in a second
    # autograd.Function.
    return 1e30


def clamp_infinities(x: Operand) -> Operand | Tensor:
    """A floating tensor with ±inf as ±`large()`; all else as it is."""
    if isinstance(x, Tensor) and is_floating(x):
        return x.clamp(-large(), large())
    return x
