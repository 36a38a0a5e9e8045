"""The loss of a linear layer by chunks of its rows, so that only one chunk has logits at a time:
JAX here, PyTorch in the file of the same name.

The logits of a chunk are made, give its loss and its gradients, and are freed. Loss and gradients
together need three products of matrices, as many as a layer that keeps its logits. Shapes are those
of `linear_chunk.py`; before `_flat` rows have any number of axes.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from .._base.arrays import compute_dtype, upcast
from .._base.collectives import Group, sum_over
from .._base.meshes import is_varying, on_any_mesh
from .linear_chunk import (
    Grads,
    LayerSettings,
    RowInputs,
    SharedInputs,
    add_chunk,
    logits_of,
    row_losses,
)

Carry = TypeVar("Carry")
Result = TypeVar("Result")


class Split(NamedTuple):
    """How many chunks there are, and whether rows that are kept come first, so that chunks without
    one are skipped."""

    chunks: int
    skips: bool


@on_any_mesh(each_row=False)
def sum_over_chunks(
    rows: RowInputs, shared: SharedInputs, split: Split, settings: LayerSettings
) -> Array:
    """The sum of the losses of all rows, over a divisor if there is one."""
    rows = _flat(rows)

    @jax.custom_jvp
    def total(rows: RowInputs, shared: SharedInputs) -> Array:
        def step(total: Array, chunk: RowInputs) -> tuple[Array, None]:
            logits = logits_of(chunk.features, shared.kernel)
            return total + row_losses(settings, logits, chunk, shared).sum(), None

        return _scan(step, _varying_zero(settings, rows, shared), rows, split)[0]

    @partial(total.defjvp, symbolic_zeros=True)
    def total_jvp(
        primals: tuple[RowInputs, SharedInputs], tangents: tuple[RowInputs, SharedInputs]
    ) -> tuple[Array, Array]:
        row_tangents, shared_tangents = (_nonzero(x) for x in tangents)
        wanted = frozenset(row_tangents), frozenset(shared_tangents)
        value_and_grads = partial(_value_and_grads, settings, split, *wanted)
        value, row_grads, shared_grads = _opaque_to_linearize(value_and_grads)(*primals)
        tangent = jnp.zeros_like(value)
        for grads, moved in ((row_grads, row_tangents), (shared_grads, shared_tangents)):
            for name, x in moved.items():
                term = (grads[name] * upcast(x)).sum()
                tangent = tangent + _sum_over_classes(settings, term)
        return value, tangent

    return total(rows, shared)


def _nonzero(tangents: RowInputs | SharedInputs) -> Grads:
    """The tangents of what is differentiated, by the names of the fields."""
    moved: Grads = {}
    for name, x in tangents._asdict().items():
        if not isinstance(x, SymbolicZero | None):
            moved[name] = x
    return moved


def _sum_over_classes(settings: LayerSettings, x: Array) -> Array:
    """The sum of what the ranks have for their own classes."""
    return sum_over(x, Group(name for name in settings.group if is_varying(x, name)))


def _opaque_to_linearize(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function with its own derivatives, as a rule.

    Linearizing takes a scan apart, but nothing that has a rule. Every array that is the same in all
    steps, like a mask of indices, would be stored during the whole scan.
    """
    opaque = jax.custom_jvp(function)
    opaque.defjvp(partial(jax.jvp, function))
    return opaque


def _value_and_grads(
    settings: LayerSettings,
    split: Split,
    wanted_rows: frozenset[str],
    wanted_shared: frozenset[str],
    rows: RowInputs,
    shared: SharedInputs,
) -> tuple[Array, Grads, Grads]:
    """The sum, and its gradients in the wanted fields of rows and shared."""
    zero = _varying_zero(settings, rows, shared)
    # On a mesh, what is added to has to vary as what is added does: else each chunk's gradients
    # would be summed over the ranks.
    kernel = shared.kernel
    shared = jax.tree.map(lambda x: x + zero.astype(x.dtype), shared._replace(kernel=None))
    shared = shared._replace(kernel=kernel)
    sums: Grads = {}
    for name in sorted(wanted_shared):
        x = getattr(shared, name)
        varying_zero = _zero_with_axes_of(x) + zero
        sums[name] = jnp.zeros_like(upcast(x)) + varying_zero

    def step(carry: tuple[Array, Grads], chunk: RowInputs) -> tuple[tuple[Array, Grads], Grads]:
        total, sums = carry
        value, sums, row_grads = add_chunk(settings, chunk, shared, sums, wanted_rows)
        return (total + value, sums), row_grads

    (value, shared_grads), row_grads = _scan(step, (zero, sums), rows, split)
    return value, row_grads, shared_grads


