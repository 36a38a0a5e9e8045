"""A linear layer, its loss by `linear_softmax_focal_loss`, and the truth from all of its logits at
once."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

import focal_jax
from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import DTYPES, EPS, HALF, SOFTMAX
from parity_tests.ports.packages import JAX

ROWS, SIZE, CLASSES = 23, 6, 11
DRAWS = Draws(0)
# Quarters, whose products and sums are exact in float32, so that the rounding of logits does not
# hide what is compared.
FEATURES, KERNEL, BIAS = (
    DRAWS.integers(-8, 9, shape) / 4 for shape in ((ROWS, SIZE), (SIZE, CLASSES), (CLASSES,))
)
IDS = DRAWS.integers(0, CLASSES, ROWS)
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cross entropy": {"gamma": 0.0},
    "mask": {
        "where": DRAWS.uniform(shape=ROWS) > 0.4,
        "weight": DRAWS.integers(0, 5, ROWS) / 4,
        "gamma": 0.5,
    },
    "ignored": {"ignore_index": int(IDS[0])},
    "smooth": {"label_smoothing": 0.25, "gamma": 1.5},
    "per class": {
        "alpha": DRAWS.integers(1, 9, CLASSES) / 4,
        "gamma": DRAWS.integers(0, 9, CLASSES) / 4,
    },
    "per row": {"gamma": DRAWS.integers(0, 9, (ROWS, 1)) / 4},
    "everything per row": {"gamma": DRAWS.integers(0, 9, (ROWS, CLASSES)) / 4},
}


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


def fused(
    port: Port, settings: dict[str, Any], dtype: str, **more: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The loss, and the gradients of the sum of its elements in features, kernel (D, C) and
    bias."""
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


@cache
def truth_of(name: str, reduction: str) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    return unfused(SETTINGS[name], reduction)


def unfused(
    settings: dict[str, Any], reduction: str
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """The same in float64 from all logits at once, and for each gradient the magnitude of the terms
    of its sum."""
    given = settings_of(JAX, settings, "float64")
    logits = jnp.asarray(FEATURES @ KERNEL + BIAS)

    def loss(logits: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(logits, jnp.asarray(IDS), reduction=reduction, **given)

    value = np.asarray(jax.jit(loss)(logits))
    slope = np.asarray(jax.jit(jax.grad(lambda z: loss(z).sum()))(logits))

    def gradients(slope: np.ndarray, features: np.ndarray, kernel: np.ndarray) -> list[np.ndarray]:
        return [slope @ kernel.T, features.T @ slope, slope.sum(0)]

    return (
        value,
        gradients(slope, FEATURES, KERNEL),
        gradients(*map(np.abs, (slope, FEATURES, KERNEL))),
    )


def require(
    got: np.ndarray, truth: np.ndarray, scale: np.ndarray, allowed: float, what: str
) -> None:
    assert got.shape == truth.shape, what
    error = np.abs(got - truth) / np.maximum(scale, np.finfo(np.float32).tiny)
    assert error.max() <= allowed, f"{what}: {error.max():.3g} of the scale, allowed {allowed:.3g}"


def compare(port: Port, name: str, reduction: str, dtype: str, **more: Any) -> None:
    truth, slopes, scales = truth_of(name, reduction)
    value, found = fused(port, SETTINGS[name], dtype, reduction=reduction, **more)
    half = dtype in ("float16", "bfloat16")
    allowed = EPS[dtype] * (HALF if half else SOFTMAX)
    # A reduction of half precision returns float32.
    require(
        value,
        truth,
        np.abs(truth),
        EPS["float32"] * SOFTMAX if half and reduction != "none" else allowed,
        "value",
    )
    for what, got, slope, scale in zip(
        ("features", "kernel", "bias"), found, slopes, scales, strict=True
    ):
        require(got, slope, scale, allowed, f"gradient in {what}, {name}, {reduction}, {more}")
