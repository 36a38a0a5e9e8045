"""A check from first contact to report: the port is called once by hand, then judged layer by
layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports import questions
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import BadPortError, Plan, PortError, Subject, columns

from . import judge
from .identities import IDENTITIES
from .judge import FAIL, PASS, Finding, Row, verdict
from .options import ERRORS, options
from .special import SPECIAL


@dataclass(frozen=True)
class Report:
    """Everything that was found out about a port in one dtype."""

    title: str
    plan: Plan
    rows: tuple[Row, ...]
    diagnosis: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(row.status != FAIL for row in self.rows)


def _named(
    checks: dict[str, Any], names: tuple[str, ...], subject: Subject, plan: Plan, failed: Any
) -> Iterator[Any]:
    """The findings of the named checks; one at which the port fails is noted, and the next one
    asked."""
    for name in names:
        try:
            yield from checks[name](subject, plan, failed)
        except PortError as error:
            failed.append(error)


def _special(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _named(SPECIAL, plan.record.special, subject, plan, failed)


def _identities(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not plan.probabilities:
        yield from _named(IDENTITIES, plan.record.identities, subject, plan, failed)


def _shapes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _named(ERRORS, plan.record.errors, subject, plan, failed)


# A layer that is optional may be refused by an error of the port, but not answered wrongly.
LAYERS: dict[str, tuple[Any, bool]] = {
    "values": (judge.values, False),
    "soft targets": (judge.soft_targets, True),
    "gradients": (judge.gradients, False),
    "second order": (judge.second_order, False),
    "special values": (_special, False),
    "identities": (_identities, False),
    "options": (options, False),
    "shapes": (_shapes, False),
    "dtypes": (judge.other_dtypes, True),
}


def check(subject: Subject, plan: Plan, layers: Iterable[str] = LAYERS) -> Report:
    """The rows of these layers, after what was learned at first contact."""
    rows = [_names(subject, plan), *(layer(subject, plan, name) for name in layers)]
    return Report(subject.title, plan, tuple(rows))


def layer(subject: Subject, plan: Plan, name: str) -> Row:
    function, optional = LAYERS[name]
    failed: list[PortError] = []
    return verdict(name, function(subject, plan, failed), failed, optional)


def _names(subject: Subject, plan: Plan) -> Row:
    lacking = [a.name for a in plan.record.arguments if not subject.takes(a.name)]
    fixed = [f"{name} = {value}" for name, value in plan.fixed.items() if not subject.takes(name)]
    notes = [f"without {', '.join(lacking)}"] if lacking else []
    notes += [*fixed, *(() if plan.without_alpha else ("alpha=None is refused",))]
    notes += ["one number per batch"] if getattr(subject, "one_by_one", False) else []
    note = "; ".join(notes)
    return Row("names", PASS, count=len(plan.record.arguments) - len(lacking), note=note)


def first_contact(port: PythonPort) -> PythonPort:
    """Call the port once as its users do. Raise BadPortError, with what to do, if nothing can be
    learned from it."""
    problem = questions.first(port.plan)
    logits = columns(problem, "logits").astype(DTYPES[port.plan.dtype])
    try:
        got = port.call(logits, port.arguments(problem, logits))
    except PortError as error:
        raise BadPortError(
            f"{port.title} raised {error}; it was called with logits of shape {logits.shape}, "
            f"{port.plan.dtype}: see --map, --set, --pass and --dtype"
        ) from None
    return _without_alpha(_judge_first(port, logits, got), problem, logits)


def _without_alpha(port: PythonPort, problem: Problem, logits: np.ndarray) -> PythonPort:
    """Leave alpha=None out if the port raises an error for it."""
    if port.takes("alpha") and "alpha" not in port.plan.fixed and not port.plan.record.classes:
        try:
            port.call(logits, port.arguments(problem, logits) | {"alpha": None})
        except PortError:
            return replace(port, plan=replace(port.plan, without_alpha=False))
    return port


def _judge_first(port: PythonPort, logits: np.ndarray, got: Any) -> PythonPort:
    expected = logits.shape[:1]
    if got.dtype.kind not in "fV" and got.dtype != logits.dtype:
        raise BadPortError(
            f"{port.title} returned {got.dtype}, not numbers: return the loss as an array"
        )
    if got.shape == ():
        port = replace(port, one_by_one=True)
    elif got.shape != expected:
        raise BadPortError(
            f"{port.title} returned shape {got.shape} for logits of shape {logits.shape}: one loss per element, "
            f"shape {expected}, is expected"
        )
    if got.dtype != logits.dtype:
        raise BadPortError(
            f"{port.title} returned {got.dtype} for logits of {logits.dtype}: return the dtype of the logits, "
            f"or check with --dtype {got.dtype}"
        )
    if np.isnan(got.astype(float)).all():
        raise BadPortError(
            f"{port.title} returns NaN for every one of {len(logits)} ordinary logits: nothing to judge"
        )
    return port
