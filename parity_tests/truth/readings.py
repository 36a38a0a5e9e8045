"""How others read "focal loss": each convention and each published mistake, as a formula in
arbitrary precision.

A reading is a loss of one logit z and one target y. The checker judges a port by the reading that
it declares; the diagnosis looks for the reading that a failing port agrees with. Derivatives are
mpmath's own.
"""

from collections.abc import Callable

import mpmath

from .jets import Real
from .oracle import neg_log_sigmoid, sigmoid

# Of z, y, α and γ, and of z, y and γ.
Loss = Callable[[Real, Real, Real, Real], Real]
Unweighted = Callable[[Real, Real, Real], Real]


def cross_entropy(z: Real, y: Real) -> Real:
    return y * neg_log_sigmoid(z) + (1 - y) * neg_log_sigmoid(-z)


def focal(z: Real, gamma: Real) -> Real:
    """f(z; γ), equation (4)."""
    return sigmoid(-z) ** gamma * neg_log_sigmoid(z)


def hardened(y: Real) -> int:
    return int(y >= 0.5)


def margin(z: Real, y: Real) -> Real:
    """u = ±z for a hard target: how far the logit is on the right side."""
    return z if y else -z


def modulated(modulator: Callable[[Real, Real], Real]) -> Unweighted:
    """(1 − p_t)^γ·(−log p_t) with something else, of z and y, in place of 1 − p_t."""
    return lambda z, y, g: modulator(z, y) ** g * cross_entropy(z, y)


def with_gamma(change: Callable[[Real], Real]) -> Unweighted:
    """The loss of a hard target with something else in place of γ."""
    return lambda z, y, g: focal(margin(z, y), change(g))


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
SOFT: dict[str, Unweighted] = {
    "interpolate": modulated(lambda z, y: y * sigmoid(-z) + (1 - y) * sigmoid(z)),
    "mixture": lambda z, y, g: y * focal(z, g) + (1 - y) * focal(-z, g),
    "margin": modulated(lambda z, y: sigmoid(-z * (2 * y - 1))),
    "exp_bce": modulated(lambda z, y: -mpmath.expm1(-cross_entropy(z, y))),
    "quality": modulated(lambda z, y: abs(y - sigmoid(z))),
    "legacy": lambda z, y, g: mpmath.exp(-g * y * z - g * neg_log_sigmoid(z)) * cross_entropy(z, y),
    "hard_modulator": modulated(lambda z, y: sigmoid(-margin(z, hardened(y)))),
    "scaled_margin": lambda z, y, g: focal((2 * y - 1) * z, g),
    "rounded": lambda z, y, g: focal(margin(z, hardened(y)), g),
}


def star(z: Real, y: Real, gamma: Real, beta: Real = 0) -> Real:
    """FL*, equations (9) and (10): the cross entropy at the margin γ·u + β, over γ."""
    return neg_log_sigmoid(gamma * margin(z, y) + beta) / gamma


# The loss of a hard target without α, where a port has something else in place of (1 − p_t)^γ·(−log
# p_t).
FORM: dict[str, Unweighted] = {
    "FL": with_gamma(lambda g: g),
    "FL*": star,
    "gamma_ignored": with_gamma(lambda g: 0),
    "gamma_plus_one": with_gamma(lambda g: g + 1),
    "gamma_minus_one": with_gamma(lambda g: g - 1),
    "gamma_doubled": with_gamma(lambda g: 2 * g),
    "gamma_halved": with_gamma(lambda g: g / 2),
    "gamma_squared": with_gamma(lambda g: g**2),
    "swapped_targets": lambda z, y, g: focal(-margin(z, y), g),
    "modulator_of_p_t": modulated(lambda z, y: sigmoid(margin(z, y))),
    "modulator_of_p": modulated(lambda z, y: sigmoid(-z)),
    "modulator_of_1_minus_p": modulated(lambda z, y: sigmoid(z)),
    "modulator_outside": lambda z, y, g: (1 - sigmoid(margin(z, y))) ** g,
    "sigmoid_twice": lambda z, y, g: focal(margin(sigmoid(z), y), g),
    "log_base_2": lambda z, y, g: focal(margin(z, y), g) / mpmath.log(2),
    "log_base_10": lambda z, y, g: focal(margin(z, y), g) / mpmath.log(10),
    "positives_only": lambda z, y, g: focal(z, g) if y else mpmath.mpf(0),
    "negated": lambda z, y, g: -focal(margin(z, y), g),
}


def declared(alpha: str, soft_targets: str, form: str, beta: float) -> Loss:
    """The loss under conventions that a port declares."""

    def loss(z: Real, y: Real, a: Real, g: Real) -> Real:
        if form == "FL*":
            part = star(z, y, g, beta)
        else:
            # At 0 and 1 all rules are the same loss.
            rule = "mixture" if y in (0, 1) else soft_targets
            part = SOFT[rule](z, y, g)
        if a is None:
            return part
        return ALPHA[alpha](y, a) * part

    return loss


def derivative(loss: Loss, z: Real, y: Real, a: Real, g: Real, order: int) -> Real:
    """The derivative of a reading in the logit, by mpmath, accurate to far more than any dtype."""
    z, y, g = map(mpmath.mpf, (z, y, g))
    if a is not None:
        a = mpmath.mpf(a)
    if not order:
        return loss(z, y, a, g)
    return mpmath.diff(lambda x: loss(x, y, a, g), z, order)
