"""What changes for a user of optax, of torchvision, or of the tutorial class: each difference
computed, in float32.

    python -m examples.coming_from              tables for people
    python -m examples.coming_from --markdown   the same for the README

optax is called. torchvision and the tutorial stand here as their formulas, in a few lines of
PyTorch.
"""

import argparse
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
import optax
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import focal_jax
import focal_torch

HEADER = ("case", "theirs", "here")
Row = tuple[str, str, str]
SIX = [0.8, -0.4, 1.6, -1.2, 0.3, -2.0], [1, 0, 0, 1, 1, 0]


def number(x: Any) -> str:
    # A gradient of −0 is 0.
    return f"{float(x) + 0.0:.6g}"


def from_optax() -> list[Row]:
    def theirs(z: jax.Array) -> jax.Array:
        return optax.sigmoid_focal_loss(z, jnp.array([1.0]), alpha=0.25)[0]

    def ours(z: jax.Array) -> jax.Array:
        return focal_jax.sigmoid_focal_loss(z, jnp.array([1.0]), alpha=0.25)[0]

    plain, easy, infinite = jnp.array([0.5]), jnp.array([20.0]), jnp.array([jnp.inf])
    row, column = jnp.zeros(3), jnp.zeros((3, 1))
    slope = [jax.grad(f) for f in (theirs, ours)]
    return [
        ("loss, logit 0.5", number(theirs(plain)), number(ours(plain))),
        ("loss, logit 20", number(theirs(easy)), number(ours(easy))),
        ("loss, logit inf", number(theirs(infinite)), number(ours(infinite))),
        ("gradient, logit inf", number(slope[0](infinite)[0]), number(slope[1](infinite)[0])),
        ("default α", str(signature(optax.sigmoid_focal_loss).parameters["alpha"].default), "0.25"),
        ("shapes (3,) with (3, 1)", str(optax.sigmoid_focal_loss(row, column).shape), "ValueError"),
    ]


def torchvision_formula(z: Tensor, y: Tensor, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    p = torch.sigmoid(z)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    loss = cross_entropy * (1 - p_t) ** gamma
    return (alpha * y + (1 - alpha) * (1 - y)) * loss if alpha >= 0 else loss


def from_torchvision() -> list[Row]:
    def ours(z: Tensor, gamma: float) -> Tensor:
        return focal_torch.sigmoid_focal_loss(z, torch.ones_like(z), gamma=gamma)

    def theirs(z: Tensor, gamma: float) -> Tensor:
        return torchvision_formula(z, torch.ones_like(z), gamma=gamma)

    def pair(name: str, logit: float, gamma: float, gradient: bool = False) -> Row:
        z = torch.tensor(logit)
        a, b = (torch.func.grad(f) if gradient else f for f in (theirs, ours))
        return name, number(a(z, gamma)), number(b(z, gamma))

    return [
        pair("loss, logit 0.5", 0.5, 2.0),
        pair("loss, logit 20", 20.0, 2.0),
        pair("loss, logit 17, γ = 0.5", 17.0, 0.5),
        pair("gradient, logit 17, γ = 0.5", 17.0, 0.5, gradient=True),
        ("no α", "alpha=-1", "alpha=None"),
        ("names", "inputs", "logits"),
    ]


def tutorial_class(z: Tensor, y: Tensor, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    weights = torch.tensor([alpha, 1 - alpha])
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    at = weights.gather(0, y.long().view(-1))
    return (at * (1 - torch.exp(-cross_entropy)) ** gamma * cross_entropy).mean()


def from_tutorial() -> list[Row]:
    z, y = torch.tensor(SIX[0]), torch.tensor(SIX[1], dtype=torch.float32)
    ours = focal_torch.WeightedFocalLoss()
    paper = focal_torch.sigmoid_focal_loss(z, y, reduction="mean")
    return [
        ("six samples, shape (6,)", number(tutorial_class(z, y)), number(ours(z, y))),
        (
            "the same, shape (6, 1)",
            number(tutorial_class(z[:, None], y[:, None])),
            number(ours(z[:, None], y[:, None])),
        ),
        ("the paper's α on them", "", number(paper)),
        ("weight of class 1", "1 − α", "1 − α"),
        ("all targets 0.9", number(tutorial_class(z, torch.full_like(y, 0.9))), "ValueError"),
    ]


TABLES = {
    "optax": from_optax,
    "torchvision": from_torchvision,
    "the tutorial's WeightedFocalLoss": from_tutorial,
}


def markdown(rows: list[Row]) -> str:
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in (HEADER, ("---", "---:", "---:"), *rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    as_markdown = parser.parse_args().markdown
    for name, rows in TABLES.items():
        if as_markdown:
            print(f"\nComing from {name}:\n\n{markdown(rows())}")
            continue
        table = Table(*HEADER, title=f"Coming from {name}")
        for row in rows():
            table.add_row(*row)
        Console().print(table)


if __name__ == "__main__":
    main()
