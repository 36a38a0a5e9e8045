"""The focal loss of heatmaps: peaks, which have y ≥ `peak`, are class 1. All others are class 0,
with a weight of (1 − y)^β that falls off towards the peaks.

    z    logits (…)        y    targets (…)        α, γ, β    numbers, or arrays (…)

Which case an element is in is a number, 0 or 1, and selections are products: they take less time,
and NaN stays NaN.
"""

import jax.numpy as jnp
from jax import Array

from .._base.arrays import Number, multiply_no_nan
from .._base.autodiff import closed_form, weighted
from .._base.tracing import with_batch_axes_of
from .focal import focal, focal_gamma, neg_grad_u, power
from .sigmoid import alpha_0, alpha_1


def peaks_of(y: Array, peak: float) -> Array:
    """1 at peaks, and 0 elsewhere: (…)."""
    # One operation for heatmaps that are exactly 1 there.
    if peak == 1:
        return jnp.floor(y)
    # The product is 0, or NaN where a target is.
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
    of_others = (1 - peaks) * alpha_0(alpha) * falloff
    loss = focal.formula(_margins(z, peaks), gamma)
    # A weight may be 0 where the loss is infinite.
    return multiply_no_nan(of_peaks + of_others, loss)


@heatmap_focal.partial("z")
def heatmap_focal_z(
    z: Array, y: Array, alpha: Number | None, gamma: Number, beta: Number, peak: float
) -> Array:
    """The same factors times ±f′(±z; γ)."""
    peaks = peaks_of(y, peak)
    # The margin moves with z at peaks, and against it elsewhere.
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
