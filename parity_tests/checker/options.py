"""What a port offers beside logits and targets: masks, weights, reductions, smoothing; and shapes that do not fit.

Each option is asked only of ports that take it. The truth is the unreduced truth, masked, weighted and added up in
arbitrary precision, under the convention for mean that the port declares.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from .. import oracle
from ..compare import error_in_eps
from ..grid import rounded
from ..jets import Term
from ..problems import Problem
from ..tolerances import DTYPES, SMALLEST_NORMAL, allowed
from . import truth
from .judge import Finding
from .python_port import PythonPort
from .questions import first, gammas
from .special import Check
from .subject import Plan, PortError, RefusedError, Subject

# Adding up a dozen losses and dividing, in eps.
REDUCED = 3.0
KEPT = (True, False, True, True, False, True)
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 4.0, 0.25)


@dataclass(frozen=True)
class Call:
    """A batch with its truths, one per element."""

    problem: Problem
    terms: list[Term]
    arguments: dict[str, Any] = field(default_factory=dict)


def _call(port: PythonPort, plan: Plan) -> Call:
    rng = np.random.default_rng(5)
    gamma = next((g for g in (2.0, 0.5) if g in gammas(plan)), gammas(plan)[0])
    alpha = plan.fixed.get("alpha", None if plan.record.classes else 0.25)
    constants: dict[str, Any] = {"gamma": gamma}
    if plan.record.classes:
        points, ids = rng.normal(size=(6, 3)) * 3, rng.integers(0, 3, 6)
        names: tuple[str, ...] = ("logits0", "logits1", "logits2")
        constants |= {} if alpha is None else {"alpha": list(alpha)[:3]}
    else:
        points, ids, names = rng.normal(size=(6, 1)) * 3, np.array([1, 0, 0, 1, 1, 0]), ("logits",)
        constants |= {"alpha": alpha}
    problem = Problem(plan.record.name, plan.dtype, names, rounded(points, plan.dtype), ids, constants)
    terms = [jet[()] for jet in truth.jets(problem, plan)]
    return Call(problem, terms)


def _logits(problem: Problem) -> np.ndarray:
    points = problem.points if problem.function == "softmax_focal_loss" else problem.points[:, 0]
    return points.astype(DTYPES[problem.dtype])


def _finding(call: Call, got: np.ndarray, terms: list[Any], more: Mapping[str, Any], said: str) -> Iterator[Finding]:
    problem = call.problem
    units = allowed(problem.function, (), problem.constants["gamma"], problem.dtype) + REDUCED
    flat = np.atleast_1d(got).astype(float)
    if flat.shape != (len(terms),):
        yield Finding(
            math.inf, units, f"shape {got.shape}", f"{len(terms)} losses", dict(more), f"a result of shape {got.shape}"
        )
        return
    point = problem.constants | {key: str(x) for key, x in more.items()} | {"logits": problem.points[:, 0].tolist()}
    for x, term in zip(flat.tolist(), terms, strict=True):
        error = error_in_eps(x, term, problem.dtype, SMALLEST_NORMAL[problem.dtype])
        yield Finding(error, units, x, str(mpmath.nstr(term.value, 17)), point, said)


def _ask(port: PythonPort, call: Call, **more: Any) -> np.ndarray:
    logits = _logits(call.problem)
    return port.call(logits, port.arguments(call.problem, logits) | more)


def _total(terms: list[Term], factors: list[float], divisor: float = 1.0) -> Term:
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(40):
        for term, factor in zip(terms, factors, strict=True):
            share = mpf(factor) / mpf(divisor)
            total = total + term * Term(share, abs(share))
    return total


def where(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """Masked elements are exactly 0, whatever their logits hold."""
    call = _call(port, plan)
    terms = [term if kept else Term(mpf(0), mpf(1)) for term, kept in zip(call.terms, KEPT, strict=True)]
    got = _ask(port, call, where=np.array(KEPT))
    yield from _finding(call, got, terms, {"where": KEPT}, "masked elements must be 0, and the others as they were")


def weight(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call, factors = _call(port, plan), WEIGHTS
    terms = [_total([term], [factor]) for term, factor in zip(call.terms, factors, strict=True)]
    got = _ask(port, call, weight=np.array(factors, DTYPES[plan.dtype]))
    yield from _finding(call, got, terms, {"weight": factors}, "weight is a factor of each loss")


def ignore_index(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call = _call(port, plan)
    kept = [t != 0 for t in call.problem.ids.tolist()] if call.problem.ids is not None else []
    terms = [term if keep else Term(mpf(0), mpf(1)) for term, keep in zip(call.terms, kept, strict=True)]
    got = _ask(port, call, ignore_index=0)
    yield from _finding(call, got, terms, {"ignore_index": 0}, "ignored elements must be 0, the others as they were")


def label_smoothing(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    call, terms = _call(port, plan), []
    assert call.problem.ids is not None
    for row, target in zip(call.problem.points.tolist(), call.problem.ids.tolist(), strict=True):
        smooth = [mpf(0.875) * (c == target) + mpf(0.125) / 3 for c in range(3)]
        constants = call.problem.constants
        with mpmath.workdps(40):
            jet = oracle.softmax_focal_loss(row, smooth, constants.get("alpha"), constants["gamma"])
        terms.append(jet[()])
    got = _ask(port, call, label_smoothing=0.125)
    yield from _finding(call, got, terms, {"label_smoothing": 0.125}, "smoothing mixes the target with 1/C")


def alpha(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """One weight per class of a softmax, which may be above 1."""
    call, weights = _call(port, plan), (0.5, 2.0, 0.25)
    if not plan.record.classes or "alpha" in plan.fixed or call.problem.ids is None:
        return
    factors = [weights[t] for t in call.problem.ids.tolist()]
    terms = [_total([term], [factor]) for term, factor in zip(call.terms, factors, strict=True)]
    got = _ask(port, call, alpha=np.array(weights, DTYPES[plan.dtype]))
    yield from _finding(call, got, terms, {"alpha": weights}, "alpha is one weight per class")


def reductions(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """sum, mean and mean_positive, without a mask and with the one that the port takes, and with weights."""
    call = _call(port, plan)
    ids = call.problem.ids
    assert ids is not None
    everything, ones = np.ones(6, bool), np.ones(6)
    batches: list[tuple[dict[str, Any], np.ndarray, np.ndarray]] = [({}, everything, ones)]
    if port.takes("where"):
        batches.append(({"where": np.array(KEPT)}, np.array(KEPT), ones))
    if port.takes("ignore_index"):
        batches.append(({"ignore_index": 0}, ids != 0, ones))
    if port.takes("weight"):
        batches.append(({"weight": np.array(WEIGHTS, DTYPES[plan.dtype])}, everything, np.array(WEIGHTS)))
    for more, kept, weights in batches:
        for reduction, divisor in _divisors(plan, kept, weights, ids).items():
            yield from _reduction(port, call, reduction, divisor, more, kept * weights)


def _divisors(plan: Plan, kept: np.ndarray, weights: np.ndarray, ids: np.ndarray) -> dict[str, float]:
    means = {"kept": kept.sum(), "all": len(kept), "weights": (kept * weights).sum()}
    positives = kept.sum() if plan.record.classes else max(1, (kept & (ids == 1)).sum())
    return {"sum": 1.0, "mean": float(means[plan.convention("mean")]), "mean_positive": float(positives)}


def _reduction(
    port: PythonPort, call: Call, reduction: str, divisor: float, more: dict[str, Any], factors: np.ndarray
) -> Iterator[Finding]:
    try:
        got = _ask(port, call, reduction=reduction, **more)
    except PortError:
        if reduction != "mean_positive":
            raise
        return
    if reduction == "mean_positive" and got.shape:
        return
    said = f"{reduction} divides by {divisor:g} here; {', '.join(more) or 'nothing'} is given"
    yield from _finding(
        call, got, [_total(call.terms, factors.tolist(), divisor)], {"reduction": reduction} | more, said
    )


def own_reduction(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """A port that only gives one number for a batch has to be the mean or the sum."""
    call = _call(port, plan)
    got = _ask(port, call)
    ones = [1.0] * len(call.terms)
    both = [
        list(_finding(call, got, [_total(call.terms, ones, divisor)], {}, "the one number is neither mean nor sum"))
        for divisor in (6.0, 1.0)
    ]
    yield from min(both, key=lambda found: found[0].error)


OPTIONS = (where, weight, alpha, ignore_index, label_smoothing)


def options(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or plan.probabilities:
        return
    checks = [option for option in OPTIONS if subject.takes(option.__name__) and not subject.one_by_one]
    if subject.takes("reduction") or subject.one_by_one:
        checks.append(reductions if subject.takes("reduction") else own_reduction)
    for check in checks:
        try:
            yield from check(subject, plan)
        except PortError as error:
            failed.append(type(error)(f"{check.__name__}: {error}"))


def _refuses(port: PythonPort, plan: Plan, targets: tuple[int, ...]) -> Iterator[Finding]:
    """Shapes that do not fit have to be an error, not a broadcast."""
    dtype = DTYPES[plan.dtype]
    logits = np.full((4, 3) if plan.record.classes else (4,), 0.5, dtype)
    labels = np.zeros(targets, np.int64 if plan.record.classes else dtype)
    problem = first(plan)
    arguments = port.arguments(problem, _logits(problem)) | {"targets": labels}
    try:
        got = port.call(logits, arguments)
    except RefusedError:
        yield Finding(0.0, 0.0, "an error", "an error", {"targets of shape": targets})
        return
    said = f"logits {logits.shape} with targets {targets} gave a loss of shape {got.shape}; it has to be an error"
    yield Finding(math.inf, 0.0, f"shape {got.shape}", "an error", {"targets of shape": targets}, said)


def column_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort):
        yield from _refuses(subject, plan, (4, 1))


def longer_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if isinstance(subject, PythonPort):
        yield from _refuses(subject, plan, (1,) if not plan.record.classes else (2, 4))


ERRORS: dict[str, Check] = {check.__name__: check for check in (column_targets, longer_targets)}
