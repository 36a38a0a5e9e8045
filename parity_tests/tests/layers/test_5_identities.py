"""Layer 5, identities that hold for every input: a failure here is a wrong formula, whatever the
oracle says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS
from parity_tests.tests.parametrize import both_packages

K = 16 * EPS["float64"]
finite = st.floats(-300, 300)
gammas = st.floats(0, 5)
rows = st.lists(finite, min_size=2, max_size=6)


def sigmoid(port: Port, z: object, y: object, **settings: object) -> np.ndarray:
    settings = {"alpha": None} | {
        k: port.array(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()
    }
    return port.numpy(
        port.module.sigmoid_focal_loss(port.array(np.array(z)), port.array(np.array(y)), **settings)
    )


def softmax(port: Port, z: object, t: object, **settings: object) -> np.ndarray:
    logits, targets = port.array(np.array(z)[None]), port.array(np.array(t)[None])
    return port.numpy(port.module.softmax_focal_loss(logits, targets, axis=1, **settings))[0]


def close(a: np.ndarray, b: np.ndarray, blur: float = 0.0) -> None:
    """Equal to a few eps of float64, relative, with the rounding of logits of size `blur` where one
    is given."""
    assert abs(a - b) <= K * (1 + 6 * blur) * max(abs(a), abs(b)) + 1e-300, (a, b)


@both_packages
@given(z=finite, y=st.floats(0, 1))
def test_gamma_zero_is_binary_cross_entropy(port: Port, z: float, y: float) -> None:
    """Against a formula of its own: logaddexp."""
    truth = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
    close(sigmoid(port, z, y, gamma=0.0), truth)
    close(sigmoid(port, z, y, gamma=0.0, soft_targets="mixture"), truth)


@both_packages
@given(z=rows, data=st.data())
def test_gamma_zero_is_softmax_cross_entropy(
    port: Port, z: list[float], data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    others = np.array(z[:t] + z[t + 1 :])
    truth = np.log1p(np.exp(others - z[t]).sum())
    close(softmax(port, z, t, gamma=0.0), truth, blur=max(map(abs, z)))


@both_packages
@given(z=finite, y=st.integers(0, 1), gamma=gammas)
def test_two_class_softmax_is_sigmoid(port: Port, z: float, y: int, gamma: float) -> None:
    close(softmax(port, [0.0, z], y, gamma=gamma), sigmoid(port, z, y, gamma=gamma))


@both_packages
@given(z=rows, shift=finite, gamma=gammas, data=st.data())
def test_softmax_ignores_a_common_shift(
    port: Port, z: list[float], shift: float, gamma: float, data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    moved = [x + shift for x in z]
    rounding = max(map(abs, (*z, *moved))) + abs(shift)
    close(softmax(port, z, t, gamma=gamma), softmax(port, moved, t, gamma=gamma), blur=rounding)


@both_packages
@given(z=rows, gamma=gammas, data=st.data())
def test_softmax_ignores_the_order_of_classes(
    port: Port, z: list[float], gamma: float, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(z))))
    for t in range(len(z)):
        close(
            softmax(port, [z[i] for i in order], order.index(t), gamma=gamma),
            softmax(port, z, t, gamma=gamma),
            1.0,
        )


@both_packages
@given(z=rows, gamma=gammas)
def test_one_hot_probabilities_are_class_ids(port: Port, z: list[float], gamma: float) -> None:
    for t, one_hot in enumerate(np.eye(len(z))):
        close(
            softmax(port, z, one_hot, gamma=gamma),
            softmax(port, z, t, gamma=gamma),
            blur=max(map(abs, z)),
        )


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas, alpha=st.floats(0, 1))
def test_swapping_the_classes_changes_nothing(
    port: Port, z: float, y: float, gamma: float, alpha: float
) -> None:
    for rule in ("interpolate", "mixture"):
        # 1 − y and 1 − α are rounded, so compare from numbers for which they are exact.
        y, alpha = round(y * 1024) / 1024, round(alpha * 1024) / 1024
        ours = sigmoid(port, z, y, gamma=gamma, alpha=alpha, soft_targets=rule)
        close(ours, sigmoid(port, -z, 1 - y, gamma=gamma, alpha=1 - alpha, soft_targets=rule))


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas)
def test_focal_is_at_most_cross_entropy(port: Port, z: float, y: float, gamma: float) -> None:
    assert 0 <= sigmoid(port, z, y, gamma=gamma) <= sigmoid(port, z, y, gamma=0.0) * (1 + K)


@both_packages
@given(z=finite, y=st.floats(0, 1), gamma=gammas, more=st.floats(0, 2))
def test_more_focus_is_less_loss(port: Port, z: float, y: float, gamma: float, more: float) -> None:
    assert sigmoid(port, z, y, gamma=gamma + more) <= sigmoid(port, z, y, gamma=gamma) * (1 + K)


@both_packages
@given(z=finite, further=st.floats(0, 10), gamma=gammas)
def test_a_larger_margin_is_less_loss(port: Port, z: float, further: float, gamma: float) -> None:
    assert sigmoid(port, z + further, 1, gamma=gamma) <= sigmoid(port, z, 1, gamma=gamma) * (1 + K)


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
    side = alpha if y else 1 - alpha
    close(
        sigmoid(port, z, y, gamma=gamma, alpha=alpha, weight=np.array(weight)),
        side * weight * plain,
    )
    reversed_ = port.module.WeightedFocalLoss(alpha, gamma)(
        port.array(np.array(z)), port.array(np.array(y))
    )
    close(port.numpy(reversed_), (1 - alpha if y else alpha) * plain)


@both_packages
@given(z=rows, gamma=gammas, epsilon=st.floats(0, 1), data=st.data())
def test_label_smoothing_mixes_with_uniform(
    port: Port, z: list[float], gamma: float, epsilon: float, data: st.DataObject
) -> None:
    t = data.draw(st.integers(0, len(z) - 1))
    each = [softmax(port, z, c, gamma=gamma) for c in range(len(z))]
    truth = (1 - epsilon) * each[t] + epsilon * sum(each) / len(z)
    for targets in (t, np.eye(len(z))[t]):
        got = softmax(port, z, targets, gamma=gamma, label_smoothing=epsilon)
        close(got, truth, blur=max(map(abs, z)))
