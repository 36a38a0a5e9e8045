"""The loss of a linear layer: the numbers of the unfused call, with a chunk of its logits at a time."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import focal_jax
import focal_torch

from .ports import JAX, TORCH, Port
from .suite import both_packages
from .tolerances import DTYPES, EPS, HALF, SOFTMAX

ROWS, SIZE, CLASSES = 23, 6, 11
RNG = np.random.default_rng(0)
# Quarters, whose products and sums are exact in float32, so that the rounding of logits does not hide what is compared.
FEATURES, KERNEL, BIAS = (RNG.integers(-8, 9, shape) / 4 for shape in ((ROWS, SIZE), (SIZE, CLASSES), (CLASSES,)))
IDS = RNG.integers(0, CLASSES, ROWS)
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cross entropy": {"gamma": 0.0},
    "mask": {"where": RNG.random(ROWS) > 0.4, "weight": RNG.integers(0, 5, ROWS) / 4, "gamma": 0.5},
    "ignored": {"ignore_index": int(IDS[0])},
    "smooth": {"label_smoothing": 0.25, "gamma": 1.5},
    "per class": {"alpha": RNG.integers(1, 9, CLASSES) / 4, "gamma": RNG.integers(0, 9, CLASSES) / 4},
    "per row": {"gamma": RNG.integers(0, 9, (ROWS, 1)) / 4},
    "everything per row": {"gamma": RNG.integers(0, 9, (ROWS, CLASSES)) / 4},
}
each_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


def layer(port: Port, dtype: str) -> list[Any]:
    """Features, kernel and bias; the kernel in the layout of the framework."""
    kernel = KERNEL if port is JAX else np.ascontiguousarray(KERNEL.T)
    return [port.array(x.astype(DTYPES[dtype])) for x in (FEATURES, kernel, BIAS)]


def settings_of(port: Port, settings: dict[str, Any], dtype: str) -> dict[str, Any]:
    def convert(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return port.array(x.astype(DTYPES[dtype]) if x.dtype.kind == "f" else x)

    return {name: convert(x) for name, x in settings.items()}


def fused(port: Port, settings: dict[str, Any], dtype: str, **more: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The loss, and the gradients of the sum of its elements in features, kernel (D, C) and bias."""
    ids, given = port.array(IDS), settings_of(port, settings, dtype) | more

    def loss(features: Any, kernel: Any, bias: Any) -> Any:
        return port.module.linear_softmax_focal_loss(features, kernel, ids, bias=bias, **given)

    arrays = layer(port, dtype)
    if port is JAX:

        def summed(*args: Any) -> tuple[jax.Array, jax.Array]:
            losses = loss(*args)
            return losses.sum(), losses

        (_, value), found = jax.jit(jax.value_and_grad(summed, (0, 1, 2), has_aux=True))(*arrays)
    else:
        leaves = [x.requires_grad_() for x in arrays]
        value = loss(*leaves)
        found = torch.autograd.grad(value.sum(), leaves)
    slopes = [port.numpy(x).astype(float) for x in found]
    slopes[1] = slopes[1] if port is JAX else slopes[1].T
    return port.numpy(value).astype(float), slopes


