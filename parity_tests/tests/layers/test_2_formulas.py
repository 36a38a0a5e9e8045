"""Layer 2, formulas: what the losses are made of, one by one, in each form that a compiler gets.

p = σ(u)        q = σ(−u)        s = softplus(−u)        f(u; γ) = q^γ·s
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

import focal_jax._core.focal as jax_formulas
import focal_torch._core.focal as torch_formulas
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import FLOOR, PER_GAMMA, SIGMOID
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth.jets import Real, Term
from parity_tests.truth.oracle import neg_log_sigmoid, sigmoid

FORMULAS: dict[str, Any] = {JAX.name: jax_formulas, TORCH.name: torch_formulas}
HALVES = np.array([0.0, 1e-3, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 16.75, 20.0, 39.5, 41.0, 80.0])
MARGINS = np.unique(np.concatenate([-HALVES, HALVES])).astype(np.float32)
# Whole, with a few bits, with all of them, and beyond what is made of products.
GAMMAS = (0.0, 0.3, 0.5, 1.0, 2.0, 2.75, 5.7, 6.3)
DTYPES = ("float32", "float64")


def modulating_factor(u: Real, gamma: Real) -> Real:
    return sigmoid(-u) ** gamma


def focal(u: Real, gamma: Real) -> Real:
    return modulating_factor(u, gamma) * neg_log_sigmoid(u)


class Partial(NamedTuple):
    """The derivative of a function, so often in u and in γ, or what is left of it without its
    sign."""

    function: Callable[[Real, Real], Real]
    orders: tuple[int, int]
    sign: int = 1


PARTIALS = {
    "sigmoid": Partial(lambda u, _: sigmoid(u), (0, 0)),
    "sigmoid_u": Partial(lambda u, _: sigmoid(u), (1, 0)),
    "softplus": Partial(lambda u, _: neg_log_sigmoid(-u), (0, 0)),
    "softplus_u": Partial(lambda u, _: neg_log_sigmoid(-u), (1, 0)),
    "modulating_factor": Partial(modulating_factor, (0, 0)),
    "modulating_factor_u": Partial(modulating_factor, (1, 0)),
    "modulating_factor_gamma": Partial(modulating_factor, (0, 1)),
    "focal": Partial(focal, (0, 0)),
    "focal_u": Partial(focal, (1, 0)),
    "focal_gamma": Partial(focal, (0, 1)),
    "neg_grad_u": Partial(focal, (1, 0), sign=-1),
    "neg_grad_u_u": Partial(focal, (2, 0), sign=-1),
    "neg_grad_u_gamma": Partial(focal, (1, 1), sign=-1),
    "grad2_u": Partial(focal, (2, 0)),
}
WITHOUT_GAMMA = ("sigmoid", "softplus")


@cache
def truth(name: str, u: float, gamma: float) -> Term:
    """The derivative, and the sum of the magnitudes of its terms."""
    function, orders, sign = PARTIALS[name]
    with mp.workdps(80):
        value = sign * mp.diff(function, (mpf(u), mpf(gamma)), orders)
        return Term(value, scale(orders, mpf(u), mpf(gamma)) or abs(value))


def scale(orders: tuple[int, int], u: Real, gamma: Real) -> Real:
    """Of the derivatives whose terms have two signs; else 0."""
    p, q, s = sigmoid(u), sigmoid(-u), neg_log_sigmoid(u)
    power = q**gamma
    if orders == (1, 1):
        return power * (p * s + neg_log_sigmoid(-u) * (gamma * p * s + q))
    if orders == (2, 0):
        return power * p * (gamma**2 * p * s + gamma * q * s + (2 * gamma + 1) * q)
    return mpf(0)


def call(port: Port, name: str, u: np.ndarray, gamma: Any) -> np.ndarray:
    formula = getattr(FORMULAS[port.name], name)
    arguments = [port.array(u)] if name.startswith(WITHOUT_GAMMA) else [port.array(u), gamma]
    return port.numpy(formula(*arguments))


def judge(name: str, got: np.ndarray, gamma: float) -> None:
    dtype = str(got.dtype)
    order = sum(PARTIALS[name].orders)
    errors = {}
    for u, x in zip(MARGINS.tolist(), got.tolist(), strict=True):
        errors[u] = error_in_eps(x, truth(name, u, gamma), dtype, FLOOR[dtype][order])
    worst = max(errors, key=lambda u: errors[u])
    text = f"{name}(u={worst}, gamma={gamma}) in {dtype}: off by {errors[worst]} eps"
    assert errors[worst] <= SIGMOID[order] + PER_GAMMA * gamma, text


@both_packages
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PARTIALS)
def test_a_formula_is_the_oracles(port: Port, name: str, dtype: str) -> None:
    for gamma in GAMMAS:
        judge(name, call(port, name, MARGINS.astype(dtype), gamma), gamma)


@both_packages
@pytest.mark.parametrize("name", [name for name in PARTIALS if not name.startswith(WITHOUT_GAMMA)])
def test_gamma_as_an_array(port: Port, name: str) -> None:
    for gamma in np.array(GAMMAS, np.float32).tolist():
        array = port.array(np.array(gamma, np.float32))
        judge(name, call(port, name, MARGINS, array), gamma)


@pytest.fixture
def without_kernels() -> Iterator[None]:
    """As where PyTorch compiles the losses."""
    with mock.patch.object(torch_formulas, "has_kernels", return_value=False):
        yield


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("name", PARTIALS)
def test_a_formula_of_compiled_loops_is_the_oracles(name: str) -> None:
    for gamma in GAMMAS:
        judge(name, call(TORCH, name, MARGINS, gamma), gamma)


@both_packages
def test_nan_stays(port: Port) -> None:
    nan = np.array([np.nan], np.float32)
    far = np.array([-100.0], np.float32)
    for gamma in GAMMAS[1:]:
        assert np.isnan(call(port, "neg_grad_u", nan, gamma)).all()
    # Also where it is the exponent of 1.
    assert np.isnan(call(port, "focal", far, port.array(nan))).all()


@both_packages
@pytest.mark.parametrize("cap", [0.5, 30.0])
def test_softcapped(port: Port, cap: float) -> None:
    """cap·tanh(z / cap) and its slope 1 − tanh², which keeps its digits where tanh is nearly 1."""
    formulas = FORMULAS[port.name]
    z = MARGINS[np.abs(MARGINS) < 40 * cap]
    capped = port.numpy(formulas.softcapped(port.array(z), cap)).tolist()
    slope = port.numpy(formulas.softcapped_z(port.array(z), cap)).tolist()
    for each, value, steepness in zip(z.tolist(), capped, slope, strict=True):
        x = mpf(each) / mpf(cap)
        tanh, below = cap * mpmath.tanh(x), mpmath.sech(x) ** 2
        # The exponents are rounded, which a slope feels as much as they are large.
        allowed = SIGMOID[0] + 2 * abs(float(x))
        assert error_in_eps(value, Term(tanh, abs(tanh)), "float32", 1e-38) <= SIGMOID[0], each
        assert error_in_eps(steepness, Term(below, below), "float32", 1e-38) <= allowed, each
