"""The oracle itself: its closed forms against numerical differentiation, its digits against twice
as many."""

import itertools
from collections.abc import Callable
from functools import partial

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
LOGITS = {"logits0": 0.3, "logits1": -1.2, "logits2": 2.0}
TARGETS = {"targets0": 0.2, "targets1": 0.5, "targets2": 0.3}
ALPHA = {"alpha0": 0.4, "alpha1": 1.3, "alpha2": 0.8}
SOFTMAX = {**LOGITS, **TARGETS, **ALPHA, "gamma": 1.5, "weight": 0.7}
# Arguments by their name -> the loss.
Naive = Callable[[dict[str, Real]], Real]


def naive_sigmoid(values: dict[str, Real], soft_targets: str) -> Real:
    """The definition as the papers print it, which is as good as any at 60 digits and moderate
    logits."""
    names = ("logits", "targets", "alpha", "gamma", "weight")
    z, y, alpha, gamma, weight = (values[name] for name in names)
    p = 1 / (1 + mpmath.exp(-z))
    log_p = mpmath.log(p)
    log_q = mpmath.log(1 - p)
    if soft_targets == "mixture":
        positive = (1 - p) ** gamma * -log_p
        negative = p**gamma * -log_q
        return weight * (alpha * y * positive + (1 - alpha) * (1 - y) * negative)
    p_t = y * p + (1 - y) * (1 - p)
    alpha_t = y * alpha + (1 - y) * (1 - alpha)
    cross_entropy = -(y * log_p + (1 - y) * log_q)
    return weight * alpha_t * (1 - p_t) ** gamma * cross_entropy


def naive_softmax(values: dict[str, Real]) -> Real:
    exponentials = [mpmath.exp(values[name]) for name in LOGITS]
    total = sum(exponentials)
    loss = mpf(0)
    for c, exponential in enumerate(exponentials):
        p = exponential / total
        weight = values[f"targets{c}"] * values[f"alpha{c}"]
        modulator = (1 - p) ** values["gamma"]
        loss -= weight * modulator * mpmath.log(p)
    return values["weight"] * loss


def check_by_differentiation(jet: Jet, naive: Naive, point: dict[str, float]) -> None:
    with mpmath.workdps(60):
        exact = {name: mpf(x) for name, x in point.items()}
        agree(jet[()].value, naive(exact))
        for a in point:
            agree(jet[(a,)].value, derivative(naive, exact, (a,), (1,)))
        for a, b in itertools.combinations(sorted(point), 2):
            agree(jet[(a, b)].value, derivative(naive, exact, (a, b), (1, 1)))
        for a in point:
            agree(jet[(a, a)].value, derivative(naive, exact, (a,), (2,)))


def derivative(
    naive: Naive, point: dict[str, Real], names: tuple[str, ...], orders: tuple[int, ...]
) -> Real:
    """The numerical derivative of these orders in these arguments."""

    def at(*values: Real) -> Real:
        return naive(point | dict(zip(names, values, strict=True)))

    values = tuple(point[name] for name in names)
    return mpmath.diff(at, values, orders)


def agree(ours: Real, theirs: Real) -> None:
    # Of the 60 digits a numerical derivative keeps about half.
    size = max(abs(theirs), mpf(10) ** -3)
    assert abs(ours - theirs) <= mpf(10) ** -25 * size, (ours, theirs)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_sigmoid_closed_forms(point: dict[str, float], rule: str) -> None:
    options = {"soft_targets": rule, "variables": oracle.ARGUMENTS}
    jet = oracle.certified(lambda: oracle.sigmoid_focal_loss(**point, **options))
    check_by_differentiation(jet, lambda values: naive_sigmoid(values, rule), point)


@pytest.mark.parametrize("wanted", [{"logits"}, {"logits", "targets"}, {"gamma", "weight"}, set()])
@pytest.mark.parametrize("rule", ["interpolate", "mixture"])
def test_fewer_derivatives_are_the_same_derivatives(wanted: set[str], rule: str) -> None:
    point, variables = POINTS[0], frozenset(wanted)
    loss = partial(oracle.sigmoid_focal_loss, **point, soft_targets=rule)
    every = loss(variables=oracle.ARGUMENTS)
    some = loss(variables=variables)
    kept = {key for key in every if variables.issuperset(key)}
    assert some.keys() == kept
    for key in kept:
        agree(some[key].value, every[key].value)
        agree(some[key].scale, every[key].scale)


