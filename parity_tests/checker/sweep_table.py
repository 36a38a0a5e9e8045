"""What a sweep has found, as a table and as a verdict."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from ..tolerances import GRADIENT, PER_GAMMA, SIGMOID, VALUE
from .sweep_record import Cell, Settings

HEADER = (
    "γ", "target", "value", "allowed", "at logit", "gradient", "allowed", "at logit",
    "NaN", "wrong inf", "NaN lost", "rises", "largest", "logits",
)  # fmt: skip
NOTE = (
    "value, gradient, largest: in eps of float32. NaN: results for logits that are none. NaN lost: NaN logits with a "
    "loss that is none. rises: how often the loss is larger at the next larger margin; one rounding does that."
)
Row = tuple[str, ...]


def rows(cells: Iterable[Cell], break_with: str) -> list[Row]:
    return [_row(cell, break_with) for cell in cells]


def _row(cell: Cell, break_with: str) -> Row:
    value, slope = allowed(cell)
    return (
        f"{cell.gamma:g}", f"{cell.target}",
        f"{cell.value:.2f}", f"{value:g}", logit(cell.value_at, break_with),
        f"{cell.slope:.2f}", f"{slope:g}", logit(cell.slope_at, break_with),
        f"{cell.nans}", f"{cell.infinities}", f"{cell.nans_lost}",
        f"{cell.rises}", f"{cell.rise:.2f}", f"{cell.logits}",
    )  # fmt: skip


def allowed(cell: Cell) -> tuple[float, float]:
    return SIGMOID[VALUE] + PER_GAMMA * cell.gamma, SIGMOID[GRADIENT] + PER_GAMMA * cell.gamma


def logit(z: float, break_with: str = " = ") -> str:
    """In hex, which is exact, and in decimal."""
    mantissa, p, exponent = z.hex().partition("p")
    return f"{mantissa.rstrip('0') if '.' in mantissa else mantissa}{p}{exponent}{break_with}{z:.6g}"


def failures(cells: Iterable[Cell]) -> Iterator[str]:
    """One line for every requirement that is broken."""
    for cell in cells:
        value, slope = allowed(cell)
        found = {
            f"value off by {cell.value:.6g} eps at {logit(cell.value_at)}, allowed {value:g}": cell.value > value,
            f"gradient off by {cell.slope:.6g} eps at {logit(cell.slope_at)}, allowed {slope:g}": cell.slope > slope,
            f"{cell.nans} results are NaN for logits that are not": cell.nans,
            f"{cell.infinities} results are infinite where the truth is not, or the reverse": cell.infinities,
            f"{cell.nans_lost} NaN logits have a loss that is not NaN": cell.nans_lost,
        }
        yield from (f"γ = {cell.gamma:g}, target {cell.target}: {line}" for line, broken in found.items() if broken)


def markdown(cells: Iterable[Cell]) -> str:
    rule = ("---:",) * len(HEADER)
    return "\n".join("| " + " | ".join(row) + " |" for row in (HEADER, rule, *rows(cells, " = ")))


def show(cells: Iterable[Cell], settings: Settings) -> None:
    pretty = Table(title=f"{settings.target}, {settings.labels} targets", caption=NOTE)
    for name in HEADER:
        pretty.add_column(name, justify="right", no_wrap=True)
    for row in rows(cells, "\n"):
        pretty.add_row(*row)
    console = Console()
    # A table that is cut at the edge of a narrow window would lose digits.
    console.print(pretty, width=max(console.width, console.measure(pretty).maximum), soft_wrap=True)
