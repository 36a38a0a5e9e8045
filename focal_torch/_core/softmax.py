"""Losses over classes, which stand on the last axis: for class ids, and for class probabilities.

    z    logits (…, C)     t    class ids (…, 1)            α, γ    numbers, (C,), or like (…, C)
    u    margins (…, C)    y    probabilities (…, C)        weight, where    (…)

The margin of class c is u_c = z_c − log Σ_{k≠c} exp(z_k). It turns the softmax loss into the same f
as the sigmoid loss. C counts the classes of this rank, and `group` has the ranks that classes are
sharded over.
"""

import torch
from torch import Tensor

from .._base.arrays import Number, clamp_infinities, large, multiply_no_nan, upcast, zero_outside
from .._base.autodiff import weighted
from .._base.collectives import Group, max_over, rank, size, sum_over
from .._base.meshes import on_any_mesh
from .focal import focal, focal_gamma, neg_grad_u
from .margin import has_class, is_class, margin, softmax_of_others

# For DTensors: the arguments with rows, and the axis of the classes in those that have it.
ROWS = ("z", "t", "y", "gamma", "weight", "where")
CLASSES = {"z": -1, "y": -1, "alpha": -1, "gamma": -1}


@on_any_mesh(each_row=True, rows=ROWS, classes=CLASSES)
def id_focal(
    z: Tensor,
    t: Tensor,
    alpha: Number,
    gamma: Number,
    smoothing: float,
    *,
    weight: Tensor | None,
    where: Tensor | None,
    group: Group,
) -> Tensor:
    """α_t·f(u_t; γ_t) (…) for class ids t; NaN where t is no class."""
    classes = z.shape[-1]
    outside = (t < 0) | (t >= classes * size(group))
    no_class = outside[..., 0]
    if where is not None:
        # A selection between booleans is what ONNX Runtime does not have.
        no_class = no_class & where
    if group:
        # From here on t counts the classes of this rank, and is outside where another one has it.
        t = t - rank(group) * classes
    if smoothing:
        y = upcast(one_hot(z, t))
        loss = class_focal(z, y, alpha, gamma, smoothing, weight=weight, where=where, group=group)
    else:
        alpha_t = zero_outside(where, _entry_of_class(alpha, t, classes, group))
        gamma_t = zero_outside(where, _entry_of_class(gamma, t, classes, group))
        u = margin(z, t, where, group)
        loss = multiply_no_nan(alpha_t, focal(u, gamma_t))
        if weight is not None:
            loss = multiply_no_nan(zero_outside(where, weight), loss)
        loss = zero_outside(where, loss)
    # A product, for NaN in the gradient as well.
    factor = torch.where(no_class, torch.nan, torch.ones_like(loss))
    return loss * factor


@on_any_mesh(each_row=True, rows=ROWS, classes=CLASSES)
def id_margin(z: Tensor, t: Tensor, *, where: Tensor | None, group: Group) -> Tensor:
    """u_t (…) for class ids t; NaN where t is no class, or nothing is known of it."""
    classes = z.shape[-1]
    outside = (t < 0) | (t >= classes * size(group))
    if group:
        # From here on t counts the classes of this rank, and is outside where another one has it.
        t = t - rank(group) * classes
    u = margin(z, t, where, group)
    # A product, for NaN in the gradient as well.
    unknown = outside[..., 0] | torch.isnan(u)
    return u * torch.where(unknown, torch.nan, torch.ones_like(u))


def _entry_of_class(x: Number, t: Tensor, classes: int, group: Group) -> Number:
    """The entry (…) of class t in x, which is a number, (C,), or broadcasts to (…, C)."""
    if not isinstance(x, Tensor):
        return x
    here = has_class(t, classes) if group else None
    # Any entry will do where this rank does not have class t.
    nearest = t.clamp(0, classes - 1)
    if x.ndim == 1:
        entry = x[nearest]
    else:
        # torch.compile would make a program for each size with take_along_dim, which broadcasts.
        entry = torch.broadcast_to(x, (*t.shape[:-1], classes)).gather(-1, nearest)
    entry = sum_over(zero_outside(here, entry), group)
    return entry[..., 0]


def one_hot(z: Tensor, t: Tensor) -> Tensor:
    """1 (…, C) for class t, in the dtype of z."""
    return is_class(z, t).to(z.dtype)


@on_any_mesh(each_row=True, rows=ROWS, classes=CLASSES)
def class_focal(
    z: Tensor,
    y: Tensor,
    alpha: Number,
    gamma: Number,
    smoothing: float,
    *,
    weight: Tensor | None,
    where: Tensor | None,
    group: Group,
) -> Tensor:
    """Σ_c y_c·α_c·f(u_c; γ_c) (…) for class probabilities, mixed with the uniform distribution by
    `smoothing`."""
    if smoothing:
        all_classes = y.shape[-1] * size(group)
        if isinstance(all_classes, Tensor):
            # While torch.jit.trace records it. A quotient of integers would have the default dtype.
            all_classes = all_classes.to(y.dtype)
        y = y * (1 - smoothing) + smoothing / all_classes
    alpha = _for_each_class(alpha, z)
    gamma = _for_each_class(gamma, z)
    return weighted_sum_focal(z, y, alpha, gamma, group, weight=weight, where=where)


