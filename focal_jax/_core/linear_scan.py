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
    """How many chunks there are, and whether one is skipped whose rows are all left out."""

    chunks: int
    skips: bool


class Layout(NamedTuple):
    """Where the rows of each chunk are: the same number of them from each block (length,).

    Neighbours on a device are neighbours in a block, so that no row leaves its device.
    """

    rows: int
    chunks: int
    blocks: int
    length: int
    # Where a chunk may be skipped, the places (blocks, length) of the rows of each block, those
    # that are kept first.
    order: Array | None

    def split(self, x: Array) -> Array:
        """x (N, …) as (chunks, N / chunks, …), padded with zeros."""
        rest = x.shape[1:]
        padding = [(0, self.blocks * self.length - self.rows)] + [(0, 0)] * len(rest)
        blocks = jnp.pad(x, padding).reshape(self.blocks, self.length, *rest)
        if self.order is not None:
            blocks = _at(blocks, self.order)
        parts = blocks.reshape(self.blocks, self.chunks, self.length // self.chunks, *rest)
        size = self.blocks * self.length // self.chunks
        return jnp.moveaxis(parts, 1, 0).reshape(self.chunks, size, *rest)

    def join(self, x: Array) -> Array:
        """The reverse of `split`: (N, …) without the padding."""
        rest = x.shape[2:]
        parts = x.reshape(self.chunks, self.blocks, self.length // self.chunks, *rest)
        blocks = jnp.moveaxis(parts, 0, 1).reshape(self.blocks, self.length, *rest)
        if self.order is not None:
            blocks = _at(blocks, jnp.argsort(self.order, axis=1))
        return blocks.reshape(self.blocks * self.length, *rest)[: self.rows]


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

        def skip(total: Array, chunk: RowInputs) -> tuple[Array, None]:
            return total, None

        return _scan(step, skip, _varying_zero(settings, rows, shared), rows, split)[0]

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

    def skip(carry: tuple[Array, Grads], chunk: RowInputs) -> tuple[tuple[Array, Grads], Grads]:
        like = {name: upcast(getattr(chunk, name)) for name in wanted_rows}
        return carry, {name: jnp.zeros_like(x) + zero for name, x in like.items()}

    (value, shared_grads), row_grads = _scan(step, skip, (zero, sums), rows, split)
    return value, row_grads, shared_grads


@on_any_mesh(each_row=True)
def losses_in_chunks(
    rows: RowInputs, shared: SharedInputs, split: Split, settings: LayerSettings
) -> Array:
    """The loss (…) of each row. A gradient makes the logits again."""
    shape = rows.targets.shape
    # The gradients of half precision are added up in float32.
    wide: SharedInputs = jax.tree.map(upcast, shared)

    def step(_: None, chunk: RowInputs) -> tuple[None, Array]:
        narrow: SharedInputs = jax.tree.map(lambda x, like: x.astype(like.dtype), wide, shared)
        logits = logits_of(chunk.features, narrow.kernel)
        return None, row_losses(settings, logits, chunk, narrow)

    def skip(_: None, chunk: RowInputs) -> tuple[None, Array]:
        return None, jnp.zeros(chunk.targets.shape, compute_dtype(chunk.features))

    return _scan(step, skip, None, _flat(rows), split)[1].reshape(shape)


def _flat(rows: RowInputs) -> RowInputs:
    """Each (…) or (…, K) as (N,) or (N, K), with one axis for all rows."""
    shape = rows.features.shape[:-1]

    def flat(x: Array) -> Array:
        rest = x.shape[len(shape) :]
        return jnp.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return jax.tree.map(flat, rows)


def _scan(
    step: Callable[[Carry, RowInputs], tuple[Carry, Result]],
    skip: Callable[[Carry, RowInputs], tuple[Carry, Result]],
    start: Carry,
    rows: RowInputs,
    split: Split,
) -> tuple[Carry, Result]:
    """`lax.scan` over chunks, where what it makes of rows has their order. Its derivative makes
    each step again, instead of keeping what it made."""
    layout = _layout(rows, split)

    def step_or_skip(carry: Carry, chunk: RowInputs) -> tuple[Carry, Result]:
        if chunk.where is None or not split.skips:
            return step(carry, chunk)
        return lax.cond(chunk.where.any(), step, skip, carry, chunk)

    chunks: RowInputs = jax.tree.map(layout.split, rows)
    carry, results = lax.scan(jax.checkpoint(step_or_skip), start, chunks)
    return carry, jax.tree.map(layout.join, results)


def _layout(rows: RowInputs, split: Split) -> Layout:
    size = rows.targets.shape[0]
    if rows.where is None or not split.skips:
        blocks = -(-size // split.chunks)
        return Layout(size, split.chunks, blocks, split.chunks, None)
    # One block for each device that there could be.
    blocks = jax.device_count()
    length = split.chunks * -(-size // (split.chunks * blocks))
    layout = Layout(size, split.chunks, blocks, length, None)
    padding = blocks * length - size
    left_out = ~jnp.pad(rows.where, (0, padding)).reshape(blocks, length)
    return layout._replace(order=jnp.argsort(left_out, axis=1, stable=True))


def _at(x: Array, places: Array) -> Array:
    """What is at places (B, L) of x (B, L, …), each of which occurs once."""

    def of_block(x: Array, places: Array) -> Array:
        return x.at[places].get(unique_indices=True, mode="promise_in_bounds")

    return jax.vmap(of_block)(x, places)


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
