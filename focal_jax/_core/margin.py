"""The margin u_t = z_t − log Σ_{k≠t} exp(z_k) of class t: JAX here, PyTorch in the file of the same
name.

Leaving t out of the sum, instead of forming 1 − exp(log p_t), keeps every margin accurate. For the
margin accelerators read a row of logits once, and the CPU twice. Nothing but three numbers a row is
kept, and derivatives are made from the logits again: a gradient reads the row once more, unless the
chip still has it.

    z    logits (…, C)        t    class ids (…, 1)        u    margins (…)        where    mask (…)

C counts the classes of this rank, and t is an id among them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from .._base.arrays import clamp, select, upcast, zero_outside
from .._base.autodiff import closed_form_at_infinities
from .._base.collectives import Group, max_over, sum_over


class RowStatistics(NamedTuple):
    """z_t, the maximum of all other logits, and their Σ exp(z − maximum): each (…)."""

    z_t: Array
    max_other: Array
    sum_exp: Array


# The tangents of z, t and where, of which the last two are empty.
Tangents = tuple[Array, object, object]


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def margin(z: Array, t: Array, where: Array | None, group: Group) -> Array:
    """u_t (…) inside the mask, else 0. NaN where several other logits are inf, or all are −inf."""
    row = row_statistics(z, t, group)
    unknown = (row.max_other == jnp.inf) & (row.sum_exp > 1)
    # In this order, so that logits which are far from 0, but close to each other, lose nothing.
    u = row.z_t - row.max_other - lax.log(row.sum_exp)
    nan_if_unknown = select(unknown, jnp.nan, lax.full_like(u, 0))
    return zero_outside(where, u + nan_if_unknown)


@margin.defjvp
def margin_jvp(
    group: Group, primals: tuple[Array, Array, Array | None], tangents: Tangents
) -> tuple[Array, Array]:
    z, t, where = primals
    dz = upcast(tangents[0])
    u = margin(z, t, where, group)
    du = (margin_grad(z, t, where, group) * dz).sum(-1)
    return u, sum_over(du, group)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def margin_grad(z: Array, t: Array, where: Array | None, group: Group) -> Array:
    """∂u_t/∂z (…, C)."""
    return zero_outside(where, _margin_grad(z, t, group))


@margin_grad.defjvp
def margin_grad_jvp(
    group: Group, primals: tuple[Array, Array, Array | None], tangents: Tangents
) -> tuple[Array, Array]:
    z, t, where = primals
    dz, *_ = tangents

    def grad(z: Array) -> Array:
        return _margin_grad(z, t, group)

    # What is left out may be NaN. It is masked only here, since a masked copy of the logits costs a
    # pass.
    inside, dinside = zero_outside(where, z), zero_outside(where, dz)
    _, change = jax.jvp(grad, (inside,), (dinside,))
    return margin_grad(z, t, where, group), change


def _margin_grad(z: Array, t: Array, group: Group) -> Array:
    others = -softmax_of_others(z, t, group)
    return jnp.where(is_class(z, t), 1, others)


def softmax_of_others(z: Array, t: Array, group: Group) -> Array:
    """The softmax (…, C) of all classes but t, at which it means nothing."""
    row = row_statistics(z, t, group)
    numerator = exp_below(upcast(z), row.max_other[..., None])
    return (1 / row.sum_exp)[..., None] * numerator


def has_class(t: Array, classes: int) -> Array:
    """Whether this rank, which has so many classes, has class t: (…, 1)."""
    return (t >= 0) & (t < classes)


def is_class(z: Array, t: Array) -> Array:
    """One-hot t as a mask (…, C); all False where t is no class of z."""
    ids = lax.broadcasted_iota(t.dtype, z.shape, z.ndim - 1)
    return ids == t


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def row_statistics(z: Array, t: Array, group: Group) -> RowStatistics:
    """What a row comes down to. Its maximum is a shift that no result depends on, so it has no
    derivative."""
    # Taken out before the logits are upcast, so that no float32 copy of them is stored for it.
    z_t = upcast(jnp.take_along_axis(z, t, -1, mode="clip"))[..., 0]
    here = has_class(t, z.shape[-1])[..., 0] if group else None
    # A rank without class t leaves nothing out.
    left_out = z_t if here is None else select(here, z_t, -jnp.inf)
    max_other, sum_exp = lax.platform_dependent(
        upcast(z), t, left_out, cpu=_in_two_passes, default=_in_one_pass
    )
    if group:
        max_of_all = max_over(max_other, group)
        sum_exp = sum_over(sum_exp * exp_below.formula(max_other, max_of_all), group)
        max_other = max_of_all
    # A class that is alone has no others.
    sum_exp = select(max_other == -jnp.inf, 1, sum_exp)
    z_t = sum_over(zero_outside(here, z_t), group)
    return RowStatistics(z_t, max_other, sum_exp)


@row_statistics.defjvp
def row_statistics_jvp(
    group: Group, primals: tuple[Array, Array], tangents: tuple[Array, object]
) -> tuple[RowStatistics, RowStatistics]:
    z, t = primals
    dz = upcast(tangents[0])
    row = row_statistics(z, t, group)
    target = is_class(z, t)
    exp_others = jnp.where(target, 0, exp_below(upcast(z), row.max_other[..., None]))
    dsum_exp = (exp_others * dz).sum(-1)
    dz_t = sum_over(jnp.where(target, dz, 0).sum(-1), group)
    dsum_exp = sum_over(dsum_exp, group)
    return row, RowStatistics(dz_t, jnp.zeros_like(dsum_exp), dsum_exp)


# --- Accelerators: one pass, which carries the maximum and the sum along.


def _in_one_pass(z: Array, t: Array, _: Array) -> tuple[Array, Array]:
    """The maximum (…) of all logits but z_t, and their Σ exp(z − maximum) (…)."""
    # XLA for GPUs would store a mask that is used twice: in both operands of the reduction, or in
    # value and gradient.
    number, one = z.dtype.type, t.dtype.type(1)
    is_t = lax.lt(_distance(z, t), one)
    others = select(is_t, -jnp.inf, z)
    ones = clamp(z, 1, 1)
    # −inf and 0 are what an empty row has.
    start = number(-jnp.inf), number(0)
    return lax.reduce((others, ones), start, _combine_max_sum, (z.ndim - 1,))


def _combine_max_sum(a: tuple[Array, ...], b: tuple[Array, ...]) -> tuple[Array, ...]:
    """The maximum and the sum of two parts of a row, each with its own: all are scalars."""
    max_a, sum_a = a
    max_b, sum_b = b
    distance = lax.abs(lax.sub(max_a, max_b))
    scale = lax.exp(lax.neg(distance))
    # The sum of the part with the smaller maximum is brought to the larger one.
    of_a = lax.add(sum_a, lax.mul(sum_b, scale))
    of_b = lax.add(lax.mul(sum_a, scale), sum_b)
    scaled = lax.select(lax.gt(max_a, max_b), of_a, of_b)
    # Equal maxima may be infinite. A −inf beside a finite maximum, as class t has it, counts
    # nothing.
    of_both = lax.add(sum_a, sum_b)
    total = lax.select(lax.eq(max_a, max_b), of_both, scaled)
    return lax.max(max_a, max_b), total


# --- The CPU: a pass for the maximum and one for the sum, neither of which stores an array of the
# size of the logits.


def _in_two_passes(z: Array, t: Array, z_t: Array) -> tuple[Array, Array]:
    """As `_in_one_pass`; z_t is (…)."""
    classes = (z.ndim - 1,)
    others = lax.min(_inf_but_at(z, t), z)
    max_other = lax.reduce_max(others, classes)
    # The largest other class has weight 1, and class t no more than 1, so that this subtraction
    # loses next to nothing.
    exp_z = exp_below.formula(z, max_other[..., None])
    exp_t = exp_below.formula(z_t, max_other)
    sum_exp = lax.reduce_sum(exp_z, classes)
    return max_other, lax.sub(sum_exp, exp_t)


def _inf_but_at(z: Array, t: Array) -> Array:
    """−inf (…, C) for class t, and inf for all others.

    XLA for the CPU fuses arithmetic into a reduction, but neither a selection nor operations on
    integers. Of two numbers its minimum returns the second if one is NaN.
    """
    classes = z.shape[-1]
    # float32 counts so many classes.
    if isinstance(classes, int) and classes <= 2**24:
        distance = _distance(z, t.astype(z.dtype))
    else:
        distance = _distance(z, t).astype(z.dtype)
    half, inf = z.dtype.type(0.5), z.dtype.type(jnp.inf)
    beyond = lax.sub(distance, half)
    return lax.mul(beyond, inf)


def _distance(z: Array, t: Array) -> Array:
    """|k − t| (…, C) of each class k."""
    ids = lax.broadcasted_iota(t.dtype, z.shape, z.ndim - 1)
    return lax.abs(ids - t)


@closed_form_at_infinities
def exp_below(z: Array, maximum: Array) -> Array:
    """exp(z − maximum) where z ≤ maximum, else 1: class t may lie far above all others. ∞ − ∞ is
    0."""
    largest = float(jnp.finfo(maximum.dtype).max)
    shift = clamp(maximum, -largest, largest)
    shift = lax.broadcast_in_dim(shift, z.shape, range(z.ndim))
    below = lax.min(shift, z)
    return lax.exp(lax.sub(below, shift))


@exp_below.partial("z")
def exp_below_z(z: Array, maximum: Array) -> Array:
    """exp(z − maximum)."""
    return exp_below(z, maximum)


@exp_below.partial("maximum")
def exp_below_maximum(z: Array, maximum: Array) -> Array:
    """−exp(z − maximum)."""
    return -exp_below(z, maximum)