@on_any_mesh(each_row=True)
def losses_in_chunks(
    rows: RowInputs, shared: SharedInputs, chunks: int, settings: LayerSettings
) -> Array:
    """The loss (…) of each row. A gradient makes the logits again."""
    shape = rows.targets.shape
    # The gradient of a chunk that is skipped would be zeros of the size of the kernel.
    split = Split(chunks, skips=False)
    # The gradients of half precision are added up in float32.
    wide: SharedInputs = jax.tree.map(upcast, shared)

    def step(_: None, chunk: RowInputs) -> tuple[None, Array]:
        narrow: SharedInputs = jax.tree.map(lambda x, like: x.astype(like.dtype), wide, shared)
        logits = logits_of(chunk.features, narrow.kernel)
        return None, row_losses(settings, logits, chunk, narrow)

    return _scan(step, None, _flat(rows), split)[1].reshape(shape)


def _flat(rows: RowInputs) -> RowInputs:
    """Each (…) or (…, K) as (N,) or (N, K), with one axis for all rows."""
    shape = rows.features.shape[:-1]

    def flat(x: Array) -> Array:
        rest = x.shape[len(shape) :]
        return jnp.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return jax.tree.map(flat, rows)


def _scan(
    step: Callable[[Carry, RowInputs], tuple[Carry, Result]],
    start: Carry,
    rows: RowInputs,
    split: Split,
) -> tuple[Carry, Result]:
    """`lax.scan` over chunks; what it makes of rows has their order. Its derivative makes each step
    again, instead of keeping what it made."""
    size = rows.targets.shape[0]
    order = None
    if split.skips and rows.where is not None:
        order = jnp.argsort(~rows.where, stable=True)
        rows = jax.tree.map(lambda x: _at(x, order), rows)

    def step_or_skip(carry: Carry, chunk: RowInputs) -> tuple[Carry, Result]:
        if order is None or chunk.where is None:
            return step(carry, chunk)
        return lax.cond(chunk.where.any(), step, skip, carry, chunk)

    def skip(carry: Carry, chunk: RowInputs) -> tuple[Carry, Result]:
        _, result = jax.eval_shape(step, carry, chunk)
        return carry, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), result)

    def joined(x: Array) -> Array:
        x = _join(x, size, split)
        return x if order is None else _at(x, jnp.argsort(order))

    chunks: RowInputs = jax.tree.map(partial(_split, split=split), rows)
    carry, results = lax.scan(jax.checkpoint(step_or_skip), start, chunks)
    return carry, jax.tree.map(joined, results)


def _at(x: Array, places: Array) -> Array:
    """What is at places (N,) of x (N, …), each of which occurs once."""
    return x.at[places].get(unique_indices=True, mode="promise_in_bounds")


def _split(x: Array, split: Split) -> Array:
    """x (N, …) as (chunks, N / chunks, …), padded with zeros."""
    chunks = split.chunks
    rows = -(-x.shape[0] // chunks)
    missing = rows * chunks - x.shape[0]
    padding = [(0, missing)] + [(0, 0)] * (x.ndim - 1)
    padded = jnp.pad(x, padding)
    if split.skips:
        return padded.reshape(chunks, rows, *x.shape[1:])
    # A chunk has rows that are `chunks` apart, so that rows on several devices stay where they are.
    return jnp.moveaxis(padded.reshape(rows, chunks, *x.shape[1:]), 1, 0)


def _join(x: Array, size: int, split: Split) -> Array:
    """The reverse of `_split`: (size, …) without the padding."""
    chunks, rows = x.shape[:2]
    parts = x if split.skips else jnp.moveaxis(x, 0, 1)
    return parts.reshape(chunks * rows, *x.shape[2:])[:size]


def _varying_zero(settings: LayerSettings, rows: RowInputs, shared: SharedInputs) -> Array:
    """0 that varies over the axes of a mesh that the sum over the rows will vary over: a scan asks
    for that."""
    zero = jnp.zeros((), compute_dtype(rows.features))
    for x in jax.tree.leaves((rows, shared)):
        if not any(is_varying(x, name) for name in settings.group):
            zero = zero + _zero_with_axes_of(x).astype(zero.dtype)
    return zero


def _zero_with_axes_of(x: Array) -> Array:
    """0 that varies over the axes of a mesh that x varies over."""
    return upcast(x.ravel()[:0]).sum()
