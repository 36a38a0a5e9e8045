"""One chunk of the rows of a linear layer: its logits, losses and gradients.

    features  (N, D)      targets, weight, where  (N,)      gamma   (C,), or (N, 1) or (N, C)
    kernel    (D, C)      bias, alpha             (C,)      logits  (N, C)
    divisor   ()

N counts the rows of the chunk, C the classes of this rank.
"""

import math
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from .._base.arrays import Number, compute_dtype, upcast
from .._base.collectives import Group
from .focal import softcapped
from .softmax import id_focal
from .z_loss import squared_log_sum


class RowInputs(NamedTuple):
    """What each row has of its own. None is an argument that was not given."""

    features: Array
    gamma: Array | None
    targets: Array
    weight: Array | None
    where: Array | None


class SharedInputs(NamedTuple):
    """What all rows share. None is an argument that was not given."""

    alpha: Array | None
    bias: Array | None
    divisor: Array | None
    gamma: Array | None
    kernel: Array


# Gradients in some fields of one of the two, by the names of the fields.
Grads: TypeAlias = dict[str, Array]


class LayerSettings(NamedTuple):
    """What is no array: γ, unless it is one, the cap, label smoothing, the factor of the z-loss,
    and the ranks that classes are sharded over."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    z_loss: float
    group: Group


def logits_of(features: Array, kernel: Array) -> Array:
    """features·kernel (N, C), in float32 at least."""
    return _product(features, kernel, 1, 0, compute_dtype(features))


def row_losses(
    settings: LayerSettings, logits: Array, rows: RowInputs, shared: SharedInputs
) -> Array:
    """The loss (N,) of each row, from its logits (N, C) without bias and cap."""
    z = logits
    if shared.bias is not None:
        z = z + jnp.broadcast_to(upcast(shared.bias), z.shape)
    # The cap is on what a layer returns, so it comes after the bias.
    if settings.softcap is not None:
        z = softcapped(z, settings.softcap)
    t = rows.targets[..., None]
    alpha = 1.0 if shared.alpha is None else shared.alpha
    gamma = _gamma(settings, rows, shared)
    smoothing, group = settings.smoothing, settings.group
    losses = id_focal(
        z, t, alpha, gamma, smoothing, weight=rows.weight, where=rows.where, group=group
    )
    if settings.z_loss:
        losses = losses + _z_losses(settings, z, rows)
    # Divided here, the gradients of a sum are those of the mean, and take no factor that would need
    # another kernel.
    return losses if shared.divisor is None else losses / shared.divisor


def _z_losses(settings: LayerSettings, z: Array, rows: RowInputs) -> Array:
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
    wanted: frozenset[str],
) -> tuple[Array, Grads, Grads]:
    """The sum of the losses; `sums`, which has gradients in fields of `shared`, with those of this
    chunk added; and the gradients in the wanted fields of `rows`."""
    logits = logits_of(rows.features, shared.kernel)
    row_leaves = {name: upcast(getattr(rows, name)) for name in wanted - {"features"}}
    shared_leaves = {name: upcast(getattr(shared, name)) for name in sums.keys() - {"kernel"}}

    def total_loss(logits: Array, row_leaves: Grads, shared_leaves: Grads) -> Array:
        chunk = rows._replace(**row_leaves)
        losses = row_losses(settings, logits, chunk, shared._replace(**shared_leaves))
        return losses.sum()

    gradient = jax.value_and_grad(total_loss, (0, 1, 2))
    value, (dlogits, row_grads, shared_grads) = gradient(logits, row_leaves, shared_leaves)
    added = {name: sums[name] + grad for name, grad in shared_grads.items()}
    # Gradients are as small as probabilities, which float16 does not hold.
    dtype = jnp.bfloat16 if shared.kernel.dtype == jnp.bfloat16 else logits.dtype
    dlogits = dlogits.astype(dtype)
    if "kernel" in sums:
        features = rows.features.astype(dtype)
        operands = sums["kernel"], features, dlogits
        added["kernel"] = lax.platform_dependent(
            *operands, cpu=_add_product_in_blocks, default=_add_product
        )
    if "features" in wanted:
        kernel = shared.kernel.astype(dtype)
        row_grads["features"] = _product(dlogits, kernel, 1, 1, logits.dtype)
    return value, added, row_grads


def _add_product(sums: Array, features: Array, dlogits: Array) -> Array:
    """sums (D, C) + featuresᵀ·dlogits."""
    return sums + _product(features, dlogits, 0, 0, sums.dtype)


def _add_product_in_blocks(sums: Array, features: Array, dlogits: Array) -> Array:
    """The same, a few rows of the kernel at a time."""
    # XLA for the CPU would store all of the product beside the sum. Eight blocks leave an eighth of
    # it, where they divide the rows.
    blocks = math.gcd(len(sums), 8)
    size = len(sums) // blocks

    def add_block(i: Array, sums: Array) -> Array:
        block = partial(lax.dynamic_slice_in_dim, start_index=i * size, slice_size=size)
        added = _add_product(block(sums), block(features, axis=1), dlogits)
        return lax.dynamic_update_slice_in_dim(sums, added, i * size, 0)

    return lax.fori_loop(0, blocks, add_block, sums)


def _product(a: Array, b: Array, axis_a: int, axis_b: int, dtype: DTypeLike) -> Array:
    """The sum over axis_a of the matrix a and axis_b of the matrix b."""
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())), preferred_element_type=dtype)
