"""Layer 4, special values: infinities, NaN, empty inputs, and the regressions that others
have reported."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from parity_tests.contract import grid, half_precision
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import DTYPES, EPS, HALF, SMALLEST_NORMAL
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages
from parity_tests.truth import float64

from .calls import SIGMOID, SOFTMAX, gradient, sigmoid, softmax

each_gamma = pytest.mark.parametrize("gamma", grid.GAMMAS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF, NAN = np.inf, np.nan


@both_packages
@each_dtype
@each_gamma
@pytest.mark.parametrize("kind", [bool, np.int32, float])
def test_infinite_logits_have_their_limits(
    port: Port, dtype: str, gamma: float, kind: type
) -> None:
    logits = np.array([INF, -INF, INF, -INF], DTYPES[dtype])
    target_dtype = DTYPES[dtype] if kind is float else kind
    targets = np.array([1, 1, 0, 0]).astype(target_dtype)
    loss = sigmoid(port, logits, targets, gamma=gamma)
    slope = gradient(port, SIGMOID, logits, targets, gamma=gamma)
    assert_array_equal(loss.astype(float), [0, INF, INF, 0])
    assert_array_equal(slope.astype(float), [0, -0.25, 0.75, 0])
    # A class without weight costs nothing, however wrong it is.
    assert sigmoid(port, logits, targets, gamma=gamma, alpha=1.0).tolist() == [0, INF, 0, 0]
    assert sigmoid(port, logits, targets, gamma=gamma, alpha=0.0).tolist() == [0, 0, INF, 0]


@both_packages
@each_gamma
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_infinite_logits_with_soft_targets(port: Port, gamma: float, rule: str) -> None:
    logits = np.array([INF, -INF])
    targets = np.array([0.3, 0.3])
    settings = {"alpha": None, "gamma": gamma, "soft_targets": rule}
    loss = sigmoid(port, logits, targets, **settings)
    assert_array_equal(loss, [INF, INF])
    slope = gradient(port, SIGMOID, logits, targets, **settings)
    power = 1 + gamma if rule == "interpolate" else 1
    assert_allclose(slope, [0.7**power, -(0.3**power)], rtol=1e-14)


@both_packages
@each_dtype
@each_gamma
def test_saturated_logits_have_finite_gradients(port: Port, dtype: str, gamma: float) -> None:
    """The published fault: γ < 1 gives NaN from logit 16.75 in float32 and 6.25 in bfloat16."""
    sizes = np.array([17, 20, 87, 88, 100, 103, 104, 1e4], DTYPES[dtype])
    logits = np.concatenate([sizes, -sizes])
    for targets in (np.ones(16, np.int64), np.zeros(16, np.int64)):
        true_loss, true_slope = float64.hard_focal(logits.astype(float), targets, 0.25, gamma)
        loss = sigmoid(port, logits, targets, gamma=gamma)
        near(loss, true_loss, dtype, gamma)
        slope = gradient(port, SIGMOID, logits, targets, gamma=gamma)
        near(slope, true_slope, dtype, gamma)


def near(values: np.ndarray, truth: np.ndarray, dtype: str, gamma: float) -> None:
    error = np.abs(values.astype(float) - truth)
    relative = (4 + 2 * gamma) * EPS[dtype]
    allowed = relative * np.abs(truth) + SMALLEST_NORMAL[dtype]
    # Not `error > allowed`, which NaN would pass.
    bad = ~(error <= allowed)
    assert not bad.any(), (values[bad], truth[bad])


@both_packages
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("gamma", half_precision.GAMMAS)
@pytest.mark.parametrize("target", [0, 1])
def test_every_half_precision_logit(port: Port, dtype: str, gamma: float, target: int) -> None:
    errors = half_precision.worst_errors(port, dtype, gamma, target)
    assert max(errors) <= HALF


@both_packages
def test_nan_stays_where_it_is(port: Port) -> None:
    logits = np.array([0.5, NAN, -0.5])
    loss = sigmoid(port, logits, np.array([1, 1, 0]))
    assert_array_equal(np.isnan(loss), [False, True, False])
    rows = np.array([[0.5, 1.0], [NAN, 1.0], [1.0, NAN]])
    loss = softmax(port, rows, np.array([0, 1, 0]))
    assert_array_equal(np.isnan(loss), [False, True, True])


@both_packages
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_input(port: Port, shape: tuple[int, ...]) -> None:
    logits = np.zeros(shape)
    targets = np.zeros(shape)
    assert sigmoid(port, logits, targets).shape == shape
    no_rows = np.zeros((0, 3))
    no_ids = np.zeros(0, np.int64)
    for reduction in ("sum", "mean", "mean_positive"):
        assert sigmoid(port, logits, targets, reduction=reduction) == 0
        assert softmax(port, no_rows, no_ids, reduction=reduction) == 0
    slope = gradient(port, SIGMOID, logits, targets)
    assert slope.shape == shape


@both_packages
def test_no_positives(port: Port) -> None:
    """mean_positive divides by 1 then, not by 0."""
    logits = np.array([0.5, -1.0])
    targets = np.array([0, 0])
    total = sigmoid(port, logits, targets, reduction="sum")
    mean = sigmoid(port, logits, targets, reduction="mean_positive")
    assert mean == total > 0


@both_packages
@each_gamma
def test_one_class_costs_nothing(port: Port, gamma: float) -> None:
    logits = np.array([[-3.0], [0.0], [1e4]])
    for targets in (np.zeros(3, np.int64), np.ones((3, 1))):
        loss = softmax(port, logits, targets, gamma=gamma)
        assert_array_equal(loss, 0)
        slope = gradient(port, SOFTMAX, logits, targets, gamma=gamma)
        assert_array_equal(slope, 0)


@both_packages
@each_gamma
@pytest.mark.parametrize("soft", [False, True])
def test_infinite_logits_in_a_softmax(port: Port, gamma: float, soft: bool) -> None:
    logits = np.array([[INF, 0.0, 1.0], [-INF, 0.0, 0.0], [0.0, INF, 0.0], [0.0, -INF, 1.0]])
    ids = np.zeros(4, np.int64)
    targets = np.eye(3)[ids] if soft else ids
    loss = softmax(port, logits, targets, gamma=gamma)
    assert_array_equal(loss[:3], [0, INF, INF])
    assert 0 < loss[3] < 2
    slope = gradient(port, SOFTMAX, logits, targets, gamma=gamma)
    assert_array_equal(slope[0], [0, 0, 0])
    assert_array_equal(slope[1], [-1, 0.5, 0.5])
    assert_array_equal(slope[2], [-1, 1, 0])
    assert np.isfinite(slope[3]).all()
    assert slope[3, 1] == 0


@both_packages
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("other", [0.0, 89.0, 710.0, 1e4])
def test_an_infinite_logit_beside_a_large_one(port: Port, other: float, dtype: str) -> None:
    """inf is the shift of no exponential: exp(710) is inf, too, and inf − inf no sum of the
    others."""
    logits = np.array([[INF, -INF, other]] * 3, dtype)
    targets = np.eye(3, dtype=dtype)
    targets[2] = [0.5, 0.25, 0.25]
    loss = softmax(port, logits, targets)
    assert loss.dtype == dtype
    assert_array_equal(loss, [0, INF, INF])
    slope = gradient(port, SOFTMAX, logits, targets)
    assert_array_equal(slope[0], [0, 0, 0])
    assert_array_equal(slope[1], [1, -1, 0])
    assert_array_equal(slope[2], [0.5, -0.25, -0.25])


@both_packages
def test_wrong_by_sixty_nats(port: Port) -> None:
    """The published fault: the gradient of a softmax loss through probabilities is 0 beyond 16
    nats."""
    logits = np.array([[60.0, 0.0]], np.float32)
    ids = np.array([1])
    assert softmax(port, logits, ids) == [60]
    slope = gradient(port, SOFTMAX, logits, ids)
    assert_array_equal(slope, [[1, -1]])


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, np.int32, np.int64])
@both_packages
def test_all_types_of_labels(port: Port, kind: type) -> None:
    logits = np.array([[0.5, -1.0], [2.0, 0.1]])
    labels = np.array([0, 1])
    of_kind = labels.astype(kind)
    assert_array_equal(softmax(port, logits, of_kind), softmax(port, logits, labels))
    expected = sigmoid(port, logits[0], labels)
    assert_array_equal(sigmoid(port, logits[0], of_kind), expected)
    of_floats = sigmoid(port, logits[0], labels.astype(float))
    assert_array_equal(of_floats, expected)


@both_packages
def test_more_classes_than_the_label_type_counts(port: Port) -> None:
    logits = spaced(-1, 1, 600).reshape(2, 300)
    labels = np.array([3, 200], np.uint8)
    expected = softmax(port, logits, labels.astype(np.int64))
    assert_array_equal(softmax(port, logits, labels), expected)


@both_packages
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_gamma_zero_as_an_array(port: Port, shape: tuple[int, ...]) -> None:
    logits = np.array([[20.0, -20.0, 0.3]] * 2)
    targets = np.array([[1, 1, 0]] * 2)
    expected = sigmoid(port, logits, targets, gamma=0.0)
    for gamma in (np.zeros(shape), np.zeros(shape, np.int64)):
        loss = sigmoid(port, logits, targets, gamma=gamma)
        assert_array_equal(loss, expected)


@both_packages
def test_class_axis_first_or_last(port: Port) -> None:
    draws = Draws(0)
    logits = draws.bell((2, 4, 3, 5))
    labels = draws.integers(0, 5, (2, 4, 3))
    one_hot = np.eye(5)[labels]
    settings = {"alpha": spaced(0.1, 1, 5), "gamma": spaced(0, 4, 5)}
    last = softmax(port, logits, labels, axis=-1, **settings)
    for axis in range(-4, 4):
        moved = np.ascontiguousarray(np.moveaxis(logits, -1, axis))
        loss = softmax(port, moved, labels, axis=axis, **settings)
        assert_array_equal(loss, last)
        soft = np.ascontiguousarray(np.moveaxis(one_hot, -1, axis))
        loss = softmax(port, moved, soft, axis=axis, **settings)
        assert_allclose(loss, last, rtol=1e-14)


@both_packages
@pytest.mark.parametrize("settings", [{}, {"alpha": spaced(0.1, 1, 5), "gamma": 0.5}])
def test_rows_in_more_than_one_axis(port: Port, settings: dict[str, object]) -> None:
    """A number for γ has a rule of its own in eager mode."""
    logits = Draws(0).bell((2, 4, 3, 5)).astype(np.float32)
    labels = Draws(1).integers(0, 5, (2, 4, 3))
    flat, ids = logits.reshape(-1, 5), labels.ravel()
    settings = {"axis": -1} | settings
    loss = softmax(port, logits, labels, **settings)
    slope = gradient(port, SOFTMAX, logits, labels, **settings)
    rounding = 8 * EPS["float32"]
    assert loss.shape == labels.shape
    expected = softmax(port, flat, ids, **settings)
    assert_allclose(loss.ravel(), expected, rtol=rounding, atol=0)
    expected = gradient(port, SOFTMAX, flat, ids, **settings)
    assert_allclose(slope.reshape(-1, 5), expected, rtol=rounding, atol=0)


def test_jax_and_torch_defaults_of_axis() -> None:
    logits = np.zeros((2, 3, 4))
    labels = np.zeros((2, 3), np.int64)
    loss = JAX.module.softmax_focal_loss(JAX.array(logits), JAX.array(labels))
    assert loss.shape == (2, 3)
    labels = np.zeros((2, 4), np.int64)
    loss = TORCH.module.softmax_focal_loss(TORCH.array(logits), TORCH.array(labels))
    assert loss.shape == (2, 4)


@both_packages
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("row", [[INF, INF, 0.0], [-INF, -INF, -INF]])
def test_several_infinities_are_unknown(port: Port, row: list[float], soft: bool) -> None:
    """inf − inf has no value, and then the gradient must not look like one."""
    logits = np.array([row, [0.0, 1.0, 2.0]])
    ids = np.array([2, 1])
    targets = np.eye(3)[ids] * 0.8 + 0.2 / 3 if soft else ids
    assert np.isnan(softmax(port, logits, targets)).tolist() == [True, False]
    slope = gradient(port, SOFTMAX, logits, targets)
    assert np.isnan(slope[0]).all()
    assert not np.isnan(slope[1]).any()
