"""The facts of an audit as tables: for people, for docs/audit.md, and the short form for the
README."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rich.table import Table

from parity_tests.checker.layers.judge import FAIL

Row = dict[str, Any]
NEVER = "–"


class Column(NamedTuple):
    header: str
    cell: Callable[[Row], str]
    right: bool = False


def _eps(worst: Row | None) -> str:
    """An error in eps; NaN or ∞ where what was returned is no number, or anything but 0 where the
    truth is 0."""
    if worst is None:
        return NEVER
    if worst["eps"] is None:
        return "NaN" if worst["got"] == "nan" else "∞"
    mantissa, _, exponent = f"{worst['eps']:.1e}".partition("e")
    return f"{worst['eps']:.3g}" if worst["eps"] < 1e3 else f"{mantissa}e{int(exponent)}"


def _margin(worst: Row) -> float:
    """How far the true class is ahead at a point."""
    logits, target = worst["logits"], worst["targets"]
    if not isinstance(logits, list):
        return logits if target else -logits
    others = [x for c, x in enumerate(logits) if c != target]
    top = max(others)
    return logits[target] - top - math.log(sum(math.exp(x - top) for x in others))


def _place(worst: Row | None) -> str:
    if worst is None or worst["eps"] == 0:
        return ""
    margin = _margin(worst)
    shown = f"{margin:.3g}" if abs(margin) < 1e3 else f"{margin:.0f}"
    return f"{shown}, {worst['gamma']:g}".replace("-", "−")


def _number(x: float | None) -> str:
    return NEVER if x is None else f"{x:g}"


def _from(row: Row, key: str) -> str:
    if not row["focal"] and key.endswith("off"):
        return "another formula"
    found = row[key] if isinstance(row[key], list) else [row[key]]
    return " / ".join(dict.fromkeys(_number(x) for x in found))


def _nan(row: Row) -> str:
    sides = [
        f"{sign}{row[key]:g}"
        for sign, key in (("", "nan_easy"), ("−", "nan_hard"))
        if row[key] is not None
    ]
    return ", ".join(sides) or NEVER


def _infinite(side: int) -> Callable[[Row], str]:
    return lambda row: (
        ", ".join(row["infinite"][side]).replace("nan", "NaN").replace("-", "−").replace("inf", "∞")
    )


def _dtype(name: str) -> Callable[[Row], str]:
    return lambda row: "kept" if row["dtypes"][name] == name else row["dtypes"][name]


def _failed(row: Row) -> str:
    return ", ".join(name for name, status in row["layers"].items() if status == FAIL) or "none"


LABEL = Column("implementation", lambda row: row["label"])
VERSION = Column("version", lambda row: row["version"] or "not installed")
VALUE = Column("value, eps", lambda row: _eps(row["value"]), right=True)
GRADIENT = Column("gradient, eps", lambda row: _eps(row["gradient"]), right=True)
ZERO = Column("easy tail 0 from (class 1 / 0)", lambda row: _from(row, "easy_zero"), right=True)
NAN = Column("NaN gradient from (γ = 0.5)", _nan, right=True)
ALPHA = Column("α", lambda row: row["alpha"])
SOFT = Column("soft targets", lambda row: row["soft"])

ACCURACY = (
    LABEL,
    VERSION,
    VALUE,
    Column("at u, γ", lambda row: _place(row["value"]), right=True),
    GRADIENT,
    Column("at u, γ", lambda row: _place(row["gradient"]), right=True),
    Column("easy tail 1 % off from (class 1 / 0)", lambda row: _from(row, "easy_off"), right=True),
    ZERO,
    Column("hard tail 1 % off from", lambda row: _from(row, "hard_off"), right=True),
    NAN,
    Column("layers not passed", _failed),
)
CONVENTIONS = (
    LABEL,
    Column("what is called", lambda row: f"`{row['calls']}`"),
    ALPHA,
    SOFT,
    Column("(4,) with (4, 1)", lambda row: row["column"] or NEVER),
    Column("loss, gradient at u = ∞", _infinite(0)),
    Column("at u = −∞", _infinite(1)),
    Column("float64", _dtype("float64")),
    Column("bfloat16", _dtype("bfloat16")),
    Column("note", lambda row: row["note"]),
)
SHORT = (LABEL, VERSION, VALUE, GRADIENT, ZERO, NAN, ALPHA, SOFT)
FULL = {"Accuracy": ACCURACY, "Conventions": CONVENTIONS}


def cells(row: Row, columns: Iterable[Column]) -> list[str]:
    """What was installed but could not be asked has its reason in place of the facts."""
    columns = tuple(columns)
    if "reason" not in row:
        return [column.cell(row) for column in columns]
    known = [column.cell(row) if column in (LABEL, VERSION) else "" for column in columns]
    first = known.index("")
    return known if row["version"] is None else [*known[:first], row["reason"], *known[first + 1 :]]


def markdown(rows: list[Row], columns: tuple[Column, ...]) -> str:
    ruler = ["---:" if column.right else "---" for column in columns]
    lines = [[column.header for column in columns], ruler, *(cells(row, columns) for row in rows)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines
    )


def terminal(rows: list[Row], columns: tuple[Column, ...], title: str) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(
            column.header, justify="right" if column.right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*cells(row, columns))
    return table
