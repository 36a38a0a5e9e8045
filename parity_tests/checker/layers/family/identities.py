"""Identities of varifocal, heatmap and asymmetric losses: they ask the port about itself."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import mpmath
import numpy as np

from parity_tests.contract.problems import ASYMMETRIC, VARIFOCAL, powers_of
from parity_tests.ports.family_questions import problem, settings
from parity_tests.ports.subject import VALUE, Plan, PortError, Subject
from parity_tests.truth import readings

from ..identities import Losses, Numbers, at_most, equal, sizes_of, spaced_logits
from ..judge import Check, Finding

# Exact in every dtype.
TARGETS = (0.0, 1.0, 0.5)
LOW_TO_HIGH = (0.0, 0.5, 1.0, 2.0, 5.0)
SHIFTS = (0.0, 0.0625, 0.25)


def _ask(
    subject: Subject, plan: Plan, logits: np.ndarray, targets: Sequence[float], **chosen: Any
) -> Losses:
    """Each logit with each target, or with the one there is."""
    z = np.repeat(logits, len(targets))
    y = np.tile(targets, len(logits))
    free = {name: x for name, x in chosen.items() if name not in plan.fixed}
    asked = problem(plan, z, y, settings(plan) | free)
    return Losses(asked, subject.answer(asked, VALUE).tolist())


def _alpha(plan: Plan) -> float | None:
    """The one that is fixed, or None, or 1/2 for ports that refuse None."""
    return plan.fixed.get("alpha", None if plan.without_alpha else 0.5)


def _alike(plan: Plan, power: float = 0.0) -> dict[str, Any]:
    """All powers of a hard target's loss alike, and no shift."""
    chosen = dict.fromkeys(powers_of(plan.record.name), power)
    if plan.record.name == ASYMMETRIC:
        chosen["shift"] = 0.0
    return chosen


def _can_be(plan: Plan, chosen: dict[str, Any]) -> bool:
    """Whether the settings that a hard target's loss depends on are free, or are these."""
    wanted = {name: x for name, x in chosen.items() if name != "beta"}
    return all(plan.fixed.get(name, x) == x for name, x in wanted.items())


def cross_entropy(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    chosen = _alike(plan)
    targets = (0.0, 1.0)
    if not _can_be(plan, chosen):
        if plan.record.name != VARIFOCAL:
            return
        # Its positives have no γ.
        targets = (1.0,)
    losses = _ask(subject, plan, spaced_logits(plan), targets, alpha=_alpha(plan), **chosen)
    expected: list[Any] = []
    for z, y in losses.problem.points.tolist():
        with mpmath.workdps(40):
            margin = mpmath.mpf(z if y else -z)
            expected.append(_weight(plan, y) * readings.neg_log_sigmoid(margin))
    message = "without a modulating factor a hard target has the cross entropy"
    yield from equal(plan, losses, expected, message)


def _weight(plan: Plan, target: float) -> float:
    """What α makes of a hard target's loss."""
    alpha = _alpha(plan)
    if alpha is None:
        return 1.0
    if plan.record.name == VARIFOCAL:
        return 1.0 if target else alpha
    return alpha if target else 1 - alpha


def falls_with_power(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    for name in powers_of(plan.record.name):
        yield from _falls(subject, plan, name, LOW_TO_HIGH)


def falls_with_shift(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _falls(subject, plan, "shift", SHIFTS)


def _falls(subject: Subject, plan: Plan, name: str, values: Sequence[float]) -> Iterator[Finding]:
    if name in plan.fixed:
        return
    every = [_ask(subject, plan, spaced_logits(plan), TARGETS, **{name: x}) for x in values]
    for (low, before), (high, losses) in itertools.pairwise(zip(values, every, strict=True)):
        message = f"{name} = {high:g} costs at most what {name} = {low:g} does"
        sizes = _larger(sizes_of(plan, before.problem), sizes_of(plan, losses.problem))
        yield from at_most(plan, losses, before.numbers, message, sizes)


def _larger(these: Numbers, those: Numbers) -> Numbers:
    return [max(pair) for pair in zip(these, those, strict=True)]


def swapped_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    chosen = _alike(plan, plan.fixed.get("gamma", 2.0))
    alpha = _alpha(plan)
    if alpha not in (None, 0.5) or not _can_be(plan, chosen):
        return
    logits = spaced_logits(plan)
    pairs = [(alpha, alpha)] if "alpha" in plan.fixed else [(alpha, alpha), (0.25, 0.75)]
    for one, other in pairs:
        losses = _ask(subject, plan, logits, (1.0,), alpha=one, **chosen)
        mirrored = _ask(subject, plan, -logits, (0.0,), alpha=other, **chosen)
        yield from equal(plan, losses, mirrored.numbers, "L(z, 1; α) = L(−z, 0; 1 − α)")


def between_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    logits = spaced_logits(plan)
    low, high = (_ask(subject, plan, logits, (y,)).numbers for y in (0.0, 1.0))
    losses = _ask(subject, plan, logits, (0.25,))
    pairs = zip(low, high, strict=True)
    expected = [0.75 * negative + 0.25 * positive for negative, positive in pairs]
    message = "L(z, y) = y·L(z, 1) + (1 − y)·L(z, 0)"
    yield from equal(plan, losses, expected, message, sizes_of(plan, losses.problem))


def positives_alike(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if "gamma" in plan.fixed:
        return
    logits = spaced_logits(plan)
    expected = _ask(subject, plan, logits, TARGETS[1:], gamma=0.5).numbers
    losses = _ask(subject, plan, logits, TARGETS[1:], gamma=5.0)
    message = "a positive has the same loss with every γ"
    yield from equal(plan, losses, expected, message, sizes_of(plan, losses.problem))


CHECKS: tuple[Check, ...] = (
    cross_entropy,
    falls_with_power,
    falls_with_shift,
    swapped_classes,
    between_classes,
    positives_alike,
)
IDENTITIES = {check.__name__: check for check in CHECKS}
