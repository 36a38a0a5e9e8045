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
from parity_tests.contract.tolerances import EPS, PER_GAMMA, SIGMOID, SMALLEST_NORMAL, VALUE
from parity_tests.tests.parametrize import both_packages, each_port, each_problem, each_vector_file
from parity_tests.truth import float64


@each_port
@each_problem
def test_the_loss_is_the_oracles(name: str, port: Port) -> None:
    examine(solved(name), port, VALUE)


@both_packages
@each_vector_file
@pytest.mark.parametrize("function", ["sigmoid_focal_loss", "softmax_focal_loss"])
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
    logits, targets = port.array(np.array([logit], dtype)), port.array(np.array([target]))
    loss = float(port.module.sigmoid_focal_loss(logits, targets, alpha=None, gamma=gamma)[0])
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
    loss = port.module.sigmoid_focal_loss
    value = port.numpy(loss(port.array(logits), port.array(targets), gamma=gamma))
    slope = port.gradient(lambda z: loss(z, port.array(targets), gamma=gamma), logits)
    for order, (got, truth) in enumerate(zip((value, slope), truths, strict=True)):
        units = SIGMOID[order] + PER_GAMMA * gamma
        bad = ~(
            np.abs(got - truth)
            <= units * EPS["float32"] * np.abs(truth) + SMALLEST_NORMAL["float32"]
        )
        assert not bad.any(), (logits[bad][0], got[bad][0], truth[bad][0])


@both_packages
@pytest.mark.parametrize(
    ("soft_targets", "truth"), [("interpolate", 0.287428), ("mixture", 0.358099)]
)
def test_the_two_rules_for_soft_targets(port: Port, soft_targets: str, truth: float) -> None:
    logits, targets = port.array(np.array([0.7])), port.array(np.array([0.3]))
    loss = port.module.sigmoid_focal_loss(logits, targets, alpha=None, soft_targets=soft_targets)
    assert math.isclose(float(loss[0]), truth, rel_tol=2e-6)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kept", [None, 0.3])
def test_reductions(port: Port, dtype: str, kept: float | None) -> None:
    """A sum of 10⁵ positive losses has the error of one loss and of a pairwise sum, not of a
    running one."""
    draws = Draws(0)
    logits, targets = (
        draws.bell((1000, 100)).astype(dtype),
        draws.uniform(shape=(1000, 100)).astype(dtype),
    )
    where = (
        np.ones_like(targets, dtype=bool)
        if kept is None
        else draws.uniform(shape=targets.shape) < kept
    )
    mask = None if kept is None else port.array(where)

    def call(reduction: str) -> np.ndarray:
        z, y = port.array(logits), port.array(targets)
        return port.numpy(port.module.sigmoid_focal_loss(z, y, where=mask, reduction=reduction))

    each = call("none")
    assert each.dtype == dtype
    assert not each[~where].any()
    total = math.fsum(each.astype(float).ravel().tolist())
    positives = math.fsum(targets[where].astype(float).tolist())
    expected = {"sum": total, "mean": total / where.sum(), "mean_positive": total / positives}
    for reduction, truth in expected.items():
        got = call(reduction)
        assert got.dtype == dtype
        assert abs(float(got) - truth) <= 8 * EPS[dtype] * truth, (reduction, float(got), truth)


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 5])
def test_the_tutorial_class_has_the_tutorials_numbers(port: Port, dtype: str, gamma: float) -> None:
    """For 1-D inputs and hard targets, as far as its own 1 − exp(−BCE) is exact."""
    draws = Draws(0)
    inputs, targets = draws.bell(50).astype(dtype), draws.integers(0, 2, 50)
    theirs = coming_from.tutorial_class(
        torch.tensor(inputs), torch.tensor(targets.astype(dtype)), 0.25, gamma
    )
    ours = port.module.WeightedFocalLoss(0.25, gamma)(port.array(inputs), port.array(targets))
    assert math.isclose(float(ours), float(theirs), rel_tol=64 * EPS[dtype])
