"""The measured times as tables and as CSV."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from .cases import (
    BACKWARD,
    BFLOAT16,
    FIRST_CALL,
    FLOAT32,
    FORWARD,
    LANGUAGE_MODEL,
    SIGMOID,
    SOFTMAX,
    Case,
)
from .peers import CONTENDERS
from .requirements import Verdict
from .table import Sheet
from .table import markdown as markdown_table
from .table import show as show_table
from .timing import quartiles

KEYS = ["case", "mode", "dtype", "contender"]
MISSING = "–"
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
QUANTILES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
WAYS = [(mode, dtype) for dtype in (FLOAT32, BFLOAT16) for mode in (FORWARD, BACKWARD)]
# Case, mode and dtype of a column.
Place = tuple[str, str, str]


def sheets(times: pd.DataFrame, cases: Sequence[Case], verdicts: Iterable[Verdict]) -> list[Sheet]:
    """What is required, then the times of each loss; what was not measured is left out."""
    required = _required(verdicts)
    timed = _sigmoid(times, cases)
    timed.append(_softmax(times))
    timed.extend(_first_call(times, case) for case in cases)
    return [sheet for sheet in (required, *timed) if sheet.rows]


def _required(verdicts: Iterable[Verdict]) -> Sheet:
    names = ("time of", "in units of", "case")
    header = (*names, "ratio", "quartiles", "at most", "required", "verdict")
    return Sheet("Requirements", header, [_verdict(verdict) for verdict in verdicts], names)


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    requirement = verdict.requirement
    labels = (requirement.numerator, requirement.denominator)
    place = f"{requirement.case.name}, {requirement.mode}"
    spread = f"{verdict.low:.2f} to {verdict.high:.2f}"
    bound = f"{requirement.bound:g}"
    required = "yes" if requirement.required else "no"
    met = "met" if verdict.met else "not met"
    return (*labels, place, f"{verdict.ratio:.2f}", spread, bound, required, met)


def _sigmoid(times: pd.DataFrame, cases: Iterable[Case]) -> list[Sheet]:
    """One for each mode and dtype, with a column per case."""
    names = [case.name for case in cases if case.loss == SIGMOID]
    sheets = []
    for mode, dtype in WAYS:
        columns = {name: (name, mode, dtype) for name in names}
        sheets.append(_timed(times, f"Sigmoid, {mode}, {dtype}", SIGMOID, columns))
    return sheets


def _softmax(times: pd.DataFrame) -> Sheet:
    columns = {", ".join(way): (LANGUAGE_MODEL.name, *way) for way in WAYS}
    return _timed(times, "Softmax, LLM", SOFTMAX, columns)


def _first_call(times: pd.DataFrame, case: Case) -> Sheet:
    columns = {"tracing and compiling": (case.name, FIRST_CALL, FLOAT32)}
    return _timed(times, f"First call, {case.name}", case.loss, columns)


def _timed(times: pd.DataFrame, title: str, loss: str, columns: Mapping[str, Place]) -> Sheet:
    """A row per contender, a column per place; those without a number do not appear."""
    cells = times.groupby(KEYS)["seconds"].apply(_cell).to_dict()
    measured = {key[:3] for key in cells}
    used = {heading: place for heading, place in columns.items() if place in measured}
    rows = []
    for contender in CONTENDERS[loss]:
        label = contender.label
        numbers = [cells.get((*place, label), MISSING) for place in used.values()]
        if set(numbers) - {MISSING}:
            rows.append((label, *numbers))
    return Sheet(title, ("contender", *used), rows, words=("contender",))


def _cell(seconds: pd.Series) -> str:
    """The median, with half of the distance between the quartiles in percent of it."""
    low, middle, high = quartiles(seconds)
    return f"{duration(middle)} ± {(high - low) / 2 / middle:.0%}"


def duration(seconds: float) -> str:
    """Three digits in the largest unit of which it is at least one."""
    unit, size = next((x for x in UNITS if seconds >= x[1]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """One row per case, mode, dtype and contender, for the CSV."""
    grouped = times.groupby(KEYS, sort=False)["seconds"]
    columns = {"rounds": grouped.size()}
    for name, quantile in QUANTILES.items():
        columns[name] = grouped.quantile(quantile)
    return pd.DataFrame(columns).reset_index()


def show(head: Sequence[str], sheets: Iterable[Sheet], markdown: bool) -> None:
    bullet = "- " if markdown else ""
    for line in head:
        print(f"{bullet}{line}")
    for sheet in sheets:
        if markdown:
            print(f"\n### {sheet.title}\n\n{markdown_table(sheet)}")
        else:
            show_table(sheet)
