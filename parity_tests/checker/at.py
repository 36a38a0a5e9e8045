"""One point of a report again: what the port gives there, beside the truth."""

import json
import math
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..problems import Problem
from ..tolerances import DTYPES
from . import truth
from .judge import compared
from .subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError

NAMES = {VALUE: "loss", GRADIENT: "gradient", SECOND: "second"}


def show_point(subject: Any, text: str, console: Console) -> bool:
    """A row per order of derivatives; whether all of them are within what is allowed."""
    plan = subject.plan
    problem = _problem(plan, text)
    table = Table("at this point", "got", "truth", "error", "allowed", title=f"{subject.title}, {plan.dtype}")
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
            numbers = (repr(finding.got), finding.truth, f"{finding.error:.3g} eps", f"{finding.allowed:g} eps")
            table.add_row(f"{NAMES[order]}{column}", *numbers)
            good = good and finding.error <= finding.allowed
    console.print(table)
    return good


def _problem(plan: Plan, text: str) -> Problem:
    """A problem of one sample, from a point as reports give it."""
    try:
        point = {name: _number(x) for name, x in json.loads(text).items()}
        logits, targets = np.atleast_1d(point.pop("logits")), point.pop("targets")
        gamma = point.pop("gamma")
    except (json.JSONDecodeError, AttributeError, KeyError, ValueError):
        example = '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": 0.25}'
        raise BadPortError(f"--at {text!r} is no point; write JSON such as {example}") from None
    soft = isinstance(targets, list | float)
    points = [*logits.tolist(), *(np.atleast_1d(targets).tolist() if soft else [])]
    names = ["logits"] if not plan.record.classes else [f"logits{c}" for c in range(len(logits))]
    if soft:
        names += ["targets"] if not plan.record.classes else [f"targets{c}" for c in range(len(logits))]
    alpha = {} if plan.record.classes and point.get("alpha") is None else {"alpha": point.get("alpha")}
    rounded = np.array([points]).astype(DTYPES[plan.dtype]).astype(float)
    ids = None if soft else np.array([targets])
    problem = Problem(plan.record.name, plan.dtype, tuple(names), rounded, ids, {"gamma": gamma} | alpha)
    if not all(math.isfinite(x) for x in points):
        raise BadPortError("--at needs finite logits; see --layer 'special values' for the infinite ones")
    truth.jets(problem, plan)
    return problem


def _number(x: Any) -> Any:
    if isinstance(x, list):
        return [_number(item) for item in x]
    return float(x) if isinstance(x, str) else x
