"""Train one small network with every loss: PyTorch here, Flax NNX and optax in `train_jax.py`."""

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from focal_torch import SigmoidFocalLoss

from .caravan import (
    FEATURES,
    LOSSES,
    RECIPE,
    Arrays,
    Data,
    Loss,
    Recipe,
    batches,
    dataset,
    initial_weights,
)
from .report import Run, arguments, report


class MLP(nn.Module):
    """Two hidden layers and one logit. tanh is smooth, so no rounding error decides whether a unit
    is active."""

    def __init__(self, width: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, width, dtype=dtype)
        self.second = nn.Linear(width, width, dtype=dtype)
        self.last = nn.Linear(width, 1, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        x = torch.tanh(self.second(x))
        return self.last(x)[:, 0]


def start(weights: Arrays, dtype: torch.dtype, recipe: Recipe) -> tuple[MLP, torch.optim.Optimizer]:
    """A model with these weights, and its optimiser."""
    model = MLP(recipe.width, dtype)
    tensors = {name: torch.tensor(x.T, dtype=dtype) for name, x in weights.items()}
    model.load_state_dict({name.replace("kernel", "weight"): x for name, x in tensors.items()})
    rule = torch.optim.Adam(model.parameters(), recipe.learning_rate, recipe.betas, recipe.eps)
    return model, rule


def step(
    model: MLP, optimizer: torch.optim.Optimizer, loss: SigmoidFocalLoss, x: Tensor, y: Tensor
) -> Tensor:
    """Update the model in place and return its loss before the update."""
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value


def train(
    weights: Arrays,
    data: Data,
    loss: Loss,
    dtype: str,
    recipe: Recipe = RECIPE,
    progress: bool = True,
) -> Run:
    """The loss of every step in float64, and the probabilities for the held-out customers."""
    real = getattr(torch, dtype)
    model, optimizer = start(weights, real, recipe)
    focal = SigmoidFocalLoss(alpha=loss.alpha, gamma=loss.gamma, reduction="mean")
    x, y = torch.tensor(data.train_x, dtype=real), torch.tensor(data.train_y)
    hidden = None if progress else True
    curve = []
    for epoch in tqdm(batches(len(x), recipe), str(loss), disable=hidden):
        curve += [step(model, optimizer, focal, x[i], y[i]).item() for i in epoch]
    with torch.no_grad():
        logits = model(torch.tensor(data.test_x, dtype=real))
    return np.array(curve), torch.sigmoid(logits).numpy()


def main() -> None:
    args = arguments(__doc__)
    data, weights = dataset(), initial_weights()
    torch.set_num_threads(1)  # Matrices this small lose time when threads share them.
    runs = {name: train(weights, data, loss, args.dtype) for name, loss in LOSSES.items()}
    report("torch", runs, data.test_y, args)


if __name__ == "__main__":
    main()
