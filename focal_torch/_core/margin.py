"""The margin u_t = z_t − log Σ_{k≠t} exp(z_k) of class t: PyTorch here, JAX in the file of the same
name.

Leaving t out of the sum, instead of forming 1 − exp(log p_t), keeps every margin accurate. Nothing
but three numbers a row of logits is kept, and derivatives are made from the logits again.

    z    logits (…, C)        t    class ids (…, 1)        u    margins (…)        where    mask (…)

C counts the classes of this rank, and t is an id among them.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._base.arrays import upcast, zero_outside
from .._base.autodiff import Rules, closed_form_at_infinities, eager_rule, rule_for
from .._base.collectives import Group, max_over, sum_over
from .._base.tracing import refuse_second_derivative, visible_to_compile
from .._base.versions import is_batched, is_transformed


class RowStatistics(NamedTuple):
    """z_t, the maximum of all other logits, and their Σ exp(z − maximum): each (…)."""

    z_t: Tensor
    max_other: Tensor
    sum_exp: Tensor


def margin(z: Tensor, t: Tensor, where: Tensor | None, group: Group) -> Tensor:
    """u_t (…) inside the mask, else 0. NaN where several other logits are inf, or all are −inf."""
    row = row_statistics(z, t, where, group)
    unknown = (row.max_other == torch.inf) & (row.sum_exp > 1)
    # In this order, so that logits which are far from 0, but close to each other, lose nothing.
    u = row.z_t - row.max_other - torch.log(row.sum_exp)
    nan = row.max_other.new_full((), torch.nan)
    return zero_outside(where, u + nan.where(unknown, 0))


def softmax_of_others(z: Tensor, t: Tensor, group: Group) -> Tensor:
    """The softmax (…, C) of all classes but t, at which it means nothing."""
    row = row_statistics(z, t, None, group)
    return (1 / row.sum_exp)[..., None] * exp_below(upcast(z), row.max_other[..., None])


def has_class(t: Tensor, classes: int) -> Tensor:
    """Whether this rank, which has so many classes, has class t: (…, 1)."""
    return (t >= 0) & (t < classes)


def is_class(z: Tensor, t: Tensor) -> Tensor:
    """One-hot t as a mask (…, C); all False where t is no class of z."""
    return torch.arange(z.shape[-1], dtype=t.dtype, device=t.device) == t


def row_statistics(z: Tensor, t: Tensor, where: Tensor | None, group: Group) -> RowStatistics:
    """What a row comes down to. Its maximum is a shift that no result depends on, so it has no
    derivative."""
    inputs = visible_to_compile((z, t, where, group))
    return RowStatistics(*rule_for(inputs, RULES)(*inputs))


class _RowStatistics(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        z: Tensor, t: Tensor, where: Tensor | None, group: Group
    ) -> tuple[Tensor, Tensor, Tensor]:
        # One copy of the logits, in which all the rest is done in place.
        z = upcast(z)
        largest = torch.finfo(z.dtype).max
        here = has_class(t, z.shape[-1]) if group else None
        others = _put(z.clamp(max=largest).contiguous(), t, -torch.inf, here)
        max_other = others.amax(-1)
        # A row of nothing but −inf has no maximum to subtract.
        shift = max_other.clamp(min=-largest)[..., None]
        sum_exp = others.sub_(shift).exp_().sum(-1)
        if group:
            max_of_all = max_over(max_other, group)
            sum_exp = sum_over(sum_exp * exp_below(max_other, max_of_all), group)
            max_other = max_of_all
        z_t = sum_over(zero_outside(here, _entry_of_class(z, t)), group)[..., 0]
        max_other = torch.where(max_other == largest, torch.inf, max_other)
        # A class that is alone has no others.
        sum_exp = torch.where(max_other == -torch.inf, 1, sum_exp)
        # log(1) = 0, so that the margin of a row that is left out is 0, and not NaN.
        if where is not None:
            sum_exp = torch.where(where, sum_exp, 1)
        return zero_outside(where, z_t), zero_outside(where, max_other), sum_exp

    @staticmethod
    def setup_context(
        ctx: Any,
        inputs: tuple[Tensor, Tensor, Tensor | None, Group],
        output: tuple[Tensor, ...],
    ) -> None:
        _, max_other, _ = output
        z, t, where, ctx.group = inputs
        ctx.mark_non_differentiable(max_other)
        ctx.save_for_backward(z, t, where, max_other)
        ctx.save_for_forward(z, t, where, max_other)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        z, t, where, max_other = ctx.saved_tensors
        refuse_second_derivative(ctx.group)
        of_z_t, _, of_sum_exp = (x[..., None] for x in cotangents)
        if torch.is_grad_enabled():
            # What is left out may be NaN, which only a second derivative sees; a masked copy of the
            # logits costs a pass.
            z = zero_outside(where, z)
        grad = _scale(exp_below(upcast(z), max_other[..., None]), of_sum_exp)
        here = has_class(t, z.shape[-1]) if ctx.group else None
        grad = zero_outside(where, _put(grad, t, of_z_t, here))
        return grad.to(z.dtype), None, None, None


class _RowStatisticsForward(_RowStatistics):
    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor | None, Tensor]:
        z, t, where, max_other = ctx.saved_tensors
        z, dz = upcast(z), upcast(tangents[0])
        exp_others = torch.where(is_class(z, t), 0, exp_below(z, max_other[..., None]))
        dsum_exp = (exp_others * dz).sum(-1)
        dz_t = _entry_of_class(dz, t)[..., 0]
        return zero_outside(where, dz_t), None, zero_outside(where, dsum_exp)


RULES = Rules(_RowStatistics, _RowStatisticsForward, eager_rule(_RowStatistics))


def _entry_of_class(x: Tensor, t: Tensor) -> Tensor:
    """x_t (…, 1); that of the nearest class where t is none."""
    # torch.compile would make a program for each size with take_along_dim, which broadcasts.
    return x.gather(-1, t.clamp(0, x.shape[-1] - 1))


def _put(x: Tensor, t: Tensor, value: Tensor | float, here: Tensor | None) -> Tensor:
    """x (…, C) with a value (…, 1) for class t where x has it, in place unless PyTorch transforms
    or compiles."""
    if torch.compiler.is_compiling() or is_transformed():
        return torch.where(is_class(x, t), value, x)
    # A rank without class t puts what is there already.
    if here is not None:
        value = torch.where(here, value, _entry_of_class(x, t))
    return x.scatter_(-1, t.clamp(0, x.shape[-1] - 1), value)


def _scale(x: Tensor, factor: Tensor) -> Tensor:
    """x·factor, in place where nobody else has x."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or is_batched(factor):
        return x * factor
    # Nothing else is as large as x, and memory is what takes the time.
    return x.mul_(factor)


@closed_form_at_infinities
def exp_below(z: Tensor, maximum: Tensor) -> Tensor:
    """exp(z − maximum) where z ≤ maximum, else 1: class t may lie far above all others. ∞ − ∞ is
    0."""
    largest = torch.finfo(maximum.dtype).max
    shift = maximum.clamp(-largest, largest)
    return torch.minimum(shift, z).sub_(shift).exp_()


@exp_below.partial("z")
def exp_below_z(z: Tensor, maximum: Tensor) -> Tensor:
    """exp(z − maximum)."""
    return exp_below(z, maximum)


@exp_below.partial("maximum")
def exp_below_maximum(z: Tensor, maximum: Tensor) -> Tensor:
    """−exp(z − maximum)."""
    return -exp_below(z, maximum)