def test_softmax_closed_forms() -> None:
    columns = [list(values.values()) for values in (LOGITS, TARGETS, ALPHA)]
    gamma, weight = SOFTMAX["gamma"], SOFTMAX["weight"]
    jet = oracle.certified(oracle.softmax_focal_loss, *columns, gamma, weight)
    check_by_differentiation(jet, naive_softmax, SOFTMAX)


@pytest.mark.parametrize("logit", [-1e4, -300.0, 300.0, 1e4])
@pytest.mark.parametrize("target", [0, 1])
def test_both_tails_have_their_asymptotics(logit: float, target: int) -> None:
    """exp(−|u|·(γ + 1)) on the easy side and |u| on the hard one: where −log(1 − q) would be 0 at
    100 digits."""
    jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, None, 1.5)
    loss = jet[()].value
    log_q = jet["gamma",].value / loss
    sign = 2 * target - 1
    u = mpf(sign * logit)
    if u > 0:
        truth = mpmath.exp(-2.5 * u)
        require_same(loss, truth)
        require_same(jet["logits",].value, -2.5 * truth * sign)
        require_same(log_q, -u)
    else:
        require_same(loss, -u)
        require_same(log_q, -mpmath.exp(u))


def require_same(value: Real, asymptote: Real) -> None:
    assert abs(value / asymptote - 1) < mpf(10) ** -30


def test_digits_that_do_not_agree_are_refused() -> None:

    def digits() -> Jet:
        """A function whose value depends on the precision is never certified."""
        return Jet({(): Term.of(mpf(mpmath.mp.dps))})

    with pytest.raises(ArithmeticError, match="no agreement to 40 digits"):
        oracle.certified(digits)


@pytest.mark.parametrize("gamma", grid.GAMMAS)
def test_the_float64_twin(gamma: float) -> None:
    # Further out float64 underflows.
    logits = [z for z in grid.LOGITS if abs(z) < 600 / (gamma + 1)]
    for target in (0, 1):
        targets = np.full(len(logits), target)
        losses, slopes = float64.hard_focal(np.array(logits), targets, 0.25, gamma)
        for z, loss, slope in zip(logits, losses.tolist(), slopes.tolist(), strict=True):
            jet = oracle.certified(oracle.sigmoid_focal_loss, z, target, 0.25, gamma)
            assert loss == pytest.approx(jet[()].value, rel=1e-14, abs=0)
            assert slope == pytest.approx(jet["logits",].value, rel=1e-14, abs=0)


def test_golden_vectors_are_what_the_oracle_says() -> None:
    make_vectors.check(make_vectors.generate())


def test_what_cancels_to_zero_has_its_scale_in_the_golden_vectors() -> None:
    """The slope in targets at the logit 0 is f(0) − f(0), of which an FMA leaves a rounding."""
    slopes: list[Term] = []
    for problem, jets in golden.read("sigmoid_focal_loss", "float32"):
        if problem.constants == {"soft_targets": "mixture", "alpha": None}:
            samples = zip(problem.points.tolist(), jets, strict=True)
            slopes += [jet["targets",] for (logit, *_), jet in samples if logit == 0]
    assert slopes
    assert all(slope.value == 0 < slope.scale for slope in slopes)


def test_a_changed_digit_in_the_vectors_is_noticed() -> None:
    name = "sigmoid_focal_loss_float32.jsonl"
    files = {path.name: path.read_text() for path in golden.FOLDER.iterdir()}
    make_vectors.check(files)
    changed = files[name].replace("7", "8", 1)
    with pytest.raises(AssertionError, match="line 1: the file has"):
        make_vectors.check(files | {name: changed})
    with pytest.raises(AssertionError, match="other files"):
        make_vectors.check({name: files[name]})
