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
from parity_tests.checker.layers.judge import FAIL, NOT_OFFERED, PASS, XFAIL, Row
from parity_tests.contract.records import VERSION
from parity_tests.ports.frameworks import FRAMEWORKS

COLOURS = {PASS: "green", FAIL: "bold red", NOT_OFFERED: "dim", XFAIL: "yellow"}


def versions(framework: str) -> dict[str, str]:
    """What the verdict depends on."""
    found = {"focal-parity": metadata.version("focal-parity"), "python": platform.python_version()}
    # A module knows its version under every name that it is distributed by.
    for name in dict.fromkeys(
        ("numpy", "mpmath", framework if framework in FRAMEWORKS else "numpy")
    ):
        found[name] = str(import_module(name).__version__)
    return found


def reproduce(command: str, row: Row, dtype: str) -> str:
    """The line that shows this row's worst point again, or the row."""
    point = {key: plain(x) for key, x in (row.point or {}).items()}
    logits = np.atleast_1d(point.get("logits", math.nan)).tolist()
    if not {"targets", "gamma"} <= point.keys() or not all(isinstance(x, float) for x in logits):
        return f"{command} --dtype {dtype} --layer {shlex.quote(row.layer)}"
    chosen = {key: x for key, x in point.items() if key not in ("derivative", "class", "dtype")}
    return f"{command} --dtype {point.get('dtype', dtype)} --at {shlex.quote(json.dumps(chosen))}"


def plain(x: Any) -> Any:
    """Numbers that JSON has not, as text."""
    if isinstance(x, dict):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x if isinstance(x, str | int | float | bool | None) else str(x)


def as_dict(report: Report, command: str, framework: str) -> dict[str, Any]:
    """The whole report as JSON has it."""
    plan = report.plan
    rows = [
        row.as_dict() | {"reproduce": reproduce(command, row, plan.dtype)} for row in report.rows
    ]
    return plain(
        {
            "contract": VERSION,
            "title": report.title,
            "function": plan.record.name,
            "dtype": plan.dtype,
            "framework": framework,
            "passed": report.passed,
            "versions": versions(framework),
            "conventions": {name: plan.convention(name) for name in plan.record.conventions},
            "fixed": dict(plan.fixed),
            "rows": rows,
            "diagnosis": list(report.diagnosis),
        }
    )


def show(report: Report, command: str, console: Console) -> None:
    """The table; below it what is wrong, why, and how to see it again."""
    table = Table(
        "layer",
        "",
        "worst error",
        "allowed",
        "numbers",
        "wrong",
        title=_title(report),
        title_justify="left",
    )
    for row in report.rows:
        colour = COLOURS[row.status]
        error, allowed = (_eps(row, x) for x in (row.error, row.allowed))
        counts = (str(row.count), str(row.wrong or "")) if row.count else ("", "")
        table.add_row(row.layer, f"[{colour}]{row.status}[/]", error, allowed, *counts)
    console.print(table)
    for row in report.rows:
        if row.status in (FAIL, XFAIL):
            _details(row, command, report.plan.dtype, console)
        elif row.note:
            console.print(f"[dim]{row.layer}: {escape(row.note)}[/]", highlight=False)
    for says in report.diagnosis:
        console.print(f"[bold]→ {escape(says)}[/]", highlight=False)
    colour, word = ("green", "PASS") if report.passed else ("bold red", "FAIL")
    console.print(
        f"[{colour}]{word}[/] {escape(report.title)} in {report.plan.dtype}", highlight=False
    )


def _title(report: Report) -> str:
    declared = [f"{name} = {choice}" for name, choice in report.plan.conventions.items()]
    return ", ".join(
        [f"{report.title} as {report.plan.record.name}, {report.plan.dtype}", *declared]
    )


def _eps(row: Row, x: float | None) -> str:
    return "" if x is None or row.layer == "shapes" else f"{x:.3g} eps"


def _details(row: Row, command: str, dtype: str, console: Console) -> None:
    point = ", ".join(f"{name} = {value}" for name, value in (row.point or {}).items())
    numbers = f"got {row.got}, truth {row.truth} at {point}" if row.point else ""
    console.print(
        f"[red]{row.layer}[/]: {escape('; '.join(filter(None, (row.note, numbers))))}",
        highlight=False,
    )
    console.print(f"  {escape(reproduce(command, row, dtype))}", highlight=False, soft_wrap=True)


def junit(reports: list[Report], command: str) -> str:
    """One test case per layer and dtype."""
    suite = ElementTree.Element(
        "testsuite", name="focal-parity", tests=str(sum(len(r.rows) for r in reports))
    )
    failures = [(report, row) for report in reports for row in report.rows if row.status == FAIL]
    suite.set("failures", str(len(failures)))
    for report in reports:
        for row in report.rows:
            name = f"{row.layer} [{report.plan.dtype}]"
            case = ElementTree.SubElement(suite, "testcase", classname=report.title, name=name)
            if row.status == FAIL:
                failure = ElementTree.SubElement(case, "failure", message=one_line(row))
                failure.text = "\n".join(
                    [reproduce(command, row, report.plan.dtype), *report.diagnosis]
                )
            elif row.status in (NOT_OFFERED, XFAIL):
                ElementTree.SubElement(case, "skipped", message=row.note or row.status)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def one_line(row: Row) -> str:
    error = (
        ""
        if row.error is None
        else f"{row.error:.3g} eps, allowed {row.allowed:.3g}; got {row.got}, truth {row.truth}"
    )
    return "; ".join(
        filter(
            None,
            (f"{row.wrong} of {row.count} numbers are wrong" if row.wrong else "", error, row.note),
        )
    )


def badge(reports: list[Report]) -> dict[str, Any]:
    """What a badge service reads to draw a badge."""
    rows = [
        row for report in reports for row in report.rows if row.status not in (NOT_OFFERED, XFAIL)
    ]
    good = sum(row.status == PASS for row in rows)
    colour = "brightgreen" if good == len(rows) else "red"
    message = f"{good}/{len(rows)} layers, {VERSION}"
    return {"schemaVersion": 1, "label": "focal-parity", "message": message, "color": colour}


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
