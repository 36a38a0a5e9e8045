"""The picture: time per logit against the number of logits above, the shapes of two models
below."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import save_figure

from .cases import BACKWARD, DETECTOR, FLOAT32, LANGUAGE_MODEL, SIGMOID, Case
from .peers import CONTENDERS, EAGER, FLOOR, LIMIT, OURS, PEER, Contender
from .report import duration, summary

# By Okabe and Ito, for every kind of colour vision. What is eager is dashed and hollow besides.
COLOURS = {OURS: "#0072b2", PEER: "#d55e00", FLOOR: "#009e73", LIMIT: "#666666"}
SECOND_PEER = "#cc79a7"
FRAMEWORKS = {"jax": "JAX", "torch": "PyTorch"}


def save(times: pd.DataFrame, cases: Iterable[Case], path: Path) -> None:
    """Of the loss with its gradient in float32; empty axes where that was not measured."""
    shown = times.loc[(times["mode"] == BACKWARD) & (times["dtype"] == FLOAT32)]
    by_name = {case.name: case for case in cases}
    save_figure(partial(_figure, summary(shown).set_index(["case", "contender"]), by_name), path)


def _figure(medians: pd.DataFrame, cases: dict[str, Case]) -> Figure:
    figure = Figure(figsize=(13, 12), layout="constrained")
    # Each row is laid out by itself: the names of the bars are long.
    above, below = figure.subfigures(2, 1, squeeze=False, hspace=0.03)[:, 0]
    upper, lower = above.subplots(1, 2, sharey=True), below.subplots(1, 2)
    sizes = [case for case in cases.values() if case.loss == SIGMOID and case.name != DETECTOR.name]
    for axes, framework in zip(upper, FRAMEWORKS, strict=True):
        _lines(axes, framework, sizes, medians)
    upper[0].set(ylabel="nanoseconds per logit")
    for axes, model in zip(lower, (DETECTOR, LANGUAGE_MODEL), strict=True):
        _bars(axes, cases[model.name], medians)
    figure.suptitle("Loss and gradient, γ = 2, float32: medians; whiskers are quartiles")
    return figure


def _lines(axes: Axes, framework: str, sizes: Sequence[Case], medians: pd.DataFrame) -> None:
    """Without those that would lie on another line: our losses of other targets, and copies."""
    contenders = [c for c in CONTENDERS[SIGMOID] if c.framework == framework]
    for contender in contenders:
        label = contender.label
        points = [
            (c.elements, medians["median"][c.name, label])
            for c in sizes
            if (c.name, label) in medians.index
        ]
        if points and not label.endswith("targets") and not contender.name.endswith("copy"):
            axes.plot(
                [n for n, _ in points],
                [1e9 * s / n for n, s in points],
                label=label,
                **_style(contender),
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="number of logits",
        title=f"Sigmoid, {FRAMEWORKS[framework]}",
    )
    axes.margins(x=0.04)
    if axes.lines:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


def _colour(contender: Contender) -> str:
    return SECOND_PEER if contender.name == "kornia" else COLOURS[contender.role]


def _style(contender: Contender) -> dict[str, Any]:
    eager = contender.way == EAGER and contender.role != LIMIT
    return {
        "color": _colour(contender),
        "linewidth": 2.4 if contender.role == OURS else 1.6,
        "linestyle": (0, (4, 2)) if eager else "-",
        "marker": "o",
        "markerfacecolor": "white" if eager else None,
    }


def _bars(axes: Axes, case: Case, medians: pd.DataFrame) -> None:
    contenders = [c for c in CONTENDERS[case.loss] if (case.name, c.label) in medians.index]
    found = medians.loc[[(case.name, c.label) for c in contenders]]
    middle, low, high = (
        1e3 * found[name] for name in ("median", "lower_quartile", "upper_quartile")
    )
    bars = axes.barh(
        [c.label for c in contenders],
        middle,
        xerr=[middle - low, high - middle],
        color=[_colour(c) for c in contenders],
        error_kw={"ecolor": "#222222", "capsize": 2.5},
    )
    axes.bar_label(bars, [duration(second) for second in found["median"]], padding=6)
    axes.set(title=f"{case.loss.capitalize()}, {case.name}: {case.shape[0]:,} × {case.shape[1]:,}")
    axes.set(xlabel="milliseconds", xlim=(0, 1.18 * max(high, default=1)))
    axes.invert_yaxis()
    if not contenders:
        axes.set_axis_off()
    axes.grid(axis="y", visible=False)
