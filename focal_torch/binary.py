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

from .arrays import far, share
from .margin import focal, focal_descent, focal_per_gamma, parts, power, sigmoid, softplus
from .rules import closed_form, weighted


@weighted(
    lambda z, y, alpha, gamma: (
        _by_class(z, y, -_positive(alpha), _negative(alpha)) * focal_descent(_margin(z, y), gamma)
    ),
    None,
    lambda z, y, alpha, gamma: _by_class(z, y, 1.0, -1.0) * focal(_margin(z, y), gamma),
    lambda z, y, alpha, gamma: (
        _by_class(z, y, _positive(alpha), _negative(alpha)) * focal_per_gamma(_margin(z, y), gamma)
    ),
    pieces=True,
)
def hard_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """α_t·f(±z; γ), equation (5), for boolean or integer targets."""
    loss = focal(_margin(z, y), gamma)
    if alpha is None:
        return loss
    weight = _by_class(z, y, alpha, 1 - alpha)
    # A number between 0 and 1 makes no 0·inf, and is spared its passes.
    return share(weight, loss) if isinstance(alpha, Tensor) or alpha in (0, 1) else weight * loss


def _margin(z: Tensor, y: Tensor) -> Tensor:
    return z * (2 * _bit(z, y) - 1) if torch.compiler.is_compiling() else torch.where(y, z, -z)


def _by_class(z: Tensor, y: Tensor, positive: Any, negative: Any) -> Tensor:
    if torch.compiler.is_compiling():
        # torch.compile would keep a mask for the backward pass, and its loops are slow at reading masks.
        y = _bit(z, y)
        return y * positive + (1 - y) * negative
    one, zero = (x if isinstance(x, Tensor) else z.new_full((), x) for x in (positive, negative))
    return torch.where(y, one, zero)


def _bit(z: Tensor, y: Tensor) -> Tensor:
    """0 or 1, which all integers but 0 count as, in the dtype of z."""
    return (y if y.dtype == torch.bool else y.abs().clamp(max=1)).to(z.dtype)


def _positive(alpha: Any) -> Any:
    return 1.0 if alpha is None else alpha


def _negative(alpha: Any) -> Any:
    return 1.0 if alpha is None else 1 - alpha


@weighted(
    lambda z, y, alpha, gamma: alpha_t(y, alpha) * interpolated_slope(z, y, gamma),
    lambda z, y, alpha, gamma: (
        miss_power(z, y, gamma)
        * (alpha_t(y, alpha) * (gamma * pull(z, y) - z) + (0 if alpha is None else 2 * alpha - 1) * bce(z, y))
    ),
    lambda z, y, alpha, gamma: (2 * y - 1) * miss_power(z, y, gamma) * bce(z, y),
    lambda z, y, alpha, gamma: alpha_t(y, alpha) * (miss_log(z, y) * bce(z, y) * miss_power(z, y, gamma)),
    pieces=True,
)
def interpolated_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """α_t·m^γ·b: p_t and α_t are interpolated between their values at y = 0 and y = 1."""
    _, large, small, s, wrong = _sides(z, y)
    loss = power(wrong * large + (1 - wrong) * small, gamma) * (share(wrong, torch.abs(z)) + s)
    return share(alpha_t(y, alpha), loss)


@closed_form(
    lambda z, y, gamma: (
        gamma * (1 - 2 * y) * overlap(z, y) * interpolated_slope(z, y, gamma)
        + miss_power(z, y, gamma)
        * (
            gamma
            * (1 - 2 * y)
            * overlap(z, y)
            * (bce_slope(z, y) - (_lead(z) + (1 - 2 * y) * overlap(z, y)) * bce(z, y))
            + sigmoid(z) * sigmoid(-z)
        )
    ),
    lambda z, y, gamma: (
        gamma * tilt(z, y) * interpolated_slope(z, y, gamma)
        - miss_power(z, y, gamma)
        * (gamma * overlap(z, y) * (2 * bce(z, y) + (1 - 2 * y) * (tilt(z, y) * bce(z, y) + z)) + 1)
    ),
    lambda z, y, gamma: (
        miss_log(z, y) * interpolated_slope(z, y, gamma)
        + miss_power(z, y, gamma) * (1 - 2 * y) * overlap(z, y) * bce(z, y)
    ),
)
def interpolated_slope(z: Tensor, y: Tensor, gamma: Any) -> Tensor:
    """m^γ·(γ·(1 − 2y)·(p·q / m)·b + p − y) = ∂(m^γ·b)/∂z."""
    sign, large, small, s, wrong = _sides(z, y)
    right_miss, wrong_miss = (1 - wrong) * small, wrong * large
    m = right_miss + wrong_miss
    bend = gamma * (2 * wrong - 1) * large * _quotient(small, m) * (wrong * torch.abs(z) + s)
    return sign * power(m, gamma) * (bend + (wrong_miss - right_miss))


def _sides(z: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """The sign of z, σ(|z|), σ(−|z|), s = softplus(−|z|), and the share of the target on the other side of z."""
    right = z >= 0
    return (
        torch.where(right, torch.ones_like(z), -torch.ones_like(z)),
        *parts(torch.abs(z)),
        torch.where(right, 1 - y, y),
    )


@weighted(
    lambda z, y, alpha, gamma: (
        (1 - y) * _negative(alpha) * focal_descent(-z, gamma) - y * _positive(alpha) * focal_descent(z, gamma)
    ),
    lambda z, y, alpha, gamma: _positive(alpha) * focal(z, gamma) - _negative(alpha) * focal(-z, gamma),
    lambda z, y, alpha, gamma: y * focal(z, gamma) - (1 - y) * focal(-z, gamma),
    lambda z, y, alpha, gamma: (
        y * _positive(alpha) * focal_per_gamma(z, gamma) + (1 - y) * _negative(alpha) * focal_per_gamma(-z, gamma)
    ),
    pieces=True,
)
def mixture_focal(z: Tensor, y: Tensor, alpha: Any, gamma: Any) -> Tensor:
    """y·α·f(z) + (1 − y)·(1 − α)·f(−z): the expected loss when y is a probability."""
    positive = share(y * _positive(alpha), focal(z, gamma))
    return positive + share((1 - y) * _negative(alpha), focal(-z, gamma))


def alpha_t(y: Tensor, alpha: Any) -> Any:
    """α for y = 1 and 1 − α for y = 0, linear between; None weights nothing."""
    return 1.0 if alpha is None else y * alpha + (1 - y) * (1 - alpha)


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
    return torch.where(gone, torch.exp(-gamma * torch.where(gone, torch.abs(z), 0).clamp(0, far())), power(m, gamma))


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
    return torch.sigmoid(torch.abs(z)) * _quotient(torch.sigmoid(-torch.abs(z)), _miss(z, y))


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
    return y * torch.sigmoid(-z) + (1 - y) * torch.sigmoid(z)


def _vanishes(m: Tensor) -> Tensor:
    return m < torch.finfo(m.dtype).tiny


def _quotient(x: Tensor, m: Tensor) -> Tensor:
    gone = _vanishes(m)
    return torch.where(gone, 1, x / torch.where(gone, 1, m))
