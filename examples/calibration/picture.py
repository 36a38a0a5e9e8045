"""The reliability diagrams: how often it happened, against how probable it was said to be."""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import GAMMA_COLOURS

from .metrics import events, reliability
from .rows import DIVIDED, Results, Row

# γ = 3 has the colour of the largest γ.
COLOURS = {
    "cross entropy": GAMMA_COLOURS[0.0],
    "focal, γ = 1": GAMMA_COLOURS[1.0],
    "focal, γ = 2": GAMMA_COLOURS[2.0],
    "focal, γ = 3": GAMMA_COLOURS[5.0],
    "FLSD-53": "#0072b2",
}
# The mean of fewer events is mostly noise.
FEWEST = 30
LABELS = {
    "softmax": ("mean confidence", "accuracy"),
    "sigmoid": ("mean probability of class 1", "share of class 1"),
}
Corner = Literal["lower right", "upper left"]
# The limits of both axes, and the corner that is free for the legend.
SCALES: dict[str, tuple[tuple[float, float], Corner]] = {
    "softmax": ((0, 1.02), "lower right"),
    "sigmoid": ((0, 0.62), "upper left"),
}


def figure(problems: Sequence[Results]) -> Figure:
    """A line of two diagrams for each problem: the losses as they are, and what repairs them."""
    figure = Figure(figsize=(10, 4.4 * len(problems)), layout="constrained")
    grid = figure.subplots(len(problems), 2, squeeze=False, sharex="row", sharey="row")
    for (left, right), results in zip(grid, problems, strict=True):
        draw_all(left, results, repaired=False)
        draw_all(right, results, repaired=True)
        left.set_ylabel(LABELS[kind(results)][1])
    return figure


def kind(results: Results) -> str:
    classes = results.rows[0].probabilities.shape[-1]
    return "sigmoid" if classes == 2 else "softmax"


def draw_all(axes: Axes, results: Results, repaired: bool) -> None:
    for row in results.rows:
        if row.loss in COLOURS and bool(row.then) == repaired:
            draw(axes, results, row)
    axes.axline((0, 0), slope=1, color="grey", linewidth=1, zorder=0.5)
    how = "repaired" if repaired else "as trained"
    axes.set(title=f"{results.problem}, {how}", xlabel=LABELS[kind(results)][0])
    limits, corner = SCALES[kind(results)]
    axes.set(xlim=limits, ylim=limits)
    axes.legend(loc=corner, fontsize=10)


def draw(axes: Axes, results: Results, row: Row) -> None:
    """The bins of all seeds together."""
    happened, expected = events(results.labels, row.probabilities)
    bins = reliability(happened.ravel(), expected.ravel())
    kept = bins.number >= FEWEST
    label = f"{row.loss}, {row.then}" if row.then else row.loss
    look = {"color": COLOURS[row.loss], "label": label, **style(row)}
    axes.plot(bins.expected[kept], bins.happened[kept], **look)


def style(row: Row) -> dict[str, Any]:
    if row.loss == "FLSD-53":
        # On top of γ = 3, which it nearly is.
        return {"marker": "x", "linestyle": "", "zorder": 3}
    line = (0, (4, 2)) if row.then == DIVIDED else "-"
    return {"marker": "o", "markersize": 4, "linestyle": line}
