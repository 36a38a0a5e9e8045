"""Derivatives through everything that stands between the loss of an element and a number that is
differentiated: cotangents, masks, weights, smoothing, reductions.

The gradient of the loss of each element by itself is another layer's. Here it is multiplied by what
comes from above, and a port whose own rule ignores that, or divides by another number than its
value does, is found out.

    jets    the losses of six elements with their derivatives        factors    (6,)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import gammas
from parity_tests.ports.signature import DIVISOR
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    Plan,
    PortError,
    RefusedError,
    Subject,
    logit_names,
)
from parity_tests.truth.jets import Jet, Term

from . import truth
from .batch import REDUCED, SMOOTHING, Call, call_of, logits_of, own_rounding, poisoned, smooth_jets
from .judge import HAVE_SECOND, Finding, digits
from .reductions import DIVIDED, Batch, batches, divisors

EVERY_OTHER = (1.0, -2.0, 0.0, 0.5, -0.125, 3.0)
# Of a number: large enough for the gradient of a mean to be clamped where somebody clamps.
OF_ALL = -24.0
ONE_OF_SIX = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# How near a quotient has to come to be one of the known ones, which are not near each other.
NEAR = 0.01
# By how many powers of 2 a cotangent is huge or tiny.
FAR = {"float16": 8, "bfloat16": 40, "float32": 40, "float64": 40}


@dataclass(frozen=True)
class Way:
    """A call whose derivative is asked for: what its result is multiplied by, and what that makes
    of the derivative of each element."""

    name: str
    cotangent: np.ndarray
    factors: np.ndarray
    options: Mapping[str, Any] = field(default_factory=dict)
    # What the reduction divides by.
    divisor: float = 1.0


def backward(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None:
        return
    for dtype in _dtypes(plan):
        other = replace(plan, dtype=dtype)
        call = call_of(other)
        if dtype != plan.dtype and _refuses(port, call):
            continue
        try:
            ways = list(_ways(port, other, call))
        except PortError as error:
            failed.append(error)
            continue
        for way in ways:
            yield from _derivatives(port, other, call, way, failed, _orders(port, other))
    if not port.one_by_one:
        for gamma in gammas(plan):
            name = f"a cotangent at γ = {gamma:g}"
            way = Way(name, np.array(EVERY_OTHER), np.ones(len(EVERY_OTHER)))
            yield from _derivatives(port, plan, call_of(plan, gamma), way, failed, [GRADIENT])


def differentiable(subject: Subject, plan: Plan) -> PythonPort | None:
    """The port, if its framework differentiates it in its logits."""
    if not isinstance(subject, PythonPort) or plan.probabilities:
        return None
    return subject if GRADIENT in subject.orders and not subject.slope else None


def _dtypes(plan: Plan) -> list[str]:
    others = [dtype for dtype in plan.record.dtypes if dtype != plan.dtype]
    return [plan.dtype, *others]


def _refuses(port: PythonPort, call: Call) -> bool:
    """Whether it raises an error for a dtype, which is an honest answer."""
    try:
        port.answer(call.problem, GRADIENT)
    except RefusedError:
        return True
    except PortError:
        return False
    return False


def _orders(port: PythonPort, plan: Plan) -> list[int]:
    """Second derivatives are asked for in the plan's own dtype alone."""
    if SECOND in port.orders and plan.dtype == port.plan.dtype and plan.dtype in HAVE_SECOND:
        return [GRADIENT, SECOND]
    return [GRADIENT]


def _ways(port: PythonPort, plan: Plan, call: Call) -> Iterator[Way]:
    ones = np.ones(len(EVERY_OTHER))
    if not port.one_by_one:
        for name, cotangent in _cotangents(plan).items():
            yield Way(name, cotangent, ones)
    # Other dtypes than the plan's are asked for what is most used.
    is_main = plan.dtype == port.plan.dtype
    ids = call.problem.ids
    assert ids is not None
    if not is_main:
        yield from _ways_of(port, plan, Batch({}, ones > 0, ones), ids)
        return
    for batch in batches(port, plan, ids):
        yield from _ways_of(port, plan, batch, ids)
    if port.takes(DIVISOR):
        yield from _divided(port, plan, ids)
    if port.takes("label_smoothing"):
        smoothed = Batch({"label_smoothing": SMOOTHING}, ones > 0, ones)
        yield from _ways_of(port, plan, smoothed, ids)


def _cotangents(plan: Plan) -> dict[str, np.ndarray]:
    mixed = np.array(EVERY_OTHER)
    far = math.ldexp(1.0, FAR[plan.dtype])
    return {
        "a cotangent of both signs": mixed,
        "a cotangent of 0": np.zeros(len(mixed)),
        "a cotangent of one element": np.array(ONE_OF_SIX),
        "a huge cotangent": far * mixed,
        "a tiny cotangent": mixed / far,
    }


def _ways_of(port: PythonPort, plan: Plan, batch: Batch, ids: np.ndarray) -> Iterator[Way]:
    """A batch without a reduction, and with each."""
    factors = batch.kept * batch.weights
    names = ", ".join(batch.options)
    if names and not port.one_by_one:
        yield Way(names, np.array(EVERY_OTHER), factors, batch.options)
    for reduction, divisor in divisors(port, plan, batch, ids).items():
        name = f"{reduction} with {names}" if names else reduction
        options = batch.options | {"reduction": reduction}
        yield Way(name, np.array(OF_ALL), factors, options, divisor)


