"""The measured times as tables and as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

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
from .timing import quartiles

KEYS = ["case", "mode", "dtype", "contender"]
MISSING = "–"
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
# Case, mode and dtype of a column.
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Sheet:
    """A table, with words in its first columns and numbers in the others."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


def sheets(times: pd.DataFrame, cases: Sequence[Case], verdicts: Iterable[Verdict]) -> list[Sheet]:
    """What is required, then the times of each loss; what was not measured is left out."""
    sigmoids = [case.name for case in cases if case.loss == SIGMOID]
    ways = [(mode, dtype) for dtype in (FLOAT32, BFLOAT16) for mode in (FORWARD, BACKWARD)]
    found = [
        _required(verdicts),
        *(
            _timed(
                times,
                f"Sigmoid, {mode}, {dtype}",
                SIGMOID,
                {case: (case, mode, dtype) for case in sigmoids},
            )
            for mode, dtype in ways
        ),
        _timed(
            times,
            "Softmax, LLM",
            SOFTMAX,
            {", ".join(way): (LANGUAGE_MODEL.name, *way) for way in ways},
        ),
        *(
            _timed(
                times,
                f"First call, {case.name}",
                case.loss,
                {"tracing and compiling": (case.name, FIRST_CALL, FLOAT32)},
            )
            for case in cases
        ),
    ]
    return [sheet for sheet in found if sheet.rows]


def _required(verdicts: Iterable[Verdict]) -> Sheet:
    header = (
        "time of",
        "in units of",
        "case",
        "ratio",
        "quartiles",
        "at most",
        "required",
        "verdict",
    )
    return Sheet("Requirements", header, [_verdict(verdict) for verdict in verdicts], words=3)


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    asked = verdict.requirement
    return (
        asked.numerator,
        asked.denominator,
        f"{asked.case.name}, {asked.mode}",
        f"{verdict.ratio:.2f}",
        f"{verdict.low:.2f} to {verdict.high:.2f}",
        f"{asked.bound:g}",
        "yes" if asked.required else "no",
        "met" if verdict.met else "not met",
    )


def _timed(times: pd.DataFrame, title: str, loss: str, columns: Mapping[str, Place]) -> Sheet:
    """A row per contender, a column per place; those without a number do not appear."""
    cells = times.groupby(KEYS)["seconds"].apply(_cell).to_dict()
    used = {
        heading: place
        for heading, place in columns.items()
        if any(key[:3] == place for key in cells)
    }
    rows = [
        (
            contender.label,
            *(cells.get((*place, contender.label), MISSING) for place in used.values()),
        )
        for contender in CONTENDERS[loss]
    ]
    return Sheet(title, ("contender", *used), [row for row in rows if set(row[1:]) - {MISSING}])


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
    columns = zip(("lower_quartile", "median", "upper_quartile"), (0.25, 0.5, 0.75), strict=True)
    return pd.DataFrame(
        {"rounds": grouped.size(), **{name: grouped.quantile(q) for name, q in columns}}
    ).reset_index()


def show(head: Sequence[str], tables: Iterable[Sheet], markdown: bool) -> None:
    print(*(f"- {line}" if markdown else line for line in head), sep="\n")
    for sheet in tables:
        (_print_markdown if markdown else _print_pretty)(sheet)


def _print_markdown(sheet: Sheet) -> None:
    rule = ["---:" if i >= sheet.words else "---" for i in range(len(sheet.header))]
    print(f"\n### {sheet.title}\n")
    print(*("| " + " | ".join(row) + " |" for row in (sheet.header, rule, *sheet.rows)), sep="\n")


def _print_pretty(sheet: Sheet) -> None:
    """On a console as wide as the table: rich would cut the numbers where the window is too
    narrow."""
    pretty = Table(title=sheet.title)
    for i, name in enumerate(sheet.header):
        pretty.add_column(name, justify="right" if i >= sheet.words else "left", no_wrap=True)
    for row in sheet.rows:
        pretty.add_row(*row)
    unlimited = Console(width=1000)
    width = Measurement.get(unlimited, unlimited.options, pretty).maximum
    Console(width=max(Console().width, width)).print(pretty)
