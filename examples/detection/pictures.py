"""What the detectors find, and what their losses are made of, as pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.special import expit

from benchmarks.figure import GAMMA_COLOURS, save_figure

from .anchors import OBJECT_FROM, overlaps
from .evaluate import Detections
from .recipe import LOSSES, Data, Run
from .scenes import SIDE

SHOWN = ("cross entropy", "cross entropy, prior", "focal, γ = 2")
RIGHT, WRONG = "#2ee65c", "#ff4d3d"
SCENES = 5
COLOURS = dict(zip(LOSSES, ("#0072b2", "#56b4e9", *GAMMA_COLOURS.values()), strict=True))
# Enough scenes for curves and histograms: some hundred thousand logits of background.
SAMPLE = 32


def draw(
    framework: str,
    out: Path,
    test: Data,
    runs: dict[str, Run],
    boxes: dict[str, list[Detections]],
) -> None:
    save_figure(lambda: scene_figure(test, boxes), out / f"detection_{framework}_scenes.png")
    save_figure(lambda: loss_figure(test, runs), out / f"detection_{framework}_losses.png")


def scene_figure(test: Data, boxes: dict[str, list[Detections]]) -> Figure:
    """Of each scene as many boxes as it has digits, the best by score: no threshold, which would
    favour one loss."""
    figure = Figure(figsize=(7.5, 12), layout="constrained")
    grid = figure.subplots(SCENES, len(SHOWN))
    for name, column in zip(SHOWN, grid.T, strict=True):
        column[0].set_title(name)
        for scene, axes in enumerate(column):
            _scene(axes, test, scene, boxes[name][scene])
    figure.suptitle(
        "The best boxes, as many as there are digits. Green: digit and place are right", fontsize=11
    )
    return figure


def _scene(axes: Axes, test: Data, scene: int, detections: Detections) -> None:
    axes.imshow(test.scenes.images[scene], cmap="gray", vmin=0, vmax=1, extent=(0, SIDE, SIDE, 0))
    axes.set_axis_off()
    truth, labels = test.scenes.boxes[scene], test.scenes.labels[scene]
    best = len(truth)
    for box, label in zip(detections.boxes[:best], detections.labels[:best], strict=True):
        is_there = overlaps(box[None], truth)[0] >= OBJECT_FROM
        is_right = (is_there & (labels == label)).any()
        _box(axes, box, label, RIGHT if is_right else WRONG)


def _box(axes: Axes, box: np.ndarray, label: int, colour: str) -> None:
    x, y, right, bottom = box
    frame = Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor=colour, linewidth=1.6)
    axes.add_patch(frame)
    axes.text(x + 1, y + 1, str(label), color=colour, fontsize=10, va="top", weight="bold")


def loss_figure(test: Data, runs: dict[str, Run]) -> Figure:
    figure = Figure(figsize=(11, 8), layout="constrained")
    (share, hist), (fore, back) = figure.subplots(2, 2)
    _shares(share, runs)
    _histogram(hist, test, runs)
    true, false = _margins(test, runs["focal, γ = 2"])
    _cumulative(fore, true, "true classes of the digits")
    _cumulative(back, false, "background")
    return figure


def _shares(axes: Axes, runs: dict[str, Run]) -> None:
    window = 20
    for name, run in runs.items():
        mean = np.convolve(run.shares, np.ones(window) / window, "valid")
        axes.plot(np.arange(len(mean)) + window, mean, color=COLOURS[name], label=name)
    axes.set(title="Part of the loss that background has", xlabel="step", ylim=(0, 1))
    axes.legend(fontsize=9)


def _histogram(axes: Axes, test: Data, runs: dict[str, Run]) -> None:
    how: dict[str, Any] = {"bins": 40, "range": (0, 1), "density": True, "histtype": "step"}
    for name in ("cross entropy, prior", "focal, γ = 2"):
        true, false = _margins(test, runs[name])
        how["color"] = COLOURS[name]
        axes.hist(expit(true), linestyle="-", label=f"{name}: digits", **how)
        axes.hist(expit(-false), linestyle=":", label=f"{name}: background", **how)
    axes.set(title="Scores after training", xlabel="score", ylabel="density", yscale="log")
    axes.legend(fontsize=9)


def _cumulative(axes: Axes, margins: np.ndarray, what: str) -> None:
    """Figure 4 of Lin et al. 2017: the part of the loss that the easier elements have, by how many
    they are."""
    cross_entropy = np.logaddexp(0, -margins)
    for gamma, colour in GAMMA_COLOURS.items():
        loss = np.sort(expit(-margins) ** gamma * cross_entropy)
        parts = np.cumsum(loss) / loss.sum()
        elements = np.linspace(0, 1, len(loss))
        axes.plot(elements, parts, color=colour, label=f"γ = {gamma:g}")
    axes.set(title=f"Loss of the {what}, easiest first")
    axes.set(xlabel="part of the elements", ylabel="part of their loss")
    axes.legend(fontsize=9)


def _margins(test: Data, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Of the true classes of anchors that have a digit, and of all classes of those that are
    background."""
    logits = run.logits[:SAMPLE].astype(np.float64)
    labels, judged = test.targets.labels[:SAMPLE], test.targets.judged[:SAMPLE]
    positive = labels >= 0
    classes = labels[positive].astype(int)
    true = np.take_along_axis(logits[positive], classes[:, None], axis=1)
    background = logits[judged & ~positive]
    return true.ravel(), -background.ravel()
