"""The loss of a linear layer: the numbers of the unfused call, for every option, and what is said
of bad arguments."""

import re
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import focal_jax
from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS, SOFTMAX
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages, slow

from .linear_layer import (
    BIAS,
    CLASSES,
    FEATURES,
    IDS,
    INPUTS,
    KERNEL,
    ROWS,
    SETTINGS,
    SIZE,
    compare,
    fused,
    layer,
    require,
    settings_of,
    truth_from,
    unfused,
)

each_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


QUICK = [(name, "mean") for name in SETTINGS]
QUICK += [("plain", "none"), ("mask", "sum"), ("mask", "mean_positive")]
OTHERS = [name for name in SETTINGS if name != "plain"]


@both_packages
@pytest.mark.parametrize(
    ("name", "reduction"),
    [*QUICK, *(pytest.param(name, "none", marks=pytest.mark.slow) for name in OTHERS)],
)
def test_the_numbers_are_those_of_the_unfused_call(port: Port, name: str, reduction: str) -> None:
    compare(port, name, reduction, "float32", chunk_size=7)


@both_packages
@pytest.mark.parametrize("chunk_size", [1, ROWS, 100, None])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_any_chunk_size_will_do(port: Port, chunk_size: int | None, reduction: str) -> None:
    compare(port, "mask", reduction, "float64", chunk_size=chunk_size)


@both_packages
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_half_precision_has_one_rounding(port: Port, dtype: str, reduction: str) -> None:
    compare(port, "plain", reduction, dtype, chunk_size=7)


@both_packages
def test_a_comparison_can_fail(port: Port) -> None:
    """A divisor of 22 rows instead of 23, and a class weight that is 1 + 2⁻¹⁰ times what it should
    be."""
    truth = unfused({}, "mean")
    settings = {"reduction": "mean", "chunk_size": 7}
    allowed = EPS["float32"] * SOFTMAX
    where = np.arange(ROWS) > 0
    value, _ = fused(port, {"where": where}, "float32", **settings)
    with pytest.raises(AssertionError, match="value"):
        require(value, truth.value, np.abs(truth.value), allowed, "value")
    alpha = np.full(CLASSES, 1 + 2**-10)
    _, slopes = fused(port, {"alpha": alpha}, "float32", **settings)
    for slope, expected, scale in zip(slopes, truth.slopes, truth.scales, strict=True):
        with pytest.raises(AssertionError, match="gradient"):
            require(slope, expected, scale, allowed, "gradient")


@both_packages
@pytest.mark.parametrize("reduction", [slow("none"), "mean"])
def test_capped_logits(port: Port, reduction: str) -> None:
    """c·tanh(z / c) as in Gemma; a logit then has a rounding, which moves the margin by up to c
    units of eps."""
    cap = 4.0
    logits = (FEATURES @ KERNEL + BIAS) / cap
    value, slope = capped_truth(cap * np.tanh(logits), reduction)
    slope /= np.cosh(logits) ** 2
    truth = truth_from(value, slope)
    settings = {"softcap": cap, "reduction": reduction, "chunk_size": 7}
    fused_value, slopes = fused(port, {}, "float64", **settings)
    allowed = (SOFTMAX + cap) * EPS["float64"]
    require(fused_value, value, np.abs(value), allowed, "value")
    for what, slope, expected, scale in zip(
        INPUTS, slopes, truth.slopes, truth.scales, strict=True
    ):
        require(slope, expected, scale, allowed, what)


