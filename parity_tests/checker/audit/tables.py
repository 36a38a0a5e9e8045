"""The facts of an audit as tables: for people, for docs/audit.md, and the short form for the
README."""

import math
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from rich.table import Table

from parity_tests import tables
from parity_tests.checker.layers.grades import shown
from parity_tests.checker.layers.judge import FAIL

Row = dict[str, Any]
NEVER = "–"
SIGNS = {"nan": "NaN", "-": "−", "inf": "∞"}


class Column(NamedTuple):
    header: str
    cell: Callable[[Row], str]
    right: bool = False

    @property
    def rule(self) -> str:
        return tables.RIGHT if self.right else tables.LEFT


def _eps(worst: Row | None) -> str:
    """An error in eps; NaN or ∞ where what was returned is no number, or anything but 0 where the
    truth is 0."""
    if worst is None:
        return NEVER
    eps = worst["eps"]
    if eps is None:
        return "NaN" if worst["got"] == "nan" else "∞"
    if eps < 1e3:
        return f"{eps:.3g}"
    mantissa, _, exponent = f"{eps:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _margin(worst: Row) -> float:
    """How far the true class is ahead at a point."""
    logits, target = worst["logits"], worst["targets"]
    if not isinstance(logits, list):
        return logits if target else -logits
    others = [x for c, x in enumerate(logits) if c != target]
    top = max(others)
    total = sum(math.exp(x - top) for x in others)
    return logits[target] - top - math.log(total)


def _place(worst: Row | None) -> str:
    if worst is None or worst["eps"] == 0:
        return ""
    margin = _margin(worst)
    digits = ".3g" if abs(margin) < 1e3 else ".0f"
    return f"{margin:{digits}}, {worst['gamma']:g}".replace("-", "−")


def _from(row: Row, key: str) -> str:
    """From which margin on a tail is wrong: one for class 1 and one for class 0, or the same."""
    if not row["focal"] and key.endswith("off"):
        return "another formula"
    margins = row[key] if isinstance(row[key], list) else [row[key]]
    return " / ".join(dict.fromkeys(map(_number, margins)))


def _number(x: float | None) -> str:
    return NEVER if x is None else f"{x:g}"


def _nan(row: Row) -> str:
    sides = []
    if row["nan_easy"] is not None:
        sides.append(f"{row['nan_easy']:g}")
    if row["nan_hard"] is not None:
        sides.append(f"−{row['nan_hard']:g}")
    return ", ".join(sides) or NEVER


def _infinite(row: Row, side: int) -> str:
    text = ", ".join(row["infinite"][side])
    for plain, sign in SIGNS.items():
        text = text.replace(plain, sign)
    return text


def _dtype(row: Row, name: str) -> str:
    dtype = row["dtypes"][name]
    return "kept" if dtype == name else dtype


def _failed(row: Row) -> str:
    return ", ".join(name for name, status in row["layers"].items() if status == FAIL) or "none"


def _grade(row: Row) -> str:
    return NEVER if row["grade"] is None else shown(row["grade"])


LABEL = Column("implementation", itemgetter("label"))
VERSION = Column("version", lambda row: row["version"] or "not installed")
GRADE = Column("grade", _grade)
VALUE = Column("value, eps", lambda row: _eps(row["value"]), right=True)
VALUE_AT = Column("at u, γ", lambda row: _place(row["value"]), right=True)
GRADIENT = Column("gradient, eps", lambda row: _eps(row["gradient"]), right=True)
GRADIENT_AT = Column("at u, γ", lambda row: _place(row["gradient"]), right=True)
OFF_HEADER = "easy tail 1 % off from (class 1 / 0)"
OFF = Column(OFF_HEADER, lambda row: _from(row, "easy_off"), right=True)
ZERO = Column("easy tail 0 from (class 1 / 0)", lambda row: _from(row, "easy_zero"), right=True)
HARD = Column("hard tail 1 % off from", lambda row: _from(row, "hard_off"), right=True)
NAN = Column("NaN gradient from (γ = 0.5)", _nan, right=True)
FAILED = Column("layers not passed", _failed)
CALLS = Column("what is called", lambda row: f"`{row['calls']}`")
ALPHA = Column("α", itemgetter("alpha"))
SOFT = Column("soft targets", itemgetter("soft"))
SHAPE = Column("(4,) with (4, 1)", lambda row: row["column"] or NEVER)
EASY_END = Column("loss, gradient at u = ∞", lambda row: _infinite(row, 0))
HARD_END = Column("at u = −∞", lambda row: _infinite(row, 1))
FLOAT64 = Column("float64", lambda row: _dtype(row, "float64"))
BFLOAT16 = Column("bfloat16", lambda row: _dtype(row, "bfloat16"))
NOTE = Column("note", itemgetter("note"))

TAILS = (OFF, ZERO, HARD, NAN)
ACCURACY = (LABEL, VERSION, GRADE, VALUE, VALUE_AT, GRADIENT, GRADIENT_AT, *TAILS, FAILED)
CONVENTIONS = (LABEL, CALLS, ALPHA, SOFT, SHAPE, EASY_END, HARD_END, FLOAT64, BFLOAT16, NOTE)
SHORT = (LABEL, VERSION, GRADE, VALUE, GRADIENT, ZERO, NAN, ALPHA, SOFT)
FULL = {"Accuracy": ACCURACY, "Conventions": CONVENTIONS}


def cells(row: Row, columns: tuple[Column, ...]) -> list[str]:
    """What was installed but could not be asked has its reason in place of the facts."""
    if "reason" not in row:
        return [column.cell(row) for column in columns]
    texts = [""] * len(columns)
    for i, column in enumerate(columns):
        if column in (LABEL, VERSION):
            texts[i] = column.cell(row)
    if row["version"] is not None:
        texts[texts.index("")] = row["reason"]
    return texts


def markdown(rows: list[Row], columns: tuple[Column, ...]) -> str:
    header = [column.header for column in columns]
    rule = [column.rule for column in columns]
    lines = []
    for row in rows:
        # A cell of Markdown ends at this sign.
        lines.append([cell.replace("|", "/") for cell in cells(row, columns)])
    return tables.markdown(header, rule, lines)


def terminal(rows: list[Row], columns: tuple[Column, ...], title: str) -> Table:
    table = Table(title=title)
    for column in columns:
        side = "right" if column.right else "left"
        table.add_column(column.header, justify=side, overflow="fold")
    for row in rows:
        table.add_row(*cells(row, columns))
    return table