def unfused(settings: dict[str, Any], reduction: str) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The same in float64 from all logits at once, and for each gradient the magnitude of the terms of its sum."""
    given = settings_of(JAX, settings, "float64")
    logits = jnp.asarray(FEATURES @ KERNEL + BIAS)

    def loss(logits: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(logits, jnp.asarray(IDS), reduction=reduction, **given)

    value = np.asarray(jax.jit(loss)(logits))
    slope = np.asarray(jax.jit(jax.grad(lambda z: loss(z).sum()))(logits))

    def gradients(slope: np.ndarray, features: np.ndarray, kernel: np.ndarray) -> list[np.ndarray]:
        return [slope @ kernel.T, features.T @ slope, slope.sum(0)]

    return value, gradients(slope, FEATURES, KERNEL), gradients(*map(np.abs, (slope, FEATURES, KERNEL)))


def require(got: np.ndarray, truth: np.ndarray, scale: np.ndarray, allowed: float, what: str) -> None:
    assert got.shape == truth.shape, what
    error = np.abs(got - truth) / np.maximum(scale, np.finfo(np.float32).tiny)
    assert error.max() <= allowed, f"{what}: {error.max():.3g} of the scale, allowed {allowed:.3g}"


def compare(port: Port, name: str, reduction: str, dtype: str, **more: Any) -> None:
    truth, slopes, scales = unfused(SETTINGS[name], reduction)
    value, found = fused(port, SETTINGS[name], dtype, reduction=reduction, **more)
    half = dtype in ("float16", "bfloat16")
    allowed = EPS[dtype] * (HALF if half else SOFTMAX)
    # A reduction of half precision returns float32.
    require(value, truth, np.abs(truth), EPS["float32"] * SOFTMAX if half and reduction != "none" else allowed, "value")
    for what, got, slope, scale in zip(("features", "kernel", "bias"), found, slopes, scales, strict=True):
        require(got, slope, scale, allowed, f"gradient in {what}, {name}, {reduction}, {more}")


@both_packages
@pytest.mark.parametrize(
    ("name", "reduction"),
    [
        *((name, reduction) for name in SETTINGS for reduction in ("none", "mean")),
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
    """A divisor of 22 rows instead of 23, and a class weight that is 1 + 2⁻¹⁰ times what it should be."""
    truth, slopes, scales = unfused({}, "mean")
    value, found = fused(port, {"where": np.arange(ROWS) > 0}, "float32", reduction="mean", chunk_size=7)
    with pytest.raises(AssertionError, match="value"):
        require(value, truth, np.abs(truth), EPS["float32"] * SOFTMAX, "value")
    _, found = fused(port, {"alpha": np.full(CLASSES, 1 + 2**-10)}, "float32", reduction="mean", chunk_size=7)
    for got, slope, scale in zip(found, slopes, scales, strict=True):
        with pytest.raises(AssertionError, match="gradient"):
            require(got, slope, scale, EPS["float32"] * SOFTMAX, "gradient")


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_capped_logits(port: Port, reduction: str) -> None:
    """c·tanh(z / c) as in Gemma; a logit then has a rounding, which moves the margin by up to c units of eps."""
    cap = 4.0
    ids, kernel = port.array(IDS), layer(port, "float64")[1]
    plain = torch.tanh if port is TORCH else jnp.tanh
    logits = cap * plain(layer(port, "float64")[0] @ (kernel if port is JAX else kernel.mT) / cap)
    expected = port.numpy(port.module.softmax_focal_loss(logits, ids, axis=-1, reduction=reduction))
    given = {"softcap": cap, "reduction": reduction, "chunk_size": 7}
    got = port.numpy(port.module.linear_softmax_focal_loss(*layer(port, "float64")[:2], ids, **given))
    require(got, expected, np.abs(expected), (SOFTMAX + cap) * EPS["float64"], "value")


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", ["gamma", "alpha", "weight"])
def test_other_derivatives_are_those_of_the_unfused_call(port: Port, name: str, reduction: str) -> None:
    ids, (features, kernel, _) = port.array(IDS), layer(port, "float64")
    logits = features @ (kernel if port is JAX else kernel.mT)
    others = {"gamma": np.full(CLASSES, 1.5), "alpha": RNG.random(CLASSES) + 1, "weight": RNG.random(ROWS) + 1}
    rest = settings_of(port, {key: x for key, x in others.items() if key != name}, "float64") | {"reduction": reduction}

    def fused(x: Any) -> Any:
        given = rest | {name: x, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **given)

    def unfused(x: Any) -> Any:
        return port.module.softmax_focal_loss(logits, ids, axis=-1, **rest, **{name: x})

    got, truth = (port.gradient(loss, others[name]) for loss in (fused, unfused))
    require(got, truth, np.abs(truth), SOFTMAX * EPS["float64"], name)


@both_packages
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_second_derivatives(port: Port, reduction: str) -> None:
    ids, (features, kernel, _) = port.array(IDS), layer(port, "float64")

    def loss(features: Any) -> Any:
        given = {"reduction": reduction, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **given).sum()

    def plain(features: Any) -> Any:
        logits = features @ (kernel if port is JAX else kernel.mT)
        return port.module.softmax_focal_loss(logits, ids, axis=-1, reduction=reduction).sum()

    if port is JAX:
        ways: list[Any] = [jax.hessian, lambda f: jax.jacrev(jax.grad(f))]
    else:
        ways = [torch.func.hessian, lambda f: lambda x: torch.autograd.functional.hessian(f, x)]
    for way in ways:
        got, truth = (port.numpy(way(f)(features)) for f in (loss, plain))
        require(got, truth, np.full_like(truth, np.abs(truth).max()), 64 * EPS["float64"], "Hessian")


def test_inside_the_transformations_of_jax() -> None:
    features, kernel, _ = layer(JAX, "float64")

    def loss(x: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(x, kernel, jnp.asarray(IDS), chunk_size=7)

    value, slope = jax.value_and_grad(loss)(features)
    both = jnp.stack([features, 2 * features])
    results = [
        jax.vmap(jax.value_and_grad(loss))(both),
        jax.lax.scan(lambda _, x: (0, jax.value_and_grad(loss)(x)), 0, both)[1],
        jax.lax.map(jax.value_and_grad(jax.checkpoint(loss)), both),
    ]
    for found in results:
        np.testing.assert_allclose(found[0][0], value, rtol=8 * EPS["float64"])
        np.testing.assert_allclose(found[1][0], slope, rtol=1e-12)
    np.testing.assert_allclose(jax.jvp(loss, (features,), (features,))[1], (slope * features).sum(), rtol=1e-12)
    several = jax.vmap(lambda g: focal_jax.linear_softmax_focal_loss(features, kernel, jnp.asarray(IDS), gamma=g))
    np.testing.assert_allclose(several(jnp.array([0.0, 2.0]))[1], value, rtol=8 * EPS["float64"])


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_compiled_pytorch_has_one_graph_and_the_same_numbers(reduction: str) -> None:
    ids, (features, kernel, bias) = torch.tensor(IDS), (x.requires_grad_() for x in layer(TORCH, "float32"))

    def loss(features: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        given = {"reduction": reduction, "chunk_size": 7}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, bias=bias, **given)

    compiled = torch.compile(loss, fullgraph=True)
    for got, expected in zip(
        *(torch.autograd.grad(f(features, kernel, bias).sum(), (features, kernel, bias)) for f in (compiled, loss)),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(compiled(features, kernel, bias), loss(features, kernel, bias), rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_autocast_is_what_a_call_in_its_dtype_is(reduction: str) -> None:
    ids, leaves = torch.tensor(IDS), [x.requires_grad_() for x in layer(TORCH, "float32")[:2]]

    def loss(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, reduction=reduction, chunk_size=7)

    with torch.autocast("cpu", torch.bfloat16):
        got = loss(*leaves)
    expected = loss(*(x.bfloat16() for x in leaves))
    assert got.dtype == (torch.bfloat16 if reduction == "none" else torch.float32)
    for one, other in zip(*(torch.autograd.grad(x.sum(), leaves) for x in (got, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def temporaries(function: Callable[..., Any], rows: int) -> int:
    shapes = (rows, 64), (64, 4096)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    ids = jax.ShapeDtypeStruct((rows,), jnp.int32)
    compiled = jax.jit(jax.value_and_grad(function, (0, 1))).lower(*arrays, ids).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_the_memory_of_jax_grows_with_the_chunk() -> None:
    def chunked(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids)

    def whole(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(features @ kernel, ids, reduction="mean")

    few, many = (temporaries(chunked, rows) for rows in (2048, 8192))
    assert few <= temporaries(whole, 2048) / 8
    # Besides the chunk there are three copies of the features, no logits.
    assert many - few <= 4 * (8192 - 2048) * 64 * 4


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        returned = found if isinstance(found, tuple | list) else [found]
        self.size = max([self.size, *(x.numel() for x in returned if isinstance(x, torch.Tensor))])
        return found


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_pytorch_makes_no_tensor_larger_than_a_chunk(reduction: str) -> None:
    features, kernel = torch.randn(256, 16, requires_grad=True), torch.randn(500, 16, requires_grad=True)
    ids = torch.randint(0, 500, (256,))
    with Largest() as largest:
        loss = focal_torch.linear_softmax_focal_loss(features, kernel, ids, reduction=reduction, chunk_size=32)
        loss.sum().backward()
    assert largest.size == 32 * 500
    with Largest() as largest:
        focal_torch.softmax_focal_loss(features @ kernel.mT, ids, reduction=reduction).sum().backward()
    assert largest.size == 256 * 500


@both_packages
@each_reduction
def test_no_rows_and_no_row_that_is_kept(port: Port, reduction: str) -> None:
    for features, ids, settings in (
        (FEATURES[:0], IDS[:0], {}),
        (FEATURES * np.nan, IDS, {"where": np.zeros(ROWS, bool)}),
        (FEATURES, np.full(ROWS, -100), {"ignore_index": -100}),
    ):

        def loss(x: Any, ids: Any = ids, settings: Any = settings) -> Any:
            given = settings_of(port, settings, "float64") | {"reduction": reduction, "chunk_size": 7}
            return port.module.linear_softmax_focal_loss(x, layer(port, "float64")[1], port.array(ids), **given)

        value = port.numpy(loss(port.array(features)))
        np.testing.assert_array_equal(value, np.zeros(len(ids) if reduction == "none" else ()))
        np.testing.assert_array_equal(port.gradient(loss, features), np.zeros_like(features))


@both_packages
def test_shapes_of_any_rank(port: Port) -> None:
    """A single row, and rows in two dimensions."""
    features, kernel, _ = layer(port, "float64")
    loss, ids = port.module.linear_softmax_focal_loss, port.array(IDS)
    flat = port.numpy(loss(features, kernel, ids, reduction="none"))
    np.testing.assert_allclose(port.numpy(loss(features[0], kernel, ids[0], reduction="none")), flat[0], rtol=1e-12)
    two = features[:22].reshape(2, 11, SIZE), kernel, ids[:22].reshape(2, 11)
    np.testing.assert_allclose(
        port.numpy(loss(*two, reduction="none", chunk_size=4)), flat[:22].reshape(2, 11), rtol=1e-12
    )


ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"kernel": "transposed"}, ValueError, "kernel=...): expected shape {layout} for features of shape (23, 6), got"),
    ({"targets": IDS + 100}, ValueError, "targets=...): expected values in [0, 11), got 1"),
    ({"targets": IDS / 1.0}, TypeError, "targets=...): expected integer class ids, got float64. For class prob"),
    ({"targets": IDS[:, None]}, ValueError, "targets=...): expected shape (23,) like features without their last axis"),
    ({"chunk_size": 0}, ValueError, "chunk_size=...): expected at least 1 row, got 0. None chooses."),
    ({"chunk_size": 2.5}, TypeError, "chunk_size=...): expected an integer, got float. It is a number of rows."),
    ({"softcap": 0.0}, ValueError, "softcap=...): expected a number finite and greater than 0, got 0.0."),
    ({"bias": BIAS[1:]}, ValueError, "bias=...): expected shape (11,) with one number per class, got (10,)."),
    ({"features": IDS}, TypeError, "features=...): expected floating-point numbers, got int64. Convert it"),
    ({"reduction": "average"}, ValueError, "reduction=...): expected one of 'none', 'sum', 'mean', 'mean_positive'"),
]


@both_packages
@pytest.mark.parametrize(("changes", "error", "text"), ERRORS)
def test_errors_say_what_to_do(port: Port, changes: dict[str, Any], error: type[Exception], text: str) -> None:
    given: dict[str, Any] = dict(zip(("features", "kernel"), layer(port, "float64"), strict=False))
    other = KERNEL.T if port is JAX else KERNEL
    given |= {"targets": port.array(IDS)} | settings_of(port, changes, "float64")
    if "kernel" in changes:
        given["kernel"] = port.array(np.ascontiguousarray(other))
    layout = "(6, C)" if port is JAX else "(C, 6)"
    with pytest.raises(error, match=f"^{re.escape('linear_softmax_focal_loss(' + text.replace('{layout}', layout))}"):
        port.module.linear_softmax_focal_loss(**given)


def test_unknown_ids_give_nan_at_their_row() -> None:
    ids = np.where(np.arange(ROWS) == 3, CLASSES, IDS)
    loss = jax.jit(lambda *args: focal_jax.linear_softmax_focal_loss(*args, reduction="none", chunk_size=7))
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
