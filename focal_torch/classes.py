"""Margins and losses over classes, which stand on the last axis.

The margin of class c is u_c = z_c − log Σ_{k≠c} exp(z_k). Leaving c out of the sum, instead of forming
1 − exp(log p_c), keeps every margin accurate and turns the softmax loss into the same f as the sigmoid loss.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from typing import Any

import torch
from torch import Tensor

from .arrays import far, keep, near, share, widen
from .collectives import Devices, count, max_over, place, sum_over
from .engine import on_any_mesh
from .margin import focal, focal_descent, focal_per_gamma
from .rows import is_class, is_one_of, margin, softmax_others
from .rules import weighted


@on_any_mesh(each=True)
def id_focal(
    z: Tensor,
    t: Tensor,
    alpha: Any,
    gamma: Any,
    smoothing: float,
    *,
    weight: Tensor | None,
    where: Tensor | None,
    devices: Devices,
) -> Tensor:
    """α_t·f(u_t; γ_t) for class ids t, given with a class axis of length 1; NaN where t is no class of z."""
    classes = z.shape[-1]
    unknown = keep(where, ((t < 0) | (t >= classes * count(devices)))[..., 0])
    t = t - place(devices) * classes
    if smoothing:
        y = widen(one_hot(z, t))
        loss = class_focal(z, y, alpha, gamma, smoothing, weight=weight, where=where, devices=devices)
    else:
        loss = _id_focal(z, t, alpha, gamma, weight, where, devices)
    return torch.where(unknown, torch.nan, loss)


def _id_focal(
    z: Tensor, t: Tensor, alpha: Any, gamma: Any, weight: Tensor | None, where: Tensor | None, devices: Devices
) -> Tensor:
    alpha, gamma = (keep(where, _of_class(x, t, z.shape[-1], devices)) for x in (alpha, gamma))
    loss = share(alpha, focal(margin(z, t, where, devices), gamma))
    return keep(where, loss if weight is None else share(keep(where, weight), loss))


def _of_class(x: Any, t: Tensor, classes: int, devices: Devices) -> Any:
    """The entry of class t of a constant, of one value per class, or of an array with the class axis last."""
    if not isinstance(x, Tensor):
        return x
    if x.ndim > 1:
        x = torch.broadcast_to(x, (*t.shape[:-1], classes))
    here, t = is_one_of(x, t) if devices else None, t.clamp(0, classes - 1)
    x = x[t] if x.ndim == 1 else torch.take_along_dim(x, t, -1)
    return sum_over(keep(here, x), devices)[..., 0]


def one_hot(z: Tensor, t: Tensor) -> Tensor:
    return is_class(z, t).to(z.dtype)


def _maximum(z: Tensor, devices: Devices) -> Tensor:
    """The shift that keeps exp(z − shift) in range, also beside a logit that is inf. All uses are invariant under it,
    so it has no derivative."""
    maximum = max_over(z.detach().amax(-1, keepdim=True), devices)
    return torch.where(maximum == torch.inf, far(), torch.where(torch.isfinite(maximum), maximum, 0))


@weighted(
    lambda z, y, alpha, gamma, devices: _slope(z, y, alpha, gamma, devices),
    lambda z, y, alpha, gamma, devices: alpha * focal(_finite(z, devices), gamma),
    lambda z, y, alpha, gamma, devices: y * focal(_finite(z, devices), gamma),
    lambda z, y, alpha, gamma, devices: y * alpha * focal_per_gamma(_finite(z, devices), gamma),
    None,
)
def _class_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any, devices: Devices) -> Tensor:
    return sum_over(share(y * alpha, focal(margins(z, devices), gamma)).sum(-1), devices)


@on_any_mesh(each=True)
def class_focal(
    z: Tensor,
    y: Tensor,
    alpha: Any,
    gamma: Any,
    smoothing: float,
    *,
    weight: Tensor | None,
    where: Tensor | None,
    devices: Devices,
) -> Tensor:
    """Σ_c y_c·α_c·f(u_c; γ_c) for class probabilities y, mixed with the uniform distribution by `smoothing`."""
    if smoothing:
        y = y * (1 - smoothing) + smoothing / (y.shape[-1] * count(devices))
    alpha, gamma = (torch.broadcast_to(x, z.shape) if isinstance(x, Tensor) else x for x in (alpha, gamma))
    return _class_focal(z, y, alpha, gamma, devices, weight=weight, where=where)


def _finite(z: Tensor, devices: Devices) -> Tensor:
    """Margins for a closed form, which sees ±inf as ±1e30: NaN if two logits are inf, or all −inf, so that nothing
    is known about them."""
    top = max_over(z.detach().amax(-1), devices)
    unknown = (sum_over((z >= far()).sum(-1), devices) > 1) | (top <= -far())
    return torch.where(unknown[..., None], torch.nan, near(margins(z, devices)))


def margins(z: Tensor, devices: Devices) -> Tensor:
    """u_c of every class. Only the largest logit can dominate the sum that it must be left out of, so only there
    a subtraction would cancel."""
    top_id = _argmax(z, devices)
    top, _, rest = _leave_one_out(z, top_id, devices)
    return torch.where(top, margin(z, top_id, None, devices)[..., None], z - _maximum(z, devices) - torch.log(rest))


def _slope(z: Tensor, y: Tensor, alpha: Any, gamma: Any, devices: Devices) -> Tensor:
    """∂/∂z_k = a_k − Σ_{c≠k} a_c·softmax_{j≠c}(z)_k with a_c = y_c·α_c·f′(u_c)."""
    top_id = _argmax(z, devices)
    top, powers, rest = _leave_one_out(z, top_id, devices)
    slope = -y * alpha * focal_descent(_finite(z, devices), gamma)
    slope_top = sum_over(torch.where(top, slope, 0).sum(-1, keepdim=True), devices)
    scaled = torch.where(top, 0, slope / rest)
    below_top = powers * (sum_over(scaled.sum(-1, keepdim=True), devices) - scaled)
    return slope - torch.where(top, 0, slope_top * softmax_others(z, top_id, devices)) - below_top


def _leave_one_out(z: Tensor, top_id: Tensor, devices: Devices) -> tuple[Tensor, Tensor, Tensor]:
    """The mask of the largest logit, w = exp(z − max), and Σ_{k≠c} w_k for every other c."""
    top = is_class(z, top_id)
    powers = torch.exp(z - _maximum(z, devices))
    total = sum_over(powers.sum(-1, keepdim=True), devices)
    return top, powers, torch.where(top, 1, total - torch.where(top, 0, powers))


def _argmax(z: Tensor, devices: Devices) -> Tensor:
    """The id of the largest logit; −1 where another device has it."""
    z = z.detach()
    found = z.argmax(-1, keepdim=True)
    if not devices:
        return found
    # Of equal ones the last device's counts.
    largest = z.amax(-1, keepdim=True)
    last = max_over(torch.where(largest == max_over(largest, devices), place(devices), -1), devices)
    return torch.where(last == place(devices), found, -1)
