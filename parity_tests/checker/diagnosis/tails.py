"""Numerical faults, found along growing logits: where the loss or its gradient is first lost.

Of a fault that both classes have, the nearest place is named, and the nearest fault comes first.
"""

import itertools
from collections.abc import Collection, Iterator

import numpy as np

from parity_tests.checker.layers.problems import usual_gammas
from parity_tests.contract.tolerances import SMALLEST_NORMAL

from . import slope_tails
from .climb import CLASSES, EASY, Climb, Fault, climb, far, first, percent
from .evidence import Diagnosis, Evidence

# From here on exp is not finite.
OVERFLOW = {"float16": 11.0, "bfloat16": 88.5, "float32": 88.5, "float64": 709.5}
# The layers that ask for losses, or for gradients, at large logits.
OF_LOSSES = {"values", "soft targets", "identities", "neighbours"}
OF_SLOPES = {"gradients", "soft targets", "second order", "neighbours"}


def diagnose(evidence: Evidence, layers: Collection[str]) -> Iterator[Diagnosis]:
    """Nothing is said of a port that is wrong at ordinary logits: a wrong formula is not a
    numerical fault."""
    faults: list[Fault] = []
    if OF_LOSSES & {*layers}:
        faults += itertools.chain(_easy(evidence), _missed(evidence))
    if OF_SLOPES & {*layers} and evidence.differentiates():
        faults += itertools.chain(slope_tails.not_finite(evidence), slope_tails.dead(evidence))
    named: set[str] = set()
    for fault in sorted(faults, key=lambda fault: fault.distance):
        if fault.diagnosis.name not in named:
            yield fault.diagnosis
        named.add(fault.diagnosis.name)


def _losses(evidence: Evidence, margins: np.ndarray) -> Iterator[Climb]:
    """Those of either class with the usual γ."""
    gamma = usual_gammas(evidence.plan, (2.0,))[0]
    if evidence.plan.probabilities:
        return
    for target in CLASSES:
        found = climb(evidence, margins, gamma, target)
        scaled = found and found.scaled(evidence)
        if scaled:
            yield scaled


def _easy(evidence: Evidence) -> Iterator[Fault]:
    """The easy tail, where 1 − p_t is tiny. It has no power for γ = 0."""
    if not usual_gammas(evidence.plan, (2.0,))[0]:
        return
    for found in _losses(evidence, EASY):
        known = np.abs(found.truth) > 4 * SMALLEST_NORMAL[evidence.plan.dtype]
        lost = first((known & found.is_off(evidence)) | ~np.isfinite(found.answers))
        if lost is not None:
            diagnosis = _of_easy(evidence, found, known, lost)
            yield Fault(found.margins[lost], diagnosis)


def _of_easy(evidence: Evidence, found: Climb, known: np.ndarray, lost: int) -> Diagnosis:
    losses, margins = found.answers, found.margins
    off = f"off by {percent(evidence)}"
    endless = first(~np.isfinite(losses))
    zero = first(known & (losses == 0))
    if endless is not None and (zero is None or endless < zero):
        return _not_finite(evidence, found, endless)
    if zero is not None:
        sign = 1 if found.target else -1
        side, target = ("above", "") if found.target else ("below", ", target 0")
        message = (
            f"your (1 − p_t) cancels {side} logit {sign * margins[zero]:.1f}{target}: the loss is "
            f"exactly 0 from there on, and {off} from {sign * margins[lost]:.1f}"
        )
        return Diagnosis("cancels", message)
    if _is_flat(losses[known & (margins > 30)]):
        message = f"your loss stops falling {found.place(lost)}: p is clipped, or ε is added"
        return Diagnosis("floor", message)
    return Diagnosis("easy_tail", f"your loss is {off} {found.place(lost)}")


def _not_finite(evidence: Evidence, found: Climb, index: int) -> Diagnosis:
    """A loss that is inf or NaN from some logit on."""
    overflows = abs(found.margins[index]) >= OVERFLOW[evidence.plan.dtype]
    if np.isnan(found.answers[index]):
        cause = ": exp overflows" if overflows else ""
        return Diagnosis("overflows", f"your loss is NaN {found.place(index)}{cause}")
    if overflows:
        message = f"your loss is inf {found.place(index)}: exp overflows, or p_t underflows"
        return Diagnosis("overflows", message)
    message = f"your loss is inf {found.place(index)}: p_t is rounded to 0 before its logarithm"
    return Diagnosis("infinite", message)


def _is_flat(losses: np.ndarray) -> bool:
    return losses.size > 0 and bool(np.ptp(losses) <= 1e-3 * np.max(losses))


def _missed(evidence: Evidence) -> Iterator[Fault]:
    """The hard tail, where an example is badly missed."""
    for found in _losses(evidence, -far(evidence)):
        lost = first(found.is_off(evidence))
        if lost is None:
            continue
        distance = -found.margins[lost]
        rest = found.answers[lost:]
        finite = rest[: first(~np.isfinite(rest))]
        if not finite.size:
            yield Fault(distance, _not_finite(evidence, found, lost))
        elif _is_flat(finite[-9:]):
            epsilon = np.exp(-abs(finite[-1]))
            message = (
                f"your loss is capped at {finite[-1]:.4g} {found.place(lost)}: "
                f"p is clipped or has ε = {epsilon:.0e}"
            )
            yield Fault(distance, Diagnosis("capped", message))
        else:
            message = f"your loss is off by {percent(evidence)} {found.place(lost)}"
            yield Fault(distance, Diagnosis("hard_tail", message))
