"""How a row of logits is read in JAX, for PyTorch in the file of the same name: once on accelerators, twice on the CPU.

A reading keeps nothing but three numbers for each row, and its derivative is made from the logits again.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from .arrays import keep, widen
from .collectives import Devices, max_over, sum_over
from .rules import closed_form


class Row(NamedTuple):
    """z_t, the maximum of all other logits, and their Σ exp(z − maximum)."""

    own: Array
    top: Array
    total: Array


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def margin(z: Array, t: Array, where: Array | None, devices: Devices) -> Array:
    """u_t of the rows that `where` keeps, else 0. NaN where several other logits are inf, or none is known."""
    row = _read(z, t, devices)
    unknown = (row.top == jnp.inf) & (row.total > 1)
    # In this order, so that logits which are far from 0, but near each other, lose nothing.
    return keep(where, row.own - row.top - jnp.log(row.total) + jnp.where(unknown, jnp.nan, 0))


@margin.defjvp
def _(devices: Devices, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t, where), (dz, *_) = primals, tangents
    return margin(z, t, where, devices), sum_over((_slope(z, t, where, devices) * widen(dz)).sum(-1), devices)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _slope(z: Array, t: Array, where: Array | None, devices: Devices) -> Array:
    """∂u_t/∂z."""
    return keep(where, _slope_of_all(z, t, devices))


@_slope.defjvp
def _(devices: Devices, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (z, t, where), (dz, *_) = primals, tangents
    # What is left out may be NaN. It is masked only here, since a masked copy of the logits costs a pass.
    _, change = jax.jvp(lambda z: _slope_of_all(z, t, devices), (keep(where, z),), (keep(where, dz),))
    return _slope(z, t, where, devices), change


def _slope_of_all(z: Array, t: Array, devices: Devices) -> Array:
    return jnp.where(is_class(z, t), 1, -softmax_others(z, t, devices))


def softmax_others(z: Array, t: Array, devices: Devices) -> Array:
    """The softmax of all classes but t, at which it means nothing."""
    row = _read(z, t, devices)
    return (1 / row.total)[..., None] * _shifted(widen(z), row.top[..., None])


def is_one_of(z: Array, t: Array) -> Array:
    """Whether z has a class t."""
    return (t >= 0) & (t < z.shape[-1])


def is_class(z: Array, t: Array) -> Array:
    """One-hot t in the shape of z, as a mask; all False where t is no class of z."""
    return lax.broadcasted_iota(t.dtype, z.shape, z.ndim - 1) == t


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _read(z: Array, t: Array, devices: Devices) -> Row:
    """What each row comes down to. Its maximum is a shift that no result depends on, so it has no derivative."""
    # Taken out before the logits are widened, so that no wide copy is stored for it.
    own = widen(jnp.take_along_axis(z, t, -1, mode="clip"))
    here = is_one_of(z, t) if devices else None
    # A device without class t leaves nothing out.
    left_out = own if here is None else jnp.where(here, own, -jnp.inf)
    top, total = lax.platform_dependent(widen(z), t, left_out, cpu=_in_two_passes, default=_in_one_pass)
    if devices:
        highest = max_over(top, devices)
        total, top = sum_over(total * _shifted(top, highest), devices), highest
    # A class that is alone has no others.
    return Row(sum_over(keep(here, own), devices)[..., 0], top, jnp.where(top == -jnp.inf, 1, total))


@_read.defjvp
def _(devices: Devices, primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Row, Row]:
    (z, t), (dz, _) = primals, map(widen, tangents)
    row, target = _read(z, t, devices), is_class(z, t)
    total = (jnp.where(target, 0, _shifted(widen(z), row.top[..., None])) * dz).sum(-1)
    own, total = sum_over(jnp.where(target, dz, 0).sum(-1), devices), sum_over(total, devices)
    return row, Row(own, jnp.zeros_like(total), total)


def _in_one_pass(z: Array, t: Array, _: Array) -> tuple[Array, Array]:
    """Sums of exponentials are brought to the larger maximum as they meet."""
    # XLA for GPUs would store a mask that is used twice, in both elements or in value and gradient.
    masked = jnp.where(_distance(z, t) < 1, -jnp.inf, z)
    start = z.dtype.type(-jnp.inf), z.dtype.type(0)
    ones = jnp.clip(z, 1, 1)
    return lax.reduce((masked, ones), start, _meet, (z.ndim - 1,))


def _meet(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    (top_a, total_a), (top_b, total_b) = a, b
    scale = jnp.exp(-jnp.abs(top_a - top_b))
    total = jnp.where(top_a > top_b, total_a + total_b * scale, total_a * scale + total_b)
    # Equal maxima may be infinite. A −inf beside a finite maximum, as class t has it, counts nothing.
    return jnp.maximum(top_a, top_b), jnp.where(top_a == top_b, total_a + total_b, total)


def _in_two_passes(z: Array, t: Array, own: Array) -> tuple[Array, Array]:
    """The maximum, then the sum, without an array of the size of the logits: XLA for the CPU draws arithmetic into a
    reduction, but no selection. Of two numbers its minimum returns the second if one is NaN."""
    # −inf for class t, and inf for all others. float32 counts so many classes, and integers are not drawn in.
    few = isinstance(classes := z.shape[-1], int) and classes <= 2**24
    distance = _distance(z, t.astype(z.dtype)) if few else _distance(z, t).astype(z.dtype)
    limit = (distance - 0.5) * jnp.inf
    top = jnp.minimum(limit, z).max(-1, keepdims=True)
    # The largest other class has weight 1, and class t no more than 1, so that this subtraction loses next to nothing.
    return top[..., 0], (_shifted(z, top).sum(-1) - _shifted(own, top)[..., 0])


def _distance(z: Array, t: Array) -> Array:
    """How far each class id is from t."""
    return jnp.abs(lax.broadcasted_iota(t.dtype, z.shape, z.ndim - 1) - t)


@closed_form(lambda z, top: _shifted(z, top), lambda z, top: -_shifted(z, top), infinities=True)
def _shifted(z: Array, top: Array) -> Array:
    """exp(z − top) where z ≤ top, else 1: class t may lie far above all others. ∞ − ∞ is 0."""
    largest = float(jnp.finfo(top.dtype).max)
    shift = jnp.clip(top, -largest, largest)
    return jnp.exp(jnp.minimum(shift, z) - shift)
