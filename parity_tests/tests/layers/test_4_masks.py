"""Layer 4, special values: what a mask, an ignored index or a weight of 0 leaves out of a loss."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages

from .calls import SIGMOID, SOFTMAX, gradient, sigmoid, softmax

INF, NAN = np.inf, np.nan
each_poison = pytest.mark.parametrize("poison", [NAN, INF, -INF])
all_reductions = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


@both_packages
@all_reductions
@each_poison
@pytest.mark.parametrize("soft", [False, True])
def test_masked_elements_are_exactly_zero(
    port: Port, reduction: str, poison: float, soft: bool
) -> None:
    """Padding may hold anything: logits, targets, α, γ and weight are all poisoned outside the
    mask."""
    where = np.array([True, False])
    logits = np.array([0.5, poison])
    weight = np.array([2.0, NAN])
    targets = np.array([1, 7])
    if soft:
        targets = np.array([1.0, NAN])
    settings = {"where": where, "weight": weight, "reduction": reduction}
    slope = gradient(port, SIGMOID, logits, targets, **settings)
    assert slope[1] == 0
    assert slope[0] < 0
    loss = sigmoid(port, logits, targets, **settings)
    of_the_kept = sigmoid(port, logits[:1], targets[:1], weight=weight[:1])
    assert loss.sum() == of_the_kept[0]
    rows = np.array([[0.5, 0.25], [0.5, poison]])
    ids = np.array([1, -100])
    for mask in ({"where": where}, {"ignore_index": -100}):
        settings = mask | {"weight": weight, "reduction": reduction}
        slope = gradient(port, SOFTMAX, rows, ids, **settings)
        assert slope[0, 0] > 0 > slope[0, 1]
        assert_array_equal(slope[1], 0)


@both_packages
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_positive"])
def test_nothing_kept_is_zero_with_zero_gradient(port: Port, reduction: str) -> None:
    logits = np.array([0.5, NAN])
    targets = np.array([1, 0])
    masked = {"where": np.zeros(2, bool), "reduction": reduction}
    assert sigmoid(port, logits, targets, **masked) == 0
    slope = gradient(port, SIGMOID, logits, targets, **masked)
    assert_array_equal(slope, 0)
    rows = np.full((2, 3), NAN)
    ids = np.zeros(2, np.int64)
    slope = gradient(port, SOFTMAX, rows, ids, ignore_index=0, reduction=reduction)
    assert_array_equal(slope, 0)


@both_packages
def test_no_weight_on_an_infinite_loss_is_no_loss(port: Port) -> None:
    logits = np.array([INF, -INF, NAN])
    targets = np.array([0, 1, 1])
    for settings in ({"weight": np.zeros(3)}, {"alpha": np.array([1.0, 0.0, 0.0])}):
        loss = sigmoid(port, logits, targets, **settings)
        assert_array_equal(loss[:2], 0)
        assert np.isnan(loss[2])
    soft = np.array([0.0, 1.0])
    alpha = np.array([1.0, 0.0])
    loss = sigmoid(port, logits[:2], soft, alpha=alpha, soft_targets="mixture")
    assert_array_equal(loss, 0)
    rows = np.array([[-INF, 0.0, 1.0]])
    ids = np.array([0])
    loss = softmax(port, rows, ids, alpha=np.array([0.0, 1, 1]))
    assert_array_equal(loss, 0)


@both_packages
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint32, np.int64])
def test_ignore_index_is_no_other_class(port: Port, kind: type) -> None:
    """−100 is 156 in uint8, and 255 is −1 in int8: neither is meant."""
    labels = np.array([100, 3]).astype(kind)
    logits = np.zeros((2, 200))
    for ignored in (-100, 100 - 256, 100 + 256):
        loss = softmax(port, logits, labels, ignore_index=ignored)
        assert (loss > 0).all()
    loss = softmax(port, logits, labels, ignore_index=100)
    assert_array_equal(loss > 0, [False, True])


@both_packages
@pytest.mark.parametrize(
    "function",
    ["sigmoid_focal_loss", "varifocal_loss", "heatmap_focal_loss", "asymmetric_loss"],
)
def test_soft_targets_outside_the_mask_have_no_gradient_where_nobody_can_check_them(
    port: Port, function: str
) -> None:
    logits, where = np.array([0.25, 0.5]), np.array([True, False])
    targets, weight = np.array([0.5, NAN]), np.array([2.0, NAN])

    def loss(y: Any, weight: Any, z: Any, mask: Any) -> Any:
        of_elements = getattr(port.module, function)
        return of_elements(z, y, where=mask, weight=weight, reduction="sum")

    arrays = (targets, weight, logits, where)
    if port is JAX:
        slopes = jax.jit(jax.grad(loss, (0, 1)))(*map(jnp.asarray, arrays))
    else:
        mapped = torch.func.vmap(torch.func.grad(loss, (0, 1)))
        slopes = mapped(*(torch.tensor(x[None]) for x in arrays))
    for slope in slopes:
        kept, left_out = np.asarray(slope).flatten()
        assert kept != 0
        assert left_out == 0
