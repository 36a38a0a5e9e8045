"""Numerical faults, found along growing logits: where the loss or its gradient is first lost.

Of a fault that both classes have, the nearest place is named, and the nearest fault comes first.
"""

import itertools
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.contract.grid import rounded
from parity_tests.contract.tolerances import SMALLEST_NORMAL
from parity_tests.ports.subject import GRADIENT, VALUE
from parity_tests.truth import float64

from .evidence import Diagnosis, Evidence

EASY = np.arange(0, 90.01, 0.125)
FAR = np.concatenate([np.arange(0, 120.01, 0.25), [200.0, 1000.0, 1e4]])
# exp overflows float64 at 710.
FARTHER = np.concatenate([np.arange(0, 120.01, 0.25), np.arange(120.5, 760), [1000.0, 1e4]])
# The first of each, which are ordinary logits.
ORDINARY = slice(0, 9)
# By which part a number is off, that is more than rounding in its dtype.
LOST = {"float64": 0.01, "float32": 0.01, "float16": 0.01, "bfloat16": 0.05}
# From here on exp is not finite.
OVERFLOW = {"float16": 11.0, "bfloat16": 88.5, "float32": 88.5, "float64": 709.5}
CLASSES = (1, 0)
# The layers that ask for losses, or for gradients, at large logits.
OF_LOSSES = {"values", "soft targets", "identities", "neighbours"}
OF_SLOPES = {"gradients", "soft targets", "second order", "neighbours"}


class Climb(NamedTuple):
    """What a class gives at growing margins. Slopes are those in the margin."""

    target: int
    margins: np.ndarray
    answers: np.ndarray
    truth: np.ndarray

    def scaled(self, evidence: Evidence) -> "Climb | None":
        """The answers over their common factor (α), if they have one at ordinary logits."""
        answers, truth = self.answers[ORDINARY], self.truth[ORDINARY]
        if not np.all(np.isfinite(answers)):
            return None
        factors = answers / truth
        factor = np.mean(factors)
        if not factor or not evidence.is_constant(factors, slack=10):
            return None
        return self._replace(answers=self.answers / factor)

    def place(self, index: int) -> str:
        """From which logit on."""
        logit = float(self.margins[index])
        if not self.target:
            logit = -logit
        side = "above" if logit > 0 else "below"
        return f"{side} logit {logit:.4g}, target {self.target}"

    def is_off(self, evidence: Evidence) -> np.ndarray:
        """Where the answers are off by more than rounding, or NaN."""
        allowed = LOST[evidence.plan.dtype] * np.abs(self.truth)
        return ~(np.abs(self.answers - self.truth) <= allowed)


class Fault(NamedTuple):
    """A diagnosis, and how far from 0 its first logit is."""

    distance: float
    diagnosis: Diagnosis


def diagnose(evidence: Evidence, layers: Collection[str]) -> Iterator[Diagnosis]:
    """Nothing is said of a port that is wrong at ordinary logits: a wrong formula is not a
    numerical fault."""
    faults: list[Fault] = []
    if OF_LOSSES & {*layers}:
        faults += itertools.chain(_easy(evidence), _missed(evidence))
    if OF_SLOPES & {*layers} and evidence.differentiates():
        faults += itertools.chain(_not_finite_slopes(evidence), _dead_slopes(evidence))
    named: set[str] = set()
    for fault in sorted(faults, key=lambda fault: fault.distance):
        if fault.diagnosis.name not in named:
            yield fault.diagnosis
        named.add(fault.diagnosis.name)


def _far(evidence: Evidence) -> np.ndarray:
    return FARTHER if evidence.plan.dtype == "float64" else FAR


def _climb(
    evidence: Evidence, margins: np.ndarray, gamma: float, target: int, order: int = VALUE
) -> Climb | None:
    """The losses of a class at these margins, or their slopes."""
    dtype = evidence.plan.dtype
    margins = rounded(margins, dtype)
    ids = np.full(len(margins), target)
    classes = evidence.plan.record.classes
    points = _points(margins, target, classes)
    answers = evidence.ask(points, ids, gamma, evidence.alpha, order)
    if answers is None:
        return None
    if order and classes:
        answers = answers[:, target]
    elif order and not target:
        answers = -answers
    ones = np.ones(len(margins))
    loss, slope = float64.hard_focal(margins, ones, 1.0, gamma)
    return Climb(target, margins, answers, slope if order else loss)


def _points(margins: np.ndarray, target: int, classes: bool) -> np.ndarray:
    """The logits at which a class has these margins."""
    if not classes:
        return margins if target else -margins
    rows = np.zeros((len(margins), 2))
    rows[:, target] = margins
    return rows


def _first(condition: np.ndarray) -> int | None:
    return int(np.argmax(condition)) if condition.any() else None


def _losses(evidence: Evidence, margins: np.ndarray) -> Iterator[Climb]:
    """Those of either class with the usual γ."""
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    if evidence.plan.probabilities:
        return
    for target in CLASSES:
        climb = _climb(evidence, margins, gamma, target)
        scaled = climb and climb.scaled(evidence)
        if scaled:
            yield scaled


def _easy(evidence: Evidence) -> Iterator[Fault]:
    """The easy tail, where 1 − p_t is tiny. It has no power for γ = 0."""
    if not usual_gammas(evidence.plan, (2.0,))[0]:
        return
    for climb in _losses(evidence, EASY):
        known = np.abs(climb.truth) > 4 * SMALLEST_NORMAL[evidence.plan.dtype]
        lost = _first((known & climb.is_off(evidence)) | ~np.isfinite(climb.answers))
        if lost is not None:
            diagnosis = _of_easy(evidence, climb, known, lost)
            yield Fault(climb.margins[lost], diagnosis)


