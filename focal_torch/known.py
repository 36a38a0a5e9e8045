"""What is known of an array before the computation: its type, and often its values."""

# PyTorch leaves torch.from_numpy without types.
# pyright: reportUnknownMemberType=false

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .engine import is_differentiated
from .versions import is_distributed, is_traced


def is_array(x: Any) -> bool:
    return isinstance(x, Tensor)


def is_floating(x: Tensor) -> bool:
    return x.dtype.is_floating_point


def is_integer(x: Tensor) -> bool:
    """Whether x holds integers, or booleans as 0 and 1."""
    return not x.dtype.is_floating_point and not x.dtype.is_complex


def is_bool(x: Tensor) -> bool:
    return x.dtype == torch.bool


def as_ids(x: Tensor) -> Tensor:
    """Class ids in a signed type that can count all classes."""
    return x.long()


def differ(ids: Tensor, x: int) -> Tensor:
    """Which ids are not x, which may be a number that their type does not have."""
    limits = torch.iinfo(ids.dtype)
    return ids != x if limits.min <= x <= limits.max else torch.ones_like(ids, dtype=torch.bool)


def as_bits(x: Tensor) -> Tensor:
    """Targets that are not known yet: torch.compile is faster with signed integers than with booleans."""
    return x if torch.compiler.is_compiling() and x.dtype.is_signed else x.bool()


def dtype_name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def is_known(x: Tensor) -> bool:
    """Whether the values of x are there, neither abstract nor on a device that would have to be waited for."""
    return not torch.compiler.is_compiling() and not is_traced() and not is_distributed(x) and x.is_cpu


def read(x: Tensor) -> np.ndarray | None:
    """The values of x, if they are known."""
    if not is_known(x):
        return None
    try:
        return (x.detach().double() if x.dtype.itemsize < 4 and x.is_floating_point() else x.detach()).numpy()
    except RuntimeError:  # inside torch.func.vmap and under fake tensors
        return None


def known_bits(x: Tensor) -> Tensor | None:
    """Targets as booleans, if they are known to be 0 or 1 and nothing is differentiated in them."""
    if is_bool(x):
        return x
    if is_differentiated(x) or not is_known(x):
        return None
    bits = x.bool()
    try:
        return bits if torch.equal(bits.to(x.dtype), x) else None
    except RuntimeError:  # under fake tensors
        return None
