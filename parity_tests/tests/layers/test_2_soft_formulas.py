"""Layer 2, formulas of soft targets and their partial derivatives, also those that only a third
derivative of a loss has.

    m = y·q + (1 − y)·p        b = −y·log p − (1 − y)·log q
"""

from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from itertools import product
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import focal_jax._core.interpolated_pt as jax_formulas
import focal_torch._core.interpolated_pt as torch_formulas
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth.jets import Real
from parity_tests.truth.oracle import neg_log_sigmoid, sigmoid

FORMULAS: dict[str, Any] = {JAX.name: jax_formulas, TORCH.name: torch_formulas}
# Without a point at which a derivative is 0.
LOGITS = (-9.1, -2.3, -0.4, 0.2, 1.7, 7.3)
TARGETS = (0.0, 0.125, 0.375, 0.8, 1.0)
GAMMA = 2.75
# Terms of two signs take a few of the sixteen digits.
RELATIVE = 1e-11

Truth = Callable[..., Real]


def m(z: Real, y: Real) -> Real:
    return y * sigmoid(-z) + (1 - y) * sigmoid(z)


def bce(z: Real, y: Real) -> Real:
    return y * neg_log_sigmoid(z) + (1 - y) * neg_log_sigmoid(-z)


def q_minus_p(z: Real) -> Real:
    return sigmoid(-z) - sigmoid(z)


TRUTHS: dict[str, Truth] = {
    "bce": bce,
    "m_power": lambda z, y, gamma: m(z, y) ** gamma,
    "log_m": lambda z, y: mp.log(m(z, y)),
    "pq_over_m": lambda z, y: sigmoid(z) * sigmoid(-z) / m(z, y),
    "dlogm_dy": lambda z, y: q_minus_p(z) / m(z, y),
    "qp_bce_over_m": lambda z, y: q_minus_p(z) * bce(z, y) / m(z, y),
}


def formulas() -> Iterator[tuple[str, str]]:
    """Each with no variable, and with each that it is differentiated in."""
    for name, truth in TRUTHS.items():
        yield name, ""
        for variable in signature(truth).parameters:
            yield name, variable


@cache
def truth_of(name: str, variable: str) -> list[float]:
    """At each pair of a logit and a target."""
    truth = TRUTHS[name]
    variables = list(signature(truth).parameters)
    orders = tuple(int(each == variable) for each in variables)
    with mp.workdps(60):
        points = [(mpf(z), mpf(y), mpf(GAMMA)) for z, y in product(LOGITS, TARGETS)]
        return [float(mp.diff(truth, point[: len(orders)], orders)) for point in points]


@both_packages
@pytest.mark.parametrize(("name", "variable"), list(formulas()))
def test_a_formula_is_the_oracles(port: Port, name: str, variable: str) -> None:
    z, y = np.array(list(product(LOGITS, TARGETS))).T
    formula = getattr(FORMULAS[port.name], f"{name}_{variable}" if variable else name)
    arguments: list[Any] = [port.array(z), port.array(y)]
    if name == "m_power":
        arguments.append(GAMMA)
    got = port.numpy(formula(*arguments))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, truth_of(name, variable), rtol=RELATIVE, atol=0)
