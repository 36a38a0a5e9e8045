"""Two losses of detectors, whose targets are more than a class: an overlap, or a heatmap.

    z    logits (…)        y    targets (…)        α, γ, β    numbers, or arrays (…)
    p    σ(z)              b    −y·log p − (1 − y)·log(1 − p), which for y = 0 is softplus(z)

Which case an element is in is a number, 0 or 1, and selections are products: they take less time,
and NaN stays NaN.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import closed_form, weighted
from .._base.tracing import with_batch_axes_of
from .focal import focal, focal_gamma, modulating_factor, neg_grad_u, power, sigmoid, softplus
from .interpolated_pt import bce, bce_z
from .sigmoid import alpha_0, alpha_1

# --- Varifocal: y·b or b for positives, which have y > 0, and α·p^γ·b for all others. `held` is
# None, or the logits again, of which p^γ is made where no derivative in the logits shall flow
# through it.


@weighted
def varifocal(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """b times y or 1 for positives, and times α·p^γ for all others."""
    z = with_batch_axes_of(gamma, z)
    modulator = modulating_factor.formula(-z, gamma)
    factor = _factor(y, alpha, modulator, by_y)
    # One cross entropy for both cases, since an exponential takes the most time.
    b = bce.formula(z, y)
    return multiply_no_nan(factor, b)


@varifocal.partial("z")
def varifocal_z(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """The same factor times p − y, and for all others γ·(1 − p)·b beside it."""
    modulator = modulating_factor(_margin_of_0(z, held), gamma)
    factor = _factor(y, alpha, modulator, by_y)
    positives = _positives(y)
    # A negative has no derivative in its target.
    grad = bce_z(z, positives * y)
    if held is None:
        others = 1 - positives
        from_power = gamma * sigmoid(-z) * softplus(z)
        grad = grad + others * from_power
    return factor * grad


@varifocal.partial("held")
def varifocal_held(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0: it is constant, although forward mode of PyTorch asks."""
    return 0 * z


