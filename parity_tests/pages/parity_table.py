"""The parity table: the worst error of both packages, by function, derivative and dtype.

    python -m parity_tests.pages.parity_table              a table for people
    python -m parity_tests.pages.parity_table --markdown   the same for the README

Every number is the worst over the whole grid of its row. Units are eps of the dtype, relative to
the result or, for sums that cancel, to the size of their terms. It fails like the tests where a
tolerance is broken.
"""

import argparse

import jax
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.contract import half_precision, suite
from parity_tests.contract.examine import examine
from parity_tests.contract.port import Port
from parity_tests.contract.records import RECORDS
from parity_tests.contract.tolerances import (
    GRADIENT,
    HALF,
    HESSIAN,
    PER_GAMMA,
    SIGMOID,
    SOFTMAX,
    VALUE,
)
from parity_tests.ports.packages import JAX, TORCH

ORDERS = {"value": VALUE, "1st": GRADIENT, "2nd": HESSIAN}
ROWS = [label for record in RECORDS.values() for label in record.grids]
PAIRS = [(dtype, port) for dtype in suite.FULL for port in (JAX, TORCH)]
HEADER = ("loss", "derivative", *(f"{port.name} {dtype[5:]}" for dtype, port in PAIRS), "allowed")
NOTE = (
    "Worst error in eps against the oracle over γ ≤ 5. A 1st derivative in targets at which 1 − p_t underflows is "
    "allowed γ·|logit| more. The half-precision rows are value and gradient of all 65,536 logits."
)

Row = tuple[str, ...]


def rows() -> list[Row]:
    work = [(label, name, order) for label in ROWS for name, order in ORDERS.items()]
    table = [_row(*cell) for cell in tqdm(work, desc="parity table", disable=None)]
    return [*table, *(_halves(dtype) for dtype in ("bfloat16", "float16"))]


def _row(label: str, name: str, order: int) -> Row:
    errors = [_worst(port, f"{label} {dtype} ", order) for dtype, port in PAIRS]
    allowed = (
        f"{SOFTMAX:g}" if label.startswith("softmax") else f"{SIGMOID[order]:g} + {PER_GAMMA:g}γ"
    )
    return label, name, *(f"{error:.1f}" for error in errors), allowed


def _worst(port: Port, prefix: str, order: int) -> float:
    names = [name for name in suite.PROBLEMS if name.startswith(prefix)]
    return max(examine(suite.solved(name), port, order) for name in names)


def _halves(dtype: str) -> Row:
    """Half precision is a row of its own, with its errors in the first columns."""
    worst = [
        max(
            max(half_precision.worst_errors(port, dtype, gamma, y))
            for gamma in half_precision.GAMMAS
            for y in (0, 1)
        )
        for port in (JAX, TORCH)
    ]
    return f"sigmoid, {dtype}", "value, 1st", *(f"{x:.1f}" for x in worst), "", "", f"{HALF:g}"


def markdown(table: list[Row]) -> str:
    rule = ("---",) * 2 + ("---:",) * (len(HEADER) - 2)
    return "\n".join("| " + " | ".join(row) + " |" for row in (HEADER, rule, *table))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    as_markdown = parser.parse_args().markdown
    with jax.enable_x64(True):
        table = rows()
    if as_markdown:
        print(markdown(table))
        return
    pretty = Table(*HEADER, caption=NOTE, title="Parity with the oracle")
    for row in table:
        pretty.add_row(*row)
    Console().print(pretty)


if __name__ == "__main__":
    main()
