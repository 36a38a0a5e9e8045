"""The losses as programs: exported once for every platform with the batch size left open, and
called on this one."""

from typing import Any

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
# The targets and the settings; `where` and `weight` have the shape of the unreduced loss.
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sigmoid hard": ("sigmoid_focal_loss", "bits", {"gamma": 1.5, "reduction": "mean"}),
    "sigmoid float": ("sigmoid_focal_loss", "probabilities", {"reduction": "mean_positive"}),
    "sigmoid mixture": (
        "sigmoid_focal_loss",
        "probabilities",
        {"soft_targets": "mixture", "reduction": "sum"},
    ),
    "softmax ids": ("softmax_focal_loss", "ids", {"reduction": "mean", "gamma": 0.5}),
    "softmax ignore": ("softmax_focal_loss", "ids", {"reduction": "mean", "ignore_index": 0}),
    "softmax smooth": ("softmax_focal_loss", "ids", {"reduction": "sum", "label_smoothing": 0.1}),
    "softmax soft": ("softmax_focal_loss", "probabilities", {"reduction": "sum"}),
}


def targets(kind: str, n: int) -> jax.Array:
    draws = Draws(0)
    if kind == "ids":
        return jnp.asarray(draws.integers(0, C, n), jnp.int32)
    soft = draws.simplex(n, C)
    return jnp.asarray(soft > 0.2 if kind == "bits" else soft.astype(np.float32))


def step(name: str) -> Any:
    function, _, settings = CALLS[name]
    return jax.jit(jax.value_and_grad(lambda z, y: getattr(focal_jax, function)(z, y, **settings)))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["float32", slow("bfloat16")])
def test_an_exported_loss_is_the_loss(name: str, dtype: str) -> None:
    kind = CALLS[name][1]
    shapes = export.symbolic_args_specs((jnp.zeros((2, C), dtype), targets(kind, 2)), "n, ...")
    exported = export.export(step(name), platforms=PLATFORMS)(*shapes)
    assert set(exported.platforms) == set(PLATFORMS)
    called = export.deserialize(exported.serialize()).call
    for n in (1, 7):
        z, y = jnp.asarray(Draws(1).bell((n, C)) * 4, dtype), targets(kind, n)
        for got, expected in zip(called(z, y), step(name)(z, y), strict=True):
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("platform", "numbers"), [("cpu", 1), ("cuda", 2), ("rocm", 2), ("tpu", 2)]
)
def test_each_platform_has_its_reading_of_a_row(platform: str, numbers: int) -> None:
    """An accelerator reads the logits once, in one reduction of two numbers; the CPU reads them
    twice."""
    shapes = export.symbolic_args_specs(
        (jnp.zeros((2, C), jnp.float32), targets("ids", 2)), "n, ..."
    )
    text = export.export(step("softmax ids"), platforms=[platform])(*shapes).mlir_module()
    reductions = [
        line.count("init:")
        for line in text.splitlines()
        if "stablehlo.reduce(" in line and "[1]" in line
    ]
    assert set(reductions) == {numbers}
