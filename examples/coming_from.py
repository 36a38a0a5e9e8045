"""What changes for a user of optax, of torchvision, or of the tutorial class: each difference
computed, in float32.

    python -m examples.coming_from              tables for people
    python -m examples.coming_from --markdown   the same for the README

optax is called. torchvision and the tutorial stand here as their formulas, in a few lines of
PyTorch.
"""

import argparse
from collections.abc import Iterator
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
import optax
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import focal_jax
import focal_torch
from benchmarks.table import Sheet, markdown

HEADER = ("case", "theirs", "here")
Row = tuple[str, str, str]
SIX = [0.8, -0.4, 1.6, -1.2, 0.3, -2.0], [1, 0, 0, 1, 1, 0]


def row(case: str, theirs: Any, ours: Any) -> Row:
    return case, number(theirs), number(ours)


def number(x: Any) -> str:
    # A gradient of −0 is 0.
    return f"{float(x) + 0.0:.6g}"


def from_optax() -> Iterator[Row]:
    def theirs(z: jax.Array) -> jax.Array:
        return optax.sigmoid_focal_loss(z, jnp.array([1.0]), alpha=0.25)[0]

    def ours(z: jax.Array) -> jax.Array:
        return focal_jax.sigmoid_focal_loss(z, jnp.array([1.0]), alpha=0.25)[0]

    for name, logit in (("0.5", 0.5), ("20", 20.0), ("inf", jnp.inf)):
        z = jnp.array([logit])
        yield row(f"loss, logit {name}", theirs(z), ours(z))
    infinite = jnp.array([jnp.inf])
    their_slope, our_slope = jax.grad(theirs)(infinite), jax.grad(ours)(infinite)
    yield row("gradient, logit inf", their_slope[0], our_slope[0])
    alpha = signature(optax.sigmoid_focal_loss).parameters["alpha"]
    yield "default α", str(alpha.default), "0.25"
    # Nobody means this: the row is broadcast against the column.
    matrix = optax.sigmoid_focal_loss(jnp.zeros(3), jnp.zeros((3, 1)))
    yield "shapes (3,) with (3, 1)", str(matrix.shape), "ValueError"


def torchvision_formula(z: Tensor, y: Tensor, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    p = torch.sigmoid(z)
    cross_entropy = binary_cross_entropy_with_logits(z, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    loss = cross_entropy * (1 - p_t) ** gamma
    if alpha < 0:
        return loss
    return (alpha * y + (1 - alpha) * (1 - y)) * loss


def from_torchvision() -> Iterator[Row]:
    def ours(z: Tensor, gamma: float) -> Tensor:
        return focal_torch.sigmoid_focal_loss(z, torch.ones_like(z), gamma=gamma)

    def theirs(z: Tensor, gamma: float) -> Tensor:
        return torchvision_formula(z, torch.ones_like(z), gamma=gamma)

    def losses(case: str, logit: float, gamma: float) -> Row:
        z = torch.tensor(logit)
        return row(case, theirs(z, gamma), ours(z, gamma))

    def gradients(case: str, logit: float, gamma: float) -> Row:
        z = torch.tensor(logit)
        return row(case, torch.func.grad(theirs)(z, gamma), torch.func.grad(ours)(z, gamma))

    yield losses("loss, logit 0.5", 0.5, 2.0)
    yield losses("loss, logit 20", 20.0, 2.0)
    yield losses("loss, logit 17, γ = 0.5", 17.0, 0.5)
    yield gradients("gradient, logit 17, γ = 0.5", 17.0, 0.5)
    yield "no α", "alpha=-1", "alpha=None"
    yield "names", "inputs", "logits"


def tutorial_class(z: Tensor, y: Tensor, alpha: float = 0.25, gamma: float = 2) -> Tensor:
    weights = torch.tensor([alpha, 1 - alpha])
    cross_entropy = binary_cross_entropy_with_logits(z, y, reduction="none")
    at = weights.gather(0, y.long().view(-1))
    p_t = torch.exp(-cross_entropy)
    return (at * (1 - p_t) ** gamma * cross_entropy).mean()


def from_tutorial() -> Iterator[Row]:
    logits, labels = SIX
    z, y = torch.tensor(logits), torch.tensor(labels, dtype=torch.float32)
    ours = focal_torch.WeightedFocalLoss()
    yield row("six samples, shape (6,)", tutorial_class(z, y), ours(z, y))
    column, targets = z[:, None], y[:, None]
    yield row("the same, shape (6, 1)", tutorial_class(column, targets), ours(column, targets))
    paper = focal_torch.sigmoid_focal_loss(z, y, reduction="mean")
    yield "the paper's α on them", "", number(paper)
    yield "weight of class 1", "1 − α", "1 − α"
    soft = tutorial_class(z, torch.full_like(y, 0.9))
    yield "all targets 0.9", number(soft), "ValueError"


TABLES = {
    "optax": from_optax,
    "torchvision": from_torchvision,
    "the tutorial's WeightedFocalLoss": from_tutorial,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    as_markdown = parser.parse_args().markdown
    for name, make in TABLES.items():
        sheet = Sheet(f"Coming from {name}", HEADER, list(make()), words=("case",))
        if as_markdown:
            print(f"\n{sheet.title}:\n\n{markdown(sheet)}")
            continue
        table = Table(*HEADER, title=sheet.title)
        for cells in sheet.rows:
            table.add_row(*cells)
        Console().print(table)


if __name__ == "__main__":
    main()
