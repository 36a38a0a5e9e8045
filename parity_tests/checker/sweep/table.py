"""What a sweep has found, as a table and as a verdict."""

import math
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from parity_tests import tables

from .members import MEMBERS
from .record import Cell, Settings

ERRORS = ("value", "at logit", "gradient", "at logit")
COUNTS = ("NaN", "wrong inf", "NaN lost", "rises", "largest", "logits")
HEADER = ("γ", "target", *ERRORS, *COUNTS)
NOTE = (
    "value, gradient: the worst error and what is allowed, in eps of float32. NaN: results for "
    "logits that are none. NaN lost: NaN logits whose loss is none. rises: where the loss is "
    "larger at the next larger margin, which rounding may do; the largest in eps."
)
Row = tuple[str, ...]


def _row(cell: Cell, loss: str, break_with: str) -> Row:
    member = MEMBERS[loss]
    value, slope = member.allowed(cell.gamma, cell.target)
    value_error = f"{cell.value:.2f} of {value:g}"
    value_at = logit(cell.value_at, break_with)
    slope_error = f"{cell.slope:.2f} of {slope:g}"
    slope_at = logit(cell.slope_at, break_with)
    wrong = (str(cell.nans), str(cell.infinities), str(cell.nans_lost))
    rises = (str(cell.rises), f"{cell.rise:.2f}")
    if not member.falls[cell.target]:
        rises = ("", "")
    errors = (value_error, value_at, slope_error, slope_at)
    target = f"{member.targets[cell.target]:g}"
    return f"{cell.gamma:g}", target, *errors, *wrong, *rises, str(cell.logits)


def logit(z: float, break_with: str = " = ") -> str:
    """In hex, which is exact, and in decimal."""
    if not math.isfinite(z):
        return f"{z}"
    mantissa, _, exponent = z.hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}{break_with}{z:.6g}"


def failures(cells: Iterable[Cell], loss: str) -> Iterator[str]:
    """One line for every requirement that is broken."""
    member = MEMBERS[loss]
    for cell in cells:
        for line in _failures(cell, member.allowed(cell.gamma, cell.target)):
            yield f"γ = {cell.gamma:g}, target {member.targets[cell.target]:g}: {line}"


def _failures(cell: Cell, allowed: tuple[float, float]) -> Iterator[str]:
    value, slope = allowed
    if cell.value > value:
        at = logit(cell.value_at)
        yield f"value off by {cell.value:.6g} eps at {at}, allowed {value:g}"
    if cell.slope > slope:
        at = logit(cell.slope_at)
        yield f"gradient off by {cell.slope:.6g} eps at {at}, allowed {slope:g}"
    if cell.nans:
        yield f"{cell.nans} results are NaN for logits that are not"
    if cell.infinities:
        yield f"{cell.infinities} results are infinite where the truth is not, or the reverse"
    if cell.nans_lost:
        yield f"{cell.nans_lost} NaN logits have a loss that is not NaN"


def markdown(cells: Iterable[Cell], loss: str) -> str:
    rule = [tables.RIGHT] * len(HEADER)
    return tables.markdown(HEADER, rule, [_row(cell, loss, " = ") for cell in cells])


def show(cells: Iterable[Cell], settings: Settings) -> None:
    table = Table(title=f"{settings.target}, {settings.labels} targets", caption=NOTE)
    for name in HEADER:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for cell in cells:
        table.add_row(*_row(cell, settings.loss, "\n"))
    # Where the window is too narrow, its lines wrap: rich would cut the numbers.
    unlimited = Console(width=1000)
    width = Measurement.get(unlimited, unlimited.options, table).maximum
    Console(width=max(Console().width, width)).print(table)
