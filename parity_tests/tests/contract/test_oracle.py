"""The oracle itself: its closed forms against numerical differentiation, its digits against twice
as many."""

import itertools
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from parity_tests.contract import golden, grid, make_vectors
from parity_tests.truth import float64, oracle
from parity_tests.truth.jets import Jet, Real, Term

POINTS = [
    {"logits": -3.0, "targets": 0.3, "alpha": 0.25, "gamma": 1.5, "weight": 0.7},
    {"logits": 0.5, "targets": 0.9, "alpha": 0.6, "gamma": 0.5, "weight": 2.0},
    {"logits": 2.5, "targets": 0.5, "alpha": 0.1, "gamma": 5.0, "weight": 1.0},
]
SOFTMAX = {
    "logits0": 0.3, "logits1": -1.2, "logits2": 2.0, "targets0": 0.2, "targets1": 0.5, "targets2": 0.3,
    "alpha0": 0.4, "alpha1": 1.3, "alpha2": 0.8, "gamma": 1.5, "weight": 0.7,
}  # fmt: skip


def naive_sigmoid(values: dict[str, Real], soft_targets: str) -> Real:
    """The definition as the papers print it, which is as good as any at 60 digits and moderate
    logits."""
    z, y, alpha, gamma, weight = (
        values[name] for name in ("logits", "targets", "alpha", "gamma", "weight")
    )
    p = 1 / (1 + mpmath.exp(-z))
    if soft_targets == "mixture":
        ours = alpha * y * (1 - p) ** gamma * -mpmath.log(p)
        return weight * (ours + (1 - alpha) * (1 - y) * p**gamma * -mpmath.log(1 - p))
    p_t, alpha_t = y * p + (1 - y) * (1 - p), y * alpha + (1 - y) * (1 - alpha)
    return (
        weight * alpha_t * (1 - p_t) ** gamma * -(y * mpmath.log(p) + (1 - y) * mpmath.log(1 - p))
    )


def naive_softmax(values: dict[str, Real]) -> Real:
    parts = [mpmath.exp(values[f"logits{c}"]) for c in range(3)]
    terms = []
    for c, part in enumerate(parts):
        p = part / sum(parts)
        terms.append(
            values[f"targets{c}"]
            * values[f"alpha{c}"]
            * (1 - p) ** values["gamma"]
            * -mpmath.log(p)
        )
    return values["weight"] * sum(terms)


def check_by_differentiation(
    jet: Jet, naive: Callable[[dict[str, Real]], Real], point: dict[str, float]
) -> None:
    with mpmath.workdps(60):
        exact = {name: mpf(x) for name, x in point.items()}
        agree(jet[()].value, naive(exact))
        for a in point:
            agree(jet[(a,)].value, mpmath.diff(lambda x, a=a: naive(exact | {a: x}), exact[a]))
        for a, b in itertools.combinations_with_replacement(sorted(point), 2):
            if a == b:
                second = mpmath.diff(lambda x, a=a: naive(exact | {a: x}), exact[a], 2)
            else:
                second = mpmath.diff(
                    lambda x, y, a=a, b=b: naive(exact | {a: x, b: y}), (exact[a], exact[b]), (1, 1)
                )
            agree(jet[(a, b)].value, second)


def agree(ours: Real, theirs: Real) -> None:
    assert abs(ours - theirs) <= mpf(10) ** -25 * max(abs(theirs), mpf(10) ** -3), (ours, theirs)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_sigmoid_closed_forms(point: dict[str, float], rule: str) -> None:
    jet = oracle.certified(
        lambda: oracle.sigmoid_focal_loss(**point, soft_targets=rule, variables=oracle.ARGUMENTS)
    )
    check_by_differentiation(jet, lambda values: naive_sigmoid(values, rule), point)


