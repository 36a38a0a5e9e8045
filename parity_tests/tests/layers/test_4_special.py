"""Layer 4, special values: infinities, NaN, masks, empty inputs, and the regressions that others
have reported."""

from typing import Any

import numpy as np
import pytest

from parity_tests.contract import grid, half_precision
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import DTYPES, EPS, HALF, SMALLEST_NORMAL
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth import float64

each_gamma = pytest.mark.parametrize("gamma", grid.GAMMAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF = np.inf


def sigmoid(port: Port, logits: Any, targets: Any, **settings: Any) -> np.ndarray:
    arrays = {k: port.array(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = port.module.sigmoid_focal_loss
    return port.numpy(
        loss(port.array(np.asarray(logits)), port.array(np.asarray(targets)), **arrays)
    )


def gradient(
    port: Port, function: str, logits: np.ndarray, targets: np.ndarray, **settings: Any
) -> np.ndarray:
    arrays = {k: port.array(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = getattr(port.module, function)
    return port.gradient(lambda z: loss(z, port.array(targets), **arrays), logits)


@both_packages
@each_dtype
@each_gamma
@pytest.mark.parametrize("kind", [bool, np.int32, float])
def test_infinite_logits_have_their_limits(
    port: Port, dtype: str, gamma: float, kind: type
) -> None:
    logits = np.array([INF, -INF, INF, -INF], DTYPES[dtype])
    targets = np.array([1, 1, 0, 0]).astype(DTYPES[dtype] if kind is float else kind)
    loss = sigmoid(port, logits, targets, gamma=gamma).astype(float)
    slope = gradient(port, "sigmoid_focal_loss", logits, targets, gamma=gamma).astype(float)
    np.testing.assert_array_equal(loss, [0, INF, INF, 0])
    np.testing.assert_array_equal(slope, [0, -0.25, 0.75, 0])


@both_packages
@each_gamma
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_infinite_logits_with_soft_targets(port: Port, gamma: float, rule: str) -> None:
    logits, targets = np.array([INF, -INF]), np.array([0.3, 0.3])
    settings = {"alpha": None, "gamma": gamma, "soft_targets": rule}
    np.testing.assert_array_equal(sigmoid(port, logits, targets, **settings), [INF, INF])
    slope = gradient(port, "sigmoid_focal_loss", logits, targets, **settings)
    power = gamma if rule == "interpolate" else 0
    np.testing.assert_allclose(slope, [0.7 ** (1 + power), -(0.3 ** (1 + power))], rtol=1e-14)


@both_packages
@each_dtype
@each_gamma
def test_saturated_logits_have_finite_gradients(port: Port, dtype: str, gamma: float) -> None:
    """The published fault: γ < 1 gives NaN from logit 16.75 in float32 and 6.25 in bfloat16."""
    logits = np.array([17, 20, 87, 88, 100, 103, 104, 1e4], DTYPES[dtype])
    logits = np.concatenate([logits, -logits])
    for targets in (np.ones(16, np.int64), np.zeros(16, np.int64)):
        loss, slope = float64.hard_focal(logits.astype(float), targets, 0.25, gamma)
        near(sigmoid(port, logits, targets, gamma=gamma), loss, dtype, gamma)
        near(
            gradient(port, "sigmoid_focal_loss", logits, targets, gamma=gamma), slope, dtype, gamma
        )


def near(got: np.ndarray, truth: np.ndarray, dtype: str, gamma: float) -> None:
    eps, tiny = EPS[dtype], SMALLEST_NORMAL[dtype]
    error = np.abs(got.astype(float) - truth)
    bad = ~(error <= (4 + 2 * gamma) * eps * np.abs(truth) + tiny)
    assert not bad.any(), (got[bad], truth[bad])


@both_packages
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("gamma", half_precision.GAMMAS)
@pytest.mark.parametrize("target", [0, 1])
def test_every_half_precision_logit(port: Port, dtype: str, gamma: float, target: int) -> None:
    assert max(half_precision.worst_errors(port, dtype, gamma, target)) <= HALF


@both_packages
def test_nan_stays_where_it_is(port: Port) -> None:
    loss = sigmoid(port, np.array([0.5, np.nan, -0.5]), np.array([1, 1, 0]))
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False])
    logits, ids = np.array([[0.5, 1.0], [np.nan, 1.0], [1.0, np.nan]]), np.array([0, 1, 0])
    loss = port.numpy(port.module.softmax_focal_loss(port.array(logits), port.array(ids), axis=1))
    np.testing.assert_array_equal(np.isnan(loss), [False, True, True])


@both_packages
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])
@pytest.mark.parametrize("poison", [np.nan, INF, -INF])
@pytest.mark.parametrize("soft", [False, True])
def test_masked_elements_are_exactly_zero(
    port: Port, reduction: str, poison: float, soft: bool
) -> None:
    """Padding may hold anything: logits, targets, α, γ and weight are all poisoned outside the
    mask."""
    where = np.array([True, False])
    logits, weight = np.array([0.5, poison]), np.array([2.0, np.nan])
    targets = np.array([1.0, np.nan]) if soft else np.array([1, 7])
    settings = {"where": where, "weight": weight, "reduction": reduction}
    slope = gradient(port, "sigmoid_focal_loss", logits, targets, **settings)
    assert slope[1] == 0
    assert slope[0] < 0
    loss = sigmoid(port, logits, targets, **settings)
    assert loss.sum() == sigmoid(port, logits[:1], targets[:1], weight=weight[:1])[0], (
        "only the kept one counts"
    )
    ids = np.array([1, -100])
    rows = np.stack([logits, logits[::-1]], 1)[::-1].copy()
    rows[0] = [0.5, 0.25]
    for extra in ({"where": where}, {"ignore_index": -100}):
        slope = gradient(
            port,
            "softmax_focal_loss",
            rows,
            ids,
            axis=1,
            weight=weight,
            reduction=reduction,
            **extra,
        )
        assert slope[0, 0] > 0 > slope[0, 1]
        np.testing.assert_array_equal(slope[1], 0)


@both_packages
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_positive"])
def test_nothing_kept_is_zero_with_zero_gradient(port: Port, reduction: str) -> None:
    logits, none = np.array([0.5, np.nan]), np.zeros(2, bool)
    assert sigmoid(port, logits, np.array([1, 0]), where=none, reduction=reduction) == 0
    slope = gradient(
        port, "sigmoid_focal_loss", logits, np.array([1, 0]), where=none, reduction=reduction
    )
    np.testing.assert_array_equal(slope, 0)
    settings = {"axis": 1, "ignore_index": 0, "reduction": reduction}
    slope = gradient(
        port, "softmax_focal_loss", np.full((2, 3), np.nan), np.zeros(2, np.int64), **settings
    )
    np.testing.assert_array_equal(slope, 0)


@both_packages
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_input(port: Port, shape: tuple[int, ...]) -> None:
    assert sigmoid(port, np.zeros(shape), np.zeros(shape)).shape == shape
    for reduction in ("sum", "mean", "mean_positive"):
        assert sigmoid(port, np.zeros(shape), np.zeros(shape), reduction=reduction) == 0
        logits, ids = port.array(np.zeros((0, 3))), port.array(np.zeros(0, np.int64))
        assert (
            port.numpy(port.module.softmax_focal_loss(logits, ids, axis=1, reduction=reduction))
            == 0
        )
    assert gradient(port, "sigmoid_focal_loss", np.zeros(shape), np.zeros(shape)).shape == shape


@both_packages
def test_no_positives(port: Port) -> None:
    """mean_positive divides by 1 then, not by 0."""
    logits, targets = np.array([0.5, -1.0]), np.array([0, 0])
    total = sigmoid(port, logits, targets, reduction="sum")
    assert sigmoid(port, logits, targets, reduction="mean_positive") == total > 0


@both_packages
@each_gamma
def test_one_class_costs_nothing(port: Port, gamma: float) -> None:
    logits, ids = np.array([[-3.0], [0.0], [1e4]]), np.zeros(3, np.int64)
    for targets in (ids, np.ones((3, 1))):
        loss = port.module.softmax_focal_loss(
            port.array(logits), port.array(targets), axis=1, gamma=gamma
        )
        np.testing.assert_array_equal(port.numpy(loss), 0)
        slope = gradient(port, "softmax_focal_loss", logits, targets, axis=1, gamma=gamma)
        np.testing.assert_array_equal(slope, 0)


@both_packages
@each_gamma
@pytest.mark.parametrize("soft", [False, True])
def test_infinite_logits_in_a_softmax(port: Port, gamma: float, soft: bool) -> None:
    logits = np.array([[INF, 0.0, 1.0], [-INF, 0.0, 0.0], [0.0, INF, 0.0], [0.0, -INF, 1.0]])
    ids = np.zeros(4, np.int64)
    targets = np.eye(3)[ids] if soft else ids
    loss = port.module.softmax_focal_loss(
        port.array(logits), port.array(targets), axis=1, gamma=gamma
    )
    np.testing.assert_array_equal(port.numpy(loss)[:3], [0, INF, INF])
    assert 0 < port.numpy(loss)[3] < 2
    slope = gradient(port, "softmax_focal_loss", logits, targets, axis=1, gamma=gamma)
    np.testing.assert_array_equal(slope[:3], [[0, 0, 0], [-1, 0.5, 0.5], [-1, 1, 0]])
    assert np.isfinite(slope[3]).all()
    assert slope[3, 1] == 0


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("other", [0.0, 89.0, 710.0, 1e4])
def test_an_infinite_logit_beside_a_large_one(port: Port, other: float, dtype: str) -> None:
    """inf is the shift of no exponential: exp(710) is inf, too, and inf − inf no sum of the
    others."""
    logits, targets = np.array([[INF, -INF, other]] * 3, dtype), np.eye(3, dtype=dtype)
    targets[2] = [0.5, 0.25, 0.25]
    loss = port.module.softmax_focal_loss(port.array(logits), port.array(targets), axis=1)
    assert port.numpy(loss).dtype == dtype
    np.testing.assert_array_equal(port.numpy(loss), [0, INF, INF])
    slope = gradient(port, "softmax_focal_loss", logits, targets, axis=1)
    np.testing.assert_array_equal(slope, [[0, 0, 0], [1, -1, 0], [0.5, -0.25, -0.25]])


@both_packages
def test_wrong_by_sixty_nats(port: Port) -> None:
    """The published fault: the gradient of a softmax loss through probabilities is 0 beyond 16
    nats."""
    logits = np.array([[60.0, 0.0]], np.float32)
    loss = port.module.softmax_focal_loss(port.array(logits), port.array(np.array([1])), axis=1)
    assert float(loss[0]) == 60
    slope = gradient(port, "softmax_focal_loss", logits, np.array([1]), axis=1)
    np.testing.assert_array_equal(slope, [[1, -1]])


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, np.int32, np.int64])
@both_packages
def test_all_types_of_labels(port: Port, kind: type) -> None:
    logits, labels = np.array([[0.5, -1.0], [2.0, 0.1]]), np.array([0, 1])
    expected = port.numpy(
        port.module.softmax_focal_loss(port.array(logits), port.array(labels), axis=1)
    )
    got = port.numpy(
        port.module.softmax_focal_loss(port.array(logits), port.array(labels.astype(kind)), axis=1)
    )
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(
        sigmoid(port, logits[0], labels.astype(kind)), sigmoid(port, logits[0], labels)
    )
    np.testing.assert_array_equal(
        sigmoid(port, logits[0], labels.astype(float)), sigmoid(port, logits[0], labels)
    )


