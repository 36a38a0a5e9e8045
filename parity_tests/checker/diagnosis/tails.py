"""Numerical faults, found by climbing: one logit after the other, until the loss or its gradient is
no longer there."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity_tests.contract.tolerances import SMALLEST_NORMAL
from parity_tests.ports.subject import GRADIENT, VALUE
from parity_tests.truth import float64

from .evidence import Diagnosis, Evidence

EASY = np.arange(0, 90.01, 0.125)
MISSED = np.arange(0, 120.01, 0.5)
FAR = np.concatenate([np.arange(0, 120.01, 0.25), [200.0, 1000.0, 1e4]])
LOST = 0.01


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """Each ladder speaks only where its first rungs are right: a wrong formula is not a numerical
    fault."""
    yield from _easy(evidence)
    yield from _missed(evidence)
    if evidence.differentiates():
        yield from _slopes(evidence)


def _ask(
    evidence: Evidence, margins: np.ndarray, gamma: float, order: int = VALUE
) -> tuple[Any, np.ndarray]:
    """The answers for class 1 at these margins, and the loss or slope that class 1 has there
    without α."""
    loss, slope = float64.hard_focal(margins, np.ones(len(margins)), 1.0, gamma)
    if not evidence.plan.record.classes:
        got = evidence.ask(margins, [1] * len(margins), gamma, evidence.alpha, order)
        return got, slope if order else loss
    rows = np.stack([np.zeros_like(margins), margins], 1)
    got = evidence.ask(rows, [1] * len(margins), gamma, evidence.alpha, order)
    return got if got is None or not order else got[:, 1], slope if order else loss


def _scaled(evidence: Evidence, got: np.ndarray | None, truth: np.ndarray) -> np.ndarray | None:
    """The answers over their common factor (α), if the first rungs have one."""
    if got is None or not np.all(np.isfinite(got[:9])):
        return None
    factors = got[:9] / truth[:9]
    ordinary = np.ptp(factors) <= 10 * evidence.near * abs(np.mean(factors))
    return got / np.mean(factors) if ordinary and np.mean(factors) else None


def _first(condition: np.ndarray) -> int | None:
    return int(np.argmax(condition)) if condition.any() else None


def _representable(evidence: Evidence, truth: np.ndarray) -> np.ndarray:
    return np.abs(truth) > 4 * SMALLEST_NORMAL[evidence.plan.dtype]


def _middle_gamma(evidence: Evidence) -> float:
    return next((g for g in (2.0, 0.5, *evidence.gammas) if g in evidence.gammas and g > 0), 0.0)


def _easy(evidence: Evidence) -> Iterator[Diagnosis]:
    """The easy tail, where 1 − p_t is tiny."""
    if evidence.plan.probabilities or not (gamma := _middle_gamma(evidence)):
        return
    raw, truth = _ask(evidence, EASY, gamma)
    got = _scaled(evidence, raw, truth)
    if got is None:
        return
    known = _representable(evidence, truth)
    lost = _first(known & ~(np.abs(got - truth) <= LOST * truth))
    if lost is None:
        return
    zero = _first(known & (got == 0))
    ends = known & (EASY > 30)
    if zero is not None:
        yield Diagnosis(
            "cancels",
            f"your (1 − p_t) cancels above logit {EASY[zero]:.1f}: the loss is exactly 0 from there on, "
            f"and off by 1 % from {EASY[lost]:.1f}",
        )
    elif not np.all(np.isfinite(got[known])):
        yield Diagnosis(
            "overflows", f"your loss is not finite above logit {EASY[lost]:.1f}, target 1"
        )
    elif ends.any() and np.ptp(got[ends]) <= 1e-3 * np.max(got[ends]):
        yield Diagnosis(
            "floor",
            f"your loss stops falling at logit {EASY[lost]:.1f}: p is clipped, or ε is added",
        )
    else:
        yield Diagnosis(
            "easy_tail", f"your loss is off by 1 % from logit {EASY[lost]:.1f} on, target 1"
        )


def _missed(evidence: Evidence) -> Iterator[Diagnosis]:
    """The hard tail, where a positive is badly missed."""
    if evidence.plan.probabilities:
        return
    raw, truth = _ask(evidence, -MISSED, _middle_gamma(evidence))
    got = _scaled(evidence, raw, truth)
    if got is None or raw is None:
        return
    lost = _first(~(np.abs(got - truth) <= LOST * truth))
    if lost is None:
        return
    where, last = f"logit {-MISSED[lost]:.1f}, target 1", got[-1]
    if not np.isfinite(last):
        yield Diagnosis("overflows", f"your loss is not finite below {where}: exp overflows")
    elif np.ptp(got[-9:]) <= 1e-3 * abs(last):
        epsilon = np.exp(-abs(last))
        yield Diagnosis(
            "capped",
            f"your loss is capped at {last:.4g} below {where}: p is clipped or has ε = {epsilon:.0e}",
        )
    else:
        yield Diagnosis("hard_tail", f"your loss is off by 1 % below {where}")


def _slopes(evidence: Evidence) -> Iterator[Diagnosis]:
    """Gradients that are NaN at saturation, and those that vanish where a positive is badly
    missed."""
    for gamma in [g for g in (0.0, 0.5, 1.0, 1.5, 2.0) if g in evidence.gammas] or evidence.gammas[
        :1
    ]:
        for side, name in ((1, "above"), (-1, "below")):
            got, _ = _ask(evidence, side * FAR, gamma, GRADIENT)
            lost = None if got is None else _first(~np.isfinite(got))
            if lost is not None:
                says = f"your gradient is NaN {name} logit {side * FAR[lost]:.4g}, target 1, for γ = {gamma:g}"
                power = gamma < 1 and side > 0
                yield Diagnosis(
                    "nan_gradient",
                    says + (": the power rule needs (1 − p_t)^(γ − 1)" if power else ""),
                )
                return
    raw, truth = _ask(evidence, -MISSED, _middle_gamma(evidence), GRADIENT)
    got = _scaled(evidence, raw, truth)
    gone = None if got is None else _first(np.abs(got) <= LOST * np.abs(truth))
    if gone is not None:
        yield Diagnosis(
            "dead_gradient",
            f"your gradient is 0 below logit {-MISSED[gone]:.1f}, target 1: p is clipped there",
        )
