"""A report for people and for machines: a table, JSON, JUnit XML, and the JSON of a badge."""

import json
import math
import platform
import shlex
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parity_tests.checker.layers.check import Report
from parity_tests.checker.layers.grades import ORDER, below, reaches
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS, XFAIL, Row
from parity_tests.contract.records import VERSION
from parity_tests.ports.frameworks.load import FRAMEWORKS

COLOURS = {PASS: "green", FAIL: "bold red", NOT_OFFERED: "dim", XFAIL: "yellow"}
ASKED_AT = {"logits", "targets", "gamma", "alpha", "derivative", "class", "dtype"}
HEADER = ("layer", "", "worst error", "allowed", "numbers", "wrong")


def versions(framework: str) -> dict[str, str]:
    """What the verdict depends on."""
    numbers = {
        "focal-parity": metadata.version("focal-parity"),
        "python": platform.python_version(),
    }
    names = ["numpy", "mpmath"]
    if framework in (*FRAMEWORKS, "onnxruntime") and framework not in names:
        names.append(framework)
    # A module knows its version under every name that it is distributed by.
    for name in names:
        numbers[name] = str(import_module(name).__version__)
    return numbers


def reproduce(command: str, row: Row, dtype: str) -> str:
    """The line that shows this row's worst point again, or the row."""
    point = plain(row.point or {})
    # Infinity and NaN are text here, and --at takes only what is finite.
    logits = np.atleast_1d(point.get("logits", math.nan)).tolist()
    is_finite = all(isinstance(x, float) for x in logits)
    # A point of the options, of a cotangent or of a batch has more than --at asks about.
    asked = {"targets", "gamma"} <= point.keys() <= ASKED_AT
    if not (is_finite and asked):
        return f"{command} --dtype {dtype} --layer {shlex.quote(row.layer)}"
    dtype = point.pop("dtype", dtype)
    for key in ("derivative", "class"):
        point.pop(key, None)
    return f"{command} --dtype {dtype} --at {shlex.quote(json.dumps(point))}"


def plain(x: Any) -> Any:
    """Numbers that JSON has not, as text."""
    if isinstance(x, dict):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x if isinstance(x, str | int | float | bool | None) else str(x)


def is_passed(report: Report, bar: str | None) -> bool:
    """Whether it reaches a grade; None: whether every layer passes."""
    return report.passed if bar is None else reaches(report.grade, bar)


def as_dict(report: Report, command: str, framework: str, bar: str | None) -> dict[str, Any]:
    """The whole report as JSON has it."""
    plan = report.plan
    rows = []
    for row in report.rows:
        line = reproduce(command, row, plan.dtype)
        rows.append(row.as_dict() | {"reproduce": line})
    return plain(
        {
            "contract": VERSION,
            "title": report.title,
            "function": plan.record.name,
            "dtype": plan.dtype,
            "framework": framework,
            "passed": is_passed(report, bar),
            "grade": report.grade,
            "asked": bar,
            "kept from the next grade by": report.limit.reason if report.limit else "",
            "versions": versions(framework),
            "conventions": {name: plan.convention(name) for name in plan.record.conventions},
            "fixed": dict(plan.fixed),
            "rows": rows,
            "diagnosis": list(report.diagnosis),
        }
    )


def show(report: Report, command: str, console: Console, bar: str | None) -> None:
    """The table; below it what is wrong, why, how to see it again, and the grade."""
    dtype = report.plan.dtype
    console.print(_table(report))
    for row in report.rows:
        if row.status in (FAIL, XFAIL):
            _details(row, command, dtype, console)
        elif row.note:
            console.print(f"[dim]{row.layer}: {escape(row.note)}[/]", highlight=False)
    for sentence in report.diagnosis:
        console.print(f"[bold]→ {escape(sentence)}[/]", highlight=False)
    word = PASS if is_passed(report, bar) else FAIL
    verdict = f"[{COLOURS[word]}]{word}[/]"
    grade = ""
    if bar is not None:
        grade = f": {_grade(report)}, asked for is {bar}"
        if report.limit:
            text = escape(f"not {report.limit.kept_from}: {report.limit.reason}")
            console.print(text, highlight=False)
    console.print(f"{verdict} {escape(report.title)} in {dtype}{grade}", highlight=False)


