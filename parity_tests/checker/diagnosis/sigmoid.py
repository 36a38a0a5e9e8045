"""The formula that a sigmoid port has, found by its losses at ordinary logits, where rounding does
not matter."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.ports.subject import GRADIENT
from parity_tests.truth import readings

from . import messages
from .evidence import DETACHED, NO_GRADIENT, WRONG_GRADIENT, Diagnosis, Evidence

Real = Any  # an mpf; mpmath has no types

ORDINARY = (-2.0, -0.75, 0.5, 1.25)
POINTS = tuple(itertools.product(ORDINARY, (0, 1)))
SOFT_POINTS = tuple(itertools.product(ORDINARY, (0.3, 0.8)))


class Setting(NamedTuple):
    gamma: float
    alpha: float | None


class Reading(NamedTuple):
    """The names of what a port makes of α, and of its formula."""

    alpha: str
    form: str


@cache
def predicted(reading: Reading, setting: Setting, beta: float) -> tuple[float, ...]:
    """A reading's losses at the ordinary points."""
    form = readings.FORM[reading.form]
    extra = (beta,) if reading.form == "FL*" else ()
    losses = []
    with mpmath.workdps(20):
        for z, y in POINTS:
            loss = form(mpf(z), y, mpf(setting.gamma), *extra)
            if setting.alpha is not None:
                loss *= readings.ALPHA[reading.alpha](y, mpf(setting.alpha))
            losses.append(float(loss))
    return tuple(losses)


@dataclass(frozen=True)
class Answers:
    """A port's losses at the ordinary points, and the reading that it declares."""

    evidence: Evidence
    declared: Reading
    losses: dict[Setting, np.ndarray]

    def fits(self, reading: Reading, setting: Setting) -> bool:
        # FL* divides by γ, and may give anything for 0.
        if reading.form == "FL*" and not setting.gamma:
            return True
        expected = predicted(reading, setting, self.evidence.beta)
        return self.evidence.agrees(self.losses[setting], expected)

    def explain(self, settings: list[Setting]) -> list[Diagnosis]:
        """The reading nearest to the declared one that fits all of these settings."""
        own = self.declared
        pairs = itertools.product((own.alpha, *readings.ALPHA), (own.form, *readings.FORM))
        candidates = itertools.starmap(Reading, pairs)
        for reading in sorted(candidates, key=self._differences):
            if all(self.fits(reading, setting) for setting in settings):
                return self._diagnoses(reading)
        return []

    def _differences(self, reading: Reading) -> int:
        return (reading.alpha != self.declared.alpha) + (reading.form != self.declared.form)

    def _diagnoses(self, reading: Reading) -> list[Diagnosis]:
        diagnoses = []
        if reading.alpha != self.declared.alpha:
            diagnoses.append(Diagnosis(reading.alpha, messages.ALPHA[reading.alpha]))
        if reading.form != self.declared.form:
            diagnoses.append(Diagnosis(reading.form, messages.FORM[reading.form]))
        return diagnoses

    def is_sentinel(self, setting: Setting) -> bool:
        """Whether None is applied as −1, the number by which torchvision says that there is no
        α."""
        if setting.alpha is not None:
            return False
        reading = Reading("positive", self.declared.form)
        expected = predicted(reading, Setting(setting.gamma, -1.0), self.evidence.beta)
        return self.evidence.agrees(self.losses[setting], expected)

    def ignore_gamma(self) -> bool:
        """Whether the losses are those of γ = 2 for every γ."""
        compared = False
        for setting, losses in self.losses.items():
            expected = self.losses.get(Setting(2.0, setting.alpha))
            if setting.gamma == 2.0 or expected is None:
                continue
            if not np.array_equal(losses, expected):
                return False
            compared = True
        return compared

    def factor(self, settings: list[Setting]) -> float:
        """The number by which all losses of these settings are too large, or 0."""
        expected = [predicted(self.declared, s, self.evidence.beta) for s in settings]
        losses = [self.losses[setting] for setting in settings]
        ratios = np.concatenate(losses) / np.array(expected).ravel()
        return float(np.mean(ratios)) if self.evidence.is_constant(ratios) else 0.0


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """The readings of α and of the formula that explain every answer, or those answers that are not
    explained."""
    answers = _answers(evidence)
    settings = list(answers.losses)
    wrong = [setting for setting in settings if not answers.fits(answers.declared, setting)]
    if wrong:
        yield from answers.explain(settings) or _partly(answers, wrong)
        return
    yield from _slope(evidence, answers.declared)
    yield from _soft(evidence)


def _answers(evidence: Evidence) -> Answers:
    plan = evidence.plan
    alphas: list[float | None] = [0.25, 0.75]
    if "alpha" in plan.fixed:
        alphas = [plan.fixed["alpha"]]
    elif plan.without_alpha:
        alphas.append(None)
    logits, targets = zip(*POINTS, strict=True)
    answers: dict[Setting, np.ndarray] = {}
    for gamma in usual_gammas(plan, (2.0, 1.5, 0.5, 0.0)):
        for alpha in alphas:
            losses = evidence.ask(logits, targets, gamma, alpha)
            # An error of the port is a finding of its layer, and says nothing of its formula.
            if losses is not None:
                answers[Setting(gamma, alpha)] = losses
    declared = Reading(plan.convention("alpha"), plan.convention("form"))
    return Answers(evidence, declared, answers)