@pytest.mark.parametrize("wanted", [{"logits"}, {"logits", "targets"}, {"gamma", "weight"}, set()])
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_fewer_derivatives_are_the_same_derivatives(wanted: set[str], rule: str) -> None:
    point, variables = POINTS[0], frozenset(wanted)
    every = oracle.sigmoid_focal_loss(**point, soft_targets=rule, variables=oracle.ARGUMENTS)
    some = oracle.sigmoid_focal_loss(**point, soft_targets=rule, variables=variables)
    kept = {key for key in every if variables.issuperset(key)}
    assert some.keys() == kept
    for key in kept:
        agree(some[key].value, every[key].value)
        agree(some[key].scale, every[key].scale)


def test_softmax_closed_forms() -> None:
    columns = [[SOFTMAX[f"{stem}{c}"] for c in range(3)] for stem in ("logits", "targets", "alpha")]
    gamma, weight = SOFTMAX["gamma"], SOFTMAX["weight"]
    jet = oracle.certified(
        lambda: oracle.softmax_focal_loss(columns[0], columns[1], columns[2], gamma, weight)
    )
    check_by_differentiation(jet, naive_softmax, SOFTMAX)


@pytest.mark.parametrize("logit", [-1e4, -300.0, 300.0, 1e4])
@pytest.mark.parametrize("target", [0, 1])
def test_both_tails_have_their_asymptotics(logit: float, target: int) -> None:
    """exp(−|u|·(γ + 1)) on the easy side and |u| on the hard one: where −log(1 − q) would be 0 at
    100 digits."""
    jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, None, 1.5)
    u = logit if target else -logit
    truth = mpmath.exp(-2.5 * mpf(u)) if u > 0 else -mpf(u)
    for got, expected in ((jet[()], truth), (jet[("logits",)], -2.5 * truth * (2 * target - 1))):
        if u > 0 or got is jet[()]:
            assert abs(got.value / expected - 1) < mpf(10) ** -30
    log_q = jet[("gamma",)].value / jet[()].value
    assert abs(log_q / (-mpf(u) if u > 0 else -mpmath.exp(u)) - 1) < mpf(10) ** -30


def test_digits_that_do_not_agree_are_refused() -> None:
    """A function whose value depends on the precision is never certified."""
    with pytest.raises(ArithmeticError, match="no agreement to 40 digits"):
        oracle.certified(lambda: Jet({(): Term.of(mpf(mpmath.mp.dps))}))


@pytest.mark.parametrize("gamma", grid.GAMMAS)
def test_the_float64_twin(gamma: float) -> None:
    logits = np.array([z for z in grid.LOGITS if abs(z) < 600 / (gamma + 1)])
    for target in (0, 1):
        loss, slope = float64.hard_focal(logits, np.full(logits.shape, target), 0.25, gamma)
        for z, a, b in zip(logits.tolist(), loss.tolist(), slope.tolist(), strict=True):
            jet = oracle.certified(oracle.sigmoid_focal_loss, z, target, 0.25, gamma)
            for got, term in ((a, jet[()]), (b, jet[("logits",)])):
                assert abs(got - term.value) <= 1e-14 * abs(term.value)


def test_golden_vectors_are_what_the_oracle_says() -> None:
    make_vectors.check(make_vectors.generate())


def test_what_cancels_to_zero_has_its_scale_in_the_golden_vectors() -> None:
    """The slope in targets at the logit 0 is f(0) − f(0), of which an FMA leaves a rounding."""
    found = 0
    for problem, jets in golden.read("sigmoid_focal_loss", "float32"):
        if problem.constants == {"soft_targets": "mixture", "alpha": None}:
            for point, jet in zip(problem.points.tolist(), jets, strict=True):
                if point[0] == 0:
                    found += 1
                    assert jet["targets",].value == 0 < jet["targets",].scale
    assert found


def test_a_changed_digit_in_the_vectors_is_noticed() -> None:
    name = "sigmoid_focal_loss_float32.jsonl"
    text = (golden.FOLDER / name).read_text()
    files = {path.name: path.read_text() for path in golden.FOLDER.iterdir()}
    make_vectors.check(files)
    with pytest.raises(AssertionError, match="line 1: the file has"):
        make_vectors.check(files | {name: text.replace("7", "8", 1)})
    with pytest.raises(AssertionError, match="other files"):
        make_vectors.check({name: text})
