"""The relatives of the focal loss where a grid does not go: edges, values that nobody can check,
and what each comes down to."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import focal_jax
import focal_torch
from parity_tests.contract.exact import spaced
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages

NAN, INF = np.nan, np.inf
LOGITS = np.array([-300.0, -20.0, -2.0, 0.0, 2.0, 20.0, 300.0], np.float32)


def both(port: Port, function: str, logits: Any, targets: Any, **settings: Any) -> Any:
    """The losses, and their gradient in the logits."""
    loss = getattr(port.module, function)
    y = port.array(np.asarray(targets))

    def of_logits(z: Any) -> Any:
        return loss(z, y, **settings)

    values = port.numpy(of_logits(port.array(np.asarray(logits))))
    return values, port.gradient(of_logits, np.asarray(logits))


@both_packages
def test_infinite_logits_have_their_limits(port: Port) -> None:
    edges = np.array([INF, -INF])
    for name, target, values, slopes in (
        ("varifocal_loss", 0.0, [INF, 0], [0.75, 0]),
        ("varifocal_loss", 0.5, [INF, INF], [0.25, -0.25]),
        ("varifocal_loss", 1.0, [0, INF], [0, -1]),
        ("heatmap_focal_loss", 1.0, [0, INF], [0, -1]),
        ("heatmap_focal_loss", 0.5, [INF, 0], [0.0625, 0]),
        ("asymmetric_loss", 1.0, [0, INF], [0, -1]),
        ("asymmetric_loss", 0.0, [0.95**4 * -np.log(0.05), 0], [0, 0]),
    ):
        value, slope = both(port, name, edges, np.full(2, target))
        np.testing.assert_allclose(value, values, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(slope, slopes, rtol=1e-12, err_msg=name)


@both_packages
def test_a_missed_peak_keeps_its_gradient(port: Port) -> None:
    for name in ("heatmap_focal_loss", "asymmetric_loss"):
        value, slope = both(port, name, LOGITS[:2], np.ones(2, np.float32))
        np.testing.assert_allclose(value, -LOGITS[:2], rtol=1e-6)
        np.testing.assert_allclose(slope, [-1, -1], rtol=1e-6)


@both_packages
def test_a_constant_modulator_is_that_of_the_same_loss(port: Port) -> None:
    """The value is the same, and the gradient a cross entropy's times the factor."""
    z = spaced(-8, 8, 33)
    for name in ("varifocal_loss", "asymmetric_loss"):
        settings = {} if name == "varifocal_loss" else {"gamma_negative": 2.0, "shift": 0.0}
        value, _ = both(port, name, z, np.zeros(33), alpha=None, **settings)
        held, slope = both(
            port, name, z, np.zeros(33), alpha=None, constant_modulator=True, **settings
        )
        np.testing.assert_array_equal(held, value)
        p = 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(slope, p**3, rtol=1e-13)


@both_packages
def test_a_hard_target_is_a_focal_loss(port: Port) -> None:
    bits = np.array([0, 1, 0, 1, 0, 1, 0])
    expected = both(port, "sigmoid_focal_loss", LOGITS, bits, alpha=0.3, gamma=1.5)
    exponents = {"gamma_positive": 1.5, "gamma_negative": 1.5, "shift": 0.0}
    for result in (
        both(port, "heatmap_focal_loss", LOGITS, bits, alpha=0.3, gamma=1.5),
        both(port, "asymmetric_loss", LOGITS, bits, alpha=0.3, **exponents),
    ):
        for x, y in zip(result, expected, strict=True):
            # Beyond the smallest normal number, 1.2e-38, products may be flushed to 0.
            np.testing.assert_allclose(x, y, rtol=4e-6, atol=1.2e-38)


@both_packages
def test_peaks_by_a_threshold(port: Port) -> None:
    """The divisor counts them, and a peak has no fall-off, not even with β = 0."""
    heat = np.array([1.0, 0.9, 0.89, 0.0])
    z = np.zeros(4)
    settings = {"peak": 0.9, "beta": 0.0}
    losses, _ = both(port, "heatmap_focal_loss", z, heat, **settings)
    np.testing.assert_allclose(losses, np.full(4, np.log(2) / 4), rtol=1e-12)
    mean, _ = both(port, "heatmap_focal_loss", z, heat, reduction="mean_positive", **settings)
    np.testing.assert_allclose(mean, losses.sum() / 2, rtol=1e-12)
    none, _ = both(port, "heatmap_focal_loss", z, heat * 0.8, reduction="mean_positive")
    assert none > 0, "without a peak it is the sum"


