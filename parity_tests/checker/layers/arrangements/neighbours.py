"""The loss of an element is that of the element alone: in every batch, at every place in it, beside
any others, and as often as it is asked for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import FLOOR, allowed
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    Plan,
    PortError,
    Subject,
    logit_names,
)
from parity_tests.truth.jets import Term

from .. import truth
from ..batch import Call, call_of, own_rounding, rounding_of
from ..judge import HAVE_SECOND, Finding, digits

SIX = list(range(6))
# How often the same call is made, so that what happens at every k-th shows.
REPEATED = 16
# Beside this logit any other underflows.
FAR = 1024.0
# More than the rows that a kernel has at a time, and no multiple of them.
MANY = 4099


class Arrangement(NamedTuple):
    """Which of the six elements are asked, in this order; None is one that is far away."""

    name: str
    elements: Sequence[int | None]
    times: int = 1


def _arrangements() -> Iterator[Arrangement]:
    yield Arrangement("in the same call again", SIX, REPEATED)
    yield Arrangement("in another order", SIX[::-1])
    for element in SIX:
        yield Arrangement("alone in its batch", [element])
    yield Arrangement("in a batch of 20", [*SIX, *SIX[::-1], *SIX, 0, 3])
    yield Arrangement(f"in a batch of {MANY}", np.resize(SIX, MANY).tolist())
    yield Arrangement("beside a very large logit", [0, None, 1, 2, 3, 4])
    yield Arrangement("beside a very large logit", [None, 5, 4, 3, 2, 1])


def neighbours(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    # One number for a batch is that of no element.
    if getattr(subject, "one_by_one", False) or plan.probabilities:
        return
    call = call_of(plan)
    for order in (VALUE, GRADIENT, SECOND):
        if order not in subject.orders or (order == SECOND and plan.dtype not in HAVE_SECOND):
            continue
        try:
            own = Own.of(subject, call, order)
        except PortError as error:
            failed.append(error)
            continue
        for arrangement in _arrangements():
            if order == SECOND and len(arrangement.elements) == MANY:
                continue
            for time in range(arrangement.times):
                try:
                    yield from _findings(subject, own, arrangement, time)
                except PortError as error:
                    failed.append(type(error)(f"an element {arrangement.name}: {error}"))


class Own(NamedTuple):
    """What a port says of the six elements, right or wrong: (elements, classes)."""

    call: Call
    order: int
    answers: np.ndarray
    # In eps. Vectors round at other places: the worst of the elements stands for each.
    rounding: float

    @classmethod
    def of(cls, subject: Subject, call: Call, order: int) -> "Own":
        answers = subject.answer(call.problem, order)
        answers = answers.reshape(len(answers), -1)
        rounding = own_rounding(subject, call, order)
        return cls(call, order, answers, float(rounding.max()))

    def term(self, element: int, column: int) -> Term:
        """As if it were the truth, with the scale of either."""
        problem = self.call.problem
        name = logit_names(problem)[column]
        scale = truth.derivative(problem, self.call.jets[element], name, self.order).scale
        answer = mpf(float(self.answers[element, column]))
        return Term(answer, max(scale, abs(answer)))


def _findings(subject: Subject, own: Own, arrangement: Arrangement, time: int) -> Iterator[Finding]:
    problem, order = own.call.problem, own.order
    asked = _arranged(problem, arrangement)
    answers = subject.answer(asked, order)
    answers = answers.reshape(len(answers), -1)
    units = allowed(problem.function, ("logits",) * order, own.call.gamma, problem.dtype)
    floor = FLOOR[problem.dtype][order]
    kind = ("loss", "gradient", "second derivative")[order]
    message = (
        f"the {kind} of an element is another one {arrangement.name}: it must not depend on its "
        "neighbours, its place, or earlier calls"
    )
    rounding = own.rounding
    if list(arrangement.elements[:6]) == SIX:
        rounding = max(rounding, float(rounding_of(answers[:6], own.call, order).max()))
    for place, element in enumerate(arrangement.elements):
        if element is None:
            continue
        for column, x in enumerate(answers[place].tolist()):
            if not math.isfinite(own.answers[element, column]):
                continue
            limit = units + rounding
            if x == own.answers[element, column]:
                # So are most of many, and there is nothing to show.
                yield Finding(0.0, limit, x, str(x), {})
                continue
            term = own.term(element, column)
            error = math.inf if math.isnan(x) else error_in_eps(x, term, problem.dtype, floor)
            point = _point(asked, place, order) | {"call": time + 1}
            yield Finding(error, limit, x, digits(term), point, message)


def _arranged(problem: Problem, arrangement: Arrangement) -> Problem:
    rows = [0 if i is None else i for i in arrangement.elements]
    points = problem.points[rows]
    for place, element in enumerate(arrangement.elements):
        if element is None:
            points[place] = 0
            points[place, 0] = FAR
    ids = None if problem.ids is None else problem.ids[rows]
    return replace(problem, points=points, ids=ids)


def _point(problem: Problem, place: int, order: int) -> dict[str, Any]:
    point = problem.sample(place) | problem.constants
    return point | {"batch of": len(problem.points), "place": place, "derivative": order}
