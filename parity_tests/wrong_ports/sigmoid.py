"""Sigmoid losses that differ from the paper's in one line."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import softplus

from parity_tests.contract.tolerances import GRADIENT

from .mistake import Loss, mistake
from .paper import Paper
from .probes import EASY, Probe, Refuses

Formula = Callable[[Paper], Array]


def wrong_formula(control: Probe, probe: Probe | Refuses, reason: str) -> Callable[[Formula], Loss]:
    """Make a formula a port, with the arguments that ports have, and add it to the mistakes."""
    register = mistake("sigmoid_focal_loss", control=control, probe=probe, reason=reason)

    def add(formula: Formula) -> Loss:
        def loss(
            logits: Array, targets: Array, *, alpha: float | None = 0.25, gamma: float = 2.0
        ) -> Array:
            y = jnp.asarray(targets, logits.dtype)
            return formula(Paper(logits, y, alpha, gamma))

        # Not by functools.wraps, which would show the signature of the formula.
        loss.__name__ = formula.__name__
        loss.__qualname__ = formula.__qualname__
        loss.__doc__ = formula.__doc__
        return register(loss)

    return add


@wrong_formula(Probe(EASY, targets=(1.0,)), Probe(EASY, targets=(0.0,)), "value of")
def alpha_on_positives_only(x: Paper) -> Array:
    """α weights class 1 and nothing weights class 0 (a pos_weight)."""
    alpha_t = jnp.where(x.y == 1, x.alpha_t, 1.0)
    return alpha_t * x.focal


@wrong_formula(Probe(EASY, alpha=0.5), Probe(EASY, alpha=0.25), "value of")
def alpha_reversed(x: Paper) -> Array:
    """Class 1 gets 1 − α and class 0 gets α (a widely copied tutorial)."""
    return replace(x, y=1 - x.y).alpha_t * x.focal


@wrong_formula(Probe(EASY, alpha=0.25), Probe(EASY, alpha=None), "got -")
def alpha_sentinel_applied(x: Paper) -> Array:
    """ "No α" is the number −1, and somebody multiplies with it."""
    alpha = -1.0 if x.alpha is None else x.alpha
    return replace(x, alpha=alpha).loss


@wrong_formula(Probe(EASY), Refuses((4,), (4, 1)), "gave a loss of shape")
def broadcast_targets(x: Paper) -> Array:
    """Targets of shape (N, 1) meet logits of shape (N,): an (N, N) loss without a word."""
    return x.loss


@wrong_formula(
    Probe((-1.0, 0.5), targets=(1.0,)),
    Probe((-30.0,), targets=(1.0,), order=GRADIENT),
    "got -?0.0",
)
def clipped_probabilities(x: Paper) -> Array:
    """p is clipped to [ε, 1 − ε] before the logarithm, so that a badly missed positive has gradient
    0."""
    p_t = jnp.clip(x.p_t, 1e-7, 1 - 1e-7)
    return x.alpha_t * x.modulator * -jnp.log(p_t)


@wrong_formula(Probe(EASY), Probe(EASY, order=GRADIENT), "d logits of")
def detached_modulator(x: Paper) -> Array:
    """The factor (1 − p_t)^γ is taken as a constant: the loss is right, its gradient 12 % off
    (clcarwin)."""
    return x.alpha_t * jax.lax.stop_gradient(x.modulator) * x.cross_entropy


@wrong_formula(Probe(EASY, targets=(1.0,)), Probe(EASY, targets=(0.0,)), "value of")
def doubled_negatives(x: Paper) -> Array:
    """Negatives count twice as soon as there is an α: it passed all tests of the best known JAX
    focal loss."""
    factor = jnp.where((x.y == 0) & (x.alpha is not None), 2.0, 1.0)
    return factor * x.loss


@wrong_formula(Probe(EASY, gamma=2.0), Probe(EASY, gamma=1.5), "value of")
def gamma_off_the_grid(x: Paper) -> Array:
    """The exponent is γ + 1 for every γ that a textbook test does not try."""
    gamma = x.gamma if x.gamma in (0, 2) else x.gamma + 1
    return replace(x, gamma=gamma).loss


@wrong_formula(Probe(EASY), Probe(EASY, targets=(0.3,)), "value of")
def hard_modulator_for_soft_targets(x: Paper) -> Array:
    """Soft targets are ignored in the modulating factor."""
    hard = replace(x, y=jnp.round(x.y))
    cross_entropy = x.y * softplus(-x.z) + (1 - x.y) * softplus(x.z)
    return x.alpha_t * hard.modulator * cross_entropy


@wrong_formula(Probe((-1.0, 0.5), targets=(1.0,)), Probe((-30.0,), targets=(1.0,)), "value of")
def log_of_p_plus_epsilon(x: Paper) -> Array:
    """ε is added to p inside the logarithm, which caps the loss."""
    return x.alpha_t * x.modulator * -jnp.log(x.p_t + 1e-9)


@wrong_formula(Probe(EASY), Probe(EASY, targets=(0.3,)), "value of")
def mixture_for_soft_targets(x: Paper) -> Array:
    """Soft targets follow the other rule, y·f(z) + (1 − y)·f(−z) (kornia's binary focal loss)."""
    one = replace(x, y=jnp.ones_like(x.y))
    zero = replace(x, y=jnp.zeros_like(x.y))
    return x.y * one.loss + (1 - x.y) * zero.loss


@wrong_formula(Probe((-2.0, -1.0), targets=(1.0,)), Probe((20.0,), targets=(1.0,)), "got 0.0")
def one_minus_p(x: Paper) -> Array:
    """1 − p_t is formed by subtraction: exactly 0 from a margin of 17, and inexact long before
    (nearly everybody)."""
    return x.alpha_t * (1 - x.p_t) ** x.gamma * x.cross_entropy


@wrong_formula(Probe((-1.0, 1.0), targets=(1.0,)), Probe((-100.0,), targets=(1.0,)), "got nan")
def overflowing_exponent(x: Paper) -> Array:
    """exp(−z) by itself overflows for a badly missed positive: loss and gradient are NaN (effdet's
    legacy loss)."""
    e = jnp.exp(-x.u)
    return x.alpha_t * (e / (1 + e)) ** x.gamma * jnp.log1p(e)


@wrong_formula(
    Probe((-2.0, 0.5), gamma=0.5, order=GRADIENT),
    Probe((1e4,), targets=(1.0,), gamma=0.5, order=GRADIENT),
    "got nan",
)
def power_of_zero(x: Paper) -> Array:
    """The power rule on (1 − p_t)^γ makes (1 − p_t)^(γ − 1): NaN at saturation for γ < 1 (9 of 12
    in PyTorch)."""
    return x.loss


@mistake(
    "sigmoid_focal_loss",
    control=Probe((-3.0, -2.0), targets=(0.3, 0.5), gamma=3.0, soft_targets="quality"),
    probe=Probe((0.5, 1.0), targets=(0.3, 0.5), gamma=3.0, soft_targets="quality"),
    reason="got -",
    conventions={"soft_targets": "quality"},
)
def quality_without_abs(
    logits: Array,
    targets: Array,
    *,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    soft_targets: str = "quality",
) -> Array:
    """(y − p)^γ of a positive without the absolute value: a negative loss for γ = 3, NaN for γ =
    1.5 (the authors' quality focal loss)."""
    x = Paper(logits, jnp.asarray(targets, logits.dtype), alpha, gamma)
    q = jax.nn.sigmoid(-x.z)
    distance = jnp.where(x.y > 0, x.y * q - (1 - x.y) * (1 - q), 1 - q)
    distance = jnp.where((x.y == 0) | (x.y == 1), jax.nn.sigmoid(-x.u), distance)
    cross_entropy = x.y * softplus(-x.z) + (1 - x.y) * softplus(x.z)
    return x.alpha_t * distance**x.gamma * cross_entropy
