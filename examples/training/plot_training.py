"""The loss curves of both frameworks on top of each other, and their relative difference."""

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rich.console import Console
from rich.table import Table

from benchmarks.figure import GAMMA_COLOURS, save_figure

from .caravan import LOSSES, Arrays, Loss, load
from .report import arguments, curves_path

COLOURS = {Loss(None, gamma): colour for gamma, colour in GAMMA_COLOURS.items()}
COLOURS |= {Loss(0.75, 0.0): "#0072b2", Loss(0.25, 2.0): "#56b4e9"}

JAX_LINE: dict[str, Any] = {"linewidth": 5, "alpha": 0.45}
TORCH_LINE: dict[str, Any] = {"linewidth": 1, "linestyle": "--", "color": "black"}

# What the frameworks are held to: the largest relative difference, and over how many steps (None:
# the whole run).
LIMITS = {"float64": (1e-9, None), "float32": (1e-4, 100)}


def read_curves(out: Path, framework: str, dtype: str) -> Arrays:
    path = curves_path(out, framework, dtype)
    file = load(path, f"examples.training.train_{framework} --dtype {dtype}")
    return dict(zip(file["losses"].tolist(), file["curves"], strict=True))


def largest_differences(curves: Arrays, reference: Arrays) -> Arrays:
    """For each loss and step the largest relative difference so far."""
    largest = {}
    for name, curve in curves.items():
        differences = np.abs(curve - reference[name]) / reference[name]
        largest[name] = np.maximum.accumulate(differences)
    return largest


def difference_table(differences: Arrays, dtype: str) -> Table:
    table = Table("loss", title=f"JAX and PyTorch, {dtype}: largest relative difference")
    table.add_column("first 100 steps", justify="right")
    table.add_column("whole run", justify="right")
    for name, difference in differences.items():
        table.add_row(name, f"{difference[:100][-1]:.1e}", f"{difference[-1]:.1e}")
    return table


def figure(jax_curves: Arrays, torch_curves: Arrays, dtype: str) -> Figure:
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    draw_curves(upper, jax_curves, torch_curves)
    draw_differences(lower, largest_differences(torch_curves, jax_curves), dtype)
    upper.set_title(f"One network, trained with each loss in {dtype}")
    lower.set_xlabel("step")
    figure.legend(handles=legend_lines(), loc="outside right upper")
    figure.align_ylabels()
    return figure


def draw_curves(axes: Axes, jax_curves: Arrays, torch_curves: Arrays) -> None:
    for name, loss in LOSSES.items():
        axes.plot(moving_average(jax_curves[name]), color=COLOURS[loss], **JAX_LINE)
        axes.plot(moving_average(torch_curves[name]), **TORCH_LINE)
    ticks = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
    axes.set(ylabel="loss, moving average", yscale="log")
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def moving_average(curve: np.ndarray) -> list[float]:
    """The exponential moving average: single batches differ more than the losses do."""
    return list(accumulate(curve.tolist(), lambda mean, value: 0.9 * mean + 0.1 * value))


def draw_differences(axes: Axes, differences: Arrays, dtype: str) -> None:
    for name, difference in differences.items():
        positive = np.where(difference > 0, difference, np.nan)
        axes.plot(positive, color=COLOURS[LOSSES[name]])
    limit, steps = LIMITS[dtype]
    axes.hlines(limit, 0, steps or axes.get_xlim()[1], color="black")
    label = f"limit $10^{{{np.log10(limit):.0f}}}$"
    axes.annotate(label, (0, limit), (4, 4), textcoords="offset points")
    axes.set(ylabel="relative difference,\nlargest so far", yscale="log")
    axes.set_ylim(float(np.finfo(dtype).eps) / 10, limit * 50)


def legend_lines() -> list[Line2D]:
    lines = []
    for name, loss in LOSSES.items():
        lines.append(Line2D([], [], color=COLOURS[loss], label=name, **JAX_LINE))
    lines.append(Line2D([], [], color="grey", label="wide: JAX", **JAX_LINE))
    lines.append(Line2D([], [], label="dashed: PyTorch", **TORCH_LINE))
    return lines


def main() -> None:
    args = arguments(__doc__)
    dtype = args.dtype
    jax_curves = read_curves(args.out, "jax", dtype)
    torch_curves = read_curves(args.out, "torch", dtype)
    differences = largest_differences(torch_curves, jax_curves)
    Console().print(difference_table(differences, dtype))
    save_figure(lambda: figure(jax_curves, torch_curves, dtype), args.out / "training.png")


if __name__ == "__main__":
    main()
