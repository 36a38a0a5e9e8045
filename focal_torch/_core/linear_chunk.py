"""One chunk of the rows of a linear layer: its logits, losses and gradients.

    features  (N, D)      targets, weight, where  (N,)      gamma   (C,), or (N, 1) or (N, C)
    kernel    (C, D)      bias, alpha             (C,)      logits  (N, C)
    divisor   ()

N counts the rows of the chunk, C the classes of this rank.
"""

from collections.abc import Collection
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from .._base.arrays import Number, upcast
from .._base.collectives import Group
from .._base.versions import ADDS_WIDE_PRODUCTS, HAS_WIDE_PRODUCTS, with_autograd
from .eager import eager_id_focal
from .focal import softcapped
from .softmax import id_focal
from .z_loss import squared_log_sum


class RowInputs(NamedTuple):
    """What each row has of its own. None is an argument that was not given."""

    features: Tensor
    gamma: Tensor | None
    targets: Tensor
    weight: Tensor | None
    where: Tensor | None


class SharedInputs(NamedTuple):
    """What all rows share. None is an argument that was not given."""

    alpha: Tensor | None
    bias: Tensor | None
    divisor: Tensor | None
    gamma: Tensor | None
    kernel: Tensor


# Gradients in some fields of one of the two, by the names of the fields.
Grads: TypeAlias = dict[str, Tensor]


class LayerSettings(NamedTuple):
    """What is no tensor: γ, unless it is one, the cap, label smoothing, the factor of the z-loss,
    and the ranks that classes are sharded over."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    z_loss: float
    group: Group


def logits_of(features: Tensor, kernel: Tensor) -> Tensor:
    """features·kernelᵀ (N, C), in float32 at least."""
    if has_wide_products(features):
        return torch.mm(features, kernel.mT, out_dtype=torch.float32)
    return upcast(features) @ kernel.mT


def row_losses(
    settings: LayerSettings, logits: Tensor, rows: RowInputs, shared: SharedInputs
) -> Tensor:
    """The loss (N,) of each row, from its logits (N, C) without bias and cap."""
    z = logits
    if shared.bias is not None:
        z = z + upcast(shared.bias)
    # The cap is on what a layer returns, so it comes after the bias.
    if settings.softcap is not None:
        z = softcapped(z, settings.softcap)
    alpha = 1.0 if shared.alpha is None else shared.alpha
    gamma = _gamma(settings, rows, shared)
    smoothing, group = settings.smoothing, settings.group
    t, weight, where = rows.targets, rows.weight, rows.where
    losses = eager_id_focal(z, t, alpha, gamma, smoothing, weight=weight, where=where, group=group)
    if losses is None:
        t = t[..., None]
        losses = id_focal(z, t, alpha, gamma, smoothing, weight=weight, where=where, group=group)
    if settings.z_loss:
        losses = losses + _z_losses(settings, z, rows)
    # Divided here, the gradients of a sum are those of the mean, and take no factor that would need
    # another kernel.
    return losses if shared.divisor is None else losses / shared.divisor


def _z_losses(settings: LayerSettings, z: Tensor, rows: RowInputs) -> Tensor:
    """The factor times (log Σ_k exp(z_k))², with weight and mask: (N,)."""
    squares = squared_log_sum(z, settings.group, weight=rows.weight, where=rows.where)
    return settings.z_loss * squares


def _gamma(settings: LayerSettings, rows: RowInputs, shared: SharedInputs) -> Number:
    """The one γ there is: (N, 1) or (N, C) of rows, (C,) of classes, or a number."""
    # The caller sets one of the three.
    for gamma in (rows.gamma, shared.gamma, settings.gamma):
        if gamma is not None:
            return gamma
    raise AssertionError("a loss has a gamma")


def add_chunk(
    settings: LayerSettings,
    rows: RowInputs,
    shared: SharedInputs,
    sums: Grads,
    wanted: Collection[str],
) -> tuple[Tensor, Grads]:
    """The sum of the losses, and its gradients in the wanted fields of `rows`. Those in fields of
    `shared` are added to `sums`."""
    logits = logits_of(rows.features, shared.kernel)
    row_leaves = _leaves(rows, wanted, "features")
    shared_leaves = _leaves(shared, sums, "kernel")
    total, grads = with_autograd(
        _value_and_grads, settings, logits, row_leaves, shared_leaves, rows, shared
    )
    dlogits, *others = grads
    of_rows, of_shared = others[: len(row_leaves)], others[len(row_leaves) :]
    row_grads = dict(zip(row_leaves, of_rows, strict=True))
    # In place: a second tensor of the size of the kernel would double what a loss keeps.
    for name, grad in zip(shared_leaves, of_shared, strict=True):
        sums[name] += grad
    if "kernel" in sums:
        _add_product(sums["kernel"], dlogits.mT, rows.features)
    if "features" in wanted:
        row_grads["features"] = _product(dlogits, shared.kernel)
    return total, row_grads


def _leaves(inputs: RowInputs | SharedInputs, wanted: Collection[str], of_product: str) -> Grads:
    """The inputs that autograd differentiates in; the gradient in the field of the product is a
    product again."""
    return {name: getattr(inputs, name).detach() for name in wanted if name != of_product}


def _value_and_grads(
    settings: LayerSettings,
    logits: Tensor,
    row_leaves: Grads,
    shared_leaves: Grads,
    rows: RowInputs,
    shared: SharedInputs,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The sum of the losses, and its gradients in the logits and the leaves."""
    with torch.enable_grad():
        leaves = [
            x.requires_grad_() for x in (logits, *row_leaves.values(), *shared_leaves.values())
        ]
        losses = row_losses(
            settings, logits, rows._replace(**row_leaves), shared._replace(**shared_leaves)
        )
        total = losses.sum()
        return total.detach(), torch.autograd.grad(total, leaves)


def _add_product(sums: Tensor, dlogits: Tensor, x: Tensor) -> None:
    """Add dlogits·x to sums, in place."""
    if has_wide_products(x) and x.dtype == torch.bfloat16 and ADDS_WIDE_PRODUCTS:
        # In place: a product apart would be a second tensor of the size of the kernel.
        torch.addmm(sums, dlogits.to(x.dtype), x, out_dtype=torch.float32, out=sums)
    elif has_wide_products(x) and x.dtype == torch.bfloat16:
        sums += _product(dlogits, x)
    else:
        sums.addmm_(dlogits, upcast(x))


def _product(dlogits: Tensor, x: Tensor) -> Tensor:
    """dlogits·x, in float32 at least."""
    # Gradients are as small as probabilities, which float16 does not hold.
    if has_wide_products(x) and x.dtype == torch.bfloat16:
        return torch.mm(dlogits.to(x.dtype), x, out_dtype=torch.float32)
    return dlogits @ upcast(x)


def has_wide_products(x: Tensor) -> bool:
    """Whether half precision can be multiplied into float32."""
    is_half = x.dtype.itemsize < 4
    return HAS_WIDE_PRODUCTS and x.is_cuda and is_half and not torch.is_grad_enabled()