def _for_each_class(x: Number, z: Tensor) -> Number:
    """A number as it is, all else as (…, C)."""
    return torch.broadcast_to(x, z.shape) if isinstance(x, Tensor) else x


@weighted
def weighted_sum_focal(z: Tensor, y: Tensor, alpha: Number, gamma: Number, group: Group) -> Tensor:
    """Σ_c y_c·α_c·f(u_c; γ_c): (…)."""
    # A class with y = 0 costs nothing, even with a logit of −inf.
    terms = multiply_no_nan(y * alpha, focal.formula(margins(z, group), gamma))
    return sum_over(terms.sum(-1), group)


@weighted_sum_focal.partial("z")
def weighted_sum_focal_z(
    z: Tensor, y: Tensor, alpha: Number, gamma: Number, group: Group
) -> Tensor:
    """a_k − Σ_{c≠k} a_c·softmax_{j≠c}(z)_k with a_c = y_c·α_c·f′(u_c): (…, C)."""
    top_id = _argmax(z, group)
    top = is_class(z, top_id)
    exp_z = torch.exp(z - shift_of(z, group))
    sum_others = _leave_one_out(exp_z, top, group)
    u = _clamped_margins(z, group)
    a = -y * alpha * neg_grad_u(u, gamma)
    # The term of the largest logit apart: its softmax leaves out what dominates all other sums.
    a_top = sum_over(torch.where(top, a, 0).sum(-1, keepdim=True), group)
    softmax_below_top = softmax_of_others(z, top_id, group)
    from_top = torch.where(top, 0, a_top * softmax_below_top)
    # Of all other c at once: exp(z_k)·Σ_{c≠k} a_c / Σ_{j≠c} exp(z_j).
    scaled = torch.where(top, 0, a / sum_others)
    total = sum_over(scaled.sum(-1, keepdim=True), group)
    from_others = exp_z * (total - scaled)
    return a - from_top - from_others


@weighted_sum_focal.partial("y")
def weighted_sum_focal_y(
    z: Tensor, y: Tensor, alpha: Number, gamma: Number, group: Group
) -> Tensor:
    """α_c·f(u_c; γ_c): (…, C)."""
    u = _clamped_margins(z, group)
    return alpha * focal(u, gamma)


@weighted_sum_focal.partial("alpha")
def weighted_sum_focal_alpha(
    z: Tensor, y: Tensor, alpha: Number, gamma: Number, group: Group
) -> Tensor:
    """y_c·f(u_c; γ_c): (…, C)."""
    u = _clamped_margins(z, group)
    return y * focal(u, gamma)


@weighted_sum_focal.partial("gamma")
def weighted_sum_focal_gamma(
    z: Tensor, y: Tensor, alpha: Number, gamma: Number, group: Group
) -> Tensor:
    """y_c·α_c·∂f(u_c; γ_c)/∂γ_c: (…, C)."""
    u = _clamped_margins(z, group)
    return y * alpha * focal_gamma(u, gamma)


def margins(z: Tensor, group: Group) -> Tensor:
    """u_c of every class: (…, C)."""
    # Only the largest logit can dominate the sum that it must be left out of, so only there a
    # subtraction would cancel.
    top_id = _argmax(z, group)
    top = is_class(z, top_id)
    exp_z = torch.exp(z - shift_of(z, group))
    sum_others = _leave_one_out(exp_z, top, group)
    u_top = margin(z, top_id, None, group)[..., None]
    u_others = z - shift_of(z, group) - torch.log(sum_others)
    return torch.where(top, u_top, u_others)


def _clamped_margins(z: Tensor, group: Group) -> Tensor:
    """Margins (…, C) for a partial derivative, which sees logits of ±inf as ±1e30. They are NaN if
    two logits are inf, or all are −inf, so that nothing is known about them."""
    top = max_over(z.detach().amax(-1), group)
    infinite = sum_over((z >= large()).sum(-1), group)
    unknown = (infinite > 1) | (top <= -large())
    u = clamp_infinities(margins(z, group))
    return torch.where(unknown[..., None], torch.nan, u)


def _leave_one_out(exp_z: Tensor, top: Tensor, group: Group) -> Tensor:
    """Σ_{k≠c} exp_z_k (…, C) of every c but the largest, of which the mask is `top`."""
    total = sum_over(exp_z.sum(-1, keepdim=True), group)
    # Of the largest logit the difference would cancel. `margin` has it.
    return torch.where(top, 1, total - torch.where(top, 0, exp_z))


def shift_of(z: Tensor, group: Group) -> Tensor:
    """What keeps exp(z − shift) in range, also beside a logit that is inf: (…, 1)."""
    # All uses are invariant under it, so it has no derivative.
    maximum = max_over(z.detach().amax(-1, keepdim=True), group)
    finite = torch.where(torch.isfinite(maximum), maximum, 0)
    return torch.where(maximum == torch.inf, large(), finite)


def _argmax(z: Tensor, group: Group) -> Tensor:
    """The id of the largest logit, −1 where another rank has it: (…, 1)."""
    z = z.detach()
    top_id = z.argmax(-1, keepdim=True)
    if not group:
        return top_id
    # Of equal ones that of the last rank counts.
    largest = z.amax(-1, keepdim=True)
    has_largest = largest == max_over(largest, group)
    last = max_over(torch.where(has_largest, rank(group), -1), group)
    return torch.where(last == rank(group), top_id, -1)