@varifocal.partial("y")
def varifocal_y(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """b − y·z or −z for positives, and 0 for all others."""
    # b moves by −z with y, and so does the weight if it is y.
    grad = bce(z, y) - y * z if by_y else -z
    return _positives(y) * grad


@varifocal.partial("alpha")
def varifocal_alpha(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and p^γ·b for all others."""
    u = _margin_of_0(z, held)
    others = 1 - _positives(y)
    return others * modulating_factor(u, gamma) * softplus(z)


@varifocal.partial("gamma")
def varifocal_gamma(
    z: Array, held: Array | None, y: Array, alpha: Number | None, gamma: Number, by_y: bool
) -> Array:
    """0 for positives, and α·log(p)·p^γ·b for all others."""
    u = _margin_of_0(z, held)
    # The power comes last: it may underflow where the product does not.
    log_times_b = -softplus(u) * softplus(z)
    grad = log_times_b * modulating_factor(u, gamma)
    others = 1 - _positives(y)
    return others * _times(alpha, grad)


def _positives(y: Array) -> Array:
    """1 for positives, and 0 for all others: (…)."""
    # Targets are in [0, 1].
    return jnp.ceil(y)


def _margin_of_0(z: Array, held: Array | None) -> Array:
    """The margin of class 0 that p^γ is made of."""
    return -z if held is None else -held


def _factor(y: Array, alpha: Number | None, modulator: Array, by_y: bool) -> Array:
    """What b is multiplied by: (…)."""
    positives = _positives(y)
    # Of a negative neither y nor 0 moves with its target.
    of_positives = positives * y if by_y else positives
    return of_positives + (1 - positives) * _times(alpha, modulator)


def _times(alpha: Number | None, x: Array) -> Array:
    return x if alpha is None else alpha * x


# --- Heatmap: peaks, which have y ≥ `peak`, are class 1. All others are class 0, with a weight of
# (1 − y)^β that falls off towards the peaks.


def peaks_of(y: Array, peak: float) -> Array:
    """1 at peaks, and 0 elsewhere: (…)."""
    # One operation for heatmaps that are exactly 1 there.
    if peak == 1:
        return jnp.floor(y)
    # NaN is no peak, and nothing else.
    return (y >= peak).astype(y.dtype) + 0 * y


@weighted
def heatmap_focal(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """α·f(z; γ) at peaks, and (1 − α)·(1 − y)^β·f(−z; γ) elsewhere."""
    z = with_batch_axes_of(gamma, z)
    peaks = peaks_of(y, peak)
    rest = 1 - (1 - peaks) * y
    falloff = power(rest, beta)
    of_peaks = peaks * alpha_1(alpha)
    factor = of_peaks + (1 - peaks) * alpha_0(alpha) * falloff
    loss = focal.formula(_margins(z, peaks), gamma)
    return multiply_no_nan(factor, loss)


@heatmap_focal.partial("z")
def heatmap_focal_z(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """The same factors times ±f′(±z; γ)."""
    peaks = peaks_of(y, peak)
    signed = _falloff(y, peaks, alpha, beta) - peaks * alpha_1(alpha)
    u = _margins(z, peaks)
    return signed * neg_grad_u(u, gamma)


@heatmap_focal.partial("y")
def heatmap_focal_y(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """0 at peaks, and −(1 − α)·β·(1 − y)^(β − 1)·f(−z; γ) elsewhere."""
    peaks = peaks_of(y, peak)
    below = (1 - peaks) * y
    slope = -beta / (1 - below)
    falloff = _falloff(y, peaks, alpha, beta)
    return slope * falloff * focal(-z, gamma)


@heatmap_focal.partial("alpha")
def heatmap_focal_alpha(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """f(z; γ) at peaks, and −(1 − y)^β·f(−z; γ) elsewhere."""
    peaks = peaks_of(y, peak)
    signed = peaks - _falloff(y, peaks, None, beta)
    u = _margins(z, peaks)
    return signed * focal(u, gamma)


@heatmap_focal.partial("gamma")
def heatmap_focal_gamma(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """The factors of the loss times ∂f/∂γ."""
    peaks = peaks_of(y, peak)
    factor = peaks * alpha_1(alpha) + _falloff(y, peaks, alpha, beta)
    u = _margins(z, peaks)
    return factor * focal_gamma(u, gamma)


@heatmap_focal.partial("beta")
def heatmap_focal_beta(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """0 at peaks, and (1 − α)·log(1 − y)·(1 − y)^β·f(−z; γ) elsewhere."""
    peaks = peaks_of(y, peak)
    log = _log_rest((1 - peaks) * y)
    falloff = _falloff(y, peaks, alpha, beta)
    return log * falloff * focal(-z, gamma)


def _margins(z: Array, peaks: Array) -> Array:
    """z at peaks, −z elsewhere."""
    return (2 * peaks - 1) * z


def _falloff(y: Array, peaks: Array, alpha: Number | None, beta: Number) -> Array:
    """(1 − α)·(1 − y)^β, and 0 at peaks: (…)."""
    others = 1 - peaks
    # Of a peak 1 − y may be 0, and a derivative would divide by it.
    power_of_rest = falloff_power(others * y, beta)
    return others * alpha_0(alpha) * power_of_rest


@closed_form
def falloff_power(y: Array, beta: Number) -> Array:
    """(1 − y)^β for y < 1."""
    return power(1 - y, beta)


@falloff_power.partial("y")
def falloff_power_y(y: Array, beta: Number) -> Array:
    """−β·(1 − y)^β / (1 − y)."""
    return -beta / (1 - y) * falloff_power(y, beta)


@falloff_power.partial("beta")
def falloff_power_beta(y: Array, beta: Number) -> Array:
    """log(1 − y)·(1 − y)^β."""
    return _log_rest(y) * falloff_power(y, beta)


def _log_rest(y: Array) -> Array:
    """log(1 − y)."""
    return jnp.log1p(-y)
