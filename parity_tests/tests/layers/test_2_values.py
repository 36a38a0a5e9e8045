"""Layer 2, values: a failure here is a wrong loss."""

import math

import numpy as np
import pytest
import torch

from examples import coming_from
from parity_tests.contract.exact import Draws
from parity_tests.contract.examine import examine
from parity_tests.contract.port import Port
from parity_tests.contract.suite import golden_vectors, solved
from parity_tests.contract.tolerances import EPS, PER_GAMMA, SMALLEST_NORMAL, VALUE
from parity_tests.contract.tolerances import SIGMOID as SIGMOID_UNITS
from parity_tests.tests.parametrize import (
    both_packages,
    each_function_of_logits,
    each_problem_of_each_port,
    each_vector_file,
)
from parity_tests.truth import float64

from .calls import SIGMOID, gradient, sigmoid


@each_problem_of_each_port
def test_the_loss_is_the_oracles(name: str, port: Port) -> None:
    examine(solved(name), port, VALUE)


@both_packages
@each_vector_file
@each_function_of_logits
def test_the_loss_is_that_of_the_golden_vectors(function: str, dtype: str, port: Port) -> None:
    for problem in golden_vectors(function, dtype):
        examine(problem, port, VALUE)


@both_packages
@pytest.mark.parametrize(
    ("dtype", "logit", "target", "gamma", "truth"),
    [
        ("float32", 20.0, 1, 2.0, 8.7565e-27),
        ("float32", 17.0, 1, 1.5, 3.48726e-19),
        ("float32", -20.0, 1, 2.0, 20.0),
        ("float32", -100.0, 1, 2.0, 100.0),
    ],
)
def test_published_numbers(
    port: Port, dtype: str, logit: float, target: int, gamma: float, truth: float
) -> None:
    logits = np.array([logit], dtype)
    losses = sigmoid(port, logits, np.array([target]), alpha=None, gamma=gamma)
    loss = float(losses[0])
    assert math.isclose(loss, truth, rel_tol=5e-6), f"{loss} is not {truth} to its published digits"


@both_packages
@pytest.mark.parametrize("gamma", [0.001, 0.1, 0.3, 0.7, 1.1, 2.7, 3.3, 4.9])
def test_a_gamma_that_float32_does_not_hold(port: Port, gamma: float) -> None:
    """The rounding of γ is multiplied by log q: at a margin of 60 it would cost several eps.

    Beyond 85 terms of the gradient are below the smallest normal number.
    """
    logits = Draws(0).uniform(-85, 85, 100_000).astype(np.float32)
    targets = np.arange(len(logits)) % 2
    truths = float64.hard_focal(logits.astype(float), targets, 0.25, gamma)
    value = sigmoid(port, logits, targets, gamma=gamma)
    slope = gradient(port, SIGMOID, logits, targets, gamma=gamma)
    for order, (got, truth) in enumerate(zip((value, slope), truths, strict=True)):
        relative = (SIGMOID_UNITS[order] + PER_GAMMA * gamma) * EPS["float32"]
        allowed = relative * np.abs(truth) + SMALLEST_NORMAL["float32"]
        # Not `error > allowed`, which NaN would pass.
        bad = ~(np.abs(got - truth) <= allowed)
        worst = zip(logits[bad], got[bad], truth[bad], strict=True)
        assert not bad.any(), list(worst)


@both_packages
@pytest.mark.parametrize(
    ("soft_targets", "truth"), [("interpolate", 0.287428), ("mixture", 0.358099)]
)
def test_the_two_rules_for_soft_targets(port: Port, soft_targets: str, truth: float) -> None:
    logits = np.array([0.7])
    targets = np.array([0.3])
    loss = sigmoid(port, logits, targets, alpha=None, soft_targets=soft_targets)
    assert math.isclose(float(loss[0]), truth, rel_tol=2e-6)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kept", [None, 0.3])
def test_reductions(port: Port, dtype: str, kept: float | None) -> None:
    """A sum of 10⁵ positive losses has the error of one loss and of a pairwise sum, not of a
    running one."""
    draws = Draws(0)
    logits = draws.bell((1000, 100)).astype(dtype)
    targets = draws.uniform(shape=(1000, 100)).astype(dtype)
    where = np.ones((1000, 100), bool)
    mask = None
    if kept is not None:
        where = mask = draws.uniform(shape=(1000, 100)) < kept

    def call(reduction: str) -> np.ndarray:
        return sigmoid(port, logits, targets, where=mask, reduction=reduction)

    each = call("none")
    assert each.dtype == dtype
    assert not each[~where].any()
    total = math.fsum(each.ravel().tolist())
    positives = math.fsum(targets[where].tolist())
    divisors = {"sum": 1, "mean": where.sum(), "mean_positive": positives}
    for reduction, divisor in divisors.items():
        reduced = call(reduction)
        truth = total / divisor
        assert reduced.dtype == dtype
        error = abs(float(reduced) - truth)
        allowed = 8 * EPS[dtype] * truth
        assert error <= allowed, (reduction, float(reduced), truth)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 5])
def test_the_tutorial_class_has_the_tutorials_numbers(port: Port, dtype: str, gamma: float) -> None:
    """For 1-D inputs and hard targets, as far as its own 1 − exp(−BCE) is exact."""
    draws = Draws(0)
    inputs = draws.bell(50).astype(dtype)
    targets = draws.integers(0, 2, 50)
    floats = torch.tensor(targets.astype(dtype))
    theirs = coming_from.tutorial_class(torch.tensor(inputs), floats, 0.25, gamma)
    module = port.module.WeightedFocalLoss(0.25, gamma)
    ours = module(port.array(inputs), port.array(targets))
    assert math.isclose(float(ours), float(theirs), rel_tol=64 * EPS[dtype])
