"""The formula that a port has, found by its losses and gradients at ordinary logits under several
settings."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity_tests.checker.diagnosis.evidence import (
    NO_GRADIENT,
    WRONG_GRADIENT,
    Diagnosis,
    Evidence,
)
from parity_tests.checker.diagnosis.usage import CALLS
from parity_tests.contract.problems import ASYMMETRIC, HEATMAP, VARIFOCAL, Problem
from parity_tests.ports import family_questions
from parity_tests.ports.subject import GRADIENT, VALUE, PortError

from .asymmetric import ASYMMETRICS
from .formulas import LOSSES, Formula, Points, Settings, slope
from .readings import HEATMAPS, VARIFOCALS, Reading

READINGS = {VARIFOCAL: VARIFOCALS, HEATMAP: HEATMAPS, ASYMMETRIC: ASYMMETRICS}
# Both sides of each usual shift, and targets that every dtype has.
LOGITS = (-4.0, -2.0, -0.75, 0.5, 1.25)
TARGETS = (0.0, 0.25, 0.5, 0.75, 1.0)
# They have every β, shift, weight and modulator.
TURNS = range(5)
# Below it an error counts as if the loss were this large.
SMALL = 1e-3
HELD = "no gradient flows through your modulating factor"
FLOWS = "a gradient flows through your modulating factor"


@dataclass(frozen=True)
class Asked:
    """A question under some settings, and the port's answer."""

    settings: Settings
    points: Points
    losses: np.ndarray
    # None where the port raises an error.
    grads: np.ndarray | None

    @property
    def held(self) -> bool:
        return bool(self.settings.get("constant_modulator", False))


def ask(evidence: Evidence, z: np.ndarray, y: np.ndarray, settings: dict[str, Any]) -> Asked | None:
    """None where the port raises an error, which is a finding of its layer."""
    problem = family_questions.problem(evidence.plan, z, y, settings)
    losses = _answer(evidence, problem, VALUE)
    if losses is None:
        return None
    grads = None
    if evidence.differentiates():
        grads = _answer(evidence, problem, GRADIENT)
    points = Points.of(problem.argument("logits"), problem.argument("targets"))
    return Asked(settings, points, losses.astype(float), grads)


def _answer(evidence: Evidence, problem: Problem, order: int) -> np.ndarray | None:
    try:
        return evidence.subject.answer(problem, order)
    except PortError:
        return None


def is_unsteady(evidence: Evidence) -> bool:
    """Whether a row of equal calls has different answers."""
    settings = family_questions.settings(evidence.plan)
    z, y = np.array(LOGITS), np.array(TARGETS)
    question = family_questions.problem(evidence.plan, z, y, settings)
    answers = [_answer(evidence, question, VALUE) for _ in range(CALLS)]
    first = answers[0]
    if first is None:
        return False
    return any(one is None or not np.array_equal(one, first, equal_nan=True) for one in answers)


