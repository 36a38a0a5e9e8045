"""What a sweep has found, as a table and as a verdict."""

import math
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from parity_tests.contract.tolerances import GRADIENT, PER_GAMMA, SIGMOID, VALUE

from .record import Cell, Settings

HEADER = (
    "γ", "target", "value", "at logit", "gradient", "at logit",
    "NaN", "wrong inf", "NaN lost", "rises", "largest", "logits",
)  # fmt: skip
NOTE = (
    "value, gradient: the worst error and what is allowed, in eps of float32. NaN: results for logits that are none. "
    "NaN lost: NaN logits whose loss is none. rises: where the loss is larger at the next larger margin, which "
    "rounding may do; the largest in eps."
)
Row = tuple[str, ...]


def _row(cell: Cell, break_with: str) -> Row:
    value, slope = allowed(cell)
    return (
        f"{cell.gamma:g}", f"{cell.target}",
        f"{cell.value:.2f} of {value:g}", logit(cell.value_at, break_with),
        f"{cell.slope:.2f} of {slope:g}", logit(cell.slope_at, break_with),
        f"{cell.nans}", f"{cell.infinities}", f"{cell.nans_lost}",
        f"{cell.rises}", f"{cell.rise:.2f}", f"{cell.logits}",
    )  # fmt: skip


def allowed(cell: Cell) -> tuple[float, float]:
    return SIGMOID[VALUE] + PER_GAMMA * cell.gamma, SIGMOID[GRADIENT] + PER_GAMMA * cell.gamma


def logit(z: float, break_with: str = " = ") -> str:
    """In hex, which is exact, and in decimal."""
    if not math.isfinite(z):
        return f"{z}"
    mantissa, _, exponent = z.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}{break_with}{z:.6g}"


def failures(cells: Iterable[Cell]) -> Iterator[str]:
    """One line for every requirement that is broken."""
    for cell in cells:
        value, slope = allowed(cell)
        found = {
            f"value off by {cell.value:.6g} eps at {logit(cell.value_at)}, allowed {value:g}": cell.value
            > value,
            f"gradient off by {cell.slope:.6g} eps at {logit(cell.slope_at)}, allowed {slope:g}": cell.slope
            > slope,
            f"{cell.nans} results are NaN for logits that are not": cell.nans,
            f"{cell.infinities} results are infinite where the truth is not, or the reverse": cell.infinities,
            f"{cell.nans_lost} NaN logits have a loss that is not NaN": cell.nans_lost,
        }
        yield from (
            f"γ = {cell.gamma:g}, target {cell.target}: {line}"
            for line, broken in found.items()
            if broken
        )


def markdown(cells: Iterable[Cell]) -> str:
    rows = [_row(cell, " = ") for cell in cells]
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in (HEADER, ("---:",) * len(HEADER), *rows)
    )


def show(cells: Iterable[Cell], settings: Settings) -> None:
    pretty = Table(title=f"{settings.target}, {settings.labels} targets", caption=NOTE)
    for name in HEADER:
        pretty.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for cell in cells:
        pretty.add_row(*_row(cell, "\n"))
    # Where the window is too narrow, its lines wrap: rich would cut the numbers.
    unlimited = Console(width=1000)
    width = Measurement.get(unlimited, unlimited.options, pretty).maximum
    Console(width=max(Console().width, width)).print(pretty)
