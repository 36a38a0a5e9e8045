"""One batch of six samples with its truths, which the options of a port are asked about."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem, power
from parity_tests.contract.tolerances import DTYPES, EPS, FLOOR, SMALLEST_NORMAL, allowed
from parity_tests.ports import family_questions
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.subject import Plan, PortError, Subject, logit_names
from parity_tests.truth.jets import Jet, Term

from . import truth
from .judge import Finding, digits
from .problems import Alpha, hard_problem, usual_alpha, usual_gammas

Options = Mapping[str, Any]

# Adding up a dozen losses and dividing, in eps.
REDUCED = 3.0
# A textbook formula loses less at the logits below, and what is wrong is more: in eps.
ROUNDING = 4096.0
# Beyond this γ it grows with the power.
POWER = 5.0
KEPT = (True, False, True, True, False, True)
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 4.0, 0.25)
CLASS_WEIGHTS = (0.5, 2.0, 0.25)
SMOOTHING = 0.125
# Of the losses that are made for targets between 0 and 1. Of those that are kept two are 1, and
# some have a gradient above 0, others one below.
FAMILY_LOGITS = (-2.0, 1.5, -0.25, 3.0, -0.75, 0.5)
FAMILY_TARGETS = (0.0, 0.5, 1.0, 1.0, 0.0, 0.25)


@dataclass(frozen=True)
class Call:
    """A batch with its truths, one per element."""

    problem: Problem
    jets: list[Jet]
    # The problem of the jets, where that of the call has other logits for what is left out.
    clean: Problem | None = None

    @property
    def targets(self) -> np.ndarray:
        """Class ids or numbers, one per element."""
        ids = self.problem.ids
        return self.problem.argument("targets") if ids is None else ids

    @property
    def terms(self) -> list[Term]:
        """The losses."""
        return [jet[()] for jet in self.jets]

    @property
    def gamma(self) -> float:
        return power(self.problem.function, self.problem.constants)


# A problem is known by itself, and its truths are found once for each.
_known: dict[tuple[Any, ...], Problem] = {}


def call_of(plan: Plan, gamma: float | None = None, with_alpha: bool = True) -> Call:
    """With the usual settings; without α of a sigmoid where it may be None."""
    if plan.record.family:
        return family_call(plan)
    alpha = usual_alpha(plan)
    if not with_alpha and plan.without_alpha and "alpha" not in plan.fixed:
        alpha = None
    if gamma is None:
        gamma = usual_gammas(plan, (2.0, 0.5))[0]
    key = (plan.record.asked_as, plan.dtype, gamma, str(alpha))
    if key not in _known:
        _known[key] = _problem(plan, gamma, alpha)
    return Call(_known[key], truth.jets(_known[key], plan))


def family_call(plan: Plan, turn: int = 0) -> Call:
    """With the usual settings of a varifocal, heatmap or asymmetric loss, or in another turn with
    others."""
    logits, targets = np.array(FAMILY_LOGITS), np.array(FAMILY_TARGETS)
    settings = family_questions.settings(plan, turn)
    problem = family_questions.problem(plan, logits, targets, settings)
    return Call(problem, truth.jets(problem, plan))


def usual_calls(plan: Plan) -> list[Call]:
    """With the usual settings. The family has two of them: in one α is None, in the other a number,
    and positives are weighted in one way each."""
    if plan.record.family:
        return [family_call(plan, turn) for turn in (0, 1)]
    return [call_of(plan)]


def calls_of(plan: Plan) -> list[Call]:
    """With the usual settings, and of a focal loss with those of cross entropy as well."""
    if plan.record.family:
        return usual_calls(plan)
    gamma = 0.0 if 0.0 in gammas(plan) else None
    return [call_of(plan), call_of(plan, gamma, with_alpha=False)]


def with_targets(call: Call, targets: np.ndarray, plan: Plan) -> Call:
    """The same logits with these targets, ids where the others were."""
    problem = call.problem
    if problem.ids is None:
        points = problem.points.copy()
        points[:, problem.names.index("targets")] = targets
        changed = replace(problem, points=points)
    else:
        changed = replace(problem, ids=targets.astype(int))
    return Call(changed, truth.jets(changed, plan))


def _problem(plan: Plan, gamma: float, alpha: Alpha) -> Problem:
    draws = Draws(5)
    if plan.record.classes:
        points = draws.bell((6, 3)) * 3
        ids = draws.integers(0, 3, 6)
    else:
        points = draws.bell((6, 1)) * 3
        ids = np.array([1, 0, 0, 1, 1, 0])
    return hard_problem(plan, rounded(points, plan.dtype), ids, gamma, alpha)


def logits_of(problem: Problem) -> np.ndarray:
    return problem.argument("logits").astype(DTYPES[problem.dtype])


def findings_of(
    call: Call, result: np.ndarray, terms: list[Term], options: Options, message: str
) -> Iterator[Finding]:
    """The result of a call with these options beside its terms, one finding each."""
    problem = call.problem
    units = allowed(problem.function, (), call.gamma, problem.dtype) + REDUCED
    losses = np.atleast_1d(result).astype(float)
    if losses.shape != (len(terms),):
        shape = f"shape {result.shape}"
        expected = f"{len(terms)} losses"
        yield Finding(math.inf, units, shape, expected, dict(options), f"a result of {shape}")
        return
    point = problem.constants | with_lists(options)
    point["logits"] = problem.points[:, 0].tolist()
    floor = SMALLEST_NORMAL[problem.dtype]
    for x, term in zip(losses.tolist(), terms, strict=True):
        if not term.scale:
            # A mask, or a weight of 0.
            yield Finding.exact(x == 0, x, "0.0", point, message)
            continue
        error = error_in_eps(x, term, problem.dtype, floor)
        yield Finding(error, units, x, digits(term), point, message)


def with_lists(options: Options) -> dict[str, Any]:
    """For a report: arrays as lists."""
    shown: dict[str, Any] = {}
    for name, option in options.items():
        shown[name] = option.tolist() if isinstance(option, np.ndarray) else option
    return shown


def ask(port: PythonPort, call: Call, **options: Any) -> np.ndarray:
    logits = logits_of(call.problem)
    return port.call(logits, port.arguments(call.problem, logits) | options)


def own_rounding(subject: Subject, call: Call, order: int) -> np.ndarray:
    """Twice the errors of a port at the elements by themselves, in eps: (elements, classes)."""
    try:
        return rounding_of(subject.answer(call.problem, order), call, order)
    except PortError:
        names = logit_names(call.problem) if order else [""]
        return np.zeros((len(call.jets), len(names)))


def rounding_of(answers: np.ndarray, call: Call, order: int) -> np.ndarray:
    """Twice the errors of these answers.

    Formulas that cancel are judged elsewhere, and no fault of what is done with their results. More
    than rounding, by `ROUNDING`, counts as none.
    """
    problem = call.problem
    names = logit_names(problem) if order else [""]
    errors = np.zeros((len(call.jets), len(names)))
    answers = answers.reshape(errors.shape)
    floor = FLOOR[problem.dtype][order]
    for row, jet in enumerate(call.jets):
        for column, name in enumerate(names):
            x = float(answers[row, column])
            term = truth.derivative(problem, jet, name, order)
            if not math.isnan(x):
                errors[row, column] = 2 * error_in_eps(x, term, problem.dtype, floor)
    eps = EPS[problem.dtype]
    # In half precision all of an element may be lost, which is twice 1.
    most = ROUNDING * max(1.0, call.gamma / POWER)
    is_rounding = errors * eps <= min(most * eps, 2.0)
    return np.where(is_rounding, errors, 0)


def masked(terms: list[Term], kept: Iterable[bool]) -> list[Term]:
    """The terms with exactly 0 where the mask is false."""
    result = list(terms)
    for index, keep in enumerate(kept):
        if not keep:
            result[index] = Term(mpf(0), mpf(0))
    return result


def weighted(terms: list[Term], factors: Iterable[float]) -> list[Term]:
    return [total_of([term], [factor]) for term, factor in zip(terms, factors, strict=True)]


def total_of(terms: list[Term], factors: list[float], divisor: float = 1.0) -> Term:
    total = Term(mpf(0), mpf(0))
    with mpmath.workdps(40):
        for term, factor in zip(terms, factors, strict=True):
            share = mpf(factor) / mpf(divisor)
            total = total + term * Term(share, abs(share))
    return total


def poisoned(call: Call, poison: float, *, targets: bool = False) -> Call:
    """The same call with this number for the masked logits, or for targets that are numbers."""
    points = call.problem.points.copy()
    logits = len(logit_names(call.problem))
    columns = slice(logits, None) if targets else slice(logits)
    points[~np.array(KEPT), columns] = poison
    return Call(replace(call.problem, points=points), call.jets, call.problem)