def _of_easy(evidence: Evidence, climb: Climb, known: np.ndarray, lost: int) -> Diagnosis:
    losses, margins = climb.answers, climb.margins
    off = f"off by {_percent(evidence)}"
    endless = _first(~np.isfinite(losses))
    zero = _first(known & (losses == 0))
    if endless is not None and (zero is None or endless < zero):
        return _not_finite(evidence, climb, endless)
    if zero is not None:
        sign = 1 if climb.target else -1
        side, target = ("above", "") if climb.target else ("below", ", target 0")
        message = (
            f"your (1 − p_t) cancels {side} logit {sign * margins[zero]:.1f}{target}: the loss is "
            f"exactly 0 from there on, and {off} from {sign * margins[lost]:.1f}"
        )
        return Diagnosis("cancels", message)
    if _is_flat(losses[known & (margins > 30)]):
        message = f"your loss stops falling {climb.place(lost)}: p is clipped, or ε is added"
        return Diagnosis("floor", message)
    return Diagnosis("easy_tail", f"your loss is {off} {climb.place(lost)}")


def _not_finite(evidence: Evidence, climb: Climb, index: int) -> Diagnosis:
    """A loss that is inf or NaN from some logit on."""
    overflows = abs(climb.margins[index]) >= OVERFLOW[evidence.plan.dtype]
    if np.isnan(climb.answers[index]):
        cause = ": exp overflows" if overflows else ""
        return Diagnosis("overflows", f"your loss is NaN {climb.place(index)}{cause}")
    if overflows:
        message = f"your loss is inf {climb.place(index)}: exp overflows, or p_t underflows"
        return Diagnosis("overflows", message)
    message = f"your loss is inf {climb.place(index)}: p_t is rounded to 0 before its logarithm"
    return Diagnosis("infinite", message)


def _percent(evidence: Evidence) -> str:
    return f"{100 * LOST[evidence.plan.dtype]:g} %"


def _is_flat(losses: np.ndarray) -> bool:
    return losses.size > 0 and bool(np.ptp(losses) <= 1e-3 * np.max(losses))


def _missed(evidence: Evidence) -> Iterator[Fault]:
    """The hard tail, where an example is badly missed."""
    for climb in _losses(evidence, -_far(evidence)):
        lost = _first(climb.is_off(evidence))
        if lost is None:
            continue
        distance = -climb.margins[lost]
        rest = climb.answers[lost:]
        finite = rest[: _first(~np.isfinite(rest))]
        if not finite.size:
            yield Fault(distance, _not_finite(evidence, climb, lost))
        elif _is_flat(finite[-9:]):
            epsilon = np.exp(-abs(finite[-1]))
            message = (
                f"your loss is capped at {finite[-1]:.4g} {climb.place(lost)}: "
                f"p is clipped or has ε = {epsilon:.0e}"
            )
            yield Fault(distance, Diagnosis("capped", message))
        else:
            message = f"your loss is off by {_percent(evidence)} {climb.place(lost)}"
            yield Fault(distance, Diagnosis("hard_tail", message))


class Lost(NamedTuple):
    """Where the gradient of a γ first is not finite, on one side of a class."""

    gamma: float
    side: int
    climb: Climb
    row: int

    @property
    def distance(self) -> float:
        return abs(float(self.climb.margins[self.row]))


def _not_finite_slopes(evidence: Evidence) -> Iterator[Fault]:
    gammas = usual_gammas(evidence.plan, (0.0, 0.5, 1.0, 1.5, 2.0))
    all_lost: list[Lost] = []
    for gamma, target, side in itertools.product(gammas, CLASSES, (1, -1)):
        climb = _climb(evidence, side * _far(evidence), gamma, target, GRADIENT)
        lost = None if climb is None else _first(~np.isfinite(climb.answers))
        if climb is not None and lost is not None and _is_right_before(evidence, climb, lost):
            all_lost.append(Lost(gamma, side, climb, lost))
    if not all_lost:
        return
    first = min(all_lost, key=lambda lost: lost.distance)
    word = "NaN" if np.isnan(first.climb.answers[first.row]) else "inf"
    place = first.climb.place(first.row)
    message = f"your gradient is {word} {place}, for γ = {first.gamma:g}"
    if first.side > 0 and _is_of_the_power(first, all_lost):
        message += ": the power rule needs (1 − p_t)^(γ − 1)"
    yield Fault(first.distance, Diagnosis("nan_gradient", message))


def _is_right_before(evidence: Evidence, climb: Climb, lost: int) -> bool:
    """Whether the gradient is that of the loss at the logits before, as far as it is known."""
    return lost < ORDINARY.stop or climb.scaled(evidence) is not None


def _is_of_the_power(first: Lost, all_lost: list[Lost]) -> bool:
    """Whether γ ≥ 1, which has no power below 0, is finite there."""
    if first.gamma >= 1:
        return False
    place = (first.side, first.climb.target)
    for lost in all_lost:
        is_there = (lost.side, lost.climb.target) == place and lost.distance <= first.distance
        if lost.gamma > 1 and is_there:
            return False
    return True


def _dead_slopes(evidence: Evidence) -> Iterator[Fault]:
    """Gradients that vanish where an example is badly missed."""
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    for target in CLASSES:
        climb = _climb(evidence, -_far(evidence), gamma, target, GRADIENT)
        scaled = climb and climb.scaled(evidence)
        gone = None
        if scaled:
            gone = _first(np.abs(scaled.answers) <= 0.01 * np.abs(scaled.truth))
        if scaled and gone is not None:
            message = f"your gradient is 0 {scaled.place(gone)}: p is clipped there"
            yield Fault(-scaled.margins[gone], Diagnosis("dead_gradient", message))
