"""What is found in some scenes, pixel by pixel, and who learns sooner."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import GAMMA_COLOURS

from .recipe import AFTER, BEFORE, Answers, Data
from .scores import Scores, intersection_over_union, scores

# The columns of the picture. Of the first two the scenes differ most: so many either way.
SHOWN = {BEFORE: "cross entropy", AFTER: "focal, γ = 2", "Dice + CE": "Dice + CE"}
OF_EACH = 2
# Red, green and blue from 0 to 1.
FOUND, WRONG, MISSED = (0.18, 0.9, 0.36), (1.0, 0.3, 0.24), (0.35, 0.7, 1.0)
LINES = {
    "CE": (GAMMA_COLOURS[0.0], "solid"),
    "CE, α = 0.75": ("#0072b2", "solid"),
    "focal, γ = 2": (GAMMA_COLOURS[2.0], "solid"),
    "Dice + CE": (GAMMA_COLOURS[0.0], "dashed"),
    "Dice + focal, γ = 2": (GAMMA_COLOURS[2.0], "dashed"),
}
Curves = Mapping[str, Sequence[Mapping[int, Scores]]]


def scene_figure(parts: dict[str, Data], answers: dict[str, Answers]) -> Figure:
    """Each loss at its own threshold, which is the best one in other scenes."""
    scenes = parts["test"].scenes
    thresholds = {name: scores(answers[name], parts).threshold for name in SHOWN}
    chosen = most_different(scenes.strokes, answers, thresholds)
    figure = Figure(figsize=(6, 6.6), layout="constrained")
    grid = figure.subplots(len(chosen), 1 + len(SHOWN))
    for scene, row in zip(chosen, grid, strict=True):
        image, strokes = scenes.images[scene], scenes.strokes[scene]
        _show(row[0], image, strokes, strokes)
        for name, axes in zip(SHOWN, row[1:], strict=True):
            _show(axes, image, answers[name].test[scene] > thresholds[name], strokes)
    for title, axes in zip(("strokes", *SHOWN.values()), grid[0], strict=True):
        axes.set_title(title, fontsize=10)
    figure.suptitle("Green: found. Red: wrong. Blue: missed.", fontsize=11)
    return figure


def most_different(
    strokes: np.ndarray, answers: dict[str, Answers], thresholds: dict[str, float]
) -> list[int]:
    """The scenes where focal loss is ahead by most, and then those where cross entropy is."""
    ahead = []
    for scene, truth in enumerate(strokes):
        pair = []
        for name in (BEFORE, AFTER):
            found = answers[name].test[scene]
            pair.append(intersection_over_union(found, truth, thresholds[name]))
        ahead.append(pair[0] - pair[1])
    order = np.argsort(ahead, kind="stable").tolist()
    return order[:OF_EACH] + order[-OF_EACH:]


def _show(axes: Axes, image: np.ndarray, found: np.ndarray, strokes: np.ndarray) -> None:
    """The scene in grey, and in colours what is a stroke or is taken for one."""
    colours = np.repeat(image[..., None], 3, axis=-1)
    colours[strokes & found] = FOUND
    colours[found & ~strokes] = WRONG
    colours[strokes & ~found] = MISSED
    axes.imshow(np.clip(colours, 0, 1), interpolation="nearest")
    axes.set_axis_off()


def curve_figure(curves: Curves) -> Figure:
    """Means over the seeds, and a band from the smallest to the largest."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, of_seeds in curves.items():
        colour, dashes = LINES[name]
        steps = list(of_seeds[0])
        values = np.array([[of_seed[step].at_best for step in steps] for of_seed in of_seeds])
        axes.fill_between(
            steps, values.min(0), values.max(0), color=colour, alpha=0.12, linewidth=0
        )
        axes.plot(steps, values.mean(0), color=colour, linestyle=dashes, label=name)
    axes.set(title="Intersection over union during training", xlabel="step", ylabel="IoU")
    axes.legend(fontsize=9, loc="lower right")
    return figure
