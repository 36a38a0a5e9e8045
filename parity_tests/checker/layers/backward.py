"""Derivatives through everything that stands between the loss of an element and a number that is
differentiated: cotangents, masks, weights, smoothing, reductions.

The gradient of the loss of each element by itself is another layer's. Here it is multiplied by what
comes from above, and a port whose own rule ignores that, or divides by another number than its
value does, is found out.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.ports.compiled import Asked, answers_to, answers_together
from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import hard
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    Plan,
    PortError,
    RefusedError,
    Subject,
    logit_names,
)

from . import truth
from .batch import (
    Call,
    call_of,
    logits_of,
    own_rounding,
    poisoned,
    rounding_of,
    usual_calls,
)
from .derivatives import findings
from .judge import HAVE_SECOND, Finding
from .ways import EVERY_OTHER, Way, ways, ways_with_gammas

# Logits that are no further apart, at which a textbook formula loses little.
ORDINARY = 5.0
PLAIN = "the losses by themselves"
# So many that each target, of two or three in turn, has all of them.
IN_TURN = EVERY_OTHER[:5]

# By the name of a way, the order of the derivative, and what the masked logits are.
Known = dict[tuple[str, int, str], np.ndarray]


def backward(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None:
        return
    for dtype in dtypes(plan):
        other = replace(plan, dtype=dtype)
        # Other dtypes than the plan's are asked for what is most used.
        for call in usual_calls(plan) if dtype == plan.dtype else [call_of(other)]:
            yield from _of_call(port, other, call, failed)
    if not port.one_by_one:
        yield from _of_every_gamma(port, plan, failed)


def _of_call(
    port: PythonPort, plan: Plan, call: Call, failed: list[PortError]
) -> Iterator[Finding]:
    """In the dtype of this plan."""
    orders = orders_of(port, plan)
    try:
        of_dtype = [*ways(port, plan, call), *ways_with_gammas(port, plan, call)]
    except PortError as error:
        failed.append(error)
        return
    known = _in_one_program(port, call, of_dtype, orders)
    if plan.dtype != port.plan.dtype and not known and refuses(port, call):
        return
    roundings = {order: _rounding(port, call, order, known) for order in orders}
    for way, order in itertools.product(of_dtype, orders):
        if not way.has(order):
            continue
        for asked, result in _derivatives(port, call, way, order, failed, known):
            yield from findings(plan, asked, way, order, result, roundings[order])


def differentiable(subject: Subject, plan: Plan) -> PythonPort | None:
    """The port, if its framework differentiates it in its logits."""
    if not isinstance(subject, PythonPort) or plan.probabilities:
        return None
    return subject if GRADIENT in subject.orders and not subject.slope else None


def dtypes(plan: Plan) -> list[str]:
    others = [dtype for dtype in plan.record.dtypes if dtype != plan.dtype]
    return [plan.dtype, *others]


def refuses(port: PythonPort, call: Call) -> bool:
    """Whether it raises an error for a dtype, which is an honest answer."""
    try:
        port.answer(call.problem, GRADIENT)
    except RefusedError:
        return True
    except PortError:
        return False
    return False


def orders_of(port: PythonPort, plan: Plan) -> list[int]:
    """Second derivatives are asked for in the plan's own dtype alone."""
    if SECOND in port.orders and plan.dtype == port.plan.dtype and plan.dtype in HAVE_SECOND:
        return [GRADIENT, SECOND]
    return [GRADIENT]


def _in_one_program(
    port: PythonPort, call: Call, asked_for: list[Way], orders: Sequence[int]
) -> Known:
    """The losses by themselves and the ways with options, compiled together where the framework
    compiles. In the port's own dtype, cotangents alone are asked one by one."""
    calls = _calls(call, asked_for)
    points = [logits_of(each.problem) for each in calls]
    plain = port.arguments(call.problem, points[0])
    names: list[tuple[str, int]] = [(PLAIN, order) for order in orders]
    asked = [Asked(plain, order) for order in orders]
    for way in asked_for:
        if way.options or call.problem.dtype != port.plan.dtype:
            cotangent = way.cotangent.astype(points[0].dtype)
            chosen = [order for order in orders if way.has(order)]
            names += [(way.name, order) for order in chosen]
            asked += [Asked(plain | dict(way.options), order, cotangent) for order in chosen]
    if len(asked) == len(orders):
        return {}
    known: Known = {}
    for each, answers in zip(calls, answers_together(port, asked, points), strict=True):
        for (name, order), answer in zip(names, answers, strict=True):
            if answer is not None:
                known[name, order, _poison(each)] = answer
    return known


