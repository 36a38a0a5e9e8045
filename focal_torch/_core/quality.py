"""The quality focal loss, for soft targets: its modulating factor is a power of the distance of
the probability from the target.

    z    logits         p, q    σ(z) and σ(−z)      d    p − y
    y    targets                                    b    −y·log p − (1 − y)·log q, the cross entropy

All have the shape (…) of the logits; α and γ are numbers or have that shape too. α_t is
interpolated between α and 1 − α. At p = y the loss is 0 for γ > 0. For a γ below 1 its slope grows
without bound towards that point, for γ = 1 it jumps; at the point itself it is 0.
"""

import torch
from torch import Tensor

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import closed_form, weighted_in_pieces
from .distance import bce_over_d, d_of, inverse_d, least_r, log_r, pq_over_d, r_power
from .focal import p_q_softplus, power, sigmoid
from .interpolated import alpha_t, wrong_part
from .interpolated_pt import bce, p_minus_q


@weighted_in_pieces
def quality_focal(z: Tensor, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """α_t·|d|^γ·b."""
    large_p, small_p, s = p_q_softplus(torch.abs(z))
    wrong = wrong_part(z, y)
    # Two terms instead of p − y: where y is hard, one is 0 and the other p or q, to the last bit.
    r = torch.abs(wrong * large_p - (1 - wrong) * small_p)
    # A target on the right side of an infinite logit costs nothing.
    b = multiply_no_nan(wrong, torch.abs(z)) + s
    loss = power(r, gamma) * b
    return multiply_no_nan(alpha_t(y, alpha), loss)


@quality_focal.partial("z")
def quality_focal_z(z: Tensor, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """α_t·∂(|d|^γ·b)/∂z."""
    return alpha_t(y, alpha) * quality_grad_z(z, y, gamma)


@quality_focal.partial("y")
def quality_focal_y(z: Tensor, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """α_t·∂(|d|^γ·b)/∂y + (2α − 1)·|d|^γ·b."""
    grad = alpha_t(y, alpha) * quality_grad_y(z, y, gamma)
    if alpha is None:
        return grad
    loss = r_power(z, y, gamma, False) * bce(z, y)
    return grad + (2 * alpha - 1) * loss


@quality_focal.partial("alpha")
def quality_focal_alpha(z: Tensor, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """(2y − 1)·|d|^γ·b."""
    alpha_t_alpha = 2 * y - 1
    return alpha_t_alpha * r_power(z, y, gamma, False) * bce(z, y)


@quality_focal.partial("gamma")
def quality_focal_gamma(z: Tensor, y: Tensor, alpha: Number | None, gamma: Number) -> Tensor:
    """α_t·log|d|·|d|^γ·b."""
    # The power comes last: it may underflow where the product does not.
    log_times_b = log_r(z, y) * bce(z, y)
    grad = log_times_b * r_power(z, y, gamma, False)
    return alpha_t(y, alpha) * grad


@closed_form
def quality_grad_z(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """∂(|d|^γ·b)/∂z = |d|^γ·(γ·(p·q / d)·b + d)."""
    large_p, small_p, s = p_q_softplus(torch.abs(z))
    wrong = wrong_part(z, y)
    # d for a positive logit, −d for a negative one.
    d = wrong * large_p - (1 - wrong) * small_p
    r = torch.abs(d)
    # Where r underflows so does b, and the quotient does not matter.
    tiny = torch.finfo(r.dtype).tiny
    divisor = torch.maximum(r, least_r(large_p, small_p)).clamp(min=tiny)
    k = torch.copysign(large_p * small_p / divisor, d)
    from_power = gamma * k * (wrong * torch.abs(z) + s)
    # γ·b·k and d have the same sign, so that nothing cancels.
    grad = power(r, gamma) * (from_power + d)
    return torch.where(z >= 0, grad, -grad)


# In the second derivatives 1 / d meets a power that vanishes with it, so that both are cut off.


@quality_grad_z.partial("z")
def quality_grad_z_z(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """|d|^γ·(γ·(γ − 1)·b·k² + γ·b·k·(q − p) + (2γ + 1)·p·q) with k = p·q / d."""
    k = pq_over_d(z, y)
    b = bce(z, y)
    pq = sigmoid(z) * sigmoid(-z)
    second = gamma * (gamma - 1)
    first = second * b * k * k
    # Where the probability is far from the target this makes the loss concave.
    middle = gamma * b * k * p_minus_q(z)
    bracket = first - middle + (2 * gamma + 1) * pq
    return r_power(z, y, gamma, True) * bracket


@quality_grad_z.partial("y")
def quality_grad_z_y(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """−|d|^γ·(γ·(γ − 1)·k·b / d + γ·k·z + γ + 1) with k = p·q / d."""
    k = pq_over_d(z, y)
    from_power = gamma * (gamma - 1) * k * bce_over_d(z, y)
    from_bracket = gamma * k * z + (gamma + 1)
    return -r_power(z, y, gamma, True) * (from_power + from_bracket)


@quality_grad_z.partial("gamma")
def quality_grad_z_gamma(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """|d|^γ·(log|d|·(γ·k·b + d) + k·b) with k = p·q / d."""
    k_b = pq_over_d(z, y) * bce(z, y)
    grad = gamma * k_b + d_of(z, y)
    bracket = log_r(z, y) * grad + k_b
    return r_power(z, y, gamma, False) * bracket


@closed_form
def quality_grad_y(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """∂(|d|^γ·b)/∂y = −|d|^γ·(γ·b / d + z)."""
    bracket = gamma * bce_over_d(z, y) + z
    return -r_power(z, y, gamma, False) * bracket


@quality_grad_y.partial("z")
def quality_grad_y_z(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """∂²(|d|^γ·b)/∂z∂y, as above."""
    return quality_grad_z_y(z, y, gamma)


@quality_grad_y.partial("y")
def quality_grad_y_y(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """|d|^γ·(γ / d)·((γ − 1)·b / d + 2z)."""
    change = (gamma - 1) * bce_over_d(z, y) + 2 * z
    bracket = gamma * inverse_d(z, y) * change
    return r_power(z, y, gamma, True) * bracket


@quality_grad_y.partial("gamma")
def quality_grad_y_gamma(z: Tensor, y: Tensor, gamma: Number) -> Tensor:
    """−|d|^γ·(log|d|·(γ·b / d + z) + b / d)."""
    b_over_d = bce_over_d(z, y)
    grad = gamma * b_over_d + z
    bracket = log_r(z, y) * grad + b_over_d
    return -r_power(z, y, gamma, False) * bracket
