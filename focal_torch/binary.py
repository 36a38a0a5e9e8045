"""Binary losses with α: for hard targets, and for soft targets by two rules.

The notation is p = σ(z), q = σ(−z), m = 1 − p_t = y·q + (1 − y)·p and b = −y·log p − (1 − y)·log q. For y = 1 and
y = 0 both rules are the hard loss. Only there, with saturated logits, can m underflow; the quotients by m then take
their limits.
"""
# A partial derivative refers to the function that it stands above, which pyright takes for a circle.
# pyright: reportGeneralTypeIssues=false

from typing import Any

import torch
from torch import Tensor

from .margin import focal, focal_per_gamma, focal_slope, power, sigmoid, softplus
from .rules import FAR, closed_form, share, weighted


@weighted(
    lambda z, y, alpha, gamma: _sign(z, y) * alpha_t(z, y, alpha) * focal_slope(_sign(z, y) * z, gamma),
    None,
    lambda z, y, alpha, gamma: _sign(z, y) * focal(_sign(z, y) * z, gamma),
    lambda z, y, alpha, gamma: alpha_t(z, y, alpha) * focal_per_gamma(_sign(z, y) * z, gamma),
)
def hard_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """α_t·f(±z; γ), equation (5), for boolean targets."""
    return share(alpha_t(z, y, alpha), focal(_sign(z, y) * z, gamma))


def _sign(z: Tensor, y: Tensor) -> Tensor:
    return torch.where(y, torch.ones_like(z), -torch.ones_like(z))


def alpha_t(z: Tensor, y: Tensor, alpha: Any) -> Any:
    """α for y = 1 and 1 − α for y = 0, linear between; None weights nothing."""
    if alpha is None:
        return 1.0
    if y.dtype != torch.bool:
        return y * alpha + (1 - y) * (1 - alpha)
    one, zero = (x if isinstance(x, Tensor) else z.new_full((), x) for x in (alpha, 1 - alpha))
    return torch.where(y, one, zero)


@weighted(
    lambda z, y, alpha, gamma: (
        alpha_t(z, y, alpha)
        * miss_power(z, y, gamma)
        * (gamma * (1 - 2 * y) * overlap(z, y) * bce(z, y) + bce_slope(z, y))
    ),
    lambda z, y, alpha, gamma: (
        miss_power(z, y, gamma)
        * (alpha_t(z, y, alpha) * (gamma * pull(z, y) - z) + (0 if alpha is None else 2 * alpha - 1) * bce(z, y))
    ),
    lambda z, y, alpha, gamma: (2 * y - 1) * miss_power(z, y, gamma) * bce(z, y),
    lambda z, y, alpha, gamma: alpha_t(z, y, alpha) * (miss_log(z, y) * bce(z, y) * miss_power(z, y, gamma)),
)
def interpolated_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """α_t·m^γ·b: p_t and α_t are interpolated between their values at y = 0 and y = 1."""
    return share(alpha_t(z, y, alpha), miss_power(z, y, gamma) * bce(z, y))


@weighted(
    lambda z, y, alpha, gamma: (
        y * _positive(alpha) * focal_slope(z, gamma) - (1 - y) * _negative(alpha) * focal_slope(-z, gamma)
    ),
    lambda z, y, alpha, gamma: _positive(alpha) * focal(z, gamma) - _negative(alpha) * focal(-z, gamma),
    lambda z, y, alpha, gamma: y * focal(z, gamma) - (1 - y) * focal(-z, gamma),
    lambda z, y, alpha, gamma: (
        y * _positive(alpha) * focal_per_gamma(z, gamma) + (1 - y) * _negative(alpha) * focal_per_gamma(-z, gamma)
    ),
)
def mixture_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """y·α·f(z) + (1 − y)·(1 − α)·f(−z): the expected loss when y is a probability."""
    positive = share(y * _positive(alpha), focal(z, gamma))
    return positive + share((1 - y) * _negative(alpha), focal(-z, gamma))


