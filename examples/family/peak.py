"""A peak of a heatmap that was missed: trained with a clamped sigmoid, and with the margin.

python -m examples.family.peak --out docs/family_peak.png
"""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import save_figure
from focal_jax import heatmap_focal_loss

Loss = Callable[[Array, Array], Array]
SIZE, PEAK, START, STEPS = 16, (5, 9), -12.0, 200


def clamped(z: Array, y: Array) -> Array:
    """CenterNet's loss of one image, divided by its one peak."""
    p = jnp.clip(jax.nn.sigmoid(z), 1e-4, 1 - 1e-4)
    at_peaks = -jnp.log(p) * (1 - p) ** 2
    elsewhere = -jnp.log(1 - p) * p**2 * (1 - y) ** 4
    return jnp.where(y == 1, at_peaks, elsewhere).sum()


def exact(z: Array, y: Array) -> Array:
    return heatmap_focal_loss(z, y, reduction="mean_positive")


LOSSES: dict[str, tuple[Loss, dict[str, Any]]] = {
    "clamped at 1e-4": (clamped, {"color": "#b5367a", "linestyle": (0, (4, 1.5))}),
    "here": (exact, {"color": "#111111"}),
}


def heatmap() -> Array:
    """One object, whose bump has a standard deviation of two pixels."""
    places = jnp.arange(float(SIZE))
    row, column = PEAK
    distance = (places[:, None] - row) ** 2 + (places[None] - column) ** 2
    return jnp.exp(-distance / 8)


def trained(loss: Loss) -> tuple[Array, Array]:
    """The loss and the logit of the peak before each step of Adam, and after the last one."""
    y = heatmap()
    optimizer = optax.adam(0.1)
    start = jnp.full(y.shape, START)

    def step(state: Any, _: None) -> tuple[Any, tuple[Array, Array]]:
        z, moments = state
        value, slope = jax.value_and_grad(loss)(z, y)
        update, moments = optimizer.update(slope, moments)
        following = optax.apply_updates(z, update)
        return (following, moments), (value, z[PEAK])

    _, curves = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS + 1)
    return curves


def draw(left: Axes, right: Axes) -> None:
    logits = jnp.arange(-320, 161) / 20
    for name, (loss, style) in LOSSES.items():
        slope = jax.vmap(jax.grad(loss), (0, None))(logits, jnp.ones(()))
        left.plot(logits, slope, label=name, linewidth=2.4, **style)
        losses, _ = trained(loss)
        right.plot(losses, label=name, linewidth=2.4, **style)
    left.set(title="Gradient at a peak", xlabel="logit $z$", ylim=(-1.2, 0.1))
    right.set(title="Loss in training", xlabel="step", ylim=(0, 13))
    for axes in (left, right):
        # To be read on a phone.
        axes.tick_params(labelsize=13)
        for text in (axes.title, axes.xaxis.label):
            text.set_fontsize(15)
    right.legend(loc="center right", fontsize=13)


def figure() -> Figure:
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, right)
    return figure


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/family_peak.png"))
    save_figure(figure, parser.parse_args().out)


if __name__ == "__main__":
    main()