@both_packages
def test_more_classes_than_the_label_type_counts(port: Port) -> None:
    logits, labels = spaced(-1, 1, 600).reshape(2, 300), np.array([3, 200], np.uint8)
    got = port.module.softmax_focal_loss(port.array(logits), port.array(labels), axis=1)
    expected = port.module.softmax_focal_loss(
        port.array(logits), port.array(labels.astype(np.int64)), axis=1
    )
    np.testing.assert_array_equal(port.numpy(got), port.numpy(expected))


@both_packages
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_gamma_zero_as_an_array(port: Port, shape: tuple[int, ...]) -> None:
    logits, targets = np.array([[20.0, -20.0, 0.3]] * 2), np.array([[1, 1, 0]] * 2)
    for array in (np.zeros(shape), np.zeros(shape, np.int64)):
        got = sigmoid(port, logits, targets, gamma=array)
        np.testing.assert_array_equal(got, sigmoid(port, logits, targets, gamma=0.0))


@both_packages
def test_class_axis_first_or_last(port: Port) -> None:
    draws = Draws(0)
    logits, labels = draws.bell((2, 4, 3, 5)), draws.integers(0, 5, (2, 4, 3))
    settings = {"alpha": port.array(spaced(0.1, 1, 5)), "gamma": port.array(spaced(0, 4, 5))}
    loss = port.module.softmax_focal_loss
    last = port.numpy(loss(port.array(logits), port.array(labels), axis=-1, **settings))
    for axis in range(-4, 4):
        moved = port.array(np.ascontiguousarray(np.moveaxis(logits, -1, axis)))
        np.testing.assert_array_equal(
            port.numpy(loss(moved, port.array(labels), axis=axis, **settings)), last
        )
        soft = port.array(np.ascontiguousarray(np.moveaxis(np.eye(5)[labels], -1, axis)))
        np.testing.assert_allclose(
            port.numpy(loss(moved, soft, axis=axis, **settings)), last, rtol=1e-14
        )