def _grade(report: Report) -> str:
    return f"grade {report.grade}" if report.grade else "no grade"


def _table(report: Report) -> Table:
    title = [f"{report.title} as {report.plan.record.name}, {report.plan.dtype}"]
    title += [f"{name} = {choice}" for name, choice in report.plan.conventions.items()]
    table = Table(*HEADER, title=", ".join(title), title_justify="left")
    for row in report.rows:
        status = f"[{COLOURS[row.status]}]{row.status}[/]"
        count = str(row.count or "")
        wrong = str(row.wrong or "") if row.count else ""
        table.add_row(row.layer, status, _eps(row, row.error), _eps(row, row.allowed), count, wrong)
    return table


def _eps(row: Row, x: float | None) -> str:
    return "" if x is None or row.layer == "shapes" else f"{x:.3g} eps"


def _details(row: Row, command: str, dtype: str, console: Console) -> None:
    reasons = [row.note] if row.note else []
    if row.point:
        point = ", ".join(f"{name} = {value}" for name, value in row.point.items())
        reasons.append(f"got {row.got}, truth {row.truth} at {point}")
    console.print(f"[red]{row.layer}[/]: {escape('; '.join(reasons))}", highlight=False)
    line = reproduce(command, row, dtype)
    console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def junit(reports: list[Report], command: str, bar: str | None) -> str:
    """One test case per layer and dtype. What is beyond the grade that is asked for is skipped."""
    rows = [row for report in reports for row in report.rows]
    failures = sum(_is_failure(row, bar) for row in rows)
    suite = ElementTree.Element("testsuite", name="focal-parity", tests=str(len(rows)))
    suite.set("failures", str(failures))
    for report in reports:
        for row in report.rows:
            _test_case(suite, report, row, command, bar)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _is_failure(row: Row, bar: str | None) -> bool:
    if row.status != FAIL:
        return False
    return bar is None or not reaches(below(row.kept_from), bar)


def _test_case(
    suite: ElementTree.Element, report: Report, row: Row, command: str, bar: str | None
) -> None:
    dtype = report.plan.dtype
    name = f"{row.layer} [{dtype}]"
    case = ElementTree.SubElement(suite, "testcase", classname=report.title, name=name)
    if _is_failure(row, bar):
        failure = ElementTree.SubElement(case, "failure", message=one_line(row))
        lines = [reproduce(command, row, dtype), *report.diagnosis]
        failure.text = "\n".join(lines)
    elif row.status == FAIL:
        message = f"keeps from {row.kept_from}, which is not asked for: {one_line(row)}"
        ElementTree.SubElement(case, "skipped", message=message)
    elif row.status in (NOT_OFFERED, XFAIL):
        ElementTree.SubElement(case, "skipped", message=row.note or row.status)


def one_line(row: Row) -> str:
    parts = []
    if row.wrong:
        parts.append(f"{row.wrong} of {row.count} numbers are wrong")
    if row.error is not None:
        parts.append(f"{row.error:.3g} eps, allowed {row.allowed:.3g}")
        parts.append(f"got {row.got}, truth {row.truth}")
    if row.note:
        parts.append(row.note)
    return "; ".join(parts)


def badge(reports: list[Report], bar: str | None) -> dict[str, Any]:
    """What a badge service reads to draw a badge."""
    statuses = [row.status for report in reports for row in report.rows]
    judged = [status for status in statuses if status not in (NOT_OFFERED, XFAIL)]
    good = judged.count(PASS)
    is_good = all(is_passed(report, bar) for report in reports)
    colour = "brightgreen" if is_good else "red"
    message = f"{good}/{len(judged)} layers, {VERSION}"
    if bar is not None:
        worst = min(reports, key=lambda report: ORDER.index(report.grade))
        message = f"{_grade(worst)}, {message}"
    return {"schemaVersion": 1, "label": "focal-parity", "message": message, "color": colour}


def write(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
