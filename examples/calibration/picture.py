"""The reliability diagrams: how often it happened, against how probable it was said to be."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import GAMMA_COLOURS

from .metrics import events, reliability
from .rows import DIVIDED, Found, Row

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


def figure(everything: Sequence[Found]) -> Figure:
    """A line of two diagrams for each problem: the losses as they are, and what repairs them."""
    figure = Figure(figsize=(10, 4.4 * len(everything)), layout="constrained")
    grid = figure.subplots(len(everything), 2, squeeze=False, sharex="row", sharey="row")
    for line, found in zip(grid, everything, strict=True):
        draw_all(line[0], found, repaired=False)
        draw_all(line[1], found, repaired=True)
        line[0].set_ylabel(LABELS[kind(found)][1])
    return figure


def kind(found: Found) -> str:
    return "sigmoid" if found.rows[0].probabilities.shape[-1] == 2 else "softmax"


def draw_all(axes: Axes, found: Found, repaired: bool) -> None:
    chosen = [row for row in found.rows if row.loss in COLOURS and bool(row.then) == repaired]
    for row in chosen:
        draw(axes, found, row)
    axes.axline((0, 0), slope=1, color="grey", linewidth=1, zorder=0.5)
    limits = (0, 1.02) if kind(found) == "softmax" else (0, 0.62)
    axes.set(
        title=f"{found.problem}, {'repaired' if repaired else 'as trained'}",
        xlabel=LABELS[kind(found)][0],
    )
    axes.set(xlim=limits, ylim=limits)
    axes.legend(loc="lower right" if kind(found) == "softmax" else "upper left", fontsize=10)


def draw(axes: Axes, found: Found, row: Row) -> None:
    """The bins of all seeds together."""
    happened, said = events(found.labels, row.probabilities)
    bins = reliability(happened.ravel(), said.ravel())
    kept = bins.number >= FEWEST
    label = f"{row.loss}, {row.then}" if row.then else row.loss
    axes.plot(
        bins.said[kept], bins.happened[kept], color=COLOURS[row.loss], label=label, **look(row)
    )


def look(row: Row) -> dict[str, Any]:
    if row.loss == "FLSD-53":
        # On top of γ = 3, which it nearly is.
        return {"marker": "x", "linestyle": "", "zorder": 3}
    return {
        "marker": "o",
        "markersize": 4,
        "linestyle": (0, (4, 2)) if row.then == DIVIDED else "-",
    }
