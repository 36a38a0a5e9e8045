"""How a row of logits is read in PyTorch, for JAX in the file of the same name.

A reading keeps nothing but three numbers for each row, and its derivative is made from the logits again.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arrays import compute_dtype, keep, widen
from .collectives import Devices, max_over, sum_over
from .engine import refuse_second_derivative
from .rules import apply, closed_form
from .versions import is_transformed, is_wrapped


class Row(NamedTuple):
    """z_t, the maximum of all other logits, and their Σ exp(z − maximum)."""

    own: Tensor
    top: Tensor
    total: Tensor


def margin(z: Tensor, t: Tensor, where: Tensor | None, devices: Devices) -> Tensor:
    """u_t of the rows that `where` keeps, else 0. NaN where several other logits are inf, or none is known."""
    row = _read(z, t, where, devices)
    unknown = (row.top == torch.inf) & (row.total > 1)
    # In this order, so that logits which are far from 0, but near each other, lose nothing.
    return keep(where, row.own - row.top - torch.log(row.total) + row.top.new_full((), torch.nan).where(unknown, 0))


def softmax_others(z: Tensor, t: Tensor, devices: Devices) -> Tensor:
    """The softmax of all classes but t, at which it means nothing."""
    row = _read(z, t, None, devices)
    return (1 / row.total)[..., None] * _shifted(widen(z), row.top[..., None])


def is_one_of(z: Tensor, t: Tensor) -> Tensor:
    """Whether z has a class t."""
    return (t >= 0) & (t < z.shape[-1])


def is_class(z: Tensor, t: Tensor) -> Tensor:
    """One-hot t in the shape of z, as a mask; all False where t is no class of z."""
    return torch.arange(z.shape[-1], dtype=t.dtype, device=t.device) == t


def _read(z: Tensor, t: Tensor, where: Tensor | None, devices: Devices) -> Row:
    """What each row comes down to. Its maximum is a shift that no result depends on, so it has no derivative."""
    return Row(*apply(_Reading, _ForwardReading, z, t, where, devices))


class _Reading(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, t: Tensor, where: Tensor | None, devices: Devices) -> tuple[Tensor, Tensor, Tensor]:
        z, largest = widen(z), torch.finfo(compute_dtype(z)).max
        here = is_one_of(z, t) if devices else None
        rest = _put(z.clamp(max=largest).contiguous(), t, -torch.inf, here)
        top = rest.amax(-1)
        total = rest.sub_(top.clamp(min=-largest)[..., None]).exp_().sum(-1)
        if devices:
            highest = max_over(top, devices)
            total, top = sum_over(total * _shifted(top, highest), devices), highest
        own = sum_over(keep(here, _own(z, t)), devices)[..., 0]
        top = torch.where(top == largest, torch.inf, top)
        # A class that is alone has no others.
        total = torch.where(top == -torch.inf, 1, total)
        return keep(where, own), keep(where, top), total if where is None else torch.where(where, total, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, top, _ = output
        *arrays, ctx.devices = inputs
        ctx.mark_non_differentiable(top)
        ctx.save_for_backward(*arrays, top)
        ctx.save_for_forward(*arrays, top)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        z, t, where, top = ctx.saved_tensors
        refuse_second_derivative(ctx.devices)
        per_own, _, per_total = (x[..., None] for x in cotangents)
        # What is left out may be NaN, which only a second derivative sees; a masked copy of the logits costs a pass.
        z = keep(where, z) if torch.is_grad_enabled() else z
        slope = _scaled(_shifted(widen(z), top[..., None]), per_total)
        here = is_one_of(z, t) if ctx.devices else None
        return keep(where, _put(slope, t, per_own, here)).to(z.dtype), None, None, None


class _ForwardReading(_Reading):
    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor | None, Tensor]:
        dz, *_ = tangents
        z, t, where, top = ctx.saved_tensors
        dz, z = widen(dz), widen(z)
        total = torch.where(is_class(z, t), 0, _shifted(z, top[..., None])) * dz
        return keep(where, _own(dz, t)[..., 0]), None, keep(where, total.sum(-1))


def _own(x: Tensor, t: Tensor) -> Tensor:
    return torch.take_along_dim(x, t.clamp(0, x.shape[-1] - 1), -1)


def _put(x: Tensor, t: Tensor, value: Any, here: Tensor | None) -> Tensor:
    """x with a value for class t where x has it, in place of x unless PyTorch transforms or compiles what it sees."""
    if torch.compiler.is_compiling() or is_transformed():
        return torch.where(is_class(x, t), value, x)
    value = value if here is None else torch.where(here, value, _own(x, t))
    t = t.clamp(0, x.shape[-1] - 1)
    return x.scatter_(-1, t, value)


@closed_form(lambda z, top: _shifted(z, top), lambda z, top: -_shifted(z, top), infinities=True)
def _shifted(z: Tensor, top: Tensor) -> Tensor:
    """exp(z − top) where z ≤ top, else 1: class t may lie far above all others. ∞ − ∞ is 0."""
    largest = torch.finfo(top.dtype).max
    shift = top.clamp(-largest, largest)
    return torch.minimum(shift, z).sub_(shift).exp_()


def _scaled(x: Tensor, factor: Tensor) -> Tensor:
    """x·factor, in place of x if nobody else sees x: nothing else is that large, and memory is what takes the time."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or is_wrapped(factor):
        return x * factor
    return x.mul_(factor)
