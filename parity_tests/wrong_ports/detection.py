"""Wrong losses of detectors: of heatmaps, and of IoU-aware scores."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import sigmoid, softplus

from parity_tests.contract.tolerances import GRADIENT

from .mistake import mistake
from .probes import EASY, FamilyProbe

HEATMAP, VARIFOCAL = "heatmap_focal_loss", "varifocal_loss"


def focal(u: Array, gamma: float) -> Array:
    return sigmoid(-u) ** gamma * softplus(-u)


def weights(alpha: float | None) -> tuple[float, float]:
    return (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)


@mistake(
    HEATMAP,
    control=FamilyProbe(HEATMAP, (-1.0, 0.5)),
    probe=FamilyProbe(HEATMAP, (-9.5,), (1.0,), GRADIENT),
    reason="got -?0.0",
)
def heatmap_clamped(
    logits: Array,
    targets: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    beta: float = 4.0,
) -> Array:
    """The sigmoid is clamped at 1e-4, so that the gradient is 0 beyond a logit of 9.2 (CornerNet,
    CenterNet, CenterPoint, and seven more)."""
    peak, rest = weights(alpha)
    p = jnp.clip(sigmoid(logits), 1e-4, 1 - 1e-4)
    positive = peak * (1 - p) ** gamma * -jnp.log(p)
    negative = rest * (1 - targets) ** beta * p**gamma * -jnp.log(1 - p)
    return jnp.where(targets == 1, positive, negative)


@mistake(
    HEATMAP,
    control=FamilyProbe(HEATMAP, (-1.0, 0.5)),
    probe=FamilyProbe(HEATMAP, (-40.0,), (1.0,)),
    reason="value of",
)
def heatmap_log_plus_epsilon(
    logits: Array,
    targets: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    beta: float = 4.0,
) -> Array:
    """log(p + 1e-12) caps the loss at 27.6 (mmdet's GaussianFocalLoss)."""
    peak, rest = weights(alpha)
    p = sigmoid(logits)
    positive = peak * (1 - p) ** gamma * -jnp.log(p + 1e-12)
    negative = rest * (1 - targets) ** beta * p**gamma * -jnp.log(1 - p + 1e-12)
    return jnp.where(targets == 1, positive, negative)


@mistake(
    HEATMAP,
    control=FamilyProbe(HEATMAP, EASY, (0.0, 1.0), settings={"gamma": 2.0}),
    probe=FamilyProbe(HEATMAP, EASY, (0.5,), settings={"gamma": 2.0}),
    reason="value of",
    fixed={"beta": 4.0},
)
def heatmap_gamma_falls_off(
    logits: Array, targets: Array, *, alpha: float | None = None, gamma: float = 4.0
) -> Array:
    """γ is the exponent of the fall-off, which is β here (the names of mmdet, OpenPCDet and
    mmdet3d)."""
    peak, rest = weights(alpha)
    negative = rest * (1 - targets) ** gamma * focal(-logits, 2.0)
    return jnp.where(targets == 1, peak * focal(logits, 2.0), negative)


@mistake(
    HEATMAP,
    control=FamilyProbe(HEATMAP, EASY),
    probe=FamilyProbe(HEATMAP, EASY, (1.0,), settings={"beta": 0.0}),
    reason="value of",
)
def heatmap_peaks_twice(
    logits: Array,
    targets: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    beta: float = 4.0,
) -> Array:
    """Without a mask a peak has the loss of the other pixels as well for β = 0, where (1 − y)^β is
    0⁰ = 1 (mmdet, OpenPCDet, scenic)."""
    peak, rest = weights(alpha)
    positive = jnp.where(targets == 1, peak * focal(logits, gamma), 0)
    return positive + rest * (1 - targets) ** beta * focal(-logits, gamma)


def varifocal(
    logits: Array, targets: Array, positive: float, negative: float, gamma: float
) -> Array:
    """With a weight of either class."""
    cross_entropy = targets * softplus(-logits) + (1 - targets) * softplus(logits)
    positives = positive * targets * cross_entropy
    return jnp.where(targets > 0, positives, negative * focal(-logits, gamma))


@mistake(
    VARIFOCAL,
    control=FamilyProbe(VARIFOCAL, EASY, settings={"alpha": 1.0}),
    probe=FamilyProbe(VARIFOCAL, EASY, settings={"alpha": 0.75}),
    reason="value of",
)
def varifocal_alpha_of_positives(
    logits: Array, targets: Array, *, alpha: float | None = 0.75, gamma: float = 2.0
) -> Array:
    """α weights the positives, as in the focal loss; here it is the weight of the negatives."""
    positive, _ = weights(alpha)
    return varifocal(logits, targets, positive, 1.0, gamma)


@mistake(
    VARIFOCAL,
    control=FamilyProbe(VARIFOCAL, (-1.0, 0.5)),
    probe=FamilyProbe(VARIFOCAL, (17.5,), (0.0,)),
    reason="got inf",
)
def varifocal_log_of_one_minus_p(
    logits: Array, targets: Array, *, alpha: float | None = 0.75, gamma: float = 2.0
) -> Array:
    """log(1 − σ) of a rounded σ: inf from a logit of 17, and a NaN gradient (LW-DETR and RF-DETR in
    transformers)."""
    negative, _ = weights(alpha)
    p = sigmoid(logits)
    log_p, log_q = jnp.log(p), jnp.log(1 - p)
    positives = -targets * (targets * log_p + (1 - targets) * log_q)
    return jnp.where(targets > 0, positives, negative * p**gamma * -log_q)


@mistake(
    VARIFOCAL,
    control=FamilyProbe(VARIFOCAL, EASY),
    probe=FamilyProbe(VARIFOCAL, EASY, (0.0,), GRADIENT),
    reason="d logits of",
)
def varifocal_modulator_held(
    logits: Array, targets: Array, *, alpha: float | None = 0.75, gamma: float = 2.0
) -> Array:
    """The modulating factor is a constant weight: an easy negative has a third of its gradient
    (RT-DETR in PyTorch, and not its authors' first port)."""
    negative, _ = weights(alpha)
    factor = jax.lax.stop_gradient(sigmoid(logits)) ** gamma
    positives = varifocal(logits, targets, 1.0, 1.0, gamma)
    return jnp.where(targets > 0, positives, negative * factor * softplus(logits))


@mistake(
    VARIFOCAL,
    control=FamilyProbe(VARIFOCAL, EASY, settings={"constant_modulator": True}),
    probe=FamilyProbe(VARIFOCAL, EASY, (0.0,), GRADIENT, {"constant_modulator": True}),
    reason="d logits of",
)
def varifocal_modulator_flows(
    logits: Array,
    targets: Array,
    *,
    alpha: float | None = 0.75,
    gamma: float = 2.0,
    constant_modulator: bool = False,
) -> Array:
    """A gradient flows through the modulating factor also where none is asked for: the reverse of
    `varifocal_modulator_held`."""
    negative, _ = weights(alpha)
    return varifocal(logits, targets, 1.0, negative, gamma)
