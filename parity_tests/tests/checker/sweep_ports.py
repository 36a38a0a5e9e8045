"""Ports in JAX that the tests of the sweep go over: a right one, and one for each fault."""

import jax
import jax.numpy as jnp

import focal_jax


def right(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def close_to_one(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    """1 − σ instead of σ(−u)."""
    u = jnp.where(targets == 1, logits, -logits)
    alpha_t = jnp.where(targets == 1, alpha, 1 - alpha)
    modulator = (1 - jax.nn.sigmoid(u)) ** gamma
    return alpha_t * modulator * jax.nn.softplus(-u)


def bumpy(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    """A step of 32 eps."""
    step = jnp.where(jnp.abs(logits) < 3, 1.0, 1 + 2**-18)
    return right(logits, targets, alpha=alpha, gamma=gamma) * step


def clipped(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    finite = jnp.clip(jnp.nan_to_num(logits), -1e30, 1e30)
    return right(finite, targets, alpha=alpha, gamma=gamma)


def gaps(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    loss = right(logits, targets, alpha=alpha, gamma=gamma)
    return jnp.where(logits == 1, jnp.nan, loss)


def total(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return right(logits, targets, alpha=alpha, gamma=gamma).sum()


def clamped_heatmap(
    logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float
) -> jax.Array:
    """p within [1e-4, 1 − 1e-4], as in CenterNet."""
    p = jnp.clip(jax.nn.sigmoid(logits), 1e-4, 1 - 1e-4)
    positive = alpha * (1 - p) ** gamma * -jnp.log(p)
    negative = (1 - alpha) * p**gamma * -jnp.log(1 - p)
    return jnp.where(targets == 1, positive, negative)


def floored_asymmetric(
    logits: jax.Array,
    targets: jax.Array,
    *,
    alpha: float,
    gamma_positive: float,
    gamma_negative: float,
    shift: float,
) -> jax.Array:
    """Logarithms of no less than 1e-8, as in the authors' code."""
    p = jax.nn.sigmoid(logits)
    rest = jnp.minimum(1 - p + shift, 1)
    positive = alpha * (1 - p) ** gamma_positive * -jnp.log(jnp.maximum(p, 1e-8))
    negative = (1 - alpha) * (1 - rest) ** gamma_negative * -jnp.log(jnp.maximum(rest, 1e-8))
    return jnp.where(targets == 1, positive, negative)
