"""A linear layer, its loss by `linear_softmax_focal_loss`, and the truth from all of its logits at
once."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

import focal_jax
from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Loss, Port
from parity_tests.contract.tolerances import DTYPES, EPS, HALF, SOFTMAX
from parity_tests.ports.packages import JAX

ROWS, SIZE, CLASSES = 23, 6, 11
DRAWS = Draws(0)
# Quarters, whose products and sums are exact in float32, so that the rounding of logits does not
# hide what is compared.
FEATURES = DRAWS.integers(-8, 9, (ROWS, SIZE)) / 4
KERNEL = DRAWS.integers(-8, 9, (SIZE, CLASSES)) / 4
BIAS = DRAWS.integers(-8, 9, CLASSES) / 4
IDS = DRAWS.integers(0, CLASSES, ROWS)
Settings = dict[str, Any]
SETTINGS: dict[str, Settings] = {"plain": {}, "cross entropy": {"gamma": 0.0}}
SETTINGS["mask"] = {"where": DRAWS.uniform(shape=ROWS) > 0.4, "gamma": 0.5}
SETTINGS["mask"]["weight"] = DRAWS.integers(0, 5, ROWS) / 4
SETTINGS["ignored"] = {"ignore_index": int(IDS[0])}
SETTINGS["smooth"] = {"label_smoothing": 0.25, "gamma": 1.5}
SETTINGS["per class"] = {"alpha": DRAWS.integers(1, 9, CLASSES) / 4}
SETTINGS["per class"]["gamma"] = DRAWS.integers(0, 9, CLASSES) / 4
SETTINGS["per row"] = {"gamma": DRAWS.integers(0, 9, (ROWS, 1)) / 4}
SETTINGS["z-loss"] = {"z_loss": 0.25, "where": IDS > 2, "weight": SETTINGS["mask"]["weight"]}
SETTINGS["everything per row"] = {"gamma": DRAWS.integers(0, 9, (ROWS, CLASSES)) / 4}
# Of the gradients, in their order.
INPUTS = ("features", "kernel", "bias")


def layer(port: Port, dtype: str) -> list[Any]:
    """Features, kernel and bias; the kernel in the layout of the framework."""
    kernel = KERNEL if port is JAX else np.ascontiguousarray(KERNEL.T)
    return [port.array(x.astype(DTYPES[dtype])) for x in (FEATURES, kernel, BIAS)]


def settings_of(port: Port, settings: Settings, dtype: str) -> Settings:
    def convert(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        if x.dtype.kind == "f":
            x = x.astype(DTYPES[dtype])
        return port.array(x)

    return {name: convert(x) for name, x in settings.items()}


def fused(
    port: Port, settings: Settings, dtype: str, **more: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The loss, and the gradients of the sum of its elements in features, kernel (D, C) and
    bias."""
    ids = port.array(IDS)
    settings = settings_of(port, settings, dtype) | more

    def loss(features: Any, kernel: Any, bias: Any) -> Any:
        return port.module.linear_softmax_focal_loss(features, kernel, ids, bias=bias, **settings)

    value_and_grads = in_jax if port is JAX else in_torch
    value, grads = value_and_grads(loss, layer(port, dtype))
    slopes = [port.numpy(x).astype(float) for x in grads]
    if port is not JAX:
        slopes[1] = slopes[1].T
    return port.numpy(value).astype(float), slopes


def in_jax(loss: Loss, arrays: list[Any]) -> tuple[Any, Any]:
    def summed(*args: Any) -> tuple[jax.Array, jax.Array]:
        losses = loss(*args)
        return losses.sum(), losses

    value_and_grad = jax.value_and_grad(summed, (0, 1, 2), has_aux=True)
    (_, value), grads = jax.jit(value_and_grad)(*arrays)
    return value, grads


def in_torch(loss: Loss, arrays: list[Any]) -> tuple[Any, Any]:
    leaves = [x.requires_grad_() for x in arrays]
    value = loss(*leaves)
    return value, torch.autograd.grad(value.sum(), leaves)


class Truth(NamedTuple):
    """A loss in float64, its gradients, and for each the magnitude of the terms of its sum."""

    value: np.ndarray
    slopes: list[np.ndarray]
    scales: list[np.ndarray]


@cache
def truth_of(name: str, reduction: str) -> Truth:
    return unfused(SETTINGS[name], reduction)


def unfused(settings: Settings, reduction: str) -> Truth:
    """From all logits at once."""
    settings = settings_of(JAX, settings, "float64")
    factor = settings.pop("z_loss", 0.0)
    logits = jnp.asarray(FEATURES @ KERNEL + BIAS)

    def loss(logits: jax.Array) -> jax.Array:
        ids = jnp.asarray(IDS)
        losses = focal_jax.softmax_focal_loss(logits, ids, reduction=reduction, **settings)
        return losses + factor * z_losses(logits, settings, reduction) if factor else losses

    def summed(logits: jax.Array) -> jax.Array:
        return loss(logits).sum()

    value = jax.jit(loss)(logits)
    slope = jax.jit(jax.grad(summed))(logits)
    return truth_from(np.asarray(value), np.asarray(slope))


def z_losses(logits: jax.Array, settings: Settings, reduction: str) -> jax.Array:
    """The squares of log Σ exp(z), under a mask and with weights."""
    where, weight = settings["where"], settings["weight"]
    squares = jnp.where(where, weight * jax.nn.logsumexp(logits, -1) ** 2, 0)
    if reduction == "none":
        return squares
    return squares.mean(where=where) if reduction.startswith("mean") else squares.sum()


def truth_from(value: np.ndarray, slope: np.ndarray) -> Truth:
    """The gradients in the inputs of the layer from that in its logits."""
    slopes = gradients(slope, FEATURES, KERNEL)
    scales = gradients(np.abs(slope), np.abs(FEATURES), np.abs(KERNEL))
    return Truth(value, slopes, scales)


def gradients(slope: np.ndarray, features: np.ndarray, kernel: np.ndarray) -> list[np.ndarray]:
    return [slope @ kernel.T, features.T @ slope, slope.sum(0)]


def require(
    result: np.ndarray, truth: np.ndarray, scale: np.ndarray, allowed: float, what: str
) -> None:
    assert result.shape == truth.shape, what
    difference = np.abs(result - truth)
    relative = difference / np.maximum(scale, np.finfo(np.float32).tiny)
    worst = relative.max()
    assert worst <= allowed, f"{what}: {worst:.3g} of the scale, allowed {allowed:.3g}"


def compare(port: Port, name: str, reduction: str, dtype: str, **more: Any) -> None:
    truth = truth_of(name, reduction)
    value, slopes = fused(port, SETTINGS[name], dtype, reduction=reduction, **more)
    allowed = EPS[dtype] * SOFTMAX
    allowed_for_value = allowed
    if dtype in ("float16", "bfloat16"):
        allowed = EPS[dtype] * HALF
        # A reduction of half precision returns float32.
        allowed_for_value = allowed if reduction == "none" else EPS["float32"] * SOFTMAX
    require(value, truth.value, np.abs(truth.value), allowed_for_value, "value")
    for what, slope, expected, scale in zip(
        INPUTS, slopes, truth.slopes, truth.scales, strict=True
    ):
        require(slope, expected, scale, allowed, f"gradient in {what}, {name}, {reduction}, {more}")
