"""The oracle of the quality, varifocal, heatmap and asymmetric losses: its closed forms against
numerical differentiation of what the papers print, also next to their corners."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import pytest
from mpmath import mpf

from parity_tests.contract import family_grid
from parity_tests.contract.grid import Named
from parity_tests.truth import family_oracle, oracle
from parity_tests.truth.jets import Jet, Real

from .test_oracle import agree, check_by_differentiation, derivative

Point = dict[str, float]
Values = dict[str, Real]

# p is far from the target, and closer to it than float32 could tell, on both sides.
CLOSE = 1e-8
QUALITY: list[Point] = [
    {"logits": -3.0, "targets": 0.3, "alpha": 0.25, "gamma": 1.5, "weight": 0.7},
    {"logits": 2.5, "targets": 0.5, "alpha": 0.1, "gamma": 5.0, "weight": 1.0},
    {"logits": 0.7, "targets": 0.999, "alpha": 0.6, "gamma": 0.5, "weight": 2.0},
    {"logits": CLOSE, "targets": 0.5, "alpha": 0.6, "gamma": 0.5, "weight": 2.0},
    {"logits": -CLOSE, "targets": 0.5, "alpha": 0.6, "gamma": 2.7, "weight": 2.0},
]
ASYMMETRIC: Point = {
    "logits": 1.2,
    "targets": 0.3,
    "alpha": 0.25,
    "gamma_positive": 1.5,
    "gamma_negative": 2.7,
    "weight": 0.7,
}
# The logit of the shift of one half is 0.
HALF = 0.5


def quality(values: Values) -> Real:
    p = oracle.sigmoid(values["logits"])
    y, alpha = values["targets"], values["alpha"]
    balance = y * alpha + (1 - y) * (1 - alpha)
    cross_entropy = -(y * mpmath.log(p) + (1 - y) * mpmath.log(1 - p))
    return values["weight"] * balance * abs(y - p) ** values["gamma"] * cross_entropy


def heatmap(values: Values) -> Real:
    """The loss of what is no peak."""
    p = oracle.sigmoid(values["logits"])
    falloff = (1 - values["targets"]) ** values["beta"]
    negative = p ** values["gamma"] * -mpmath.log(1 - p)
    return values["weight"] * (1 - values["alpha"]) * falloff * negative


def asymmetric(values: Values, shift: float, held_at: Real | None = None) -> Real:
    """With the modulators of the logit `held_at`, or of that of the loss."""
    z = values["logits"]
    p, still = oracle.sigmoid(z), oracle.sigmoid(z if held_at is None else held_at)
    x, still_x = max(p - shift, 0), max(still - shift, 0)
    y, alpha = values["targets"], values["alpha"]
    positive = (1 - still) ** values["gamma_positive"] * -mpmath.log(p)
    negative = still_x ** values["gamma_negative"] * -mpmath.log(1 - x)
    return values["weight"] * (y * alpha * positive + (1 - y) * (1 - alpha) * negative)


def certified(loss: Callable[..., Jet], point: Point, **constants: Any) -> Jet:
    return oracle.certified(lambda: loss(**point, **constants))


def zeros(jet: Jet, keys: set[tuple[str, ...]] | None = None) -> bool:
    """Whether these entries, or all, are 0."""
    return all(jet[key].value == 0 for key in keys or jet)


@pytest.mark.parametrize("point", QUALITY)
def test_the_quality_rule(point: Point) -> None:
    jet = certified(oracle.sigmoid_focal_loss, point, soft_targets="quality")
    if abs(point["logits"]) > CLOSE:
        check_by_differentiation(jet, quality, point)
        return
    # A step of mpmath's is much smaller than the distance from the corner, but not its square root.
    with mpmath.workdps(60):
        exact = {name: mpf(x) for name, x in point.items()}
        for key in jet.keys() - {()}:
            names = tuple(dict.fromkeys(key))
            orders = tuple(key.count(name) for name in names)
            truth = derivative(quality, exact, names, orders)
            assert abs(jet[key].value - truth) <= mpf(10) ** -8 * abs(truth) + mpf(10) ** -20


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_hard_targets_of_the_quality_rule_are_those_of_the_focal_loss(target: float) -> None:
    point = QUALITY[0] | {"targets": target}
    variables = frozenset({"logits", "alpha", "gamma", "weight"})
    jets = []
    for rule in ("quality", "interpolate"):
        constants = {"soft_targets": rule, "variables": variables}
        jets.append(certified(oracle.sigmoid_focal_loss, point, **constants))
    ours, theirs = jets
    assert ours.keys() == theirs.keys()
    for key in ours:
        agree(ours[key].value, theirs[key].value)
    # Nothing cancels: the scale is the plain one.
    agree(ours[()].scale, theirs[()].scale)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 2.7])
def test_the_quality_rule_is_flat_at_the_target(gamma: float) -> None:
    point = {"logits": 0.0, "targets": 0.5, "gamma": gamma, "weight": 0.7}
    jet = certified(oracle.sigmoid_focal_loss, point, alpha=None, soft_targets="quality")
    assert zeros(jet, {(), ("logits",), ("targets",), ("gamma",), ("weight",)})
    bend = jet["logits", "logits"]
    if gamma == 2:
        with mpmath.workdps(60):
            agree(bend.value, 2 * mpf(0.7) * mpmath.log(2) / 16)
    else:
        assert bend.value == 0
        # Below 2 there is none, and any number will do; above 2 it is rounding that is left.
        assert (bend.scale > 1) == (gamma < 2)


@pytest.mark.parametrize("iou_weighted", [False, True])
def test_positives_of_varifocal(iou_weighted: bool) -> None:
    """A cross entropy, whatever α and γ are."""
    point = QUALITY[0]

    def loss(values: Values) -> Real:
        p, y = oracle.sigmoid(values["logits"]), values["targets"]
        cross_entropy = -(y * mpmath.log(p) + (1 - y) * mpmath.log(1 - p))
        return values["weight"] * (y if iou_weighted else 1) * cross_entropy

    jet = certified(family_oracle.varifocal_loss, point, iou_weighted=iou_weighted)
    check_by_differentiation(jet, loss, point)


def test_negatives_of_varifocal_are_weighted_by_alpha() -> None:
    point = {name: x for name, x in QUALITY[0].items() if name != "targets"}

    def loss(values: Values) -> Real:
        p = oracle.sigmoid(values["logits"])
        focal = p ** values["gamma"] * -mpmath.log(1 - p)
        return values["weight"] * values["alpha"] * focal

    jet = certified(family_oracle.varifocal_loss, point, targets=0.0)
    check_by_differentiation(jet, loss, point)


def test_a_constant_modulator_of_varifocal_has_the_slope_of_a_cross_entropy() -> None:
    point = {"logits": 0.4, "targets": 0.0, "alpha": 0.75, "gamma": 1.5}
    with mpmath.workdps(60):
        p, q = oracle.sigmoid(mpf(0.4)), oracle.sigmoid(mpf(-0.4))
        factor = mpf(0.75) * p**1.5
        held = certified(family_oracle.varifocal_loss, point, constant_modulator=True)
        free = certified(family_oracle.varifocal_loss, point)
        agree(held[()].value, free[()].value)
        agree(held["gamma",].value, free["gamma",].value)
        agree(held["gamma", "gamma"].value, free["gamma", "gamma"].value)
        agree(held["logits",].value, factor * p)
        agree(held["logits", "logits"].value, factor * p * q)
        agree(held["gamma", "logits"].value, mpmath.log(p) * factor * p)


@pytest.mark.parametrize("target", [0.3, 0.9])
def test_what_is_no_peak(target: float) -> None:
    point = QUALITY[0] | {"targets": target, "beta": 2.5}
    jet = certified(family_oracle.heatmap_focal_loss, point)
    check_by_differentiation(jet, heatmap, point)


@pytest.mark.parametrize("peak", [1.0, 0.5])
def test_a_peak_is_a_focal_loss_without_a_slope_in_targets(peak: float) -> None:
    """From the threshold on all peaks are alike."""
    point = QUALITY[0] | {"targets": peak, "beta": 2.5}
    jet = certified(family_oracle.heatmap_focal_loss, point, peak=peak)
    assert not any("targets" in key or "beta" in key for key in jet)
    settings = {name: point[name] for name in ("logits", "alpha", "gamma", "weight")}
    focal = certified(oracle.sigmoid_focal_loss, settings, targets=1.0)
    for key in jet:
        agree(jet[key].value, focal[key].value)


@pytest.mark.parametrize("shift", [0.0, 0.05, HALF])
@pytest.mark.parametrize("logit", [1.2, 3 * 2.0**-10])
def test_an_asymmetric_loss(shift: float, logit: float) -> None:
    """The second logit is close to that of the largest shift."""
    point = ASYMMETRIC | {"logits": logit}
    jet = certified(family_oracle.asymmetric_loss, point, shift=shift)
    check_by_differentiation(jet, partial(asymmetric, shift=shift), point)


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_a_constant_modulator_of_an_asymmetric_loss(shift: float) -> None:
    """Its slopes in logits are those with a modulator of a logit that stays."""
    jet = certified(family_oracle.asymmetric_loss, ASYMMETRIC, shift=shift, constant_modulator=True)
    held = mpf(ASYMMETRIC["logits"])
    check_by_differentiation(jet, partial(asymmetric, shift=shift, held_at=held), ASYMMETRIC)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("logit", [-4.0, -1e-6, 0.0])
def test_nothing_is_left_of_a_negative_up_to_the_shift(logit: float, gamma: float) -> None:
    point = {"logits": logit, "targets": 0.0, "gamma_negative": gamma}
    wanted = {"logits", "gamma_negative", "weight"}
    loss = partial(family_oracle.asymmetric_loss, variables=frozenset(wanted))
    assert zeros(certified(loss, point, shift=HALF))


NAMED: list[tuple[Callable[[str], Named], tuple[str, ...]]] = [
    (family_grid.named_quality, ("targets", "gamma")),
    (family_grid.named_varifocal, ("targets", "iou_weighted", "constant_modulator")),
    (family_grid.named_heatmap, ("targets", "gamma", "beta", "peak")),
    (
        family_grid.named_asymmetric,
        ("targets", "gamma_positive", "gamma_negative", "shift", "constant_modulator"),
    ),
]


@pytest.mark.parametrize(("named", "names"), NAMED)
def test_a_grid_has_every_pair(named: Callable[[str], Named], names: tuple[str, ...]) -> None:
    samples: list[dict[str, Any]] = []
    for make in named("float64").values():
        problem = make()
        rows = range(len(problem.points))
        samples += [problem.constants | problem.sample(row) for row in rows]
    for pair in itertools.combinations(names, 2):
        axes = [{sample[name] for sample in samples} for name in pair]
        pairs = {tuple(sample[name] for name in pair) for sample in samples}
        assert pairs == set(itertools.product(*axes)), pair
