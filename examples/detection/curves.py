"""Average precision over training, as a picture: which loss learns sooner, which ends higher."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import GAMMA_COLOURS, save_figure

from .recipe import BEFORE
from .results import Row

COLOURS = {
    "CE, no prior": "#0072b2",
    "CE": GAMMA_COLOURS[0.0],
    "OHEM, 1:3": "#009e73",
    "focal, γ = 0.5": GAMMA_COLOURS[0.5],
    "focal, γ = 1": GAMMA_COLOURS[1.0],
    "focal, γ = 2": GAMMA_COLOURS[2.0],
    "focal, γ = 5": GAMMA_COLOURS[5.0],
    "varifocal": "#795548",
}
# Drawn where none of these has a result.
OTHERS = "#777777"


def curves(rows: list[Row], out: Path) -> None:
    save_figure(lambda: curve_figure(rows), out / "detection_curves.png")


def curve_figure(rows: list[Row]) -> Figure:
    figure = Figure(figsize=(5, 7.5), layout="constrained")
    precision, gain = figure.subplots(2, sharex=True)
    steps = sorted({row.step for row in rows})
    baseline = by_seed(BEFORE, rows)
    names = dict.fromkeys(row.loss for row in rows)
    drawn = [name for name in COLOURS if name in names] or list(names)
    for name in drawn:
        ours, colour = by_seed(name, rows), COLOURS.get(name, OTHERS)
        _band(precision, steps, list(ours.values()), name, colour)
        gains = [ours[seed] - baseline[seed] for seed in ours if seed in baseline]
        # What ends behind would make the others hard to see.
        if not gains or np.mean(gains, 0)[-1] >= 0:
            _band(gain, steps, gains, name, colour)
    precision.set(title="Average precision during training", ylabel="AP", ylim=(0, None))
    precision.legend(fontsize=9, loc="lower right")
    gain.set(title="What is gained over cross entropy", xlabel="step", ylabel="AP − AP of CE")
    return figure


def by_seed(name: str, rows: list[Row]) -> dict[int, np.ndarray]:
    """Average precision by growing step."""
    ours = sorted((row for row in rows if row.loss == name), key=lambda row: row.step)
    seeds = sorted({row.seed for row in ours})
    return {seed: np.array([row.ap for row in ours if row.seed == seed]) for seed in seeds}


def _band(axes: Axes, steps: list[int], of_seeds: list[np.ndarray], name: str, colour: str) -> None:
    """The mean over the seeds, and from the smallest to the largest."""
    if not of_seeds:
        return
    values = np.stack(of_seeds)
    axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.12, linewidth=0)
    axes.plot(steps, values.mean(0), color=colour, label=name, marker="o", markersize=3)
