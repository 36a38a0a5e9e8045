"""The picture: time per logit against the number of logits above, the shapes of two models
below."""

from collections.abc import Iterable, Sequence
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
QUANTILES = ("median", "lower_quartile", "upper_quartile")


def save(times: pd.DataFrame, cases: Iterable[Case], path: Path) -> None:
    """Of the loss with its gradient in float32; empty axes where that was not measured."""
    shown = times.loc[(times["mode"] == BACKWARD) & (times["dtype"] == FLOAT32)]
    medians = summary(shown).set_index(["case", "contender"])
    by_name = {case.name: case for case in cases}
    save_figure(lambda: _figure(medians, by_name), path)


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
    for contender in CONTENDERS[SIGMOID]:
        if contender.framework == framework and _has_own_line(contender):
            _line(axes, contender, sizes, medians)
    axes.set(xscale="log", yscale="log", xlabel="number of logits")
    axes.set(title=f"Sigmoid, {FRAMEWORKS[framework]}")
    axes.margins(x=0.04)
    if axes.lines:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


def _has_own_line(contender: Contender) -> bool:
    """Our losses of other targets, and copies, would lie on another line."""
    return not contender.label.endswith("targets") and not contender.name.endswith("copy")


def _line(axes: Axes, contender: Contender, sizes: Sequence[Case], medians: pd.DataFrame) -> None:
    measured = [case for case in sizes if (case.name, contender.label) in medians.index]
    if not measured:
        return
    seconds = medians["median"]
    numbers = [case.elements for case in measured]
    times = [1e9 * seconds[case.name, contender.label] / case.elements for case in measured]
    axes.plot(numbers, times, label=contender.label, **_style(contender))


def _colour(contender: Contender) -> str:
    return SECOND_PEER if contender.name == "kornia" else COLOURS[contender.role]


def _style(contender: Contender) -> dict[str, Any]:
    style: dict[str, Any] = {"color": _colour(contender), "marker": "o"}
    style["linewidth"] = 2.4 if contender.role == OURS else 1.6
    if contender.way == EAGER and contender.role != LIMIT:
        style |= {"linestyle": (0, (4, 2)), "markerfacecolor": "white"}
    return style


def _bars(axes: Axes, case: Case, medians: pd.DataFrame) -> None:
    contenders = [c for c in CONTENDERS[case.loss] if (case.name, c.label) in medians.index]
    labels = [contender.label for contender in contenders]
    colours = [_colour(contender) for contender in contenders]
    seconds = medians.loc[[(case.name, label) for label in labels]]
    middle, low, high = (1e3 * seconds[name] for name in QUANTILES)
    whiskers = [middle - low, high - middle]
    caps = {"ecolor": "#222222", "capsize": 2.5}
    bars = axes.barh(labels, middle, xerr=whiskers, color=colours, error_kw=caps)
    axes.bar_label(bars, [duration(median) for median in seconds["median"]], padding=6)
    rows, columns = case.shape
    axes.set(title=f"{case.loss.capitalize()}, {case.name}: {rows:,} × {columns:,}")
    axes.set(xlabel="milliseconds", xlim=(0, 1.18 * max(high, default=1)))
    axes.invert_yaxis()
    if not contenders:
        axes.set_axis_off()
    axes.grid(axis="y", visible=False)