def capped_truth(logits: np.ndarray, reduction: str) -> tuple[np.ndarray, np.ndarray]:
    """The loss of logits that are capped already, and the slope of its sum in them."""

    def loss(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = focal_jax.softmax_focal_loss(z, jnp.asarray(IDS), reduction=reduction)
        return losses.sum(), losses

    slope, value = jax.grad(loss, has_aux=True)(jnp.asarray(logits))
    return np.asarray(value), np.array(slope)


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", ["gamma", "alpha", "weight"])
def test_other_derivatives_are_those_of_the_unfused_call(
    port: Port, name: str, reduction: str
) -> None:
    ids = port.array(IDS)
    features, kernel, _ = layer(port, "float64")
    logits = features @ (kernel if port is JAX else kernel.mT)
    draws = Draws(1)
    arrays = {"gamma": np.full(CLASSES, 1.5)}
    arrays["alpha"] = draws.uniform(1, 2, CLASSES)
    arrays["weight"] = draws.uniform(1, 2, ROWS)
    moved = arrays.pop(name)
    fixed = settings_of(port, arrays, "float64") | {"reduction": reduction}

    def fused(x: Any) -> Any:
        settings = fixed | {name: x, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **settings)

    def unfused(x: Any) -> Any:
        settings = fixed | {name: x, "axis": -1}
        return port.module.softmax_focal_loss(logits, ids, **settings)

    slope = port.gradient(fused, moved)
    truth = port.gradient(unfused, moved)
    allowed = SOFTMAX * EPS["float64"]
    require(slope, truth, np.abs(truth), allowed, name)


@both_packages
@each_reduction
@pytest.mark.parametrize(
    ("features", "ids", "settings"),
    [
        (FEATURES[:0], IDS[:0], {}),
        (FEATURES * np.nan, IDS, {"where": np.zeros(ROWS, bool)}),
        (FEATURES, np.full(ROWS, -100), {"ignore_index": -100}),
    ],
    ids=["empty", "masked", "ignored"],
)
def test_no_rows_and_no_row_that_is_kept(
    port: Port, reduction: str, features: np.ndarray, ids: np.ndarray, settings: dict[str, Any]
) -> None:
    _, kernel, _ = layer(port, "float64")
    targets = port.array(ids)
    arguments = settings_of(port, settings, "float64")
    arguments |= {"reduction": reduction, "chunk_size": 7}

    def loss(x: Any) -> Any:
        return port.module.linear_softmax_focal_loss(x, kernel, targets, **arguments)

    value = port.numpy(loss(port.array(features)))
    shape = (len(ids),) if reduction == "none" else ()
    assert_array_equal(value, np.zeros(shape))
    assert_array_equal(port.gradient(loss, features), np.zeros_like(features))


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_row_that_is_left_out_poisons_nothing(port: Port, reduction: str) -> None:
    """Its features may be NaN or inf: the slopes of kernel and bias are those of the other rows."""
    features, kernel, bias = layer(port, "float64")
    ids = port.array(IDS)
    poisoned = FEATURES.copy()
    poisoned[0] = np.nan
    poisoned[1] = np.inf
    where = port.array(np.arange(ROWS) > 1)
    settings = {"where": where, "reduction": reduction, "chunk_size": 7}
    linear_loss = port.module.linear_softmax_focal_loss

    def slopes(features: Any) -> tuple[np.ndarray, np.ndarray]:
        def of_kernel(x: Any) -> Any:
            return linear_loss(features, x, ids, bias=bias, **settings)

        def of_bias(x: Any) -> Any:
            return linear_loss(features, kernel, ids, bias=x, **settings)

        in_kernel = port.gradient(of_kernel, port.numpy(kernel))
        return in_kernel, port.gradient(of_bias, port.numpy(bias))

    for slope, expected in zip(slopes(port.array(poisoned)), slopes(features), strict=True):
        assert np.isfinite(expected).all()
        assert np.any(expected)
        assert_array_equal(slope, expected)


@both_packages
def test_shapes_of_any_rank(port: Port) -> None:
    """A single row, and rows in two dimensions."""
    features, kernel, _ = layer(port, "float64")
    ids = port.array(IDS)
    loss = partial(port.module.linear_softmax_focal_loss, reduction="none")
    flat = port.numpy(loss(features, kernel, ids))
    of_one_row = port.numpy(loss(features[0], kernel, ids[0]))
    assert_allclose(of_one_row, flat[0], rtol=1e-12)
    two_dimensions = features[:22].reshape(2, 11, SIZE)
    losses = loss(two_dimensions, kernel, ids[:22].reshape(2, 11), chunk_size=4)
    assert_allclose(port.numpy(losses), flat[:22].reshape(2, 11), rtol=1e-12)


class BadCall(NamedTuple):
    changes: dict[str, Any]
    error: type[Exception]
    text: str


ERRORS: list[BadCall] = []


def bad(text: str, error: type[Exception] = ValueError, **changes: Any) -> None:
    ERRORS.append(BadCall(changes, error, text))


text = "kernel=...): expected shape {layout} for features of shape (23, 6), got"
bad(text, kernel="transposed")
bad("targets=...): expected values in [0, 11), got 1", targets=IDS + 100)
text = "targets=...): expected integer class ids, got float64. For class prob"
bad(text, TypeError, targets=IDS / 1.0)
text = "targets=...): expected shape (23,) like features without their last axis"
bad(text, targets=IDS[:, None])
bad("chunk_size=...): expected at least 1 row, got 0. None chooses.", chunk_size=0)
text = "chunk_size=...): expected an integer, got float. It is a number of rows."
bad(text, TypeError, chunk_size=2.5)
bad("softcap=...): expected a number finite and greater than 0, got 0.0.", softcap=0.0)
bad("z_loss=...): expected a number finite and at least 0, got -1.0.", z_loss=-1.0)
text = "bias=...): expected shape (11,) with one number per class, got (10,)."
bad(text, bias=BIAS[1:])
text = "features=...): expected floating-point numbers, got int64. Convert it"
bad(text, TypeError, features=IDS)
text = "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive'"
bad(text, reduction="average")


@both_packages
@pytest.mark.parametrize(("changes", "error", "text"), ERRORS)
def test_errors_say_what_to_do(
    port: Port, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    features, kernel, _ = layer(port, "float64")
    arguments = {"features": features, "kernel": kernel, "targets": port.array(IDS)}
    arguments |= settings_of(port, changes, "float64")
    if "kernel" in changes:
        arguments["kernel"] = kernel.T
    layout = "(6, C)" if port is JAX else "(C, 6)"
    message = "linear_softmax_focal_loss(" + text.replace("{layout}", layout)
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        port.module.linear_softmax_focal_loss(**arguments)


def test_unknown_ids_give_nan_at_their_row() -> None:
    ids = np.where(np.arange(ROWS) == 3, CLASSES, IDS)
    features, kernel, _ = layer(JAX, "float64")
    loss = partial(focal_jax.linear_softmax_focal_loss, reduction="none", chunk_size=7)
    losses = jax.jit(loss)(features, kernel, jnp.asarray(ids))
    assert_array_equal(np.isnan(losses), np.arange(ROWS) == 3)


@both_packages
def test_the_module_is_the_function_with_settings(port: Port) -> None:
    features, kernel, bias = layer(port, "float64")
    settings = {"gamma": 0.5, "softcap": 8.0, "chunk_size": 7}
    ids = port.array(IDS)
    module = port.module.LinearSoftmaxFocalLoss(**settings)
    loss = port.numpy(module(features, kernel, ids, bias=bias))
    function = port.module.linear_softmax_focal_loss
    expected = port.numpy(function(features, kernel, ids, bias=bias, **settings))
    assert_array_equal(loss, expected)
