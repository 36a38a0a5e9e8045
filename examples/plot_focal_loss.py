"""Figure 1 of the paper, and the gradient behind it, drawn with the library itself."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.figure import GAMMA_COLOURS, save_figure
from focal_jax import sigmoid_focal_loss


def loss_and_gradient(
    p_t: Array, target: int, alpha: float | None, gamma: float
) -> tuple[Array, Array]:
    """FL(p_t) and |∂FL/∂x| for the logit x at which the true class has the probability p_t."""
    margin = jnp.log(p_t / (1 - p_t))
    y = jnp.asarray(target)

    def loss(x: Array) -> Array:
        return sigmoid_focal_loss(x, y, alpha=alpha, gamma=gamma)

    value, slope = jax.vmap(jax.value_and_grad(loss))(margin if target else -margin)
    return value, jnp.abs(slope)


def draw(left: Axes, right: Axes) -> None:
    """One line per γ without α; then γ = 2 with α for the positives and 1 − α for the negatives."""
    p_t = jnp.linspace(0, 1, 1001)[1:-1]

    def line(label: str, target: int, alpha: float | None, gamma: float, **style: Any) -> None:
        colour = GAMMA_COLOURS[gamma]
        loss, gradient = loss_and_gradient(p_t, target, alpha, gamma)
        left.plot(p_t, loss, color=colour, label=label, **style)
        right.plot(p_t, gradient, color=colour, label=label, **style)

    for gamma in GAMMA_COLOURS:
        note = "" if gamma else " (cross entropy)"
        line(f"γ = {gamma:g}{note}", 1, None, gamma, linewidth=2.2)
    line("γ = 2, $α_t$ = 0.25 (target 1)", 1, 0.25, 2.0, linewidth=1.6, linestyle=(0, (1, 1.2)))
    line("γ = 2, $α_t$ = 0.75 (target 0)", 0, 0.25, 2.0, linewidth=1.6, linestyle=(0, (5, 2)))


def figure() -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw(left, right)
    left.set(title="Loss", ylabel="FL($p_t$)", ylim=(0, 5))
    right.set(title="Gradient with respect to the logit $x$", ylabel="|∂FL / ∂$x$|", ylim=(0, 1.4))
    for axes in (left, right):
        axes.set(xlabel="probability of the true class, $p_t$", xlim=(0, 1))
    left.legend(loc="upper right", borderaxespad=0)
    return figure


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out/focal_loss.png"), help="default: out/focal_loss.png"
    )
    save_figure(figure, parser.parse_args().out)


if __name__ == "__main__":
    main()
