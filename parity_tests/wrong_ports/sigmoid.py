"""Sigmoid losses that differ from the paper's in one line."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import sigmoid, softplus

from parity_tests.contract.tolerances import GRADIENT

from .mistake import Mistake
from .probes import EASY, Probe, Refuses

MISTAKES: list[Mistake] = []

# Logits z, targets y, α and γ.
Formula = Callable[[Array, Array, float | None, float], Array]
Loss = Callable[..., Array]


def mistake(control: Probe, probe: Probe | Refuses, reason: str) -> Callable[[Formula], Loss]:
    """Make a formula a port, with the arguments that ports have, and add it to the mistakes."""

    def add(formula: Formula) -> Loss:
        def loss(
            logits: Array, targets: Array, *, alpha: float | None = 0.25, gamma: float = 2.0
        ) -> Array:
            return formula(logits, jnp.asarray(targets, logits.dtype), alpha, gamma)

        # Not by functools.wraps, which would show the signature of the formula.
        loss.__name__, loss.__qualname__, loss.__doc__ = (
            formula.__name__,
            formula.__qualname__,
            formula.__doc__,
        )
        MISTAKES.append(Mistake(loss, "sigmoid_focal_loss", control, probe, reason))
        return loss

    return add


def alpha_t(y: Array, alpha: float | None) -> Array | float:
    return 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)


def margin(z: Array, y: Array) -> Array:
    return (2 * y - 1) * z


def focal(u: Array, gamma: float) -> Array:
    return sigmoid(-u) ** gamma * softplus(-u)


@mistake(Probe(EASY, targets=(1.0,)), Probe(EASY, targets=(0.0,)), "value of")
def alpha_on_positives_only(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """α weights class 1 and nothing weights class 0 (a pos_weight)."""
    weight = 1.0 if alpha is None else jnp.where(y == 1, alpha, 1.0).astype(z.dtype)
    return weight * focal(margin(z, y), gamma)


@mistake(Probe(EASY, alpha=0.5), Probe(EASY, alpha=0.25), "value of")
def alpha_reversed(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """Class 1 gets 1 − α and class 0 gets α (a widely copied tutorial)."""
    return alpha_t(1 - y, alpha) * focal(margin(z, y), gamma)


@mistake(Probe(EASY, alpha=0.25), Probe(EASY, alpha=None), "got -")
def alpha_sentinel_applied(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """ "No α" is the number −1, and somebody multiplies with it."""
    return alpha_t(y, -1.0 if alpha is None else alpha) * focal(margin(z, y), gamma)


@mistake(Probe(EASY), Refuses((4,), (4, 1)), "gave a loss of shape")
def broadcast_targets(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """Targets of shape (N, 1) meet logits of shape (N,): an (N, N) loss without a word."""
    return alpha_t(y, alpha) * focal(margin(z, y), gamma)


@mistake(
    Probe((-1.0, 0.5), targets=(1.0,)),
    Probe((-30.0,), targets=(1.0,), order=GRADIENT),
    "got -?0.0",
)
def clipped_probabilities(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """p is clipped to [ε, 1 − ε] before the logarithm, so that a badly missed positive has gradient
    0."""
    u = margin(z, y)
    return -alpha_t(y, alpha) * sigmoid(-u) ** gamma * jnp.log(jnp.clip(sigmoid(u), 1e-7, 1 - 1e-7))


@mistake(Probe(EASY), Probe(EASY, order=GRADIENT), "d logits of")
def detached_modulator(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """The factor (1 − p_t)^γ is taken as a constant: the loss is right, its gradient 12 % off
    (clcarwin)."""
    u = margin(z, y)
    return alpha_t(y, alpha) * jax.lax.stop_gradient(sigmoid(-u) ** gamma) * softplus(-u)


@mistake(Probe(EASY, targets=(1.0,)), Probe(EASY, targets=(0.0,)), "value of")
def doubled_negatives(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """Negatives count twice as soon as there is an α: it passed all tests of the best known JAX
    focal loss."""
    twice = jnp.where((y == 0) & (alpha is not None), 2.0, 1.0).astype(z.dtype)
    return twice * alpha_t(y, alpha) * focal(margin(z, y), gamma)


@mistake(Probe(EASY, gamma=2.0), Probe(EASY, gamma=1.5), "value of")
def gamma_off_the_grid(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """The exponent is γ + 1 for every γ that a textbook test does not try."""
    return alpha_t(y, alpha) * focal(margin(z, y), gamma if gamma in (0, 2) else gamma + 1)


@mistake(Probe(EASY), Probe(EASY, targets=(0.3,)), "value of")
def hard_modulator_for_soft_targets(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """Soft targets are ignored in the modulating factor."""
    one_minus_pt = jnp.where(y > 0.5, sigmoid(-z), sigmoid(z))
    cross_entropy = y * softplus(-z) + (1 - y) * softplus(z)
    return alpha_t(y, alpha) * one_minus_pt**gamma * cross_entropy


@mistake(Probe((-1.0, 0.5), targets=(1.0,)), Probe((-30.0,), targets=(1.0,)), "value of")
def log_of_p_plus_epsilon(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """ε is added to p inside the logarithm, which caps the loss."""
    u = margin(z, y)
    return -alpha_t(y, alpha) * sigmoid(-u) ** gamma * jnp.log(sigmoid(u) + 1e-9)


@mistake(Probe(EASY), Probe(EASY, targets=(0.3,)), "value of")
def mixture_for_soft_targets(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """Soft targets follow the other rule, y·f(z) + (1 − y)·f(−z) (kornia's binary focal loss)."""
    one, zero = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    return one * y * focal(z, gamma) + zero * (1 - y) * focal(-z, gamma)


@mistake(Probe((-2.0, -1.0), targets=(1.0,)), Probe((20.0,), targets=(1.0,)), "got 0.0")
def one_minus_p(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """1 − p_t is formed by subtraction: exactly 0 from a margin of 17, and inexact long before
    (nearly everybody)."""
    u = margin(z, y)
    return alpha_t(y, alpha) * (1 - sigmoid(u)) ** gamma * softplus(-u)


@mistake(Probe((-1.0, 1.0), targets=(1.0,)), Probe((-100.0,), targets=(1.0,)), "got nan")
def overflowing_exponent(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """exp(−z) by itself overflows for a badly missed positive: loss and gradient are NaN (effdet's
    legacy loss)."""
    e = jnp.exp(-margin(z, y))
    return alpha_t(y, alpha) * (e / (1 + e)) ** gamma * jnp.log1p(e)


@mistake(
    Probe((-2.0, 0.5), gamma=0.5, order=GRADIENT),
    Probe((1e4,), targets=(1.0,), gamma=0.5, order=GRADIENT),
    "got nan",
)
def power_of_zero(z: Array, y: Array, alpha: float | None, gamma: float) -> Array:
    """The power rule on (1 − p_t)^γ makes (1 − p_t)^(γ − 1): NaN at saturation for γ < 1 (9 of 12
    in PyTorch)."""
    return alpha_t(y, alpha) * focal(margin(z, y), gamma)
