"""The loss of a linear layer: the numbers of the unfused call, for every option, and what is said
of bad arguments."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
    KERNEL,
    ROWS,
    SETTINGS,
    SIZE,
    compare,
    fused,
    layer,
    require,
    settings_of,
    unfused,
)

each_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


@both_packages
@pytest.mark.parametrize(
    ("name", "reduction"),
    [
        *((name, "mean") for name in SETTINGS),
        ("plain", "none"),
        *(
            pytest.param(name, "none", marks=pytest.mark.slow)
            for name in SETTINGS
            if name != "plain"
        ),
        ("mask", "sum"),
        ("mask", "mean_positive"),
    ],
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
    truth, slopes, scales = unfused({}, "mean")
    value, found = fused(
        port, {"where": np.arange(ROWS) > 0}, "float32", reduction="mean", chunk_size=7
    )
    with pytest.raises(AssertionError, match="value"):
        require(value, truth, np.abs(truth), EPS["float32"] * SOFTMAX, "value")
    _, found = fused(
        port, {"alpha": np.full(CLASSES, 1 + 2**-10)}, "float32", reduction="mean", chunk_size=7
    )
    for got, slope, scale in zip(found, slopes, scales, strict=True):
        with pytest.raises(AssertionError, match="gradient"):
            require(got, slope, scale, EPS["float32"] * SOFTMAX, "gradient")


@both_packages
@pytest.mark.parametrize("reduction", [slow("none"), "mean"])
def test_capped_logits(port: Port, reduction: str) -> None:
    """c·tanh(z / c) as in Gemma; a logit then has a rounding, which moves the margin by up to c
    units of eps."""
    cap = 4.0
    logits = (FEATURES @ KERNEL + BIAS) / cap
    value, slope = capped_truth(cap * np.tanh(logits), reduction)
    slope /= np.cosh(logits) ** 2
    sums = [
        (slope @ KERNEL.T, abs(slope) @ abs(KERNEL.T)),
        (FEATURES.T @ slope, abs(FEATURES.T) @ abs(slope)),
        (slope.sum(0), abs(slope).sum(0)),
    ]
    got, slopes = fused(port, {}, "float64", softcap=cap, reduction=reduction, chunk_size=7)
    limit = (SOFTMAX + cap) * EPS["float64"]
    require(got, value, np.abs(value), limit, "value")
    for name, found, (expected, scale) in zip(
        ("features", "kernel", "bias"), slopes, sums, strict=True
    ):
        require(found, expected, scale, limit, name)


def capped_truth(logits: np.ndarray, reduction: str) -> tuple[np.ndarray, np.ndarray]:
    """The loss of logits that are capped already, and the slope of its sum in them."""

    def loss(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = focal_jax.softmax_focal_loss(z, jnp.asarray(IDS), reduction=reduction)
        return found.sum(), found

    slope, value = jax.grad(loss, has_aux=True)(jnp.asarray(logits))
    return np.asarray(value), np.array(slope)


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", ["gamma", "alpha", "weight"])
def test_other_derivatives_are_those_of_the_unfused_call(
    port: Port, name: str, reduction: str
) -> None:
    ids, (features, kernel, _) = port.array(IDS), layer(port, "float64")
    logits = features @ (kernel if port is JAX else kernel.mT)
    draws = Draws(1)
    others = {
        "gamma": np.full(CLASSES, 1.5),
        "alpha": draws.uniform(1, 2, CLASSES),
        "weight": draws.uniform(1, 2, ROWS),
    }
    rest = settings_of(port, {key: x for key, x in others.items() if key != name}, "float64") | {
        "reduction": reduction
    }

    def fused(x: Any) -> Any:
        given = rest | {name: x, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **given)

    def unfused(x: Any) -> Any:
        return port.module.softmax_focal_loss(logits, ids, axis=-1, **rest, **{name: x})

    got, truth = (port.gradient(loss, others[name]) for loss in (fused, unfused))
    require(got, truth, np.abs(truth), SOFTMAX * EPS["float64"], name)


@both_packages
@each_reduction
def test_no_rows_and_no_row_that_is_kept(port: Port, reduction: str) -> None:
    for features, ids, settings in (
        (FEATURES[:0], IDS[:0], {}),
        (FEATURES * np.nan, IDS, {"where": np.zeros(ROWS, bool)}),
        (FEATURES, np.full(ROWS, -100), {"ignore_index": -100}),
    ):

        def loss(x: Any, ids: Any = ids, settings: Any = settings) -> Any:
            given = settings_of(port, settings, "float64") | {
                "reduction": reduction,
                "chunk_size": 7,
            }
            return port.module.linear_softmax_focal_loss(
                x, layer(port, "float64")[1], port.array(ids), **given
            )

        value = port.numpy(loss(port.array(features)))
        np.testing.assert_array_equal(value, np.zeros(len(ids) if reduction == "none" else ()))
        np.testing.assert_array_equal(port.gradient(loss, features), np.zeros_like(features))


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_row_that_is_left_out_poisons_nothing(port: Port, reduction: str) -> None:
    """Its features may be NaN or inf: the slopes of kernel and bias are those of the other rows."""
    features, kernel, bias = layer(port, "float64")
    poisoned, kept = FEATURES.copy(), np.arange(ROWS) > 1
    poisoned[0], poisoned[1] = np.nan, np.inf
    for index, x in enumerate((port.numpy(kernel), port.numpy(bias))):
        slopes = []
        for given in (port.array(poisoned), features):

            def loss(x: Any, given: Any = given, index: int = index) -> Any:
                arrays = (x, bias) if index == 0 else (kernel, x)
                more = {"where": port.array(kept), "reduction": reduction, "chunk_size": 7}
                return port.module.linear_softmax_focal_loss(
                    given, arrays[0], port.array(IDS), bias=arrays[1], **more
                )

            slopes.append(port.gradient(loss, x))
        assert np.isfinite(slopes[1]).all()
        assert np.any(slopes[1])
        np.testing.assert_array_equal(slopes[0], slopes[1])


@both_packages
def test_shapes_of_any_rank(port: Port) -> None:
    """A single row, and rows in two dimensions."""
    features, kernel, _ = layer(port, "float64")
    loss, ids = port.module.linear_softmax_focal_loss, port.array(IDS)
    flat = port.numpy(loss(features, kernel, ids, reduction="none"))
    np.testing.assert_allclose(
        port.numpy(loss(features[0], kernel, ids[0], reduction="none")), flat[0], rtol=1e-12
    )
    two = features[:22].reshape(2, 11, SIZE), kernel, ids[:22].reshape(2, 11)
    np.testing.assert_allclose(
        port.numpy(loss(*two, reduction="none", chunk_size=4)), flat[:22].reshape(2, 11), rtol=1e-12
    )


ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"kernel": "transposed"},
        ValueError,
        "kernel=...): expected shape {layout} for features of shape (23, 6), got",
    ),
    ({"targets": IDS + 100}, ValueError, "targets=...): expected values in [0, 11), got 1"),
    (
        {"targets": IDS / 1.0},
        TypeError,
        "targets=...): expected integer class ids, got float64. For class prob",
    ),
    (
        {"targets": IDS[:, None]},
        ValueError,
        "targets=...): expected shape (23,) like features without their last axis",
    ),
    (
        {"chunk_size": 0},
        ValueError,
        "chunk_size=...): expected at least 1 row, got 0. None chooses.",
    ),
    (
        {"chunk_size": 2.5},
        TypeError,
        "chunk_size=...): expected an integer, got float. It is a number of rows.",
    ),
    (
        {"softcap": 0.0},
        ValueError,
        "softcap=...): expected a number finite and greater than 0, got 0.0.",
    ),
    (
        {"bias": BIAS[1:]},
        ValueError,
        "bias=...): expected shape (11,) with one number per class, got (10,).",
    ),
    (
        {"features": IDS},
        TypeError,
        "features=...): expected floating-point numbers, got int64. Convert it",
    ),
    (
        {"reduction": "average"},
        ValueError,
        "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive'",
    ),
]


@both_packages
@pytest.mark.parametrize(("changes", "error", "text"), ERRORS)
def test_errors_say_what_to_do(
    port: Port, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    given: dict[str, Any] = dict(zip(("features", "kernel"), layer(port, "float64"), strict=False))
    other = KERNEL.T if port is JAX else KERNEL
    given |= {"targets": port.array(IDS)} | settings_of(port, changes, "float64")
    if "kernel" in changes:
        given["kernel"] = port.array(np.ascontiguousarray(other))
    layout = "(6, C)" if port is JAX else "(C, 6)"
    with pytest.raises(
        error,
        match=f"^{re.escape('linear_softmax_focal_loss(' + text.replace('{layout}', layout))}",
    ):
        port.module.linear_softmax_focal_loss(**given)


def test_unknown_ids_give_nan_at_their_row() -> None:
    ids = np.where(np.arange(ROWS) == 3, CLASSES, IDS)
    loss = jax.jit(
        lambda *args: focal_jax.linear_softmax_focal_loss(*args, reduction="none", chunk_size=7)
    )
    found = np.asarray(loss(*layer(JAX, "float64")[:2], jnp.asarray(ids)))
    np.testing.assert_array_equal(np.isnan(found), np.arange(ROWS) == 3)


@both_packages
def test_the_module_is_the_function_with_settings(port: Port) -> None:
    features, kernel, bias = layer(port, "float64")
    module = port.module.LinearSoftmaxFocalLoss(gamma=0.5, softcap=8.0, chunk_size=7)
    got = module(features, kernel, port.array(IDS), bias=bias)
    given = {"bias": bias, "gamma": 0.5, "softcap": 8.0, "chunk_size": 7}
    expected = port.module.linear_softmax_focal_loss(features, kernel, port.array(IDS), **given)
    np.testing.assert_array_equal(port.numpy(got), port.numpy(expected))
