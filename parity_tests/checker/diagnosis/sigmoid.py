"""The formula that a sigmoid port has, found by its losses at ordinary logits, where rounding does
not matter."""

import itertools
from collections.abc import Callable, Iterator
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
from .evidence import Diagnosis, Evidence
from .slopes import Named, Setting, Slopes, different

Real = Any  # an mpf; mpmath has no types

ORDINARY = (-2.0, -0.75, 0.5, 1.25)
POINTS = tuple(itertools.product(ORDINARY, (0, 1)))
LOGITS, TARGETS = zip(*POINTS, strict=True)
# α is the exponent, and γ weights the classes.
SWAPPED = "swapped"
FORMS = (*readings.FORM, SWAPPED)


class Reading(NamedTuple):
    """The names of what a port makes of α, and of its formula."""

    alpha: str
    form: str

    def loss(self, setting: Setting, beta: float) -> Callable[[Real, int], Real]:
        """The loss of a logit and a hard target."""
        gamma, alpha = setting
        name = self.form
        if name == SWAPPED:
            name = "FL"
            if alpha is not None:
                gamma, alpha = alpha, gamma
        form = readings.FORM[name]
        extra = (beta,) if name == "FL*" else ()

        def of_point(z: Real, y: int) -> Real:
            loss = form(z, y, mpf(gamma), *extra)
            return loss if alpha is None else loss * readings.ALPHA[self.alpha](y, mpf(alpha))

        return of_point


@cache
def predicted(reading: Reading, setting: Setting, beta: float) -> tuple[float, ...]:
    """A reading's losses at the ordinary points."""
    loss = reading.loss(setting, beta)
    with mpmath.workdps(20):
        return tuple(float(loss(mpf(z), y)) for z, y in POINTS)


@cache
def derivatives(reading: Reading, setting: Setting, beta: float) -> np.ndarray:
    """A reading's gradients at the ordinary points."""
    loss = reading.loss(setting, beta)
    grads: list[float] = []
    with mpmath.workdps(30):
        for z, y in POINTS:
            grads.append(float(mpmath.diff(lambda x, y=y: loss(x, y), mpf(z))))
    return np.array(grads)


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

    def reading(self, settings: list[Setting]) -> Reading | None:
        """The reading nearest to the declared one that fits all of these settings."""
        for reading in candidates(self.declared):
            if all(self.fits(reading, setting) for setting in settings):
                return reading
        return None

    def diagnoses(self, reading: Reading) -> list[Diagnosis]:
        """What a reading says that is not declared."""
        if reading.form == SWAPPED:
            return [Diagnosis(SWAPPED, messages.FORM[SWAPPED])]
        diagnoses: list[Diagnosis] = []
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


def candidates(declared: Reading) -> list[Reading]:
    """All readings, those nearest to the declared one first."""
    pairs = itertools.product((declared.alpha, *readings.ALPHA), (declared.form, *FORMS))
    readings_ = list(itertools.starmap(Reading, pairs))
    return sorted(readings_, key=lambda reading: _differences(reading, declared))


def _differences(reading: Reading, declared: Reading) -> int:
    return (reading.alpha != declared.alpha) + (reading.form != declared.form)


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """The readings of α and of the formula that explain every answer, or those answers that are not
    explained."""
    answers = _answers(evidence)
    slopes = _slopes(evidence)
    settings = list(answers.losses)
    own = answers.declared
    wrong = [setting for setting in settings if not answers.fits(own, setting)]
    if not wrong:
        asked, detached = _named(evidence, own, own), Named("detached", _detached_of(own))
        yield from slopes.of_right_value(asked, detached, _others(evidence, own))
        return
    reading = answers.reading(settings)
    if reading is None:
        yield from _partly(answers, wrong, slopes)
        return
    found = list(slopes.follow(_named(evidence, reading, own), _others(evidence, own)))
    if "different_losses" in {diagnosis.name for diagnosis in found}:
        yield from found
    elif found and reading.form == "gamma_ignored" and slopes.answers:
        yield different("that of cross entropy, without (1 − p_t)^γ", "not its derivative")
    else:
        yield from [*answers.diagnoses(reading), *found]


def _named(evidence: Evidence, reading: Reading, declared: Reading) -> Named:
    name = reading.form
    if reading.alpha != declared.alpha and name != SWAPPED:
        name = f"alpha {reading.alpha}"
    return Named(name, lambda setting: derivatives(reading, setting, evidence.beta))


def _others(evidence: Evidence, declared: Reading) -> Iterator[Named]:
    """The losses that differ from the declared one in one thing."""
    for reading in candidates(declared):
        if _differences(reading, declared) < 2:
            yield _named(evidence, reading, declared)


def _answers(evidence: Evidence) -> Answers:
    plan = evidence.plan
    alphas: list[float | None] = [0.25, 0.75]
    if "alpha" in plan.fixed:
        alphas = [plan.fixed["alpha"]]
    elif plan.without_alpha:
        alphas.append(None)
    answers: dict[Setting, np.ndarray] = {}
    for gamma in usual_gammas(plan, (2.0, 1.5, 0.5, 0.0)):
        for alpha in alphas:
            losses = evidence.ask(LOGITS, TARGETS, gamma, alpha)
            # An error of the port is a finding of its layer, and says nothing of its formula.
            if losses is not None:
                answers[Setting(gamma, alpha)] = losses
    declared = Reading(plan.convention("alpha"), plan.convention("form"))
    return Answers(evidence, declared, answers)


def _slopes(evidence: Evidence) -> Slopes:
    answers: dict[Setting, np.ndarray | None] = {}
    if evidence.differentiates():
        for gamma in usual_gammas(evidence.plan, (2.0, 0.5)):
            grads = evidence.ask(LOGITS, TARGETS, gamma, evidence.alpha, GRADIENT)
            answers[Setting(gamma, evidence.alpha)] = grads
    return Slopes(evidence, answers)


def _partly(answers: Answers, wrong: list[Setting], slopes: Slopes) -> Iterator[Diagnosis]:
    """A formula that is right for some settings only, or a constant factor, or none that is
    known."""
    rest = [setting for setting in wrong if not answers.is_sentinel(setting)]
    if len(rest) < len(wrong):
        message = "alpha=None is applied as the number −1: class 1 gets −1, class 0 gets 2"
        yield Diagnosis("alpha_sentinel", message)
    if not rest:
        return
    reading = answers.reading(rest)
    if answers.ignore_gamma() and not slopes.ignore_gamma():
        yield different("that of γ = 2 whatever is passed", "follows gamma")
    elif answers.ignore_gamma():
        message = "your gamma has no effect: the loss has γ = 2 whatever is passed"
        yield Diagnosis("gamma_fixed", message)
    elif reading is not None:
        gammas = dict.fromkeys(f"γ = {setting.gamma:g}" for setting in rest)
        where = ", ".join(gammas)
        for name, message in answers.diagnoses(reading):
            yield Diagnosis(name, f"{message}; only for {where}")
    elif factor := answers.factor(rest):
        yield Diagnosis("factor", f"your loss is {factor:.6g} times this one")
    else:
        gamma, alpha = rest[0]
        message = f"your loss is none of the known formulas at γ = {gamma:g}, α = {alpha}"
        yield Diagnosis("unknown", message)


def _detached_of(reading: Reading) -> Callable[[Setting], np.ndarray]:
    return lambda setting: np.array(_detached(reading, setting))


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
