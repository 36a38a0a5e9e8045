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
from .margin import focal, focal_descent, focal_per_gamma
from .rows import is_class, margin, softmax_others
from .rules import weighted


def id_focal(
    z: Tensor, t: Tensor, alpha: Any, gamma: Any, smoothing: float, *, weight: Tensor | None, where: Tensor | None
) -> Tensor:
    """α_t·f(u_t; γ_t) for class ids t, given with a class axis of length 1; NaN where t is no class of z."""
    if smoothing:
        loss = class_focal(z, widen(one_hot(z, t)), alpha, gamma, smoothing, weight=weight, where=where)
    else:
        loss = _id_focal(z, t, alpha, gamma, weight=weight, where=where)
    unknown = keep(where, ((t < 0) | (t >= z.shape[-1]))[..., 0])
    return torch.where(unknown, torch.nan, loss)


def _id_focal(z: Tensor, t: Tensor, alpha: Any, gamma: Any, *, weight: Tensor | None, where: Tensor | None) -> Tensor:
    alpha, gamma = (keep(where, _of_class(x, t)) for x in (alpha, gamma))
    loss = share(alpha, focal(margin(z, t, where), gamma))
    return keep(where, loss if weight is None else share(keep(where, weight), loss))


def _of_class(x: Any, t: Tensor) -> Any:
    """The entry of class t of a constant, of one value per class, or of an array with the class axis last."""
    if not isinstance(x, Tensor):
        return x
    if x.ndim == 1:
        return x[t[..., 0].clamp(0, x.numel() - 1)]
    t = t.clamp(0, x.shape[-1] - 1)
    return torch.take_along_dim(torch.broadcast_to(x, (*t.shape[:-1], x.shape[-1])), t, -1)[..., 0]


def one_hot(z: Tensor, t: Tensor) -> Tensor:
    return is_class(z, t).to(z.dtype)


def _maximum(z: Tensor) -> Tensor:
    """The shift that keeps exp(z − shift) in range. All uses are invariant under it, so it has no derivative."""
    maximum = z.detach().amax(-1, keepdim=True)
    return torch.where(torch.isfinite(maximum), maximum, 0)


@weighted(
    lambda z, y, alpha, gamma: _slope(z, y, alpha, gamma),
    lambda z, y, alpha, gamma: alpha * focal(_finite(_margins(z), z), gamma),
    lambda z, y, alpha, gamma: y * focal(_finite(_margins(z), z), gamma),
    lambda z, y, alpha, gamma: y * alpha * focal_per_gamma(_finite(_margins(z), z), gamma),
)
def _class_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    return share(y * alpha, focal(_margins(z), gamma)).sum(-1)


def class_focal(
    z: Tensor, y: Tensor, alpha: Any, gamma: Any, smoothing: float, *, weight: Tensor | None, where: Tensor | None
) -> Tensor:
    """Σ_c y_c·α_c·f(u_c; γ_c) for class probabilities y, mixed with the uniform distribution by `smoothing`."""
    if smoothing:
        y = y * (1 - smoothing) + smoothing / y.shape[-1]
    alpha, gamma = (torch.broadcast_to(x, z.shape) if isinstance(x, Tensor) else x for x in (alpha, gamma))
    return _class_focal(z, y, alpha, gamma, weight=weight, where=where)


def _finite(u: Tensor, z: Tensor) -> Tensor:
    """Margins for a closed form, which sees ±inf as ±1e30: NaN if two logits are inf, or all −inf, so that nothing
    is known about u."""
    top = z.amax(-1)
    unknown = ((z >= far()).sum(-1) > 1) | (top <= -far())
    return torch.where(unknown if unknown.ndim == u.ndim else unknown[..., None], torch.nan, near(u))


def _margins(z: Tensor) -> Tensor:
    """u_c of every class. Only the largest logit can dominate the sum that it must be left out of, so only there
    a subtraction would cancel."""
    top, _, rest = _leave_one_out(z)
    return torch.where(top, margin(z, _argmax(z))[..., None], z - _maximum(z) - torch.log(rest))


def _slope(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """∂/∂z_k = a_k − Σ_{c≠k} a_c·softmax_{j≠c}(z)_k with a_c = y_c·α_c·f′(u_c)."""
    top_id = _argmax(z)
    top, powers, rest = _leave_one_out(z)
    slope = -y * alpha * focal_descent(_finite(_margins(z), z), gamma)
    slope_top = torch.where(top, slope, 0).sum(-1, keepdim=True)
    scaled = torch.where(top, 0, slope / rest)
    below_top = powers * (scaled.sum(-1, keepdim=True) - scaled)
    return slope - torch.where(top, 0, slope_top * softmax_others(z, top_id)) - below_top


def _leave_one_out(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mask of the largest logit, w = exp(z − max), and Σ_{k≠c} w_k for every other c."""
    top = is_class(z, _argmax(z))
    powers = torch.exp(z - _maximum(z))
    return top, powers, torch.where(top, 1, powers.sum(-1, keepdim=True) - torch.where(top, 0, powers))


def _argmax(z: Tensor) -> Tensor:
    return z.detach().argmax(-1, keepdim=True)
