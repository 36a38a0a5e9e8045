"""Numerical faults of the family, found along growing logits of both classes."""

from collections.abc import Iterator

import numpy as np

from parity_tests.checker.diagnosis.climb import Fault, first, percent
from parity_tests.checker.diagnosis.evidence import Diagnosis, Evidence
from parity_tests.contract.tolerances import EPS

from . import clips
from .climbs import Climb, climbs
from .formulas import Formula
from .ordinary import powers_of

# With the usual settings, with others, and with those of a loss without a shift.
TURNS = range(3)
# Smaller gradients may be 0.
SEEN = 1e-2
OF_CLIPS = {"capped", "dead_gradient", "floor", "easy_tail"}


def diagnose(evidence: Evidence, formula: Formula) -> Iterator[Diagnosis]:
    """Of a port with this formula the nearest fault of each kind, and a clip in place of all that
    it does."""
    turns = [list(climbs(evidence, formula, turn)) for turn in TURNS]
    faults: list[Fault] = []
    for climb in (climb for turn in turns for climb in turn):
        faults += [*_of_losses(evidence, climb), *_of_slopes(climb)]
    clip = clips.diagnose(turns[0])
    named: set[str] = set()
    if clip is not None:
        yield clip
        named |= OF_CLIPS
    for fault in sorted(faults, key=lambda fault: fault.distance):
        if fault.diagnosis.name not in named:
            yield fault.diagnosis
        named.add(fault.diagnosis.name)


def _of_losses(evidence: Evidence, climb: Climb) -> Iterator[Fault]:
    endless = first(~np.isfinite(climb.losses))
    lost = first(climb.off)
    if endless is not None:
        # What is lost before comes of the same rounding.
        yield _not_finite(climb, endless)
    elif lost is not None and climb.is_missed:
        yield _of_missed(evidence, climb, lost)
    elif lost is not None:
        yield _of_easy(evidence, climb, lost)


def _not_finite(climb: Climb, row: int) -> Fault:
    word = "NaN" if np.isnan(climb.losses[row]) else "inf"
    message = f"your loss is {word} {climb.place(row)}"
    if _is_of_rounding(climb, row):
        message += ": the logarithm is that of a probability that is rounded to 0, as log(1 − p)"
    return climb.fault(row, "infinite", message)


def _is_of_rounding(climb: Climb, row: int) -> bool:
    """Whether 1 − p becomes 0 there: p is rounded to 1 above the logit of 1 − eps/2."""
    from_logit = -np.log(EPS[climb.dtype] / 2)
    return climb.logits[row] > 0 and abs(climb.logits[row] - from_logit) <= 1


def _of_missed(evidence: Evidence, climb: Climb, lost: int) -> Fault:
    if _is_flat(climb.losses[lost:]):
        message = f"your loss is capped at {climb.losses[-1]:.4g} {climb.place(lost)}"
        return climb.fault(lost, "capped", message)
    message = f"your loss is off by {percent(evidence)} {climb.place(lost)}"
    return climb.fault(lost, "hard_tail", message)


def _of_easy(evidence: Evidence, climb: Climb, lost: int) -> Fault:
    off = f"off by {percent(evidence)}"
    zero = first(climb.known & (climb.losses == 0))
    if zero is not None:
        message = f"your loss is exactly 0 {climb.place(zero)}, and {off} {climb.logit(lost)}"
        return climb.fault(lost, "cancels", message)
    if _is_flat(climb.losses[climb.known]):
        message = f"your loss stops falling {climb.place(lost)}: p is clamped, or ε is added"
        return climb.fault(lost, "floor", message)
    return climb.fault(lost, "easy_tail", f"your loss is {off} {climb.place(lost)}")


def _is_flat(losses: np.ndarray) -> bool:
    last = losses[-9:]
    return bool(np.ptp(last) <= 1e-3 * np.max(np.abs(last)))


def _of_slopes(climb: Climb) -> Iterator[Fault]:
    if climb.grads is None:
        return
    endless = first(~np.isfinite(climb.grads))
    if endless is not None:
        word = "NaN" if np.isnan(climb.grads[endless]) else "inf"
        powers = powers_of(climb.settings)
        message = f"your gradient is {word} {climb.place(endless)}, for {powers}"
        yield climb.fault(endless, "nan_gradient", message)
    seen = np.abs(climb.slopes) > SEEN
    dead = first(seen & (np.abs(climb.grads) <= 0.01 * np.abs(climb.slopes)))
    if dead is not None and climb.is_missed:
        message = f"your gradient is 0 {climb.place(dead)}"
        yield climb.fault(dead, "dead_gradient", message)
