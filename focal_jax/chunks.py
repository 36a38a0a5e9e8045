"""Losses of rows whose logits are never all there: JAX here, PyTorch in the file of the same name.

The logits of a chunk of rows are made, give its loss and its slope, and are forgotten. Loss and gradient together need
three products of matrices, as many as a layer that keeps its logits.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike

from .arrays import compute_dtype, widen
from .classes import id_focal
from .collectives import Devices, sum_over
from .engine import is_split, on_any_mesh
from .margin import softcapped

Named = Mapping[str, Array]


class Settings(NamedTuple):
    """What is known before the computation: the exponent, unless it is an array, the cap, the smoothing, and the axes
    of the mesh that classes are split over."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    devices: Devices


@on_any_mesh(each=False)
def sum_over_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Array:
    """The sum of all losses, over a divisor if there is one. `rows` has features, targets and what else there is of
    each row, `shared` the kernel and what else all rows share."""
    rows = _flat(rows)

    @jax.custom_jvp
    def total(rows: Named, shared: Named) -> Array:
        def step(sum_: Array, part: Named) -> tuple[Array, None]:
            part = {**part, **shared}
            return sum_ + _losses(settings, _logits(part), part).sum(), None

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
        value, slopes, of_rows = _add_chunk(settings, {**part, **shared}, slopes, moved - set(slopes))
        return (sum_ + value, slopes), of_rows

    (value, slopes), of_rows = _scan(step, start, rows, chunks)
    return value, slopes | {name: _join(x, len(rows[name])) for name, x in of_rows.items()}


@on_any_mesh(each=True)
def losses_in_chunks(rows: Named, shared: Named, chunks: int, settings: Settings) -> Array:
    """The loss of each row. A gradient makes the logits again."""
    shape, rows = rows["features"].shape[:-1], _flat(rows)
    # The slopes of half precision are added up in float32.
    wide = {name: widen(x) for name, x in shared.items()}

    def step(_: tuple[()], part: Named) -> tuple[tuple[()], Array]:
        part = {**part, **{name: x.astype(shared[name].dtype) for name, x in wide.items()}}
        return (), _losses(settings, _logits(part), part)

    return _join(_scan(step, (), rows, chunks)[1], math.prod(shape)).reshape(shape)


def _flat(rows: Named) -> Named:
    """An array for each row, or a number, with one axis for all rows."""
    shape = rows["features"].shape[:-1]

    def flat(x: Array) -> Array:
        rest = x.shape[len(shape) :]
        return jnp.broadcast_to(x, (*shape, *rest)).reshape(math.prod(shape), *rest)

    return {name: flat(x) for name, x in rows.items()}


def _losses(settings: Settings, logits: Array, part: Named) -> Array:
    """The loss of each row, from its logits without bias and cap."""
    gamma, softcap, smoothing, devices = settings
    rest: dict[str, Any] = {"weight": None, "where": None, "alpha": 1.0, "gamma": gamma, **part}
    z = logits + jnp.broadcast_to(widen(rest["bias"]), logits.shape) if "bias" in rest else logits
    z = z if softcap is None else softcapped(z, softcap)
    t, alpha, gamma, weight, where = (rest[name] for name in ("targets", "alpha", "gamma", "weight", "where"))
    losses = id_focal(z, t[..., None], alpha, gamma, smoothing, weight=weight, where=where, devices=devices)
    # Divided here, the slopes of a sum are those of the mean, and take no factor that would need another kernel.
    return losses / rest["divisor"] if "divisor" in rest else losses


def _add_chunk(
    settings: Settings, part: Named, into: Named, of_rows: frozenset[str]
) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """The loss of a chunk; the slopes of what is shared, added to what there is of them; and those of its rows."""
    features, kernel, logits = part["features"], part["kernel"], _logits(part)
    others = {name: widen(part[name]) for name in {*into, *of_rows} - {"features", "kernel"}}

    def loss(logits: Array, others: Named) -> Array:
        return _losses(settings, logits, {**part, **others}).sum()

    value, (slope, found) = jax.value_and_grad(loss, (0, 1))(logits, others)
    # Slopes are as small as probabilities, which float16 does not hold.
    dtype = kernel.dtype if kernel.dtype == jnp.bfloat16 else logits.dtype
    features, kernel, slope = (x.astype(dtype) for x in (features, kernel, slope))
    added = {name: x + found.pop(name) for name, x in into.items() if name != "kernel"}
    if "kernel" in into:
        added["kernel"] = lax.platform_dependent(into["kernel"], features, slope, cpu=_add_in_blocks, default=_add)
    if "features" in of_rows:
        found["features"] = _product(slope, kernel, 1, 1, logits.dtype)
    return value, added, found


def _add(into: Array, features: Array, slope: Array) -> Array:
    return into + _product(features, slope, 0, 0, into.dtype)


def _add_in_blocks(into: Array, features: Array, slope: Array) -> Array:
    """As `_add`, a few rows of the kernel at a time: XLA for the CPU would store all of the product beside the sum."""
    size = len(into) // (blocks := math.gcd(len(into), 8))

    def step(i: Array, into: Array) -> Array:
        cut = partial(lax.dynamic_slice_in_dim, start_index=i * size, slice_size=size)
        return lax.dynamic_update_slice_in_dim(into, _add(cut(into), cut(features, axis=1), slope), i * size, 0)

    return lax.fori_loop(0, blocks, step, into)


def _logits(part: Named) -> Array:
    """The logits of a chunk, in float32 at least."""
    return _product(part["features"], part["kernel"], 1, 0, compute_dtype(part["features"]))


def _product(a: Array, b: Array, axis_a: int, axis_b: int, dtype: DTypeLike) -> Array:
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())), preferred_element_type=dtype)


def _scan(step: Callable[..., Any], start: Any, rows: Named, chunks: int) -> Any:
    """Its derivative, which is a second one for a sum, makes each step again instead of keeping what it made."""
    return lax.scan(jax.checkpoint(step), start, {name: _split(x, chunks) for name, x in rows.items()})


def _split(x: Array, chunks: int) -> Array:
    """Chunks of rows that are `chunks` apart, so that rows on several devices stay where they are."""
    rows = -(-len(x) // chunks)
    x = jnp.pad(x, [(0, rows * chunks - len(x)), *[(0, 0)] * (x.ndim - 1)])
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
