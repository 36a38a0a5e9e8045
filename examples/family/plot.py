"""Loss and gradient of the family over the logit, drawn with the library itself.

python -m examples.family.plot --out docs/family.png
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import save_figure
from focal_jax import asymmetric_loss, heatmap_focal_loss, sigmoid_focal_loss, varifocal_loss

Loss = Callable[[Array, Array], Array]
focal = partial(sigmoid_focal_loss, alpha=None)
# Of different dashes as well as colours, by lightness: two of them often run close together.
LINES: dict[str, tuple[Loss, dict[str, Any]]] = {
    "cross entropy": (partial(focal, gamma=0.0), {"color": "#111111", "linestyle": "-"}),
    "focal, γ = 2": (focal, {"color": "#56269a", "linestyle": "-"}),
    "quality, γ = 2": (
        partial(focal, soft_targets="quality"),
        {"color": "#b5367a", "linestyle": (0, (5, 1.5))},
    ),
    "varifocal": (varifocal_loss, {"color": "#f1605d", "linestyle": (0, (3, 1.2))}),
    "heatmap": (heatmap_focal_loss, {"color": "#f9a13f", "linestyle": (0, (1, 1.1))}),
    "asymmetric": (asymmetric_loss, {"color": "#2a788e", "linestyle": (0, (6, 1.5, 1, 1.5))}),
}
TARGETS = (1.0, 0.7, 0.0)
# Between 0 and 1; at both ends quality is the focal loss.
OF_SOFT_TARGETS = ("cross entropy", "quality, γ = 2", "varifocal", "heatmap")


def is_drawn(name: str, target: float) -> bool:
    if 0 < target < 1:
        return name in OF_SOFT_TARGETS
    return not name.startswith("quality")


def loss_and_gradient(loss: Loss, logits: Array, target: float) -> tuple[Array, Array]:
    def of_one(z: Array) -> Array:
        return loss(z, jnp.full_like(z, target))

    return jax.vmap(jax.value_and_grad(of_one))(logits)


def draw(above: Axes, below: Axes, target: float) -> None:
    logits = jnp.arange(-320, 321) / 40
    for name, (loss, style) in LINES.items():
        if is_drawn(name, target):
            values, gradients = loss_and_gradient(loss, logits, target)
            above.plot(logits, values, label=name, linewidth=2.4, **style)
            below.plot(logits, gradients, label=name, linewidth=2.4, **style)
    above.set(title=f"target {target:g}", ylim=(0, 5))
    below.set(xlabel="logit $z$", ylim=(-1.2, 1.2), xticks=(-8, -4, 0, 4, 8))
    for axes in (above, below):
        # To be read on a phone.
        axes.tick_params(labelsize=13)
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set_fontsize(15)


def figure() -> Figure:
    """Three columns, loss above gradient."""
    figure = Figure(figsize=(8.4, 6.6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey="row")
    for column, target in enumerate(TARGETS):
        draw(axes[0, column], axes[1, column], target)
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("gradient in $z$")
    lines = {line.get_label(): line for axis in axes.flat for line in axis.get_lines()}
    handles = [lines[name] for name in LINES]
    place = {"loc": "outside lower center", "ncols": 3}
    figure.legend(handles=handles, handlelength=2.8, fontsize=14, **place)
    return figure


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/family.png"))
    save_figure(figure, parser.parse_args().out)


if __name__ == "__main__":
    main()
