"""What each kind of wrong value comes to: an error where values are known, and NaN elsewhere.

    python -m parity_tests.tests.invalid.table

prints the table of docs/conventions.md, and both packages have to say the same.
"""

from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH

# The array that is mapped over, so that nobody can see its values, is the one with the wrong value.
Z, ROW = np.array([0.5, 0.5]), np.array([[0.5, 0.0, -0.5]] * 2)
BITS, IDS = np.array([1, 0]), np.array([0, 1])
HALVES = np.full((2, 3), 0.5)


class Row(NamedTuple):
    """A call of a function with arrays by argument, one of which has a wrong value."""

    function: str
    kind: str
    argument: str
    value: np.ndarray
    others: dict[str, np.ndarray]
    settings: dict[str, Any]


def sigmoid(kind: str, argument: str, value: Any, **settings: Any) -> Row:
    arrays = {"logits": Z, "targets": BITS, argument: np.array(value)}
    return _row("sigmoid_focal_loss", kind, argument, arrays, settings)


def softmax(kind: str, argument: str, value: Any, targets: np.ndarray = IDS) -> Row:
    arrays = {"logits": ROW, "targets": targets, argument: np.array(value)}
    return _row("softmax_focal_loss", kind, argument, arrays, {})


def element(
    function: str, kind: str, argument: str, value: Any, targets: Any = BITS, **settings: Any
) -> Row:
    arrays = {"logits": Z, "targets": np.array(targets), argument: np.array(value)}
    return _row(function, kind, argument, arrays, settings)


def recipe(function: str, kind: str, argument: str, value: Any, **settings: Any) -> Row:
    given = {name: x for name, x in settings.items() if isinstance(x, np.ndarray)}
    rest = {name: x for name, x in settings.items() if name not in given}
    return _row(function, kind, argument, given | {argument: np.array(value)}, rest)


def _row(
    function: str, kind: str, argument: str, arrays: dict[str, np.ndarray], settings: dict[str, Any]
) -> Row:
    value = arrays.pop(argument)
    return Row(function, kind, argument, value, arrays, settings)


INF, NAN = np.inf, np.nan
ROWS = (
    sigmoid("an integer that is no label", "targets", [255, 0]),
    sigmoid("a negative integer", "targets", [-1, 0]),
    sigmoid("the same, and the sum of targets", "targets", [-1, 0], reduction="mean_positive"),
    sigmoid("the same with `ignore_index=-1`", "targets", [-1, 0], ignore_index=-1),
    sigmoid("no probability", "targets", [1.5, 0.0]),
    sigmoid("no number", "targets", [NAN, 0.0]),
    sigmoid("α below 0", "alpha", [-1.0, 0.5]),
    sigmoid("α above 1", "alpha", [0.5, 1.5]),
    sigmoid("γ below 0", "gamma", [-1.0, 2.0]),
    sigmoid("γ that is infinite", "gamma", [2.0, INF]),
    sigmoid("a weight that is not finite", "weight", [1.0, NAN]),
    sigmoid("no probability", "targets", [1.5, 0.5], soft_targets="quality"),
    element("varifocal_loss", "no overlap", "targets", [0.5, -0.5]),
    element("varifocal_loss", "α below 0", "alpha", [-1.0, 2.0], [0.0, 0.0]),
    element("varifocal_loss", "γ below 0", "gamma", [-1.0, 2.0], [0.0, 0.0]),
    element("heatmap_focal_loss", "no height", "targets", [1.5, 0.5]),
    element(
        "heatmap_focal_loss",
        "the same, and the number of peaks",
        "targets",
        [1.5, 0.5],
        reduction="mean_positive",
    ),
    element("heatmap_focal_loss", "β below 0", "beta", [-1.0, 4.0], [0.5, 0.5]),
    element("asymmetric_loss", "an integer that is no label", "targets", [2, 0]),
    element("asymmetric_loss", "γ₊ below 0", "gamma_positive", [-1.0, 1.0], [1, 1]),
    element("asymmetric_loss", "γ₋ that is infinite", "gamma_negative", [INF, 4.0], [0, 0]),
    softmax("a class id too large", "targets", [3, 1]),
    softmax("a negative class id", "targets", [-1, 1]),
    softmax("a wide class id", "targets", [2**32 + 2, 1]),
    softmax("no class probability", "targets", [[0.5, 1.5, 0.0], [0.5, 0.5, 0.0]]),
    softmax("α below 0", "alpha", [1.0, -1.0, 1.0]),
    softmax("γ below 0", "gamma", [1.0, -1.0, 1.0]),
    softmax("a weight that is not finite", "weight", [INF, 1.0]),
    recipe("alpha_from_counts", "a negative count", "counts", [3.0, -1.0]),
    recipe("alpha_from_counts", "a class without samples", "counts", [3.0, 0.0]),
    recipe("gamma_flsd", "no probability", "p_t", [0.5, 1.5]),
    recipe("prior_bias", "no probability", "pi", [0.5, 1.5]),
    recipe("focal", "γ below 0", "gamma", [-1.0, 2.0], margins=Z),
    recipe("modulator", "γ that is no number", "gamma", [NAN, 2.0], margins=Z),
    recipe("two_hot", "no bin", "values", [1.0, 2.5], classes=3),
)


def when_known(port: Port, row: Row) -> str:
    """The text of the error, or the result."""
    arrays = {name: port.array(x) for name, x in row.others.items()}
    first = {row.argument: port.array(row.value)}
    try:
        result = getattr(port.module, row.function)(**first, **arrays, **_settings(port, row))
    except ValueError as error:
        # What is expected, and what is there: without the names, and the advice.
        return str(error).split(": ", 1)[1].split(". ")[0].rstrip(".")
    return _text(port.numpy(result))


def when_traced(port: Port, row: Row) -> str:
    """The result of a call inside of vmap."""
    arrays = {name: port.array(x) for name, x in row.others.items()}

    def call(value: Any) -> Any:
        first = {row.argument: value}
        return getattr(port.module, row.function)(**first, **arrays, **_settings(port, row))

    return _text(port.per_sample(call, 0, row.value[None], None)[0])


def _settings(port: Port, row: Row) -> dict[str, Any]:
    # The default of the two packages differs.
    axis = {"axis": -1} if row.function == "softmax_focal_loss" else {}
    return {**row.settings, **axis}


def _text(x: np.ndarray) -> str:
    if not x.ndim:
        return f"{x:.4g}"
    return "[" + ", ".join(f"{entry:.4g}" for entry in x.ravel()) + "]"


def lines() -> list[str]:
    """The table, in Markdown."""
    table = [
        "| function | argument | wrong value | where values are known | elsewhere |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        known = {when_known(port, row) for port in (JAX, TORCH)}
        traced = {when_traced(port, row) for port in (JAX, TORCH)}
        cells = (" or ".join(sorted(known)), " or ".join(sorted(traced)))
        table.append(f"| `{row.function}` | `{row.argument}` | {row.kind} | {' | '.join(cells)} |")
    return table


if __name__ == "__main__":
    print("\n".join(lines()))