def _calls(call: Call, asked_for: list[Way]) -> list[Call]:
    """The call, and if there is a mask the same with what it leaves out being NaN and inf."""
    if any("where" in way.options for way in asked_for):
        return [call, *(poisoned(call, poison) for poison in (math.nan, math.inf))]
    return [call]


def _poison(call: Call) -> str:
    """What the masked logits of a call are, if not finite."""
    points = call.problem.points
    strange = points[~np.isfinite(points)]
    return str(strange[0]) if strange.size else ""


def _rounding(port: PythonPort, call: Call, order: int, known: Known) -> np.ndarray:
    """That of the port, which may be another one when it is compiled."""
    compiled = known.get((PLAIN, order, ""))
    if compiled is None:
        return own_rounding(port, call, order)
    rounding = rounding_of(compiled.astype(float), call, order)
    if call.problem.dtype != port.plan.dtype:
        return rounding
    return np.maximum(rounding, own_rounding(port, call, order))


def _derivatives(
    port: PythonPort, call: Call, way: Way, order: int, failed: list[PortError], known: Known
) -> Iterator[tuple[Call, np.ndarray]]:
    # What a mask leaves out may hold anything.
    calls = _calls(call, [way])
    for asked in calls[: 1 if order == SECOND else None]:
        try:
            result = known.get((way.name, order, _poison(asked)))
            if result is None:
                result = _ask(port, asked, way, order)
            yield asked, _checked(result, asked)
        except PortError as error:
            # The layer of second derivatives says if there are none.
            if order != SECOND:
                failed.append(type(error)(f"the gradient through {way.name}: {error}"))


def _ask(port: PythonPort, call: Call, way: Way, order: int) -> np.ndarray:
    logits = logits_of(call.problem)
    arguments = port.arguments(call.problem, logits) | dict(way.options)
    return port.call(logits, arguments, order, way.cotangent.astype(logits.dtype))


def _checked(result: np.ndarray, call: Call) -> np.ndarray:
    logits = logits_of(call.problem)
    if result.shape != logits.shape:
        raise RefusedError(f"a result of shape {result.shape} for logits of {logits.shape}")
    return result.astype(float)


def _of_every_gamma(port: PythonPort, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    problems = hard(plan)
    plain = answers_to(port, problems, GRADIENT)
    times_cotangent = answers_to(port, problems, GRADIENT, IN_TURN)
    for problem in problems:
        known = plain.get(problem), times_cotangent.get(problem)
        yield from _of_ordinary_rows(port, plan, problem, known, failed)


def _of_ordinary_rows(
    port: PythonPort,
    plan: Plan,
    problem: Problem,
    known: tuple[np.ndarray | None, np.ndarray | None],
    failed: list[PortError],
) -> Iterator[Finding]:
    """A cotangent at the γ and the samples of the layer of gradients; those far out are its own."""
    call = Call(problem, truth.jets(problem, plan))
    plain, result = known
    name = f"a cotangent at γ = {call.gamma:g}"
    cotangent = np.resize(IN_TURN, len(problem.points))
    rows = _ordinary(problem)
    try:
        if plain is None:
            plain = port.answer(problem, GRADIENT)
        if result is None:
            asked = Way(name, cotangent, np.ones(len(cotangent)))
            result = _checked(_ask(port, call, asked, GRADIENT), call)
    except PortError as error:
        failed.append(type(error)(f"the gradient through {name}: {error}"))
        return
    ids = None if problem.ids is None else problem.ids[rows]
    few = replace(problem, points=problem.points[rows], ids=ids)
    judged = Call(few, [call.jets[row] for row in rows])
    way = Way(name, cotangent[rows], np.ones(len(rows)))
    rounding = rounding_of(plain[rows], judged, GRADIENT)
    yield from findings(plan, judged, way, GRADIENT, result[rows], rounding)


def _ordinary(problem: Problem) -> list[int]:
    """The rows whose logits are close to each other, or that of a sigmoid to 0."""
    logits = problem.points[:, : len(logit_names(problem))]
    spread = np.ptp(logits, axis=1) if logits.shape[1] > 1 else np.abs(logits[:, 0])
    return np.nonzero(spread <= ORDINARY)[0].tolist()
