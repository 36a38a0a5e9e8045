"""Train a dense detector with every loss: PyTorch here, Flax NNX and optax in
`detection_jax.py`."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu, smooth_l1_loss
from tqdm import tqdm

from focal_torch import prior_bias, sigmoid_focal_loss

from .detection.command import main
from .detection.recipe import LAYERS, Arrays, Data, Loss, Recipe, Run, batches, with_prior
from .detection.scenes import CLASSES


class Detector(nn.Module):
    """RetinaNet in miniature: four steps down, three levels of a feature pyramid, and heads that
    all levels share."""

    def __init__(self, dtype: torch.dtype) -> None:
        def conv(name: str, stride: int = 1) -> nn.Conv2d:
            side, inputs, outputs = LAYERS[name]
            return nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, dtype=dtype)

        super().__init__()
        self.stem = conv("stem", stride=2)
        self.down1 = conv("down1", stride=2)
        self.down2 = conv("down2", stride=2)
        self.down3 = conv("down3", stride=2)
        self.lateral1 = conv("lateral1")
        self.lateral2 = conv("lateral2")
        self.lateral3 = conv("lateral3")
        self.tower = conv("tower")
        self.classes = conv("classes")
        self.boxes = conv("boxes")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, side, side) -> class logits (N, anchors, CLASSES) and the answers of the boxes
        (N, anchors, 4)."""
        stem = silu(self.stem(x[:, None]))
        c1 = silu(self.down1(stem))
        c2 = silu(self.down2(c1))
        c3 = silu(self.down3(c2))
        p3 = self.lateral3(c3)
        p2 = self.lateral2(c2) + twice(p3)
        p1 = self.lateral1(c1) + twice(p2)
        towers = [silu(self.tower(p)) for p in (p1, p2, p3)]
        logits = by_anchor(map(self.classes, towers), CLASSES)
        return logits, by_anchor(map(self.boxes, towers), 4)


def twice(x: Tensor) -> Tensor:
    """A feature map twice as high and as wide."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def by_anchor(levels: Iterable[Tensor], length: int) -> Tensor:
    return torch.cat([x.movedim(1, -1).reshape(len(x), -1, length) for x in levels], dim=1)


def smooth_l1(x: Tensor, beta: float) -> Tensor:
    return smooth_l1_loss(x, torch.zeros_like(x), beta=beta, reduction="none")


def start(
    weights: Arrays, loss: Loss, dtype: torch.dtype, recipe: Recipe
) -> tuple[Detector, torch.optim.Optimizer]:
    """A detector with these weights, whose first scores are those of the prior, and its
    optimiser."""
    model = Detector(dtype)
    weights = with_prior(weights, float(prior_bias(loss.prior)))
    tensors = {name.replace("kernel", "weight"): tensor(x) for name, x in weights.items()}
    model.load_state_dict(tensors)
    rule = torch.optim.Adam(model.parameters(), recipe.learning_rate, recipe.betas, recipe.eps)
    return model, rule


def tensor(array: np.ndarray) -> Tensor:
    """A kernel (height, width, in, out) is (out, in, height, width) in PyTorch."""
    if array.ndim > 1:
        array = np.moveaxis(array, (-1, -2), (0, 1))
    return torch.tensor(array)


def step(
    model: Detector,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    recipe: Recipe,
    batch: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """Update the model in place; return its loss before the update, and the share that background
    anchors have."""
    images, labels, judged, boxes = batch
    positive = labels >= 0
    classes = labels[..., None] == torch.arange(CLASSES)
    settings = {"alpha": loss.alpha, "gamma": loss.gamma, "reduction": "mean_positive"}

    logits, answers = model(images)
    focal = sigmoid_focal_loss(logits, classes, where=judged[..., None], **settings)
    of_digits = sigmoid_focal_loss(logits, classes, where=positive[..., None], **settings)
    distances = smooth_l1(answers - boxes, recipe.beta)
    apart = distances[positive]
    of_boxes = recipe.box_weight * apart.sum() / positive.sum().clamp(min=1)
    value = focal + of_boxes

    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value, 1 - of_digits / focal


def train(
    weights: Arrays,
    data: Data,
    test: Data,
    loss: Loss,
    recipe: Recipe,
    seed: int,
    dtype: str = "float32",
) -> Run:
    """The losses of every step in float64, and the answers for the test scenes."""
    real = getattr(torch, dtype)
    model, optimizer = start(weights, loss, real, recipe)
    arrays = torch.tensor(data.images, dtype=real), *map(torch.tensor, data.targets)
    curve = []
    for chosen in tqdm(batches(recipe, seed), str(loss), disable=None):
        batch = tuple(x[chosen] for x in arrays)
        value, share = step(model, optimizer, loss, recipe, batch)
        curve.append((value.item(), share.item()))
    losses, shares = np.array(curve).T
    images = torch.tensor(test.images, dtype=real)
    with torch.no_grad():
        answers = [model(part) for part in images.split(recipe.batch_size)]
    logits, boxes = (torch.cat(part).numpy() for part in zip(*answers, strict=True))
    return Run(losses, shares, logits, boxes)


if __name__ == "__main__":
    main("torch", __doc__, train)
