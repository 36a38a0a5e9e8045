"""The picture: temporaries and bytes sent by each device, against how many chips there are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import save_figure

from . import cases
from .cases import MIB, PER_CHIP, Pod
from .verdict import Measurement

# By Okabe and Ito, for every kind of colour vision. Where lines meet, the later are thinner, and
# none is hidden.
STYLES = {
    "v5e": ("#0072b2", "o", 6.0),
    "v5p": ("#56b4e9", "s", 4.5),
    "v6e": ("#009e73", "^", 3.0),
    "tpu7x": ("#cc79a7", "D", 1.5),
    "H100": ("#d55e00", "v", 3.0),
}
NAMES = {"tpu7x": "v7x"}
GREY = "#666666"
DTYPE = "bfloat16"


def save(measured: Sequence[Measurement], path: Path) -> None:
    """Of the programs that have as many rows a step on every device, and of the broken ones."""
    compiled = [one for one in measured if not one.error]
    shown = [one for one in compiled if one.pod.chunk == PER_CHIP and one.pod.dtype == DTYPE]
    broken = [one for one in compiled if not one.pod.is_ours]
    save_figure(lambda: _figure(shown, broken), path)


def _figure(shown: Sequence[Measurement], broken: Sequence[Measurement]) -> Figure:
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _stored(left, shown)
    _sent(right, shown, broken)
    figure.suptitle(
        f"Value and gradients of the head, {DTYPE}, the same rows and classes on every device"
    )
    return figure


def _stored(axes: Axes, shown: Sequence[Measurement]) -> None:
    _lines(axes, [(one.pod, one.temporaries) for one in shown])
    logits = cases.logits_bytes() / MIB
    axes.axhline(logits, color=GREY, linestyle="--")
    axes.text(4, 1.02 * logits, "all logits of a device, float32")
    axes.set(title="Temporaries of each device", ylabel="MiB", ylim=(-8, 1.15 * logits))
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.6))


def _sent(axes: Axes, shown: Sequence[Measurement], broken: Sequence[Measurement]) -> None:
    gradients = [(one.pod, one.features + one.kernel) for one in shown]
    rest = [(one.pod, one.rest) for one in shown]
    _lines(axes, gradients)
    _lines(axes, rest, linestyle="--", markerfacecolor="white")
    chips = [one.pod.chips for one in broken]
    sizes = [one.rest / MIB for one in broken]
    cross = {"color": GREY, "markersize": 9, "markeredgewidth": 2}
    (crosses,) = axes.plot(chips, sizes, "x", label="logits gathered", **cross)
    axes.set(title="Sent to each device: gradients solid, all else dashed")
    axes.set(ylabel="MiB", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(handles=[crosses], loc="upper right")


def _lines(axes: Axes, values: Sequence[tuple[Pod, int]], **form: Any) -> None:
    """A line for each kind of device, against the number of chips."""
    for kind, (colour, marker, width) in STYLES.items():
        points = sorted((pod.chips, size / MIB) for pod, size in values if pod.kind == kind)
        chips = [n for n, _ in points]
        sizes = [size for _, size in points]
        style = {"color": colour, "marker": marker, "linewidth": width, "markersize": 6 + width}
        axes.plot(chips, sizes, label=NAMES.get(kind, kind), **style | form)
    axes.set_xscale("log", base=2)
    ticks = sorted({pod.chips for pod, _ in values})
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.set(xlabel="chips")
    axes.margins(x=0.05)
