"""What the formulas are written in besides arithmetic: masks, 0·inf, ±inf and half precision."""

from typing import Any

import torch
from torch import Tensor

from .versions import autocast_dtype, is_infinite


def keep(where: Tensor | None, x: Any) -> Any:
    """The tensor `x` with 0 outside the mask, which may lack its last axis; constants stay as they are."""
    if where is None or not isinstance(x, Tensor):
        return x
    return torch.where(like(where, x), x, torch.zeros_like(x))


def share(factor: Any, x: Tensor) -> Tensor:
    """factor·x, where 0·inf is 0."""
    if not isinstance(factor, Tensor) and factor:
        return factor * x
    undefined = is_infinite(x) & (factor == 0)
    return torch.where(undefined, 0, factor * torch.where(undefined, 1, x))


def widen(x: Any) -> Any:
    """Half precision as float32, everything else as it is."""
    return x.to(compute_dtype(x)) if _is_floating(x) else x


def compute_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype.itemsize < 4 else x.dtype


def to_common(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the dtype that holds either; under autocast in its dtype, as for every product of matrices."""
    dtype, device = torch.promote_types(x.dtype, y.dtype), x.device.type
    if dtype == torch.float32:
        dtype = autocast_dtype(device) or dtype
    return x.to(dtype), y.to(dtype)


def like(row: Any, x: Tensor) -> Any:
    return row.unsqueeze(-1) if row is not None and row.ndim < x.ndim else row


def near(x: Any) -> Any:
    """±inf as ±1e30."""
    return x.clamp(-far(), far()) if _is_floating(x) else x


def far() -> float:
    """Closed forms see ±inf as ±1e30, so that a product like σ(u)·softplus(−u) reaches its limit 0 instead of 0·inf."""
    # A global number would be an input to torch.compile's graphs, and stop it in a second autograd.Function.
    return 1e30


def _is_floating(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype.is_floating_point
