"""Losses of rows whose logits are never all there: JAX here, PyTorch in the file of the same name.

The logits of a chunk of rows are made, give its loss and its slope, and are forgotten. Loss and gradient together need
three products of matrices, as many as a layer that keeps its logits.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from .arrays import compute_dtype, widen
from .collectives import Devices, sum_over
from .layer import Named, Settings, add_chunk, logits_of, losses_of
from .meshes import is_split, on_any_mesh


@on_any_mesh(each=False)
def sum_over_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Array:
    """The sum of all losses, over a divisor if there is one. `rows` has features, targets and what else there is of
    each row, `shared` the kernel and what else all rows share."""
    rows = _flat(rows)

    @jax.custom_jvp
    def total(rows: Named, shared: Named) -> Array:
        def step(sum_: Array, part: Named) -> tuple[Array, None]:
            part = {**part, **shared}
            return sum_ + losses_of(settings, logits_of(part), part).sum(), None

        return _scan(step, _zero(settings, rows, shared), rows, chunks)[0]

    @partial(total.defjvp, symbolic_zeros=True)
    def _(primals: tuple[Named, Named], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
        moved = {name: x for some in tangents for name, x in some.items() if not isinstance(x, SymbolicZero)}
        value, slopes = _as_it_is(partial(_with_slopes, settings, chunks, frozenset(moved)))(*primals)
        terms = ((slopes[name] * widen(x)).sum() for name, x in moved.items())
        return value, sum((_of_all_classes(settings, x) for x in terms), start=jnp.zeros_like(value))

    return total(rows, shared)


def _of_all_classes(settings: Settings, x: Array) -> Array:
    """The sum of what devices have for their own classes."""
    return sum_over(x, Devices(name for name in settings.devices if is_split(x, name)))


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the derivatives that it has anyway. Linearizing takes a scan apart, but not what has a rule,
    and every array that is the same in all steps, like a mask of indices, would be stored during the whole scan."""
    opaque = jax.custom_jvp(function)
    opaque.defjvp(partial(jax.jvp, function))
    return opaque


def _with_slopes(
    settings: Settings, chunks: int, moved: frozenset[str], rows: Named, shared: Named
) -> tuple[Array, Named]:
    """The sum, and its slopes in the arguments that are named."""
    zero = _zero(settings, rows, shared)
    # On a mesh, what is added to is what varies: else each chunk's slopes would be summed over the devices.
    shared = {name: x if name == "kernel" else x + zero.astype(x.dtype) for name, x in shared.items()}
    start = zero, {name: jnp.zeros_like(widen(x)) + _nothing(x) + zero for name, x in shared.items() if name in moved}

    def step(carry: tuple[Array, Named], part: Named) -> tuple[tuple[Array, Named], Named]:
        sum_, slopes = carry
        value, slopes, of_rows = add_chunk(settings, {**part, **shared}, slopes, moved - set(slopes))
        return (sum_ + value, slopes), of_rows

    (value, slopes), of_rows = _scan(step, start, rows, chunks)
    return value, slopes | {name: _join(x, rows[name].shape[0]) for name, x in of_rows.items()}


@on_any_mesh(each=True)
def losses_in_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Array:
    """The loss of each row. A gradient makes the logits again."""
    shape, rows = rows["features"].shape[:-1], _flat(rows)
    # The slopes of half precision are added up in float32.
    wide = {name: widen(x) for name, x in shared.items()}

    def step(_: tuple[()], part: Named) -> tuple[tuple[()], Array]:
        part = {**part, **{name: x.astype(shared[name].dtype) for name, x in wide.items()}}
        return (), losses_of(settings, logits_of(part), part)

    return _join(_scan(step, (), rows, chunks)[1], math.prod(shape)).reshape(shape)


def _flat(rows: Named) -> Named:
    """An array for each row, or a number, with one axis for all rows."""
    shape = rows["features"].shape[:-1]

    def flat(x: Array) -> Array:
        rest = x.shape[len(shape) :]
        return jnp.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return {name: flat(x) for name, x in rows.items()}


def _scan(step: Callable[..., Any], start: Any, rows: Named, chunks: int) -> Any:
    """Its derivative, which is a second one for a sum, makes each step again instead of keeping what it made."""
    return lax.scan(jax.checkpoint(step), start, {name: _split(x, chunks) for name, x in rows.items()})


def _split(x: Array, chunks: int) -> Array:
    """Chunks of rows that are `chunks` apart, so that rows on several devices stay where they are."""
    rows = -(-x.shape[0] // chunks)
    x = jnp.pad(x, [(0, rows * chunks - x.shape[0]), *[(0, 0)] * (x.ndim - 1)])
    return jnp.moveaxis(x.reshape(rows, chunks, *x.shape[1:]), 1, 0)


def _join(x: Array, size: int) -> Array:
    """The rows of all chunks in their order, without those that have been added."""
    chunks, rows = x.shape[:2]
    return jnp.moveaxis(x, 0, 1).reshape(chunks * rows, *x.shape[2:])[:size]


def _zero(settings: Settings, rows: Named, shared: Named) -> Array:
    """0 that varies over the devices of a mesh as the sum over the rows will."""
    dtype = compute_dtype(rows["features"])
    of_all_classes = (
        x for x in (*rows.values(), *shared.values()) if not any(is_split(x, name) for name in settings.devices)
    )
    return sum((_nothing(x).astype(dtype) for x in of_all_classes), start=jnp.zeros((), dtype))


def _nothing(x: Array) -> Array:
    """0 that varies as x does."""
    return widen(x.ravel()[:0]).sum()
