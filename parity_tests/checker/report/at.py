"""One point of a report again: what the port gives there, beside the truth."""

import json
import math
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from parity_tests.checker.layers.build import numbers
from parity_tests.checker.layers.judge import Finding, compared
from parity_tests.contract.family_records import FAMILY
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError

NAMES = {VALUE: "loss", GRADIENT: "gradient", SECOND: "second"}
HEADER = ("at this point", "got", "truth", "error", "allowed")


class Point(NamedTuple):
    """One sample with its settings. A softmax has one logit per class, and a class id or one
    probability per class."""

    logits: Any
    targets: Any
    gamma: float
    alpha: Any = None


def show_point(subject: Any, text: str, console: Console) -> bool:
    """A row per order of derivatives; whether all of them are within what is allowed."""
    plan = subject.plan
    problem = problem_of(plan, text)
    table = Table(title=f"{subject.title}, {plan.dtype}")
    for header in HEADER:
        # A narrow terminal must not cut digits off.
        table.add_column(header, overflow="fold")
    good = True
    for order in subject.orders:
        try:
            answer = subject.answer(problem, order)
            findings = list(compared(problem, plan, order, answer))
        except PortError as error:
            table.add_row(NAMES[order], str(error), "", "", "")
            good = False
            continue
        for finding in findings:
            table.add_row(*_cells(NAMES[order], finding))
            good = good and finding.error <= finding.allowed
    console.print(table)
    return good


def _cells(name: str, finding: Finding) -> tuple[str, ...]:
    if "class" in finding.point:
        name += f" {finding.point['class']}"
    error = f"{finding.error:.3g} eps"
    allowed = f"{finding.allowed:g} eps"
    return name, repr(finding.got), finding.truth, error, allowed


def problem_of(plan: Plan, text: str) -> Problem:
    """A problem of one sample, from a point as reports give it."""
    if plan.record.name in FAMILY:
        raise BadPortError(f"--at is of focal losses, not of {plan.record.name}: say --layer")
    point = _point(plan, text)
    inputs = {"logits": point.logits}
    ids = None
    if isinstance(point.targets, list | float):
        inputs["targets"] = point.targets
    else:
        ids = np.array([point.targets])
    constants: dict[str, Any] = {"gamma": point.gamma}
    if not plan.record.classes or point.alpha is not None:
        constants["alpha"] = point.alpha
    names, row = _columns(inputs)
    with np.errstate(over="ignore"):
        rounded = np.array([row]).astype(DTYPES[plan.dtype]).astype(float)
    is_finite = bool(np.isfinite(rounded).all())
    _require(is_finite, "logits", f"finite in {plan.dtype}; see --layer 'special values'")
    return Problem(plan.record.asked_as, plan.dtype, names, rounded, ids, constants)


def _columns(inputs: dict[str, Any]) -> tuple[tuple[str, ...], list[float]]:
    """The variables of a problem with their values: lists have a variable per class."""
    names: list[str] = []
    row: list[float] = []
    for stem, x in inputs.items():
        if isinstance(x, list):
            names += [f"{stem}{c}" for c in range(len(x))]
            row += x
        else:
            names.append(stem)
            row.append(x)
    return tuple(names), row


def _point(plan: Plan, text: str) -> Point:
    """The point with each of its values in the contract's domain."""
    point = _parsed(plan, text)
    numbers(plan.record, {"gamma": point.gamma, "alpha": point.alpha})
    fixed = plan.fixed.get("gamma", point.gamma)
    _require(fixed == point.gamma, "gamma", "that of --set gamma")
    targets = _class_targets(point) if plan.record.classes else _binary_target(point)
    return point._replace(targets=targets, gamma=float(point.gamma))


def _parsed(plan: Plan, text: str) -> Point:
    try:
        values = json.loads(text)
        _require(isinstance(values, dict), "the point", "an object")
    except (json.JSONDecodeError, RecursionError):
        message = f"--at {text!r} is no point; write JSON such as {_example(plan)}"
        raise BadPortError(message) from None
    for name in values:
        _require(name in Point._fields, name, f"one of {', '.join(Point._fields)}")
    for name in ("logits", "targets", "gamma"):
        _require(name in values, name, f"there, e.g. {_example(plan)}")
    return Point(**values)


def _binary_target(point: Point) -> int | float:
    """An integer is a label, and a float is a soft target also where it is 0.0 or 1.0."""
    _require(_is_number(point.logits), "logits", "a number")
    _require(_is_probability(point.targets), "targets", "a number in [0, 1]")
    if isinstance(point.targets, int):
        return point.targets
    return float(point.targets)


def _class_targets(point: Point) -> int | list[float]:
    logits, targets, alpha = point.logits, point.targets, point.alpha
    is_row = isinstance(logits, list) and bool(logits) and all(map(_is_number, logits))
    _require(is_row, "logits", "a list of numbers")
    count = len(logits)
    if isinstance(targets, list):
        fits = len(targets) == count and all(map(_is_probability, targets))
        _require(fits, "targets", "one probability per class")
        targets = [float(y) for y in targets]
    else:
        is_integer = isinstance(targets, int) and not isinstance(targets, bool)
        ids = f"a class id from 0 to {count - 1}, or one probability per class"
        _require(is_integer and 0 <= targets < count, "targets", ids)
    _require(alpha is None or len(alpha) == count, "alpha", "one weight per class")
    return targets


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _is_probability(x: Any) -> bool:
    return _is_number(x) and 0 <= x <= 1


def _require(holds: bool, name: str, expected: str) -> None:
    if not holds:
        raise BadPortError(f"--at: {name} has to be {expected}")


def _example(plan: Plan) -> str:
    if plan.record.classes:
        return '{"logits": [20.0, 0.0, 1.0], "targets": 0, "gamma": 2.0}'
    return '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": 0.25}'
