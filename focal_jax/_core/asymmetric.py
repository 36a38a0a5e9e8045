"""The asymmetric loss of single logits: each class has a γ of its own, class 0 a shifted
probability.

    z    logits (…)            y    targets (…)            γ₊, γ₋    numbers, or arrays (…)

`held` is None, or the logits again, of which the modulating factors are made where no derivative
in the logits shall flow through them.
"""

from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import weighted
from .._base.tracing import with_batch_axes_of
from .focal import (
    focal,
    focal_gamma,
    modulating_factor,
    neg_grad_u,
    p_q_softplus,
    power,
    sigmoid,
    softplus,
)
from .shifted import (
    log_x,
    neg_log_w,
    pq_over_w,
    shifted_focal,
    shifted_focal_gamma,
    shifted_focal_of,
    shifted_grad,
    x_power,
)
from .sigmoid import alpha_0, alpha_1


@weighted
def asymmetric_focal(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """y·α·f(z; γ₊) + (1 − y)·(1 − α)·x^γ₋·(−log(1 − x)) with x = max(p − m, 0)."""
    share_of_1, share_of_0 = _shares(y, alpha)
    # vmap may map either γ along an axis that z has not.
    z = with_batch_axes_of(gamma_0, with_batch_axes_of(gamma_1, z))
    # Both classes have the same p and q.
    p, q, s = p_q_softplus(z)
    # A class with no share costs nothing, even where its loss is infinite.
    positive = multiply_no_nan(share_of_1, power(q, gamma_1) * s)
    if shift:
        # This one is finite.
        negative = share_of_0 * shifted_focal_of(p, q, gamma_0, shift)
    else:
        # Without a shift both classes have the same f.
        negative = multiply_no_nan(share_of_0, power(p, gamma_0) * softplus.formula(z))
    return positive + negative


@asymmetric_focal.partial("z")
def asymmetric_focal_z(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """Of each class its weight times the slope of its loss."""
    share_of_1, share_of_0 = _shares(y, alpha)
    positive = share_of_1 * _neg_grad_of_1(z, held, gamma_1)
    negative = share_of_0 * _grad_of_0(z, held, gamma_0, shift)
    return negative - positive


@asymmetric_focal.partial("held")
def asymmetric_focal_held(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """0: it is constant."""
    return 0 * z


@asymmetric_focal.partial("y")
def asymmetric_focal_y(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """The loss of class 1 less that of class 0."""
    positive = alpha_1(alpha) * _loss_of_1(z, held, gamma_1)
    negative = alpha_0(alpha) * _loss_of_0(z, held, gamma_0, shift)
    return positive - negative


@asymmetric_focal.partial("alpha")
def asymmetric_focal_alpha(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """What α multiplies less what 1 − α multiplies."""
    # Without an α there is no derivative in it.
    positive = y * _loss_of_1(z, held, gamma_1)
    negative = (1 - y) * _loss_of_0(z, held, gamma_0, shift)
    return positive - negative


@asymmetric_focal.partial("gamma_1")
def asymmetric_focal_gamma_1(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """y·α·∂f(z; γ₊)/∂γ₊."""
    if held is None:
        grad = focal_gamma(z, gamma_1)
    else:
        grad = -softplus(held) * _loss_of_1(z, held, gamma_1)
    return y * alpha_1(alpha) * grad


@asymmetric_focal.partial("gamma_0")
def asymmetric_focal_gamma_0(
    z: Array,
    held: Array | None,
    y: Array,
    alpha: Number | None,
    gamma_1: Number,
    gamma_0: Number,
    shift: float,
) -> Array:
    """(1 − y)·(1 − α)·log(x)·x^γ₋·(−log(1 − x))."""
    if held is not None:
        # log x^γ₋ = γ₋·log x
        log_of_factor = log_x(held, shift) if shift else -softplus(-held)
        grad = log_of_factor * _loss_of_0(z, held, gamma_0, shift)
    elif shift:
        grad = shifted_focal_gamma(z, gamma_0, shift)
    else:
        grad = focal_gamma(-z, gamma_0)
    return (1 - y) * alpha_0(alpha) * grad


def _shares(y: Array, alpha: Number | None) -> tuple[Array, Array]:
    """The weights of both classes, each (…)."""
    # A product with 1 would be one more operation.
    if alpha is None:
        return y, 1 - y
    return y * alpha_1(alpha), (1 - y) * alpha_0(alpha)


# The loss of each class alone, and its slope. Of a constant factor the rest is a cross entropy.


def _loss_of_1(z: Array, held: Array | None, gamma: Number) -> Array:
    if held is None:
        return focal(z, gamma)
    return modulating_factor(held, gamma) * softplus(-z)


def _neg_grad_of_1(z: Array, held: Array | None, gamma: Number) -> Array:
    if held is None:
        return neg_grad_u(z, gamma)
    return modulating_factor(held, gamma) * sigmoid(-z)


def _loss_of_0(z: Array, held: Array | None, gamma: Number, shift: float) -> Array:
    # p^γ₋·(−log(1 − p)) is f(−z; γ₋).
    if not shift:
        return _loss_of_1(-z, None if held is None else -held, gamma)
    if held is None:
        return shifted_focal(z, gamma, shift)
    # 0 where p is below the shift, as the factor is.
    return x_power(held, gamma, shift) * neg_log_w(z, shift)


def _grad_of_0(z: Array, held: Array | None, gamma: Number, shift: float) -> Array:
    if not shift:
        return _neg_grad_of_1(-z, None if held is None else -held, gamma)
    if held is None:
        return shifted_grad(z, gamma, shift)
    return x_power(held, gamma, shift) * pq_over_w(z, shift)
