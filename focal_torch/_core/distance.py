"""The distance |p − y| of a probability from a number y: its powers, logarithm, quotients.

    z    logits (…)      p, q    σ(z) and σ(−z)      d    p − y = (1 − y)·p − y·q
    y    targets (…)     r       |d|                 b    −y·log p − (1 − y)·log q

For y = 0 and y = 1, r is p or q and can underflow; quotients by it then take their limits. For any
other y it can be 0. There p·q / r is cut off, so that it stays finite to the power of four.
"""

import torch
from torch import Tensor

from .._base.arrays import Number, large
from .._base.autodiff import closed_form
from .focal import power, sigmoid
from .interpolated_pt import bce, p_minus_q, quotient


@closed_form
def r_power(z: Tensor, y: Tensor, gamma: Number, cut_off: bool) -> Tensor:
    """r^γ, also where r underflows and r^γ does not. With `cut_off` it is not 0 at p = y, so that
    its products with quotients by r have their limits."""
    wrong, r, least = _wrong_r_least(z, y)
    tiny = torch.finfo(r.dtype).tiny
    underflows = (r < tiny) & (wrong < tiny)
    # There r is exp(−|z|).
    a = torch.where(underflows, torch.abs(z), 0).clamp(0, large())
    power_of_exp = torch.exp(-gamma * a)
    base = torch.maximum(r, least) if cut_off else r
    return torch.where(underflows, power_of_exp, power(base, gamma))


@r_power.partial("z")
def r_power_z(z: Tensor, y: Tensor, gamma: Number, cut_off: bool) -> Tensor:
    """γ·(p·q / d)·r^γ."""
    return gamma * pq_over_d(z, y) * r_power(z, y, gamma, cut_off)


@r_power.partial("y")
def r_power_y(z: Tensor, y: Tensor, gamma: Number, cut_off: bool) -> Tensor:
    """−(γ / d)·r^γ."""
    return -gamma * inverse_d(z, y) * r_power(z, y, gamma, cut_off)


@r_power.partial("gamma")
def r_power_gamma(z: Tensor, y: Tensor, gamma: Number, cut_off: bool) -> Tensor:
    """log(r)·r^γ."""
    return log_r(z, y) * r_power(z, y, gamma, cut_off)


@closed_form
def log_r(z: Tensor, y: Tensor) -> Tensor:
    """log r, accurate at both ends of (0, 1), and finite at p = y."""
    wrong, r, _ = _wrong_r_least(z, y)
    tiny = torch.finfo(r.dtype).tiny
    # 1 − r, a sum of what is positive.
    p, q = torch.sigmoid(z), torch.sigmoid(-z)
    rest = torch.where(d_of(z, y) < 0, p + (1 - y), q + y)
    # Every branch is computed, so each has to be finite where another one is taken.
    safe_r = r.clamp(min=tiny)
    # log r = −log(1 + (1 − r) / r), which loses nothing where r is near 1.
    odds = torch.where(r < 0.5, 0, rest) / safe_r
    log = torch.where(r < 0.5, torch.log(safe_r), -torch.log1p(odds))
    return torch.where((r < tiny) & (wrong < tiny), -torch.abs(z), log)


@log_r.partial("z")
def log_r_z(z: Tensor, y: Tensor) -> Tensor:
    """p·q / d."""
    return pq_over_d(z, y)


@log_r.partial("y")
def log_r_y(z: Tensor, y: Tensor) -> Tensor:
    """−1 / d."""
    return -inverse_d(z, y)


@closed_form
def pq_over_d(z: Tensor, y: Tensor) -> Tensor:
    """p·q / d."""
    _, r, least = _wrong_r_least(z, y)
    large_p, small_p = torch.sigmoid(torch.abs(z)), torch.sigmoid(-torch.abs(z))
    # The quotient first: where r underflows, so does the smaller of p and q, and it is 1.
    k = large_p * quotient(small_p, torch.maximum(r, least))
    return torch.where(d_of(z, y) < 0, -k, k)


@pq_over_d.partial("z")
def pq_over_d_z(z: Tensor, y: Tensor) -> Tensor:
    """−(p·q / d)·(p − q + p·q / d)."""
    decay = p_minus_q(z) + pq_over_d(z, y)
    return -pq_over_d(z, y) * decay


@pq_over_d.partial("y")
def pq_over_d_y(z: Tensor, y: Tensor) -> Tensor:
    """(p·q / d) / d."""
    return pq_over_d(z, y) * inverse_d(z, y)


@closed_form
def inverse_d(z: Tensor, y: Tensor) -> Tensor:
    """1 / d, and 0 where r underflows."""
    d = d_of(z, y)
    tiny = torch.finfo(d.dtype).tiny
    # Its square, which a second derivative has, is not to overflow.
    inverse_r = 1 / torch.abs(d).clamp(min=1e4 * tiny)
    return torch.where(torch.abs(d) < tiny, 0, torch.where(d < 0, -inverse_r, inverse_r))


@inverse_d.partial("z")
def inverse_d_z(z: Tensor, y: Tensor) -> Tensor:
    """−(p·q / d) / d."""
    return -pq_over_d(z, y) * inverse_d(z, y)


@inverse_d.partial("y")
def inverse_d_y(z: Tensor, y: Tensor) -> Tensor:
    """1 / d²."""
    return inverse_d(z, y) * inverse_d(z, y)


@closed_form
def bce_over_d(z: Tensor, y: Tensor) -> Tensor:
    """b / d, where b / r stays finite although 1 / r does not."""
    _, r, least = _wrong_r_least(z, y)
    b_over_r = quotient(bce(z, y), torch.maximum(r, least))
    return torch.where(d_of(z, y) < 0, -b_over_r, b_over_r)


@bce_over_d.partial("z")
def bce_over_d_z(z: Tensor, y: Tensor) -> Tensor:
    """1 − (p·q / d)·b / d."""
    return 1 - pq_over_d(z, y) * bce_over_d(z, y)


@bce_over_d.partial("y")
def bce_over_d_y(z: Tensor, y: Tensor) -> Tensor:
    """(b / d − z) / d."""
    change = bce_over_d(z, y) - z
    return inverse_d(z, y) * change


@closed_form
def d_of(z: Tensor, y: Tensor) -> Tensor:
    """d, without the cancellation of p − y where y is 0 or 1."""
    return (1 - y) * torch.sigmoid(z) - y * torch.sigmoid(-z)


@d_of.partial("z")
def d_z(z: Tensor, y: Tensor) -> Tensor:
    """p·q."""
    return sigmoid(z) * sigmoid(-z)


@d_of.partial("y")
def d_y(z: Tensor, y: Tensor) -> Tensor:
    """−1."""
    return 0 * z - 1


def least_r(p: Tensor, q: Tensor) -> Tensor:
    """Where p·q / r is cut off: (…)."""
    eps = torch.finfo(p.dtype).eps
    return p * (eps * eps * q)


def _wrong_r_least(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The part of y on the other side of z, r, and where p·q / r is cut off: each (…)."""
    wrong = torch.where(z >= 0, 1 - y, y)
    r = torch.abs(d_of.formula(z, y))
    return wrong, r, least_r(torch.sigmoid(z), torch.sigmoid(-z))
