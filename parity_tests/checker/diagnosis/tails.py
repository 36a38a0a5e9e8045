"""Numerical faults, found along growing logits: where the loss or its gradient is first lost."""

import itertools
from collections.abc import Iterator

import numpy as np

from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.contract.tolerances import SMALLEST_NORMAL
from parity_tests.ports.subject import GRADIENT, VALUE
from parity_tests.truth import float64

from .evidence import Diagnosis, Evidence

EASY = np.arange(0, 90.01, 0.125)
MISSED = np.arange(0, 120.01, 0.5)
FAR = np.concatenate([np.arange(0, 120.01, 0.25), [200.0, 1000.0, 1e4]])
# The first of each, which are ordinary logits.
ORDINARY = slice(0, 9)
LOST = 0.01


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """Nothing is said of a port that is wrong at ordinary logits: a wrong formula is not a
    numerical fault."""
    yield from _easy(evidence)
    yield from _missed(evidence)
    if evidence.differentiates():
        yield from _slopes(evidence)


def _ask(
    evidence: Evidence, margins: np.ndarray, gamma: float, order: int = VALUE
) -> np.ndarray | None:
    """The losses of class 1 at these margins, or their slopes."""
    ones = np.ones(len(margins), int)
    if not evidence.plan.record.classes:
        return evidence.ask(margins, ones, gamma, evidence.alpha, order)
    rows = np.stack([np.zeros_like(margins), margins], 1)
    answers = evidence.ask(rows, ones, gamma, evidence.alpha, order)
    return answers[:, 1] if answers is not None and order else answers


def _truth(margins: np.ndarray, gamma: float, order: int = VALUE) -> np.ndarray:
    """The loss of class 1 without α, or its slope."""
    loss, slope = float64.hard_focal(margins, np.ones(len(margins)), 1.0, gamma)
    return slope if order else loss


def _scaled(evidence: Evidence, answers: np.ndarray | None, truth: np.ndarray) -> np.ndarray | None:
    """The answers over their common factor (α), if they have one at ordinary logits."""
    if answers is None or not np.all(np.isfinite(answers[ORDINARY])):
        return None
    factors = answers[ORDINARY] / truth[ORDINARY]
    factor = np.mean(factors)
    if not factor or not evidence.is_constant(factors, slack=10):
        return None
    return answers / factor


def _first(condition: np.ndarray) -> int | None:
    return int(np.argmax(condition)) if condition.any() else None


def _easy(evidence: Evidence) -> Iterator[Diagnosis]:
    """The easy tail, where 1 − p_t is tiny."""
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    if evidence.plan.probabilities or not gamma:
        return
    truth = _truth(EASY, gamma)
    losses = _scaled(evidence, _ask(evidence, EASY, gamma), truth)
    if losses is None:
        return
    known = np.abs(truth) > 4 * SMALLEST_NORMAL[evidence.plan.dtype]
    lost = _first(known & _is_off(losses, truth))
    if lost is None:
        return
    zero = _first(known & (losses == 0))
    start = f"logit {EASY[lost]:.1f}"
    if zero is not None:
        message = (
            f"your (1 − p_t) cancels above logit {EASY[zero]:.1f}: "
            f"the loss is exactly 0 from there on, and off by 1 % from {EASY[lost]:.1f}"
        )
        yield Diagnosis("cancels", message)
    elif not np.all(np.isfinite(losses[known])):
        yield Diagnosis("overflows", f"your loss is not finite above {start}, target 1")
    elif _is_flat(losses[known & (EASY > 30)]):
        message = f"your loss stops falling at {start}: p is clipped, or ε is added"
        yield Diagnosis("floor", message)
    else:
        yield Diagnosis("easy_tail", f"your loss is off by 1 % from {start} on, target 1")


def _is_off(losses: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where the losses are off by 1 %, or NaN."""
    return ~(np.abs(losses - truth) <= LOST * truth)


def _is_flat(losses: np.ndarray) -> bool:
    return losses.size > 0 and bool(np.ptp(losses) <= 1e-3 * np.max(losses))


def _missed(evidence: Evidence) -> Iterator[Diagnosis]:
    """The hard tail, where a positive is badly missed."""
    if evidence.plan.probabilities:
        return
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    truth = _truth(-MISSED, gamma)
    losses = _scaled(evidence, _ask(evidence, -MISSED, gamma), truth)
    if losses is None:
        return
    lost = _first(_is_off(losses, truth))
    if lost is None:
        return
    where = f"logit {-MISSED[lost]:.1f}, target 1"
    last = losses[-1]
    if not np.isfinite(last):
        yield Diagnosis("overflows", f"your loss is not finite below {where}: exp overflows")
    elif np.ptp(losses[-9:]) <= 1e-3 * abs(last):
        epsilon = np.exp(-abs(last))
        message = (
            f"your loss is capped at {last:.4g} below {where}: "
            f"p is clipped or has ε = {epsilon:.0e}"
        )
        yield Diagnosis("capped", message)
    else:
        yield Diagnosis("hard_tail", f"your loss is off by 1 % below {where}")


def _slopes(evidence: Evidence) -> Iterator[Diagnosis]:
    """Gradients that are NaN at saturation, and those that vanish where a positive is badly
    missed."""
    message = _nan_gradient(evidence)
    if message is not None:
        yield Diagnosis("nan_gradient", message)
        return
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    truth = _truth(-MISSED, gamma, GRADIENT)
    grads = _scaled(evidence, _ask(evidence, -MISSED, gamma, GRADIENT), truth)
    if grads is None:
        return
    gone = _first(np.abs(grads) <= LOST * np.abs(truth))
    if gone is not None:
        message = (
            f"your gradient is 0 below logit {-MISSED[gone]:.1f}, target 1: p is clipped there"
        )
        yield Diagnosis("dead_gradient", message)


def _nan_gradient(evidence: Evidence) -> str | None:
    """Where the first gradient is that is not finite."""
    gammas = usual_gammas(evidence.plan, (0.0, 0.5, 1.0, 1.5, 2.0))
    for gamma, (side, name) in itertools.product(gammas, ((1, "above"), (-1, "below"))):
        grads = _ask(evidence, side * FAR, gamma, GRADIENT)
        lost = None if grads is None else _first(~np.isfinite(grads))
        if lost is None:
            continue
        logit = side * FAR[lost]
        message = f"your gradient is NaN {name} logit {logit:.4g}, target 1, for γ = {gamma:g}"
        if gamma < 1 and side > 0:
            message += ": the power rule needs (1 − p_t)^(γ − 1)"
        return message
    return None
