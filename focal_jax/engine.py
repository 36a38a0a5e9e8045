"""How the formulas and what runs them get along: JAX here, PyTorch in the file of the same name."""

from typing import Any

import jax
from jax import Array, lax


@jax.custom_jvp
def in_order(logits: Array, divisor: Array | None) -> Array:
    """The logits, read after the divisor where a gradient is made of them: it then shares one pass with the value."""
    return logits


@in_order.defjvp
def _(primals: tuple[Array, Array | None], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    logits, divisor = primals
    return logits if divisor is None else lax.optimization_barrier((logits, divisor))[0], tangents[0]


def for_each(gamma: Any, x: Array) -> Array:
    """x, with the axes that vmap gives to γ: an accelerator would store what all γ share, which takes longer than
    making it."""
    return x + 0 * gamma if isinstance(gamma, Array) else x
