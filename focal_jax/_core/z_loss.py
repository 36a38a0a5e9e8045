"""The square of the logarithm of what a softmax divides by. It is added to the loss of a layer, so
that logits do not drift: a softmax is the same for logits that are all moved alike.

    z    logits (…, C)

C counts the classes of this rank, and `group` has the ranks that classes are sharded over.
"""

import jax.numpy as jnp
from jax import Array

from .._base.autodiff import weighted
from .._base.collectives import Group, sum_over
from .softmax import shift_of


@weighted
def squared_log_sum(z: Array, group: Group) -> Array:
    """(log Σ_k exp(z_k))² over the classes of all ranks: (…)."""
    log_sum, _ = _log_sum_and_softmax(z, group)
    return log_sum[..., 0] ** 2


@squared_log_sum.partial("z")
def squared_log_sum_z(z: Array, group: Group) -> Array:
    """2·log Σ_k exp(z_k)·softmax(z): (…, C)."""
    log_sum, softmax = _log_sum_and_softmax(z, group)
    return 2 * log_sum * softmax


def _log_sum_and_softmax(z: Array, group: Group) -> tuple[Array, Array]:
    """log Σ_k exp(z_k) (…, 1), and the softmax (…, C)."""
    shift = shift_of(z, group)
    exp_z = jnp.exp(z - shift)
    total = sum_over(exp_z.sum(-1, keepdims=True), group)
    return jnp.log(total) + shift, exp_z / total