@both_packages
def test_bad_settings_are_named(port: Port) -> None:
    z, y = port.array(np.zeros(2)), port.array(np.zeros(2))
    module = port.module
    number = "expected a number"
    for call, text in (
        (lambda: module.heatmap_focal_loss(z, y, peak=0.0), f"peak=...): {number} in (0, 1]"),
        (lambda: module.heatmap_focal_loss(z, y, beta=-1.0), f"beta=...): {number} finite and"),
        (lambda: module.asymmetric_loss(z, y, shift=1.0), f"shift=...): {number} that is 0 or"),
        (lambda: module.asymmetric_loss(z, y, shift=1e-40), "got 1e-40. 0 shifts nothing."),
        (lambda: module.varifocal_loss(z, y + 2), "expected values in [0, 1], got 2.0 at (0,)"),
        (lambda: module.softmax_margin(z[None], port.array(np.array([2])), axis=1), "in [0, 2)"),
        (lambda: module.focal(z, -1.0), f"focal(gamma=...): {number} finite and at least 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            call()
    with pytest.raises(TypeError, match="expected True or False, got str"):
        module.varifocal_loss(z, y, constant_modulator="no")
    assert module.varifocal_loss(z, y, iou_weighted=np.bool_(True)).shape == (2,)


@both_packages
def test_empty_and_masked(port: Port) -> None:
    for name in ("varifocal_loss", "heatmap_focal_loss", "asymmetric_loss"):
        for reduction in ("sum", "mean", "mean_positive"):
            value, slope = both(port, name, np.zeros(0), np.zeros(0), reduction=reduction)
            assert value == 0
            assert slope.shape == (0,)
        where = port.array(np.array([False, True]))
        value, slope = both(port, name, [NAN, 0.0], [0.5, 0.5], where=where)
        assert (value[0], slope[0]) == (0, 0)
        assert np.isfinite(value[1])


def test_all_second_derivatives_at_p_equal_y() -> None:
    """For γ = 2 the loss is b·(p − y)² there, whose Hessian is 2b times a product of slopes."""

    def of_jax(z: Any, y: Any) -> Any:
        return focal_jax.sigmoid_focal_loss(z, y, alpha=None, soft_targets="quality")

    def of_torch(z: Any, y: Any) -> Any:
        return focal_torch.sigmoid_focal_loss(z, y, alpha=None, soft_targets="quality")

    b, pq = np.log(2), 0.25
    expected = 2 * b * np.array([[pq * pq, -pq], [-pq, 1]])
    half = jnp.asarray(0.5)
    result = np.array(jax.hessian(of_jax, (0, 1))(jnp.asarray(0.0), half))
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    z, y = torch.zeros((), dtype=torch.float64), torch.full((), 0.5, dtype=torch.float64)
    rows: Any = torch.autograd.functional.hessian(of_torch, (z, y))
    np.testing.assert_allclose(np.array(rows, float), expected, rtol=1e-12)


@both_packages
def test_an_exponent_that_nobody_can_check_is_nan_below_the_shift(port: Port) -> None:
    z, bad = np.array([-5.0, 1.0]), np.full(2, -1.0)
    module = port.module

    def loss(z: Any, gamma: Any) -> Any:
        y = jnp.zeros(2) if port is JAX else torch.zeros(2, dtype=torch.float64)
        settings = {"gamma_negative": gamma, "constant_modulator": True}
        return module.asymmetric_loss(z, y, **settings).sum()

    if port is JAX:
        slopes = jax.jit(jax.grad(loss))(jnp.asarray(z), jnp.asarray(bad))
    else:
        mapped = torch.func.vmap(torch.func.grad(loss))
        slopes = mapped(torch.tensor(z[None]), torch.tensor(bad[None]))
    assert np.isnan(np.asarray(slopes)).all()


@both_packages
def test_a_margin_that_is_unknown_has_an_unknown_gradient(port: Port) -> None:
    rows = np.array([[NAN, 0, 0], [0, NAN, 0], [INF, INF, 0], [-INF, -INF, -INF]])
    value, slope = both(port, "softmax_margin", rows, np.zeros(4, int), axis=1)
    assert np.isnan(value).all()
    assert np.isnan(slope).all()


@both_packages
def test_bricks_make_the_losses(port: Port) -> None:
    rows, ids = np.array([[20.0, 0, 0], [1, 2, 3]]), np.array([0, 1])
    margins, _ = both(port, "softmax_margin", rows, ids, axis=1)
    u = port.array(margins)
    losses = port.numpy(port.module.focal(u, 1.5))
    expected, _ = both(port, "softmax_focal_loss", rows, ids, axis=1, gamma=1.5)
    np.testing.assert_allclose(losses, expected, rtol=1e-13)
    factor = port.numpy(port.module.modulator(u, 1.5))
    entropy = port.numpy(port.module.focal(u, 0.0))
    np.testing.assert_allclose(factor * entropy, expected, rtol=1e-13)