@dataclass(frozen=True)
class Answers:
    evidence: Evidence
    asked: list[Asked]

    @classmethod
    def of(cls, evidence: Evidence) -> "Answers":
        z, y = np.array(list(itertools.product(LOGITS, TARGETS))).T
        asked: list[Asked] = []
        for turn in TURNS:
            found = ask(evidence, z, y, family_questions.settings(evidence.plan, turn))
            if found is not None:
                asked.append(found)
        return cls(evidence, asked)

    @property
    def is_precise(self) -> bool:
        """Half precision loses 1 − p at ordinary logits, and says nothing of formulas that do not
        fit."""
        return self.evidence.plan.dtype in ("float32", "float64")

    def agree(self, answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
        allowed = self.evidence.near * np.maximum(np.abs(truth), SMALL)
        return np.abs(answers - truth) <= allowed

    def fit(self, formula: Formula) -> bool:
        return all(
            self.agree(one.losses, formula(one.points, one.settings)).all() for one in self.asked
        )

    def slopes_fit(self, formula: Formula, held: bool | None = None) -> bool:
        """Whether gradients are those of the formula, with the modulator that was asked for or with
        this one."""
        for one in self.asked:
            constant = one.held if held is None else held
            truth = slope(formula, one.points, one.settings, constant)
            if one.grads is None or not self.agree(one.grads, truth).all():
                return False
        return True

    def factor(self, formula: Formula) -> float:
        """The number by which all losses are too large, or 0."""
        ratios: list[np.ndarray] = []
        for one in self.asked:
            truth = formula(one.points, one.settings)
            if not self.agree(one.losses[truth == 0], truth[truth == 0]).all():
                return 0.0
            large = np.abs(truth) > SMALL
            ratios.append(one.losses[large] / truth[large])
        together = np.concatenate(ratios)
        is_constant = np.isfinite(together).all() and self.evidence.is_constant(together)
        return float(np.mean(together)) if is_constant else 0.0


def reading_of(answers: Answers) -> Reading | None:
    """What explains every answer, the formula of the contract first; that one has no name."""
    name = answers.evidence.plan.record.name
    for reading in (Reading("", "", LOSSES[name]), *READINGS[name]):
        if answers.fit(reading.formula):
            return reading
    return None


def diagnose(answers: Answers, reading: Reading | None) -> Iterator[Diagnosis]:
    """What is said of a reading and of its gradients, or of losses that have none."""
    if reading is None:
        yield from _without_reading(answers)
        return
    if reading.name:
        yield Diagnosis(reading.name, reading.message)
    yield from _of_slopes(answers, reading.formula)


def _of_slopes(answers: Answers, formula: Formula) -> Iterator[Diagnosis]:
    """Of which modulating factor the gradients are, if they are not as asked for."""
    evidence = answers.evidence
    if not evidence.differentiates() or answers.slopes_fit(formula):
        return
    endless = next(filter(None, map(_not_finite, answers.asked)), None)
    if all(one.grads is None for one in answers.asked):
        yield NO_GRADIENT
    elif endless is not None:
        yield endless
    elif answers.slopes_fit(formula, held=True):
        yield _held(evidence)
    elif not answers.slopes_fit(formula, held=False):
        if answers.is_precise:
            yield WRONG_GRADIENT
    elif evidence.plan.fixed.get("constant_modulator"):
        yield Diagnosis("flowing_modulator", f"{FLOWS}, which you declare to be constant")
    else:
        yield Diagnosis("flowing_modulator", f"{FLOWS} whatever constant_modulator is")


def _held(evidence: Evidence) -> Diagnosis:
    """Where a port may have it so, it is said how to declare that."""
    may = "modulator" in evidence.plan.record.conventions
    advice = "; if that is meant, say --convention modulator=constant" if may else ""
    return Diagnosis("held_modulator", f"{HELD}{advice}")


def _not_finite(one: Asked) -> Diagnosis | None:
    """A gradient that is not finite at an ordinary logit."""
    if one.grads is None or np.isfinite(one.grads).all():
        return None
    row = int(np.argmin(np.isfinite(one.grads)))
    at = f"logit {one.points.z[row]:g}, target {one.points.y[row]:g}".replace("-", "−")
    powers = powers_of(one.settings)
    word = "NaN" if np.isnan(one.grads[row]) else "inf"
    return Diagnosis("nan_gradient", f"your gradient is {word} at {at}, for {powers}")


def powers_of(settings: Settings) -> str:
    """As a message names them."""
    names = [name for name in settings if "gamma" in name]
    return ", ".join(f"{name} = {settings[name]:g}" for name in names)


def _without_reading(answers: Answers) -> Iterator[Diagnosis]:
    """A constant factor, or for which targets the loss is right."""
    own = LOSSES[answers.evidence.plan.record.name]
    factor = answers.factor(own)
    if factor:
        yield Diagnosis("factor", f"your loss is {factor:.6g} times this one")
    elif answers.is_precise:
        yield _unknown(answers, own)


def _unknown(answers: Answers, own: Formula) -> Diagnosis:
    """For which targets the loss is right."""
    right = np.ones(len(LOGITS) * len(TARGETS), bool)
    for one in answers.asked:
        right &= answers.agree(one.losses, own(one.points, one.settings))
    by_target = right.reshape(len(LOGITS), len(TARGETS))
    known = [f"{y:g}" for column, y in enumerate(TARGETS) if by_target[:, column].all()]
    message = "your loss is none of the known formulas"
    if known:
        message += f"; it is right for targets of {', '.join(known)} alone"
    return Diagnosis("unknown", message)