def _divided(port: PythonPort, plan: Plan, ids: np.ndarray) -> Iterator[Way]:
    """What divides the loss divides its gradient."""
    options = {DIVISOR: DIVIDED}
    ones = np.ones(len(ids))
    if not port.one_by_one:
        yield Way(DIVISOR, np.array(EVERY_OTHER), ones / DIVIDED, options)
    for reduction, divisor in divisors(port, plan, Batch({}, ones > 0, ones), ids).items():
        asked = options | {"reduction": reduction}
        name = f"{reduction} with {DIVISOR}"
        yield Way(name, np.array(OF_ALL), ones, asked, divisor * DIVIDED)


def _derivatives(
    port: PythonPort,
    plan: Plan,
    call: Call,
    way: Way,
    failed: list[PortError],
    orders: Sequence[int],
) -> Iterator[Finding]:
    calls = [call]
    if "where" in way.options:
        # What a mask leaves out may hold anything.
        calls += [poisoned(call, poison) for poison in (math.nan, math.inf)]
    for order in orders:
        rounding = own_rounding(port, call, order)
        for asked in calls[: 1 if order == SECOND else None]:
            try:
                result = _ask(port, asked, way, order)
            except PortError as error:
                # The layer of second derivatives says if there are none.
                if order == SECOND:
                    continue
                failed.append(type(error)(f"the gradient through {way.name}: {error}"))
                continue
            yield from _findings(plan, asked, way, order, result, rounding)


def _ask(port: PythonPort, call: Call, way: Way, order: int) -> np.ndarray:
    logits = logits_of(call.problem)
    arguments = port.arguments(call.problem, logits) | dict(way.options)
    cotangent = way.cotangent.astype(logits.dtype)
    result = port.call(logits, arguments, order, cotangent)
    if result.shape != logits.shape:
        raise RefusedError(f"a result of shape {result.shape} for logits of {logits.shape}")
    return result.astype(float)


def _findings(
    plan: Plan, call: Call, way: Way, order: int, result: np.ndarray, rounding: np.ndarray
) -> Iterator[Finding]:
    problem = call.problem
    jets = smooth_jets(call) if "label_smoothing" in way.options else call.jets
    units = allowed(problem.function, ("logits",) * order, call.gamma, plan.dtype) + REDUCED
    floor = FLOOR[plan.dtype][order]
    terms = _terms(problem, jets, way, order)
    message = _reason(way, order, terms, result)
    for index, x in np.ndenumerate(result):
        row, column = index if len(index) > 1 else (*index, 0)
        term = terms[row][column]
        where = _point(problem, plan, way, order, row, column)
        if not term.scale:
            yield Finding.exact(x == 0, x, "0.0", where, message)
            continue
        error = math.inf if math.isnan(x) else error_in_eps(x, term, plan.dtype, floor)
        limit = units + float(rounding[row, column])
        yield Finding(error, limit, x, digits(term), where, message)


def _point(
    problem: Problem, plan: Plan, way: Way, order: int, row: int, column: int
) -> dict[str, Any]:
    options = {name: str(option) for name, option in way.options.items()}
    point = problem.sample(row) | problem.constants | options
    point |= {"derivative": order, "element": row, "dtype": plan.dtype}
    if plan.record.classes:
        point["class"] = column
    return point | {"cotangent": way.cotangent.tolist()}


def _terms(problem: Problem, jets: list[Jet], way: Way, order: int) -> list[list[Term]]:
    """What each derivative has to be: (elements, classes)."""
    names = logit_names(problem)
    cotangents = np.broadcast_to(way.cotangent, len(jets)).tolist()
    terms: list[list[Term]] = []
    for row, jet in enumerate(jets):
        of_row: list[Term] = []
        with mpmath.workdps(truth.DIGITS):
            factor = mpf(cotangents[row]) * mpf(float(way.factors[row])) / mpf(way.divisor)
            for name in names:
                own = truth.derivative(problem, jet, name, order)
                of_row.append(own * Term(factor, abs(factor)))
        terms.append(of_row)
    return terms


def _reason(way: Way, order: int, terms: list[list[Term]], result: np.ndarray) -> str:
    """Why it is wrong, where it is one of the known reasons."""
    kind = "second derivative" if order == SECOND else "gradient"
    left_out = way.factors == 0
    if np.any(result[left_out] != 0):
        return f"elements that {way.name} leaves out get a {kind}: it has to be exactly 0"
    expected = np.array([[float(term.value) for term in row] for row in terms])
    expected = expected.reshape(result.shape)
    known = (expected != 0) & np.isfinite(result)
    ratios = result[known] / expected[known]
    if not ratios.size:
        return f"the {kind} through {way.name} has to be 0"
    if _is_without_cotangent(way, ratios, known):
        return f"your {kind} ignores its cotangent, what comes from the operations after the loss"
    ratio = float(ratios[0])
    if np.allclose(ratios, ratio, rtol=NEAR):
        if way.divisor != 1 and math.isclose(ratio, way.divisor, rel_tol=NEAR):
            return f"the {kind} of {way.name} is that of the sum: {ratio:.3g} times too large here"
        return f"the {kind} through {way.name} is {ratio:.3g} times what it has to be"
    return f"the {kind} through {way.name} is not the derivative of the value"


def _is_without_cotangent(way: Way, ratios: np.ndarray, known: np.ndarray) -> bool:
    """Whether the quotients of gradient and truth are those of a cotangent of 1."""
    cotangents = np.broadcast_to(way.cotangent, len(known))
    rows = np.nonzero(known)[0]
    if np.allclose(cotangents, 1):
        return False
    return np.allclose(ratios * cotangents[rows], 1, rtol=NEAR)
