"""Wrong losses of many labels: asymmetric ones."""

import jax.numpy as jnp
from jax import Array
from jax.nn import sigmoid, softplus

from .detection import focal
from .mistake import mistake
from .probes import EASY, FamilyProbe

ASYMMETRIC = "asymmetric_loss"
SHIFTED, UNSHIFTED = {"shift": 0.05}, {"shift": 0.0}
NEGATIVES = (0.0,)
POSITIVES = (1.0,)


def shifted(logits: Array, gamma: float, shift: float) -> Array:
    """The loss of a negative whose probability is less by the shift."""
    if not shift:
        return focal(-logits, gamma)
    x = jnp.maximum(sigmoid(logits) - shift, 0)
    return x**gamma * -jnp.log1p(-x)


def mixed(targets: Array, positive: Array, negative: Array) -> Array:
    return targets * positive + (1 - targets) * negative


@mistake(
    ASYMMETRIC,
    control=FamilyProbe(ASYMMETRIC, (-1.0, 0.5), POSITIVES, settings=SHIFTED),
    probe=FamilyProbe(ASYMMETRIC, (-20.0,), POSITIVES, settings=SHIFTED),
    reason="value of",
    fixed={"alpha": None},
)
def asymmetric_clamped_logarithm(
    logits: Array,
    targets: Array,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> Array:
    """log(clamp(p, 1e-8)): a positive that is missed by 19 has no gradient (the authors, timm)."""
    p = sigmoid(logits)
    q = jnp.minimum(1 - p + shift, 1)
    positive = (1 - p) ** gamma_positive * -jnp.log(jnp.maximum(p, 1e-8))
    negative = (1 - q) ** gamma_negative * -jnp.log(jnp.maximum(q, 1e-8))
    return mixed(targets, positive, negative)


@mistake(
    ASYMMETRIC,
    control=FamilyProbe(ASYMMETRIC, EASY, settings=UNSHIFTED),
    probe=FamilyProbe(ASYMMETRIC, EASY, NEGATIVES, settings=SHIFTED),
    reason="value of",
    fixed={"alpha": None},
)
def asymmetric_without_shift(
    logits: Array,
    targets: Array,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> Array:
    """The shift is taken and not used."""
    return mixed(targets, focal(logits, gamma_positive), focal(-logits, gamma_negative))


@mistake(
    ASYMMETRIC,
    control=FamilyProbe(ASYMMETRIC, EASY, settings=UNSHIFTED),
    probe=FamilyProbe(ASYMMETRIC, EASY, POSITIVES, settings=SHIFTED),
    reason="value of",
    fixed={"alpha": None},
)
def asymmetric_shift_of_positives(
    logits: Array,
    targets: Array,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> Array:
    """The shift is on the wrong class."""
    positive = shifted(-logits, gamma_positive, shift)
    return mixed(targets, positive, focal(-logits, gamma_negative))


@mistake(
    ASYMMETRIC,
    control=FamilyProbe(ASYMMETRIC, EASY, settings={"gamma_positive": 4.0, **UNSHIFTED}),
    probe=FamilyProbe(ASYMMETRIC, EASY, settings=UNSHIFTED),
    reason="value of",
    fixed={"alpha": None},
)
def asymmetric_powers_exchanged(
    logits: Array,
    targets: Array,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> Array:
    """γ₊ is the exponent of negatives, γ₋ that of positives: most codes take γ₋ first."""
    negative = shifted(logits, gamma_positive, shift)
    return mixed(targets, focal(logits, gamma_negative), negative)


@mistake(
    ASYMMETRIC,
    control=FamilyProbe(ASYMMETRIC, EASY, (0.0, 1.0), settings=UNSHIFTED),
    probe=FamilyProbe(ASYMMETRIC, EASY, (0.5,), settings=UNSHIFTED),
    reason="value of",
    fixed={"alpha": None},
)
def asymmetric_interpolated(
    logits: Array,
    targets: Array,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    shift: float = 0.05,
) -> Array:
    """Soft targets interpolate p_t and the exponent of one modulating factor (timm)."""
    p, q = sigmoid(logits), sigmoid(-logits)
    x = jnp.maximum(p - shift, 0) if shift else p
    power = mixed(targets, jnp.asarray(gamma_positive), jnp.asarray(gamma_negative))
    negative = shifted(logits, 0.0, shift)
    return mixed(targets, q, x) ** power * mixed(targets, softplus(-logits), negative)