def _positive(alpha: Any) -> Any:
    return 1.0 if alpha is None else alpha


def _negative(alpha: Any) -> Any:
    return 1.0 if alpha is None else 1 - alpha


@closed_form(lambda z, y: bce_slope(z, y), lambda z, y: -z)
def bce(z: Tensor, y: Tensor) -> Tensor:
    """b = |z|·(the target's share on the wrong side of z) + log(1 + exp(−|z|))."""
    return share(torch.where(z >= 0, 1 - y, y), torch.abs(z)) + softplus(-torch.abs(z))


def bce_slope(z: Tensor, y: Tensor) -> Tensor:
    """∂b/∂z = p − y, without its cancellation."""
    return (1 - y) * sigmoid(z) - y * sigmoid(-z)


@closed_form(
    lambda z, y, gamma: gamma * (1 - 2 * y) * overlap(z, y) * miss_power(z, y, gamma),
    lambda z, y, gamma: gamma * tilt(z, y) * miss_power(z, y, gamma),
    lambda z, y, gamma: miss_log(z, y) * miss_power(z, y, gamma),
)
def miss_power(z: Tensor, y: Tensor, gamma: Any) -> Tensor:
    """m^γ, also where m underflows and m^γ does not."""
    m = _miss(z, y)
    gone = _vanishes(m)
    return torch.where(gone, torch.exp(-gamma * torch.where(gone, torch.abs(z), 0).clamp(0, FAR)), power(m, gamma))


@closed_form(lambda z, y: (1 - 2 * y) * overlap(z, y), lambda z, y: tilt(z, y))
def miss_log(z: Tensor, y: Tensor) -> Tensor:
    """log m, accurate at both ends of (0, 1)."""
    m, hit = _miss(z, y), _miss(-z, y)
    gone, low = _vanishes(m), m < hit
    log = torch.where(
        low, torch.log(torch.where(gone, 1, m)), -torch.log1p(torch.where(low, 0, hit) / torch.where(gone, 1, m))
    )
    return torch.where(gone, -torch.abs(z), log)


@closed_form(
    lambda z, y: -overlap(z, y) * (_lead(z) + (1 - 2 * y) * overlap(z, y)),
    lambda z, y: -overlap(z, y) * tilt(z, y),
)
def overlap(z: Tensor, y: Tensor) -> Tensor:
    """p·q / m."""
    return sigmoid(torch.abs(z)) * _quotient(sigmoid(-torch.abs(z)), _miss(z, y))


@closed_form(
    lambda z, y: -overlap(z, y) * (2 + (1 - 2 * y) * tilt(z, y)),
    lambda z, y: -tilt(z, y) * tilt(z, y),
)
def tilt(z: Tensor, y: Tensor) -> Tensor:
    """(q − p) / m = ∂ log m / ∂y."""
    m = _miss(z, y)
    return torch.where(_vanishes(m), 0, -_lead(z) / m.clamp(min=1e4 * torch.finfo(m.dtype).tiny))


@closed_form(
    lambda z, y: tilt(z, y) * bce_slope(z, y) - overlap(z, y) * (2 * bce(z, y) + (1 - 2 * y) * pull(z, y)),
    lambda z, y: -tilt(z, y) * (z + pull(z, y)),
)
def pull(z: Tensor, y: Tensor) -> Tensor:
    """(q − p)·b / m, where b / m stays finite although 1 / m does not."""
    return -_lead(z) * _quotient(bce(z, y), _miss(z, y))


def _lead(z: Tensor) -> Tensor:
    """p − q."""
    return torch.tanh(z / 2)


def _miss(z: Tensor, y: Tensor) -> Tensor:
    return y * sigmoid(-z) + (1 - y) * sigmoid(z)


def _vanishes(m: Tensor) -> Tensor:
    return m < torch.finfo(m.dtype).tiny


def _quotient(x: Tensor, m: Tensor) -> Tensor:
    gone = _vanishes(m)
    return torch.where(gone, 1, x / torch.where(gone, 1, m))
