"""How others read "focal loss": each convention and each published mistake, as a formula in
arbitrary precision.

A reading is a loss of one logit z and one target y. The checker judges a port by the reading that
it declares; the diagnosis looks for the reading that a failing port agrees with. Derivatives are
mpmath's own.
"""

from collections.abc import Callable
from typing import Any

import mpmath

from .oracle import neg_log_sigmoid, sigmoid

Real = Any
Loss = Callable[[Real, Real, Real, Real], Real]


def cross_entropy(z: Real, y: Real) -> Real:
    return y * neg_log_sigmoid(z) + (1 - y) * neg_log_sigmoid(-z)


def focal(z: Real, gamma: Real) -> Real:
    """f(z; γ), equation (4)."""
    return sigmoid(-z) ** gamma * neg_log_sigmoid(z)


def hardened(y: Real) -> int:
    return int(y >= 0.5)


# α_t as a function of (y, α).
ALPHA: dict[str, Callable[[Real, Real], Real]] = {
    "positive": lambda y, a: y * a + (1 - y) * (1 - a),
    "negative": lambda y, a: y * (1 - a) + (1 - y) * a,
    "positive_only": lambda y, a: y * a + (1 - y),
    "both": lambda y, a: a,
    "ignored": lambda y, a: mpmath.mpf(1),
    "doubled_negatives": lambda y, a: y * a + (1 - y) * 2 * (1 - a),
    "squared": lambda y, a: (y * a + (1 - y) * (1 - a)) ** 2,
    "negative_only": lambda y, a: y + (1 - y) * (1 - a),
}

# The loss without α as a function of (z, y, γ): at y = 0 and y = 1 all of them are the same.
SOFT: dict[str, Callable[[Real, Real, Real], Real]] = {
    "interpolate": lambda z, y, g: (
        (y * sigmoid(-z) + (1 - y) * sigmoid(z)) ** g * cross_entropy(z, y)
    ),
    "mixture": lambda z, y, g: y * focal(z, g) + (1 - y) * focal(-z, g),
    "margin": lambda z, y, g: sigmoid(-z * (2 * y - 1)) ** g * cross_entropy(z, y),
    "exp_bce": lambda z, y, g: (-mpmath.expm1(-cross_entropy(z, y))) ** g * cross_entropy(z, y),
    "quality": lambda z, y, g: abs(y - sigmoid(z)) ** g * cross_entropy(z, y),
    "legacy": lambda z, y, g: mpmath.exp(-g * y * z - g * neg_log_sigmoid(z)) * cross_entropy(z, y),
    "hard_modulator": lambda z, y, g: (
        (sigmoid(-z) if hardened(y) else sigmoid(z)) ** g * cross_entropy(z, y)
    ),
    "scaled_margin": lambda z, y, g: focal((2 * y - 1) * z, g),
    "rounded": lambda z, y, g: focal(z if hardened(y) else -z, g),
}


def star(z: Real, y: Real, gamma: Real, beta: Real = 0) -> Real:
    """FL*, equations (9) and (10): the cross entropy at the margin γ·u + β, over γ."""
    return neg_log_sigmoid(gamma * (z if y else -z) + beta) / gamma


# The loss of a hard target without α, where a port has something else in place of (1 − p_t)^γ·(−log
# p_t).
FORM: dict[str, Callable[[Real, Real, Real], Real]] = {
    "FL": lambda z, y, g: focal(z if y else -z, g),
    "FL*": star,
    "gamma_ignored": lambda z, y, g: focal(z if y else -z, 0),
    "gamma_plus_one": lambda z, y, g: focal(z if y else -z, g + 1),
    "gamma_minus_one": lambda z, y, g: focal(z if y else -z, g - 1),
    "gamma_doubled": lambda z, y, g: focal(z if y else -z, 2 * g),
    "gamma_halved": lambda z, y, g: focal(z if y else -z, g / 2),
    "gamma_squared": lambda z, y, g: focal(z if y else -z, g**2),
    "swapped_targets": lambda z, y, g: focal(-z if y else z, g),
    "modulator_of_p_t": lambda z, y, g: sigmoid(z if y else -z) ** g * cross_entropy(z, y),
    "modulator_of_p": lambda z, y, g: sigmoid(-z) ** g * cross_entropy(z, y),
    "modulator_of_1_minus_p": lambda z, y, g: sigmoid(z) ** g * cross_entropy(z, y),
    "modulator_outside": lambda z, y, g: (1 - sigmoid(z if y else -z)) ** g,
    "sigmoid_twice": lambda z, y, g: focal(sigmoid(z) if y else -sigmoid(z), g),
    "log_base_2": lambda z, y, g: focal(z if y else -z, g) / mpmath.log(2),
    "log_base_10": lambda z, y, g: focal(z if y else -z, g) / mpmath.log(10),
    "positives_only": lambda z, y, g: focal(z, g) if y else mpmath.mpf(0),
    "negated": lambda z, y, g: -focal(z if y else -z, g),
}


def declared(alpha: str, soft_targets: str, form: str, beta: float) -> Loss:
    """The loss under conventions that a port declares."""

    def loss(z: Real, y: Real, a: Real, g: Real) -> Real:
        part = (
            star(z, y, g, beta)
            if form == "FL*"
            else SOFT["mixture" if y in (0, 1) else soft_targets](z, y, g)
        )
        return part if a is None else ALPHA[alpha](y, a) * part

    return loss


def derivative(loss: Loss, z: Real, y: Real, a: Real, g: Real, order: int) -> Real:
    """The derivative of a reading in the logit, by mpmath, accurate to far more than any dtype."""
    numbers = (mpmath.mpf(y), None if a is None else mpmath.mpf(a), mpmath.mpf(g))
    if not order:
        return loss(mpmath.mpf(z), *numbers)
    return mpmath.diff(lambda x: loss(x, *numbers), mpmath.mpf(z), order)
