"""The formula that a softmax port has, found by its losses at ordinary rows of logits."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.checker.layers.batch import CLASS_WEIGHTS
from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT
from parity_tests.truth import readings

from . import messages
from .evidence import Diagnosis, Evidence
from .slopes import Named, Setting, Slopes, different

Real = Any  # an mpf; mpmath has no types
Row = tuple[Real, ...]
Loss = Callable[[Row, int, float], Real]
# Of the weights of the classes, too.
WeightedLoss = Callable[[Row, int, float, list[float]], Real]

ROWS = ((0.5, -1.0, 0.25), (2.0, 0.5, -0.75), (-1.5, 0.0, 1.0))
POINTS = tuple(itertools.product(ROWS, range(3)))
LOGITS, IDS = zip(*POINTS, strict=True)


def _margin(row: Row, t: int) -> Real:
    """How far class t is ahead of the others together."""
    others = [mpmath.exp(x) for c, x in enumerate(row) if c != t]
    return mpmath.mpf(row[t]) - mpmath.log(sum(others))


def focal(row: Row, t: int, gamma: float) -> Real:
    return readings.focal(_margin(row, t), gamma)


def one_against_all(row: Row, t: int, gamma: float) -> Real:
    total = mpmath.mpf(0)
    for c, x in enumerate(row):
        margin = x if c == t else -x
        total += readings.focal(mpmath.mpf(margin), gamma)
    return total


def softmax_twice(row: Row, t: int, gamma: float) -> Real:
    exponentials = [mpmath.exp(x) for x in row]
    total = sum(exponentials)
    return focal(tuple(x / total for x in exponentials), t, gamma)


WRONG: dict[str, Loss] = {
    "sigmoid": lambda row, t, g: readings.focal(mpmath.mpf(row[t]), g),
    "one_against_all": one_against_all,
    "one_against_all_mean": lambda row, t, g: one_against_all(row, t, g) / len(row),
    "gamma_ignored": lambda row, t, g: focal(row, t, 0),
    "gamma_plus_one": lambda row, t, g: focal(row, t, g + 1),
    "modulator_of_p_t": lambda row, t, g: readings.sigmoid(_margin(row, t)) ** g * focal(row, t, 0),
    "softmax_twice": softmax_twice,
    "negated": lambda row, t, g: -focal(row, t, g),
}


def weighted_p_t(row: Row, t: int, gamma: float, alpha: list[float]) -> Real:
    """p_t is exp(−CE), and stays it where the cross entropy is weighted."""
    ce = alpha[t] * focal(row, t, 0)
    return (1 - mpmath.exp(-ce)) ** gamma * ce


WRONG_AXIS = Diagnosis("wrong_axis", messages.WRONG_AXIS)
CLASS_ALPHAS: dict[str, WeightedLoss] = {
    "weighted_p_t": weighted_p_t,
    "swapped": lambda row, t, g, a: mpf(g) * focal(row, t, a[t]),
    "alpha_squared": lambda row, t, g, a: a[t] ** 2 * focal(row, t, g),
    "alpha_reversed": lambda row, t, g, a: (1 - a[t]) * focal(row, t, g),
    "alpha_normalised": lambda row, t, g, a: a[t] / sum(a) * focal(row, t, g),
    "alpha_of_mean_1": lambda row, t, g, a: len(a) * a[t] / sum(a) * focal(row, t, g),
    "alpha_of_predicted": lambda row, t, g, a: a[row.index(max(row))] * focal(row, t, g),
}


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    gammas = usual_gammas(evidence.plan, (2.0, 0.5))
    answers = {g: evidence.ask(LOGITS, IDS, g, evidence.alpha) for g in gammas}
    weights = evidence.alpha

    def fits(loss: Loss) -> bool:
        return all(
            evidence.agrees(losses, _predicted(loss, g, weights)) for g, losses in answers.items()
        )

    if fits(focal):
        # A mean by their sum loses the weight of a sample that is asked alone.
        by_weights = evidence.plan.convention("mean") == "weights" and _is_alone(evidence)
        if weights is None and evidence.subject.takes("alpha") and not by_weights:
            yield from _class_weights(evidence, gammas, list(CLASS_WEIGHTS))
        asked, detached = _named("FL", weights), _detached(weights)
        yield from _slopes(evidence, gammas).of_right_value(asked, detached, _others(weights))
        return
    if weights is not None:
        if _is_alone(evidence) and _are_unweighted(evidence, answers):
            yield Diagnosis("mean_weights", messages.LOST_WEIGHTS)
            return
        found = list(_class_weights(evidence, gammas, weights))
        if found:
            yield from found
            return
    if _counts_from_one(evidence, gammas):
        message = "your labels are those from 1 to C: say --give targets=one-based"
        yield Diagnosis("labels_from_one", message)
        return
    yield from _wrong(evidence, gammas, fits) or _by_columns(evidence, gammas, answers)


def _is_alone(evidence: Evidence) -> bool:
    """Whether samples are asked one at a time."""
    return getattr(evidence.subject, "one_by_one", False)


def _are_unweighted(evidence: Evidence, answers: dict[float, np.ndarray | None]) -> bool:
    return all(evidence.agrees(x, _predicted(focal, g, None)) for g, x in answers.items())


def _counts_from_one(evidence: Evidence, gammas: list[float]) -> bool:
    """Whether the losses are right for labels from 1 to C."""
    port = evidence.subject
    if not isinstance(port, PythonPort) or "targets" in port.form.given:
        return False
    given = {**port.form.given, "targets": "one-based"}
    asked = Evidence(replace(port, form=replace(port.form, given=given)), evidence.plan)
    for gamma in gammas:
        losses = asked.ask(LOGITS, IDS, gamma, evidence.alpha)
        if not evidence.agrees(losses, _predicted(focal, gamma, evidence.alpha)):
            return False
    return True


def _wrong(
    evidence: Evidence, gammas: list[float], fits: Callable[[Loss], bool]
) -> list[Diagnosis]:
    """The known formula that all answers have, and what the gradient says of it."""
    weights = evidence.alpha
    for name, loss in WRONG.items():
        if not fits(loss):
            continue
        found = list(_slopes(evidence, gammas).follow(_named(name, weights), _others(weights)))
        if "different_losses" in {diagnosis.name for diagnosis in found}:
            return found
        if found and name == "gamma_ignored":
            return [different("that of cross entropy, without (1 − p_t)^γ", "not its derivative")]
        return [Diagnosis(name, messages.FORM[name]), *found]
    return []


def _by_columns(
    evidence: Evidence, gammas: list[float], answers: dict[float, np.ndarray | None]
) -> Iterator[Diagnosis]:
    """A softmax over the batch, of which each row is alone where rows are asked one by one."""
    alone = _is_alone(evidence)
    is_over_rows = True
    for gamma, losses in answers.items():
        expected = [0.0] * len(POINTS) if alone else _over_rows(gamma, evidence.alpha)
        is_over_rows = is_over_rows and evidence.agrees(losses, expected)
    if is_over_rows:
        yield WRONG_AXIS
    else:
        yield Diagnosis("unknown", f"your loss is none of the known formulas at γ = {gammas[0]:g}")


def _over_rows(gamma: float, weights: list[float] | None) -> list[float]:
    losses: list[float] = []
    with mpmath.workdps(20):
        for i, t in enumerate(IDS):
            column = tuple(row[t] for row in LOGITS)
            weight = 1.0 if weights is None else weights[t]
            losses.append(float(weight * focal(column, i, gamma)))
    return losses


def _class_weights(
    evidence: Evidence, gammas: list[float], alpha: list[float]
) -> Iterator[Diagnosis]:
    """What a port makes of the weights of its classes."""
    answers = {g: evidence.ask(LOGITS, IDS, g, alpha) for g in gammas}
    for name, loss in CLASS_ALPHAS.items():
        # Where γ is 0, p_t does not enter.
        if name == "weighted_p_t" and not any(gammas):
            continue
        if all(
            evidence.agrees(losses, _of_weights(loss, g, alpha)) for g, losses in answers.items()
        ):
            yield Diagnosis(name, messages.CLASS_WEIGHTS[name])
            return


def _of_weights(loss: WeightedLoss, gamma: float, alpha: list[float]) -> list[float]:
    with mpmath.workdps(20):
        return [float(loss(row, t, gamma, alpha)) for row, t in POINTS]


def _predicted(loss: Loss, gamma: float, weights: list[float] | None) -> list[float]:
    factors = weights or [1.0] * len(ROWS[0])
    with mpmath.workdps(20):
        return [float(factors[t] * loss(row, t, gamma)) for row, t in POINTS]


def _slopes(evidence: Evidence, gammas: list[float]) -> Slopes:
    answers: dict[Setting, np.ndarray | None] = {}
    if evidence.differentiates():
        for gamma in gammas:
            grads = evidence.ask(LOGITS, IDS, gamma, evidence.alpha, GRADIENT)
            answers[Setting(gamma, None)] = grads
    return Slopes(evidence, answers)


def _named(name: str, weights: list[float] | None) -> Named:
    loss = WRONG.get(name, focal)
    return Named(name, lambda setting: _gradients(loss, setting.gamma, weights))


def _others(weights: list[float] | None) -> Iterator[Named]:
    for name in ("FL", *WRONG):
        yield _named(name, weights)


def _detached(weights: list[float] | None) -> Named:
    """Without the derivative of (1 − p_t)^γ, the gradient is that of cross entropy times it."""

    def gradient(setting: Setting) -> np.ndarray:
        factors: list[float] = []
        with mpmath.workdps(30):
            for row, t in POINTS:
                factors.append(float(readings.sigmoid(-_margin(row, t)) ** setting.gamma))
        return np.array(factors)[:, None] * _gradients(focal, 0.0, weights)

    return Named("detached", gradient)


def _gradients(loss: Loss, gamma: float, weights: list[float] | None) -> np.ndarray:
    grads: list[list[float]] = []
    factors = weights or [1.0] * len(ROWS[0])
    with mpmath.workdps(30):
        for row, t in POINTS:
            partial = [factors[t] * _partial(loss, row, t, c, gamma) for c in range(len(row))]
            grads.append([float(x) for x in partial])
    return np.array(grads)


def _partial(loss: Loss, row: Row, t: int, c: int, gamma: float) -> Real:
    """The derivative in the logit of class c."""
    return mpmath.diff(lambda x: loss((*row[:c], x, *row[c + 1 :]), t, gamma), mpf(row[c]))
