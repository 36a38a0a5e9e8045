"""The losses as programs: exported once for every platform with the batch size left open, and
called on this one."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import focal_jax
from parity_tests.contract.exact import Draws
from parity_tests.tests.parametrize import slow

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
C = 5


class Call(NamedTuple):
    function: str
    targets: str
    settings: dict[str, Any]


def sigmoid(targets: str, reduction: str, **settings: Any) -> Call:
    return Call("sigmoid_focal_loss", targets, settings | {"reduction": reduction})


def softmax(targets: str, reduction: str, **settings: Any) -> Call:
    return Call("softmax_focal_loss", targets, settings | {"reduction": reduction})


CALLS: dict[str, Call] = {}
CALLS["sigmoid hard"] = sigmoid("bits", "mean", gamma=1.5)
CALLS["sigmoid float"] = sigmoid("probabilities", "mean_positive")
CALLS["sigmoid mixture"] = sigmoid("probabilities", "sum", soft_targets="mixture")
CALLS["softmax ids"] = softmax("ids", "mean", gamma=0.5)
CALLS["softmax ignore"] = softmax("ids", "mean", ignore_index=0)
CALLS["softmax smooth"] = softmax("ids", "sum", label_smoothing=0.1)
CALLS["softmax soft"] = softmax("probabilities", "sum")


def targets(kind: str, n: int) -> jax.Array:
    draws = Draws(0)
    if kind == "ids":
        return jnp.asarray(draws.integers(0, C, n), jnp.int32)
    soft = draws.simplex(n, C)
    if kind == "bits":
        return jnp.asarray(soft > 0.2)
    return jnp.asarray(soft.astype(np.float32))


def step(name: str) -> Any:
    call = CALLS[name]
    loss = partial(getattr(focal_jax, call.function), **call.settings)
    return jax.jit(jax.value_and_grad(loss))


def open_shapes(name: str, dtype: str) -> Any:
    """Those of logits and targets, with any number of rows."""
    logits = jnp.zeros((2, C), dtype)
    return export.symbolic_args_specs((logits, targets(CALLS[name].targets, 2)), "n, ...")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", slow("bfloat16")])
def test_an_exported_loss_is_the_loss(name: str, dtype: str) -> None:
    shapes = open_shapes(name, dtype)
    exported = export.export(step(name), platforms=PLATFORMS)(*shapes)
    assert set(exported.platforms) == set(PLATFORMS)
    loaded = export.deserialize(exported.serialize())
    for n in (1, 7):
        logits = Draws(1).bell((n, C)) * 4
        z = jnp.asarray(logits, dtype)
        y = targets(CALLS[name].targets, n)
        for result, expected in zip(loaded.call(z, y), step(name)(z, y), strict=True):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("platform", "numbers"), [("cpu", 1), ("cuda", 2), ("rocm", 2), ("tpu", 2)]
)
def test_each_platform_has_its_reading_of_a_row(platform: str, numbers: int) -> None:
    """An accelerator reads the logits once, in one reduction of two numbers; the CPU reads them
    twice."""
    shapes = open_shapes("softmax ids", "float32")
    exported = export.export(step("softmax ids"), platforms=[platform])(*shapes)
    lines = exported.mlir_module().splitlines()
    of_rows = [line for line in lines if "stablehlo.reduce(" in line and "[1]" in line]
    assert {line.count("init:") for line in of_rows} == {numbers}