def test_jax_and_torch_defaults_of_axis() -> None:
    logits, labels = np.zeros((2, 3, 4)), np.zeros((2, 3), np.int64)
    assert JAX.module.softmax_focal_loss(JAX.array(logits), JAX.array(labels)).shape == (2, 3)
    labels = np.zeros((2, 4), np.int64)
    assert TORCH.module.softmax_focal_loss(TORCH.array(logits), TORCH.array(labels)).shape == (2, 4)


@pytest.mark.not_quick
@both_packages
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("row", [[INF, INF, 0.0], [-INF, -INF, -INF]])
def test_several_infinities_are_unknown(port: Port, row: list[float], soft: bool) -> None:
    """inf − inf has no value, and then the gradient must not look like one."""
    logits, ids = np.array([row, [0.0, 1.0, 2.0]]), np.array([2, 1])
    targets = np.eye(3)[ids] * 0.8 + 0.2 / 3 if soft else ids
    slope = gradient(port, "softmax_focal_loss", logits, targets, axis=1)
    np.testing.assert_array_equal(np.isnan(slope), [[True] * 3, [False] * 3])


@both_packages
def test_no_weight_on_an_infinite_loss_is_no_loss(port: Port) -> None:
    logits, targets = np.array([INF, -INF, np.nan]), np.array([0, 1, 1])
    for settings in ({"weight": np.zeros(3)}, {"alpha": np.array([1.0, 0.0, 0.0])}):
        loss = sigmoid(port, logits, targets, **settings)
        np.testing.assert_array_equal(loss[:2], 0)
        assert np.isnan(loss[2])
    soft = sigmoid(
        port, logits[:2], np.array([0.0, 1.0]), alpha=np.array([1.0, 0.0]), soft_targets="mixture"
    )
    np.testing.assert_array_equal(soft, 0)
    rows = port.array(np.array([[-INF, 0.0, 1.0]]))
    none = port.module.softmax_focal_loss(
        rows, port.array(np.array([0])), axis=1, alpha=port.array(np.array([0.0, 1, 1]))
    )
    np.testing.assert_array_equal(port.numpy(none), 0)


@both_packages
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint32, np.int64])
def test_ignore_index_is_no_other_class(port: Port, kind: type) -> None:
    """−100 is 156 in uint8, and 255 is −1 in int8: neither is meant."""
    labels = np.array([100, 3]).astype(kind)
    logits = port.array(np.zeros((2, 200)))
    for ignored in (-100, 100 - 256, 100 + 256):
        loss = port.module.softmax_focal_loss(
            logits, port.array(labels), axis=1, ignore_index=ignored
        )
        assert (port.numpy(loss) > 0).all()
    loss = port.module.softmax_focal_loss(logits, port.array(labels), axis=1, ignore_index=100)
    np.testing.assert_array_equal(port.numpy(loss) > 0, [False, True])
