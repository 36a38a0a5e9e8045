"""One point of a report again: what the port gives there, beside the truth."""

import json
import math
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from parity_tests.checker.layers.build import numbers
from parity_tests.checker.layers.judge import compared
from parity_tests.contract.problems import Problem
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError

NAMES = {VALUE: "loss", GRADIENT: "gradient", SECOND: "second"}
KEYS = ("logits", "targets", "gamma", "alpha")


def show_point(subject: Any, text: str, console: Console) -> bool:
    """A row per order of derivatives; whether all of them are within what is allowed."""
    plan = subject.plan
    problem = problem_of(plan, text)
    table = Table(
        "at this point", "got", "truth", "error", "allowed", title=f"{subject.title}, {plan.dtype}"
    )
    good = True
    for order in subject.orders:
        try:
            found = list(compared(problem, plan, order, subject.answer(problem, order)))
        except PortError as error:
            table.add_row(NAMES[order], str(error), "", "", "")
            good = False
            continue
        for finding in found:
            column = f" {finding.point['class']}" if "class" in finding.point else ""
            cells = (
                repr(finding.got),
                finding.truth,
                f"{finding.error:.3g} eps",
                f"{finding.allowed:g} eps",
            )
            table.add_row(f"{NAMES[order]}{column}", *cells)
            good = good and finding.error <= finding.allowed
    console.print(table)
    return good


def problem_of(plan: Plan, text: str) -> Problem:
    """A problem of one sample, from a point as reports give it."""
    point = _point(plan, text)
    logits = point["logits"] if plan.record.classes else [point["logits"]]
    soft = isinstance(point["targets"], list | float)
    targets = np.atleast_1d(point["targets"]).tolist() if soft else []
    names = [f"logits{c}" for c in range(len(logits))] if plan.record.classes else ["logits"]
    if soft:
        names += [f"targets{c}" for c in range(len(logits))] if plan.record.classes else ["targets"]
    with np.errstate(over="ignore"):
        rounded = np.array([[*logits, *targets]]).astype(DTYPES[plan.dtype]).astype(float)
    _require(
        bool(np.isfinite(rounded).all()),
        "logits",
        f"finite in {plan.dtype}; see --layer 'special values'",
    )
    constants = {"gamma": point["gamma"]}
    if not plan.record.classes or point["alpha"] is not None:
        constants["alpha"] = point["alpha"]
    ids = None if soft else np.array([point["targets"]])
    return Problem(plan.record.name, plan.dtype, tuple(names), rounded, ids, constants)


def _point(plan: Plan, text: str) -> dict[str, Any]:
    """The point with each of its values in the contract's domain."""
    try:
        point = json.loads(text)
        _require(isinstance(point, dict), "the point", "an object")
    except (json.JSONDecodeError, RecursionError):
        raise BadPortError(
            f"--at {text!r} is no point; write JSON such as {_example(plan)}"
        ) from None
    for name in point:
        _require(name in KEYS, name, f"one of {', '.join(KEYS)}")
    for name in ("logits", "targets", "gamma"):
        _require(name in point, name, f"there, e.g. {_example(plan)}")
    numbers(plan.record, {"gamma": point["gamma"], "alpha": point.get("alpha")})
    _require(
        plan.fixed.get("gamma", point["gamma"]) == point["gamma"], "gamma", "that of --set gamma"
    )
    if plan.record.classes:
        _classes(point)
    else:
        _require(_is_number(point["logits"]), "logits", "a number")
        _require(
            _is_number(point["targets"]) and 0 <= point["targets"] <= 1,
            "targets",
            "a number in [0, 1]",
        )
        hard = isinstance(point["targets"], int)
        point["targets"] = point["targets"] if hard else float(point["targets"])
    return {"alpha": None} | point | {"gamma": float(point["gamma"])}


def _classes(point: dict[str, Any]) -> None:
    logits, targets, alpha = point["logits"], point["targets"], point.get("alpha")
    _require(
        isinstance(logits, list) and bool(logits) and all(map(_is_number, logits)),
        "logits",
        "a list of numbers",
    )
    if isinstance(targets, list):
        fits = len(targets) == len(logits) and all(_is_number(y) and 0 <= y <= 1 for y in targets)
        _require(fits, "targets", "one probability per class")
        point["targets"] = [float(y) for y in targets]
    else:
        inside = (
            isinstance(targets, int)
            and not isinstance(targets, bool)
            and 0 <= targets < len(logits)
        )
        _require(
            inside,
            "targets",
            f"a class id from 0 to {len(logits) - 1}, or one probability per class",
        )
    _require(alpha is None or len(alpha) == len(logits), "alpha", "one weight per class")


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _require(holds: bool, name: str, expected: str) -> None:
    if not holds:
        raise BadPortError(f"--at: {name} has to be {expected}")


def _example(plan: Plan) -> str:
    if plan.record.classes:
        return '{"logits": [20.0, 0.0, 1.0], "targets": 0, "gamma": 2.0}'
    return '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": 0.25}'