def _partly(answers: Answers, wrong: list[Setting]) -> Iterator[Diagnosis]:
    """A formula that is right for some settings only, or a constant factor, or none that is
    known."""
    rest = [setting for setting in wrong if not answers.is_sentinel(setting)]
    if len(rest) < len(wrong):
        message = "alpha=None is applied as the number −1: class 1 gets −1, class 0 gets 2"
        yield Diagnosis("alpha_sentinel", message)
    if not rest:
        return
    if answers.ignore_gamma():
        message = "your gamma has no effect: the loss has γ = 2 whatever is passed"
        yield Diagnosis("gamma_fixed", message)
    elif diagnoses := answers.explain(rest):
        gammas = dict.fromkeys(f"γ = {setting.gamma:g}" for setting in rest)
        where = ", ".join(gammas)
        for name, message in diagnoses:
            yield Diagnosis(name, f"{message}; only for {where}")
    elif factor := answers.factor(rest):
        yield Diagnosis("factor", f"your loss is {factor:.6g} times this one")
    else:
        gamma, alpha = rest[0]
        message = f"your loss is none of the known formulas at γ = {gamma:g}, α = {alpha}"
        yield Diagnosis("unknown", message)


def _slope(evidence: Evidence, declared: Reading) -> Iterator[Diagnosis]:
    """A gradient that is not the derivative of the loss, although the loss is right."""
    if not evidence.differentiates():
        return
    gamma = usual_gammas(evidence.plan, (2.0, 0.5))[0]
    logits, targets = zip(*POINTS, strict=True)
    grads = evidence.ask(logits, targets, gamma, evidence.alpha, GRADIENT)
    if grads is None:
        yield NO_GRADIENT
        return
    setting = Setting(gamma, evidence.alpha)
    expected = _derivatives(declared, setting, evidence.beta)
    ratios = grads / expected
    if evidence.agrees(grads, expected):
        return
    if evidence.agrees(grads, _detached(declared, setting)):
        yield DETACHED
    elif evidence.is_constant(ratios):
        message = f"your gradient is {np.mean(ratios):.6g} times the derivative"
        yield Diagnosis("gradient_factor", message)
    else:
        yield WRONG_GRADIENT


def _derivatives(reading: Reading, setting: Setting, beta: float) -> np.ndarray:
    """A reading's gradients at the ordinary points."""
    gamma, alpha = setting
    loss = readings.declared(reading.alpha, "interpolate", reading.form, beta)
    with mpmath.workdps(30):
        grads = [float(readings.derivative(loss, z, y, alpha, gamma, 1)) for z, y in POINTS]
    return np.array(grads)


def _detached(reading: Reading, setting: Setting) -> list[float]:
    """The gradients without the derivative of (1 − p_t)^γ."""
    grads = []
    with mpmath.workdps(30):
        for z, y in POINTS:
            sign = 1 if y else -1
            q = readings.sigmoid(-mpf(sign * z))
            grad = -sign * q ** (setting.gamma + 1)
            if setting.alpha is not None:
                grad *= readings.ALPHA[reading.alpha](y, mpf(setting.alpha))
            grads.append(float(grad))
    return grads


def _soft(evidence: Evidence) -> Iterator[Diagnosis]:
    """Which of the rules for soft targets the port has, if not the one that it should."""
    rule = evidence.plan.convention("soft_targets")
    if rule == "hard" or evidence.plan.convention("form") != "FL":
        return
    gamma = evidence.gammas[-1]
    logits, targets = zip(*SOFT_POINTS, strict=True)
    losses = evidence.ask(logits, targets, gamma, evidence.alpha)
    for name in (rule, *readings.SOFT):
        if evidence.agrees(losses, _soft_losses(evidence, name, gamma)):
            if name != rule:
                yield Diagnosis(name, messages.SOFT[name])
            return
    if losses is not None:
        yield Diagnosis("soft_unknown", "soft targets follow none of the known rules")


def _soft_losses(evidence: Evidence, rule: str, gamma: float) -> list[float]:
    """The losses of a rule at the soft points, with α as the port declares it."""
    loss = readings.SOFT[rule]
    weight = readings.ALPHA[evidence.plan.convention("alpha")]
    alpha = evidence.alpha
    losses = []
    with mpmath.workdps(20):
        for logit, target in SOFT_POINTS:
            z, y = mpf(logit), mpf(target)
            if alpha is None:
                value = loss(z, y, gamma)
            elif rule == "mixture":
                # Each of the two losses that are mixed has the α of its own class.
                one = weight(1, alpha) * readings.focal(z, gamma)
                zero = weight(0, alpha) * readings.focal(-z, gamma)
                value = y * one + (1 - y) * zero
            else:
                value = weight(y, alpha) * loss(z, y, gamma)
            losses.append(float(value))
    return losses
