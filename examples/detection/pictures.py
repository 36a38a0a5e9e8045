"""What two detectors find in the same scenes, and what a loss is made of, as pictures.

python -m examples.detection.pictures --runs out/detection_torch --out docs
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.special import expit

from benchmarks.figure import GAMMA_COLOURS, save_figure

from .anchors import overlaps
from .found import Boxes, Comparison, compare, counted, most_different
from .recipe import AFTER, BEFORE, RECIPE, Data, dataset
from .results import found_path, load
from .scenes import SIDE

# Of the frames: a colour, a width and dashes, so that nothing depends on the colour alone.
FRAMES: dict[str, tuple[str, float, Literal["solid", "dashed", "dotted"]]] = {
    "found": ("#2ee65c", 1.8, "solid"),
    "wrong": ("#ff5a4d", 1.5, "dashed"),
    "missed": ("#ffd23f", 1.5, "dotted"),
}
TITLES = {BEFORE: "cross entropy", AFTER: "focal loss, γ = 2"}
SCENES = 3
# The logits of so many scenes are kept, for cumulative losses: some hundred thousand of background.
SAMPLE = 32
# What the label of a box takes, in pixels of a scene.
LABEL_WIDTH, LABEL_HEIGHT = 7.0, 9.0
LABEL = np.array([LABEL_WIDTH, LABEL_HEIGHT])


def main() -> None:
    parser = ArgumentParser(description="draw what trained detectors found")
    parser.add_argument("--runs", type=Path, default=Path("out/detection_torch"))
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args()
    missing = [str(path) for path in paths_of(args.runs) if not path.exists()]
    if missing:
        parser.error(f"{' and '.join(missing)}: not there. Train with CE and γ = 2 first.")
    draw(dataset("test", RECIPE, 0), args.runs, args.out)


def paths_of(runs: Path) -> list[Path]:
    """What was found with cross entropy, and with focal loss."""
    return [found_path(runs, name) for name in (BEFORE, AFTER)]


def draw(test: Data, runs: Path, out: Path) -> None:
    """Of the detectors of seed 0, where both are there."""
    paths = paths_of(runs)
    if not all(path.exists() for path in paths):
        return
    before, after = map(load, paths)
    both = compare(before.boxes, after.boxes, test)
    more, fewer = most_different(both.more, SCENES)
    save_figure(lambda: first_figure(test, both, more[0]), out / "detection_first.png")
    save_figure(lambda: scene_figure(test, both, more), out / "detection_more.png")
    save_figure(lambda: scene_figure(test, both, fewer), out / "detection_fewer.png")
    save_figure(lambda: loss_figure(test, after.logits), out / "detection_losses.png")


def first_figure(test: Data, both: Comparison, index: int) -> Figure:
    """One scene for the first page, which has no room for thresholds and counts."""
    figure = Figure(figsize=(4.6, 2.45), layout="constrained")
    _scenes(figure, test, both, np.array([index]), list(TITLES.values()))
    return figure


def scene_figure(test: Data, both: Comparison, indices: np.ndarray) -> Figure:
    figure = Figure(figsize=(4.6, 2.3 * len(indices) + 1.3), layout="constrained")
    titles = []
    for title, threshold in zip(TITLES.values(), both.thresholds, strict=True):
        titles.append(f"{title}\nscores ≥ {threshold:.2f}")
    _scenes(figure, test, both, indices, titles)
    scenes = f"Of {len(both.more)} scenes,"
    more = (both.more > 0).sum()
    fewer = (both.more < 0).sum()
    counts = f"focal loss finds more digits in {more}, fewer in {fewer}"
    figure.suptitle(f"{scenes}\n{counts}", fontsize=10)
    handles = [_frame_in_legend(name) for name in FRAMES]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10)
    legend.get_frame().set_facecolor("#555555")
    for text in legend.get_texts():
        text.set_color("white")
    return figure


def _scenes(
    figure: Figure, test: Data, both: Comparison, indices: np.ndarray, titles: list[str]
) -> None:
    """A row for each scene, and a column for each detector."""
    grid = figure.subplots(len(indices), 2, squeeze=False)
    columns = zip(titles, both.found, both.thresholds, grid.T, strict=True)
    for title, scenes, threshold, column in columns:
        column[0].set_title(title, fontsize=10)
        for index, axes in zip(indices, column, strict=True):
            _scene(axes, test, index, counted(scenes[index], test, index, threshold))


def _frame_in_legend(name: str) -> Line2D:
    colour, width, dashes = FRAMES[name]
    return Line2D([], [], color=colour, linewidth=width, linestyle=dashes, label=name)


def _scene(axes: Axes, test: Data, index: int, boxes: Boxes) -> None:
    image, extent = test.scenes.images[index], (0, SIDE, SIDE, 0)
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent)
    axes.set_axis_off()
    truth, labels = test.scenes.boxes[index], test.scenes.labels[index]
    missed = ~np.isin(np.arange(len(truth)), boxes.digits)
    taken: list[np.ndarray] = []
    for box, label in zip(truth[missed], labels[missed], strict=True):
        _box(axes, box, label, "missed", taken)
    for box, label, digit in zip(*boxes, strict=True):
        _box(axes, box, label, "wrong" if digit < 0 else "found", taken)


def _box(axes: Axes, box: np.ndarray, label: int, kind: str, taken: list[np.ndarray]) -> None:
    colour, width, dashes = FRAMES[kind]
    x, y, right, bottom = box
    frame = Rectangle((x, y), right - x, bottom - y, fill=False)
    frame.set(edgecolor=colour, linewidth=width, linestyle=dashes)
    axes.add_patch(frame)
    place = free_place(box, taken)
    taken.append(place)
    left, top, *_ = place
    back = Rectangle((left, top), LABEL_WIDTH, LABEL_HEIGHT, facecolor="#222222", alpha=0.75)
    axes.add_patch(back)
    middle_x, middle_y = place.reshape(2, 2).mean(0)
    text = axes.text(middle_x, middle_y, str(label), color=colour, fontsize=9, weight="bold")
    text.set(ha="center", va="center_baseline")


def free_place(box: np.ndarray, taken: list[np.ndarray]) -> np.ndarray:
    """Where the label of a box does not cover another, in the scene: above, below or beside it, or
    else in one of its corners."""
    x, y, right, bottom = box
    above, beside = y - LABEL_HEIGHT, x - LABEL_WIDTH
    inner, lower = right - LABEL_WIDTH, bottom - LABEL_HEIGHT
    corners = [(x, above), (inner, above)]
    corners += [(x, bottom), (inner, bottom)]
    corners += [(right, y), (beside, y)]
    corners += [(right, lower), (beside, lower)]
    corners += [(x, y), (inner, y)]
    low = np.array(corners)
    places = np.concatenate([low, low + LABEL], 1)
    inside = (places >= 0) & (places <= SIDE)
    within = inside.all(1)
    free = within.copy()
    for other in taken:
        free &= overlaps(places, other[None])[:, 0] == 0
    allowed = free if free.any() else within
    return places[allowed.argmax()]


def loss_figure(test: Data, logits: np.ndarray) -> Figure:
    figure = Figure(figsize=(5, 7), layout="constrained")
    digits, background = figure.subplots(2)
    true, false = _margins(test, logits)
    _cumulative(digits, true, "true classes of the digits")
    _cumulative(background, false, "background")
    return figure


def _cumulative(axes: Axes, margins: np.ndarray, what: str) -> None:
    """Figure 4 of Lin et al. 2017, from the other end: the part of the loss that the hardest
    elements have, by how many they are."""
    cross_entropy = np.logaddexp(0, -margins)
    elements = np.arange(1, len(margins) + 1) / len(margins)
    for gamma, colour in GAMMA_COLOURS.items():
        losses = expit(-margins) ** gamma * cross_entropy
        hardest_first = np.sort(losses)[::-1]
        parts = hardest_first.cumsum() / losses.sum()
        axes.plot(elements, parts, color=colour, label=f"γ = {gamma:g}")
    first = min(1e-2, 30 * elements[0])
    axes.set_title(f"Loss of the {what}")
    axes.set_xscale("log")
    axes.set_xlim(first, 1)
    axes.set_xlabel("part of the elements, hardest first")
    axes.set_ylabel("part of their loss")
    axes.legend(fontsize=9, loc="upper left" if first == 1e-2 else "lower right")


def _margins(test: Data, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the true classes of anchors that have a digit, and of all classes of those that are
    background."""
    logits = logits.astype(np.float64)
    scenes = slice(len(logits))
    labels, judged = test.targets.labels[scenes], test.targets.judged[scenes]
    positive = labels >= 0
    classes = labels[positive].astype(int)
    true = np.take_along_axis(logits[positive], classes[:, None], axis=1)
    background = logits[judged & ~positive]
    return true.ravel(), -background.ravel()


if __name__ == "__main__":
    main()
