"""Layer 7, errors: a bad call raises the same class with the same text in both packages, before any
arithmetic."""

import math
import re
from typing import Any

import jax
import numpy as np
import pytest
import torch

import focal_jax._base.ranges as ranges_of_jax
import focal_torch._base.ranges as ranges_of_torch
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.arguments import argument
from parity_tests.tests.parametrize import both_packages

from .calls import SIGMOID, SOFTMAX, loss_of
from .error_cases import CASES, NAN, T, Y, Z, bad

TINY, LARGEST = np.finfo(float).tiny, np.finfo(float).max
BELOW_1, ABOVE_1 = 1 - 2.0**-53, 1 + 2.0**-52
# Where each range ends: values inside, and values outside beside the infinities and NaN.
RANGES = {
    "UNIT": ((0.0, TINY, 0.5, BELOW_1, 1.0), (-TINY, ABOVE_1)),
    "OPEN_UNIT": ((TINY, 0.5, BELOW_1), (-TINY, 0.0, 1.0, ABOVE_1)),
    "NONNEGATIVE": ((0.0, TINY, 2.0, LARGEST), (-TINY, -1.0)),
    "POSITIVE": ((TINY, 2.0, LARGEST), (0.0, -TINY)),
    "FINITE": ((-LARGEST, 0.0, LARGEST), ()),
    "ZERO_OR_ONE": ((0.0, 1.0), (-1.0, TINY, 0.5, BELOW_1, ABOVE_1, 2.0)),
    "ids_of": ((0.0, 2.0), (-1.0, 3.0)),
}


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize(
    "ranges", [ranges_of_jax, ranges_of_torch], ids=lambda module: module.__name__.split("_")[1]
)
def test_a_range_ends_where_it_says(ranges: Any, name: str) -> None:
    inside, outside = RANGES[name]
    if name == "ids_of":
        contains = ranges.ids_of(3).contains
    else:
        contains = getattr(ranges, name).contains
    assert all(contains(x) for x in inside)
    assert not any(contains(x) for x in (*outside, math.inf, -math.inf, math.nan))


def call(port: Port, function: str, logits: Any, targets: Any, settings: dict[str, Any]) -> None:
    loss = loss_of(port, function, targets, settings)
    loss(argument(port, logits))


@both_packages
@pytest.mark.parametrize(("function", "logits", "targets", "settings", "error", "text"), CASES)
def test_the_full_text(
    port: Port,
    function: str,
    logits: Any,
    targets: Any,
    settings: Any,
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error) as caught:
        call(port, function, logits, targets, settings)
    assert type(caught.value) is error
    assert str(caught.value) == f"{function}({text}"


@both_packages
def test_weighted_focal_loss_takes_hard_targets_only(port: Port) -> None:
    text = (
        "WeightedFocalLoss(targets=...): expected values 0 or 1, got 0.5 at (0,). "
        "For soft targets call sigmoid_focal_loss."
    )
    logits = port.array(Z[:, 0])
    targets = port.array(Y[:, 0] + 0.5)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        port.module.WeightedFocalLoss()(logits, targets)


@both_packages
def test_masked_values_are_not_checked(port: Port) -> None:
    mask = np.ones((8, 4), bool)
    mask[2, 3] = False
    call(port, SIGMOID, Z, bad((2, 3), NAN), {"where": mask})
    ids = bad((5,), -100, T)
    call(port, SOFTMAX, Z, ids, {"where": np.arange(8) != 5})


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ids_that_cannot_be_checked_give_nan(smoothing: float) -> None:
    """Under transformations the ids are unknown when the call is checked: none may be taken for
    that of another class."""
    ids = np.array([0, 4, -1, 7, 3, 0, 0, 0])
    unknown = (ids < 0) | (ids > 3)

    def of_jax(z: Any, t: Any) -> Any:
        return JAX.module.softmax_focal_loss(z, t, axis=1, label_smoothing=smoothing)

    def of_a_row_of_torch(z: Any, t: Any) -> Any:
        return TORCH.module.softmax_focal_loss(z, t, axis=0, label_smoothing=smoothing)

    compiled = jax.jit(of_jax)(Z, ids)
    np.testing.assert_array_equal(np.isnan(compiled), unknown)
    mapped = torch.func.vmap(of_a_row_of_torch)
    losses = mapped(torch.tensor(Z), torch.tensor(ids)).numpy()
    np.testing.assert_array_equal(np.isnan(losses), unknown)


def test_compiled_weighted_focal_loss_of_soft_targets_is_nan() -> None:
    loss = jax.jit(JAX.module.WeightedFocalLoss())
    halves = np.full(8, 0.5)
    assert np.isnan(loss(Z[:, 0], halves))
