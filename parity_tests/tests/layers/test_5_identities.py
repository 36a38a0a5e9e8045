"""Layer 5, identities that hold for every input: a failure here is a wrong formula, whatever the
oracle says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS
from parity_tests.tests.parametrize import both_packages

from . import calls

K = 16 * EPS["float64"]
finite = st.floats(-300, 300)
gammas = st.floats(0, 5)
rows = st.lists(finite, min_size=2, max_size=6)


def sigmoid(port: Port, z: float, y: float, **settings: object) -> np.ndarray:
    settings = {"alpha": None} | settings
    return calls.sigmoid(port, np.array(z), np.array(y), **settings)


def softmax(port: Port, z: list[float], t: object, **settings: object) -> np.ndarray:
    """The loss of a single row."""
    rows = np.array([z])
    targets = np.array([t])
    losses = calls.softmax(port, rows, targets, **settings)
    return losses[0]


def close(a: np.ndarray, b: np.ndarray, blur: float = 0.0) -> None:
    """Equal to a few eps of float64, relative, with the rounding of logits of size `blur` where one
    is given."""
    size = max(abs(a), abs(b))
    allowed = K * (1 + 6 * blur) * size
    assert abs(a - b) <= allowed + 1e-300, (a, b)


def at_most(a: np.ndarray, b: np.ndarray) -> None:
    assert a <= b * (1 + K)


def largest(z: list[float]) -> float:
    return max(map(abs, z))


@both_packages
@given(z=finite, y=st.floats(0, 1))
def test_gamma_zero_is_binary_cross_entropy(port: Port, z: float, y: float) -> None:
    """Against a formula of its own: logaddexp."""
    of_class_1, of_class_0 = np.logaddexp(0, -z), np.logaddexp(0, z)
    truth = y * of_class_1 + (1 - y) * of_class_0
    close(sigmoid(port, z, y, gamma=0.0), truth)
    close(sigmoid(port, z, y, gamma=0.0, soft_targets="mixture"), truth)


@both_packages
@given(z=rows, data=st.data())
def test_gamma_zero_is_softmax_cross_entropy(
    port: Port, z: list[float], data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    others = np.delete(z, t)
    odds = np.exp(others - z[t]).sum()
    truth = np.log1p(odds)
    close(softmax(port, z, t, gamma=0.0), truth, blur=largest(z))


@both_packages
@given(z=finite, y=st.integers(0, 1), gamma=gammas)
def test_two_class_softmax_is_sigmoid(port: Port, z: float, y: int, gamma: float) -> None:
    of_one_logit = sigmoid(port, z, y, gamma=gamma)
    close(softmax(port, [0.0, z], y, gamma=gamma), of_one_logit)


@both_packages
@given(z=rows, shift=finite, gamma=gammas, data=st.data())
def test_softmax_ignores_a_common_shift(
    port: Port, z: list[float], shift: float, gamma: float, data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    moved = [x + shift for x in z]
    rounding = largest(z + moved) + abs(shift)
    expected = softmax(port, z, t, gamma=gamma)
    close(softmax(port, moved, t, gamma=gamma), expected, blur=rounding)


@both_packages
@given(z=rows, gamma=gammas, data=st.data())
def test_softmax_ignores_the_order_of_classes(
    port: Port, z: list[float], gamma: float, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(z))))
    moved = [z[i] for i in order]
    for new, old in enumerate(order):
        expected = softmax(port, z, old, gamma=gamma)
        close(softmax(port, moved, new, gamma=gamma), expected, blur=1.0)


@both_packages
@given(z=rows, gamma=gammas)
def test_one_hot_probabilities_are_class_ids(port: Port, z: list[float], gamma: float) -> None:
    for t, one_hot in enumerate(np.eye(len(z))):
        expected = softmax(port, z, t, gamma=gamma)
        close(softmax(port, z, one_hot, gamma=gamma), expected, blur=largest(z))


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas, alpha=st.floats(0, 1))
def test_swapping_the_classes_changes_nothing(
    port: Port, z: float, y: float, gamma: float, alpha: float
) -> None:
    # 1 − y and 1 − α are rounded, so compare from numbers for which they are exact.
    y = round(y * 1024) / 1024
    alpha = round(alpha * 1024) / 1024
    for rule in ("interpolate", "mixture"):
        settings = {"gamma": gamma, "soft_targets": rule}
        loss = sigmoid(port, z, y, alpha=alpha, **settings)
        other_alpha = 1 - alpha
        swapped = sigmoid(port, -z, 1 - y, alpha=other_alpha, **settings)
        close(loss, swapped)


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas)
def test_focal_is_at_most_cross_entropy(port: Port, z: float, y: float, gamma: float) -> None:
    loss = sigmoid(port, z, y, gamma=gamma)
    assert loss >= 0
    at_most(loss, sigmoid(port, z, y, gamma=0.0))


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas, more=st.floats(0, 2))
def test_more_focus_is_less_loss(port: Port, z: float, y: float, gamma: float, more: float) -> None:
    loss = sigmoid(port, z, y, gamma=gamma)
    at_most(sigmoid(port, z, y, gamma=gamma + more), loss)


@both_packages
@given(z=finite, further=st.floats(0, 10), gamma=gammas)
def test_a_larger_margin_is_less_loss(port: Port, z: float, further: float, gamma: float) -> None:
    loss = sigmoid(port, z, 1, gamma=gamma)
    at_most(sigmoid(port, z + further, 1, gamma=gamma), loss)


@both_packages
@given(
    z=finite,
    y=st.integers(0, 1),
    gamma=gammas,
    alpha=st.floats(0, 1, allow_subnormal=False),
    weight=st.floats(-3, 3),
)
def test_alpha_and_weight_are_factors(
    port: Port, z: float, y: int, gamma: float, alpha: float, weight: float
) -> None:
    """α is the weight of class 1, 1 − α that of class 0; both of WeightedFocalLoss are the other
    way round."""
    plain = sigmoid(port, z, y, gamma=gamma)
    side, other_side = alpha, 1 - alpha
    if y == 0:
        side, other_side = other_side, side
    settings = {"gamma": gamma, "alpha": alpha, "weight": np.array(weight)}
    close(sigmoid(port, z, y, **settings), side * weight * plain)
    module = port.module.WeightedFocalLoss(alpha, gamma)
    logit = port.array(np.array(z))
    of_module = module(logit, port.array(np.array(y)))
    close(port.numpy(of_module), other_side * plain)


@both_packages
@given(z=rows, gamma=gammas, epsilon=st.floats(0, 1), data=st.data())
def test_label_smoothing_mixes_with_uniform(
    port: Port, z: list[float], gamma: float, epsilon: float, data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    each = [softmax(port, z, c, gamma=gamma) for c in range(len(z))]
    of_equal_classes = sum(each) / len(z)
    truth = (1 - epsilon) * each[t] + epsilon * of_equal_classes
    for targets in (t, np.eye(len(z))[t]):
        smoothed = softmax(port, z, targets, gamma=gamma, label_smoothing=epsilon)
        close(smoothed, truth, blur=largest(z))
