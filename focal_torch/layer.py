"""What a linear layer makes of a chunk of rows: logits, losses and slopes."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arrays import widen
from .classes import id_focal
from .collectives import Devices
from .margin import softcapped
from .versions import recorded

Named = dict[str, Tensor]


class Settings(NamedTuple):
    """What is known before the computation: the exponent, unless it is a tensor, the cap, the smoothing, and the ranks
    that classes are split over."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    devices: Devices


def losses_of(plan: Any, logits: Tensor, part: Named) -> Tensor:
    """The loss of each row, from its logits without bias and cap."""
    rest = {"weight": None, "where": None, "alpha": 1.0, "gamma": plan.gamma, **part}
    z = logits + widen(rest["bias"]) if "bias" in rest else logits
    z = z if plan.softcap is None else softcapped(z, plan.softcap)
    t, alpha, gamma, weight, where = (rest[name] for name in ("targets", "alpha", "gamma", "weight", "where"))
    losses = id_focal(z, t[..., None], alpha, gamma, plan.smoothing, weight=weight, where=where, devices=plan.devices)
    # Divided here, the slopes of a sum are those of the mean, and need no second tensor of the size of the kernel.
    return losses / rest["divisor"] if "divisor" in rest else losses


def add_chunk(plan: Any, part: Named, into: Named) -> Tensor:
    """The loss of a chunk, whose slopes are added to what there is of them."""
    logits = logits_of(part)
    leaves = {name: part[name].detach() for name in into if name not in ("features", "kernel")}
    value, slope, *found = recorded(_with_slopes, plan, logits, leaves, part)
    for name, x in zip(leaves, found, strict=True):
        into[name] += x
    if "features" in into:
        _add_product(into["features"], slope, part["kernel"])
    if "kernel" in into:
        _add_product(into["kernel"], slope.mT, part["features"])
    return value


def _with_slopes(plan: Any, logits: Tensor, leaves: Named, part: Named) -> tuple[Tensor, ...]:
    """The loss of a chunk, and its slopes in the logits and the leaves."""
    with torch.enable_grad():
        moved = [x.requires_grad_() for x in (logits, *leaves.values())]
        value = losses_of(plan, logits, {**part, **leaves}).sum()
        return value.detach(), *torch.autograd.grad(value, moved)


def logits_of(part: Named) -> Tensor:
    features, kernel = part["features"], part["kernel"]
    if has_wide_products(features):
        return torch.mm(features, kernel.mT, out_dtype=torch.float32)
    return widen(features) @ kernel.mT


def _add_product(into: Tensor, slope: Tensor, x: Tensor) -> None:
    # Slopes are as small as probabilities, which float16 does not hold.
    if has_wide_products(x) and x.dtype == torch.bfloat16:
        into += torch.mm(slope.to(x.dtype), x, out_dtype=torch.float32)
    else:
        into.addmm_(slope, widen(x))


def has_wide_products(x: Tensor) -> bool:
    """Whether half precision can be multiplied into float32."""
    return x.is_cuda and x.dtype.itemsize < 4 and not torch.is_grad_enabled()
