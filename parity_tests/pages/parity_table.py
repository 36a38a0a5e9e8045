"""The parity table: the worst error of both packages, by function, derivative and dtype.

    python -m parity_tests.pages.parity_table              a table for people
    python -m parity_tests.pages.parity_table --markdown   the same for the README

Every number is the worst over the whole grid of its row. Units are eps of the dtype, relative to
the result or, for sums that cancel, to the size of their terms. It fails like the tests where a
tolerance is broken.
"""

import argparse
import itertools

import jax
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.contract import half_precision, suite
from parity_tests.contract.examine import examine
from parity_tests.contract.family_records import EVERY
from parity_tests.contract.port import Port
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
from parity_tests.tables import LEFT, RIGHT, markdown

ORDERS = {"value": VALUE, "1st": GRADIENT, "2nd": HESSIAN}
ROWS = [label for record in EVERY.values() for label in record.grids]
PAIRS = [(dtype, port) for dtype in suite.FULL for port in (JAX, TORCH)]
NAMES = [f"{port.name} {dtype.removeprefix('float')}" for dtype, port in PAIRS]
HEADER = ("loss", "derivative", *NAMES, "allowed")
RULE = (LEFT, LEFT, *[RIGHT] * len(NAMES), RIGHT)
NOTE = (
    "Worst error in eps against the oracle over γ ≤ 5. A 1st derivative in targets at which "
    "1 − p_t underflows is allowed γ·|logit| more. The half-precision rows are value and gradient "
    "of all 65,536 logits."
)

Row = tuple[str, ...]


def rows() -> list[Row]:
    work = list(itertools.product(ROWS, ORDERS))
    table = []
    for label, name in tqdm(work, desc="parity table", disable=None):
        table.append(_row(label, name))
    for dtype in ("bfloat16", "float16"):
        table.append(_half_precision(dtype))
    return table


def _row(label: str, name: str) -> Row:
    order = ORDERS[name]
    allowed = f"{SIGMOID[order]:g} + {PER_GAMMA:g}γ"
    if label.startswith("softmax"):
        allowed = f"{SOFTMAX:g}"
    if label.startswith("heatmap"):
        allowed = f"{SIGMOID[order]:g} + {PER_GAMMA:g}(γ + β)"
    if label.startswith("asymmetric"):
        allowed += f" or {SOFTMAX:g}"
    errors = []
    for dtype, port in PAIRS:
        error = _worst(port, f"{label} {dtype} ", order)
        errors.append(f"{error:.1f}")
    return label, name, *errors, allowed


def _worst(port: Port, prefix: str, order: int) -> float:
    names = [name for name in suite.PROBLEMS if name.startswith(prefix)]
    return max(examine(suite.solved(name), port, order) for name in names)


def _half_precision(dtype: str) -> Row:
    """A row of its own, with its errors in the first columns."""
    errors = []
    for port in (JAX, TORCH):
        worst = 0.0
        for gamma, y in itertools.product(half_precision.GAMMAS, (0, 1)):
            worst = max(worst, *half_precision.worst_errors(port, dtype, gamma, y))
        errors.append(f"{worst:.1f}")
    return f"sigmoid, {dtype}", "value, 1st", *errors, "", "", f"{HALF:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    as_markdown = parser.parse_args().markdown
    with jax.enable_x64(True):
        table = rows()
    if as_markdown:
        print(markdown(HEADER, RULE, table))
        return
    pretty = Table(*HEADER, caption=NOTE, title="Parity with the oracle")
    for row in table:
        pretty.add_row(*row)
    Console().print(pretty)


if __name__ == "__main__":
    main()
