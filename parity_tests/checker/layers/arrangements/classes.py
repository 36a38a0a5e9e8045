"""The same logits among more classes, which are so unlikely that nothing of them is left."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject

from ..batch import call_of, own_rounding
from ..judge import Finding
from ..problems import hard_problem
from .alike import of_elements

# Where the three classes are among these; their order is another one.
CLASSES = 20
AT = (17, 4, 11)
# Of every dtype, and far below any of the other logits.
UNLIKELY = -6000.0
MESSAGE = f"it is another one among {CLASSES} classes, the others with logits of {UNLIKELY:g}"


def among_classes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not plan.record.classes or plan.fixed.get("alpha") is not None:
        return
    if getattr(subject, "one_by_one", False):
        return
    call = call_of(plan)
    asked = _among(plan, call.problem)
    for order in (VALUE, GRADIENT):
        if order not in subject.orders:
            continue
        try:
            usual = subject.answer(call.problem, order)
            result = subject.answer(asked, order)
        except PortError as error:
            failed.append(error)
            continue
        where = {"classes": CLASSES}
        among = result[:, AT] if order == GRADIENT else result
        rounding = own_rounding(subject, call, order)
        kind = "gradient" if order == GRADIENT else "loss"
        message = f"the {kind}: {MESSAGE}"
        yield from of_elements(call, order, usual, among, where, message, rounding)
        if order == GRADIENT:
            others = np.delete(result, AT, axis=1)
            nothing = not others.any()
            message = (
                f"the gradient of those with probability 0 among {CLASSES} classes has to be 0"
            )
            yield Finding.exact(nothing, float(np.abs(others).max()), "0.0", where, message)


def _among(plan: Plan, problem: Problem) -> Problem:
    assert problem.ids is not None
    points = np.full((len(problem.points), CLASSES), UNLIKELY)
    points[:, AT] = problem.points
    ids = np.take(AT, problem.ids)
    among = hard_problem(plan, points, ids, float(problem.constants["gamma"]), None)
    return replace(among, constants=problem.constants)
