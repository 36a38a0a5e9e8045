"""Find thin strokes of handwriting on photographs, with every loss: PyTorch here, Flax NNX and
optax in `segmentation_jax.py`."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from tqdm import tqdm

from focal_torch import prior_bias, sigmoid_focal_loss

from .detection_torch import Block, clip, conv, tensor, torch_name, twice
from .schedule import batches, learning_rates
from .segmentation.command import main
from .segmentation.recipe import (
    BLOCKS,
    HEAD,
    PRIOR,
    Answers,
    Data,
    Loss,
    Recipe,
    Run,
    initial_weights,
)


class Segmenter(nn.Module):
    """U-Net in miniature: two steps down, two steps up, each beside what came before."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.stem = Block(BLOCKS["stem"], dtype)
        self.down1 = Block(BLOCKS["down1"], dtype)
        self.down2 = Block(BLOCKS["down2"], dtype)
        self.middle = Block(BLOCKS["middle"], dtype)
        self.up1 = Block(BLOCKS["up1"], dtype)
        self.up0 = Block(BLOCKS["up0"], dtype)
        self.strokes = conv(HEAD, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, side, side) -> logits of the same shape."""
        c0 = self.stem(x[:, None])
        c1 = self.down1(c0)
        c2 = self.middle(self.down2(c1))
        u1 = self.up1(torch.cat([twice(c2), c1], dim=1))
        u0 = self.up0(torch.cat([twice(u1), c0], dim=1))
        return self.strokes(u0)[:, 0]


def dice_loss(logits: Tensor, strokes: Tensor) -> Tensor:
    """Of logits and strokes (N, side, side): 1 − 2·Σ p·y / (Σ p + Σ y), with 1 added to both parts
    (Milletari et al. 2016, arXiv:1606.04797, without their squares)."""
    p = torch.sigmoid(logits)
    y = strokes.to(p.dtype)
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


def start(dtype: torch.dtype, recipe: Recipe, seed: int) -> tuple[Segmenter, torch.optim.Optimizer]:
    """A network whose first scores are those of the prior, and its optimiser."""
    model = Segmenter(dtype)
    weights = initial_weights(seed, float(prior_bias(PRIOR)))
    model.load_state_dict({torch_name(name): tensor(x) for name, x in weights.items()})
    settings = {"betas": recipe.betas, "eps": recipe.eps, "weight_decay": recipe.weight_decay}
    # Channels last, as in JAX, is a little faster on a CPU.
    convert_conv2d_weight_memory_format(model, torch.channels_last)
    return model, torch.optim.AdamW(model.parameters(), **settings)


def step(
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    recipe: Recipe,
    images: Tensor,
    strokes: Tensor,
) -> Tensor:
    """Update the model in place; return its loss before the update."""
    logits = model(images)
    value = sigmoid_focal_loss(
        logits, strokes, alpha=loss.alpha, gamma=loss.gamma, reduction="mean_positive"
    )
    if loss.dice:
        value = value + dice_loss(logits, strokes)

    optimizer.zero_grad()
    value.backward()
    clip(model, recipe.clip)
    optimizer.step()
    return value


def train(
    parts: dict[str, Data], loss: Loss, recipe: Recipe, seed: int, dtype: str = "float32"
) -> Run:
    """The losses of every step in float64, and the answers for the scenes of the other parts."""
    real = getattr(torch, dtype)
    model, optimizer = start(real, recipe, seed)
    images = {name: torch.tensor(part.images, dtype=real) for name, part in parts.items()}
    strokes = torch.tensor(parts["train"].scenes.strokes)
    curve, found = [], {}
    rates = learning_rates(recipe).tolist()
    steps = enumerate(tqdm(batches(recipe, seed), str(loss), disable=None))
    for done, chosen in steps:
        batch = images["train"][chosen], strokes[chosen]
        optimizer.param_groups[0]["lr"] = rates[done]
        curve.append(step(model, optimizer, loss, recipe, *batch).item())
        if done + 1 in recipe.looks:
            answers = (answer(model, images[part], recipe) for part in Answers._fields)
            found[done + 1] = Answers(*answers)
    return Run(np.array(curve), found)


@torch.no_grad()
def answer(model: Segmenter, images: Tensor, recipe: Recipe) -> np.ndarray:
    """Images (scenes, side, side) -> logits of the same shape."""
    parts = images.split(recipe.batch_size)
    return torch.cat([model(part) for part in parts]).numpy()


if __name__ == "__main__":
    main("torch", __doc__, train)
