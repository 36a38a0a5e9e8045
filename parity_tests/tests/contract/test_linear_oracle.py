"""The oracle of a linear layer: its derivatives against numerical ones of the definition."""

import itertools
from typing import Any

import mpmath
import pytest
from mpmath import mpf

from parity_tests.contract import grid
from parity_tests.truth import linear_oracle, oracle
from parity_tests.truth.jets import Jet, Real

from .test_oracle import agree, check_by_differentiation, derivative

FEATURES, KERNEL, BIAS = [0.5, -1.25], [0.7, -0.2, 1.1, 0.4, 0.9, -0.6], [0.3, -0.1, 0.2]
ROWS = [*FEATURES, 2.0, 0.75]
SETTINGS: list[dict[str, Any]] = [
    {"gamma": 2.0},
    {"gamma": 0.5, "label_smoothing": 0.125, "reduction": "sum"},
    {"gamma": 1.5, "softcap": 1.5, "alpha": [0.5, 2.0, 0.25]},
    {"gamma": 2.0, "ignore_index": 2, "weight": [0.5, 2.0]},
    {"gamma": 0.0, "where": [False, True]},
    {"gamma": 2.0, "z_loss": 0.5, "softcap": 1.5, "weight": [0.5, 2.0]},
]


def flat(**arrays: list[float]) -> dict[str, float]:
    return {f"{name}{i}": x for name, xs in arrays.items() for i, x in enumerate(xs)}


def naive_row(
    values: dict[str, Real], row: int, target: int, gamma: float, **settings: Any
) -> Real:
    logits: list[Real] = []
    for c in range(3):
        products = [values[f"features{2 * row + d}"] * values[f"kernel{3 * d + c}"] for d in (0, 1)]
        logits.append(sum(products) + values[f"bias{c}"])
    cap = settings.get("softcap")
    if cap is not None:
        logits = [cap * mpmath.tanh(z / cap) for z in logits]
    whole = sum(mpmath.exp(z) for z in logits)
    smoothing, alpha = settings.get("label_smoothing", 0.0), settings.get("alpha", [1.0] * 3)
    loss = mpf(0)
    for c, z in enumerate(logits):
        p = mpmath.exp(z) / whole
        share = mpf(smoothing) / 3 + (1 - mpf(smoothing) if c == target else 0)
        loss -= share * alpha[c] * (1 - p) ** mpf(gamma) * mpmath.log(p)
    return loss + mpf(settings.get("z_loss", 0)) * mpmath.log(whole) ** 2


def naive(values: dict[str, Real], gamma: float, **settings: Any) -> Real:
    targets = (0, 2)
    kept = settings.get("where", [target != settings.get("ignore_index") for target in targets])
    weight = settings.get("weight", [1.0, 1.0])
    total = mpf(0)
    for row, target in enumerate(targets):
        if kept[row]:
            total += weight[row] * naive_row(values, row, target, gamma, **settings)
    return total if settings.get("reduction") == "sum" else total / sum(kept)


@pytest.mark.parametrize("z_loss", [0.0, 0.5])
@pytest.mark.parametrize("softcap", [None, 1.5])
def test_a_row_with_its_second_derivatives(softcap: float | None, z_loss: float) -> None:
    layer = linear_oracle.Layer(KERNEL, BIAS, softcap, z_loss)
    targets = [0.0, 1.0, 0.0]
    jet = oracle.certified(lambda: linear_oracle.row_jet(0, FEATURES, layer, targets, None, 1.5))
    point = flat(features=FEATURES, kernel=KERNEL, bias=BIAS)

    def loss(values: dict[str, Real]) -> Real:
        return naive_row(values, 0, 1, 1.5, softcap=softcap, z_loss=z_loss)

    # Of the second derivatives, those of each kind of pair.
    names = ["features0", "features1", "kernel0", "kernel4", "bias1"]
    check_by_differentiation(fixed(jet, names), lambda some: loss(point | some), only(point, names))


def fixed(jet: Jet, names: list[str]) -> Jet:
    return jet.only(frozenset(names))


def only(point: dict[str, float], names: list[str]) -> dict[str, float]:
    return {name: point[name] for name in names}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_batch(settings: dict[str, Any]) -> None:
    loss = linear_oracle.linear_softmax_focal_loss
    jet = oracle.certified(lambda: loss(ROWS, KERNEL, [0, 2], BIAS, **settings))
    point = flat(features=ROWS, kernel=KERNEL, bias=BIAS)
    with mpmath.workdps(60):
        exact = {name: mpf(x) for name, x in point.items()}
        agree(jet[()].value, naive(exact, **settings))
        for name in point:
            truth = derivative(lambda values: naive(values, **settings), exact, (name,), (1,))
            agree(jet[(name,)].value, truth)
    assert max(map(len, jet)) == 1


def test_a_softmax_with_an_identity_kernel() -> None:
    row = [0.5, -1.0, 2.0]
    layer = linear_oracle.Layer([1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0])
    linear = linear_oracle.row_jet(0, row, layer, [1.0, 0.0, 0.0], None, 2.0)
    logits = oracle.softmax_focal_loss(row, [1.0, 0.0, 0.0], None, 2.0)
    pairs = itertools.chain([()], itertools.combinations_with_replacement(range(3), 2))
    for pair in pairs:
        of_features = linear[tuple(f"features{c}" for c in pair)]
        of_logits = logits[tuple(f"logits{c}" for c in pair)]
        agree(of_features.value, of_logits.value)
        agree(of_features.scale, of_logits.scale)


def test_the_scale_has_the_terms_that_cancel() -> None:
    """A logit of 1000 − 1000 is rounded as one of 2000, and so is its loss."""
    features, targets = [1.0], [1.0, 0.0]
    small = linear_oracle.row_jet(
        0, features, linear_oracle.Layer([0.5, 1.0], [0.0, 0.0]), targets, None, 2.0
    )
    layer = linear_oracle.Layer([1000.5, 1001.0], [-1000.0, -1000.0])
    large = linear_oracle.row_jet(0, features, layer, targets, None, 2.0)
    agree(small[()].value, large[()].value)
    assert large[()].scale > 1000 * small[()].scale


def test_the_vectors_have_every_setting() -> None:
    names = {name for settings in grid.LINEAR_SETTINGS for name in settings}
    expected = {"gamma", "alpha", "softcap", "label_smoothing", "z_loss", "ignore_index", "where"}
    assert names >= expected | {"weight", "reduction"}
    for problem in grid.linear("float32"):
        assert problem.argument("features").shape[1] == grid.ROWS * grid.DEPTH
