"""Train a dense detector with every loss: PyTorch here, Flax NNX and optax in
`detection_jax.py`."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu, smooth_l1_loss
from torch.nn.utils import convert_conv2d_weight_memory_format
from tqdm import tqdm

from focal_torch import prior_bias, sigmoid_focal_loss, varifocal_loss

from .detection.anchors import SPREAD
from .detection.command import main
from .detection.network import GROUPS, Layer, blocks, plain_layers, with_prior
from .detection.recipe import Answers, Data, Loss, Recipe, Run, signs
from .detection.scenes import CLASSES
from .schedule import batches, learning_rates
from .weights import Arrays


class Block(nn.Module):
    """A convolution, group normalisation and silu."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv = conv(layer, dtype, bias=False)
        self.norm = nn.GroupNorm(GROUPS, layer.outputs, eps=1e-5, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return silu(self.norm(self.conv(x)))


def conv(layer: Layer, dtype: torch.dtype, bias: bool = True) -> nn.Conv2d:
    side, inputs, outputs, stride = layer
    settings = {"padding": side // 2, "bias": bias, "dtype": dtype}
    return nn.Conv2d(inputs, outputs, side, stride, **settings)


class Detector(nn.Module):
    """RetinaNet in miniature: four steps down, three levels of a feature pyramid, and heads that
    all levels share."""

    def __init__(self, recipe: Recipe, dtype: torch.dtype) -> None:
        def block(name: str) -> Block:
            return Block(blocks(recipe)[name], dtype)

        def plain(name: str) -> nn.Conv2d:
            return conv(plain_layers(recipe)[name], dtype)

        super().__init__()
        self.stem = block("stem")
        self.down1 = block("down1")
        self.conv1 = block("conv1")
        self.down2 = block("down2")
        self.conv2 = block("conv2")
        self.down3 = block("down3")
        self.conv3 = block("conv3")
        self.lateral1 = plain("lateral1")
        self.lateral2 = plain("lateral2")
        self.lateral3 = plain("lateral3")
        self.tower1 = plain("tower1")
        self.tower2 = plain("tower2")
        self.classes = plain("classes")
        self.boxes = plain("boxes")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, side, side) -> class logits (N, anchors, CLASSES) and the answers of the boxes
        (N, anchors, 4)."""
        c1 = self.conv1(self.down1(self.stem(x[:, None])))
        c2 = self.conv2(self.down2(c1))
        c3 = self.conv3(self.down3(c2))
        p3 = self.lateral3(c3)
        p2 = self.lateral2(c2) + twice(p3)
        p1 = self.lateral1(c1) + twice(p2)
        towers = [self.tower(p) for p in (p1, p2, p3)]
        logits = by_anchor(map(self.classes, towers), CLASSES)
        return logits, by_anchor(map(self.boxes, towers), 4)

    def tower(self, x: Tensor) -> Tensor:
        x = silu(self.tower1(x))
        return silu(self.tower2(x))


def twice(x: Tensor) -> Tensor:
    """A feature map twice as high and as wide."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def by_anchor(levels: Iterable[Tensor], length: int) -> Tensor:
    return torch.cat([x.movedim(1, -1).reshape(len(x), -1, length) for x in levels], dim=1)


def smooth_l1(x: Tensor, beta: float) -> Tensor:
    return smooth_l1_loss(x, torch.zeros_like(x), beta=beta, reduction="none")


def overlaps(these: Tensor, those: Tensor) -> Tensor:
    """The intersection over the union of boxes (..., 4), each with that in its place."""
    low, high = corners(these)
    other_low, other_high = corners(those)
    shared = torch.minimum(high, other_high) - torch.maximum(low, other_low)
    common = shared.clamp(min=0).prod(-1)
    area = (high - low).prod(-1)
    other_area = (other_high - other_low).prod(-1)
    return common / (area + other_area - common)


def corners(answers: Tensor) -> tuple[Tensor, Tensor]:
    """Of the boxes that these answers mean, each in units of its anchor."""
    spread = torch.tensor(SPREAD, dtype=answers.dtype)
    middle, log_size = (answers * spread).split(2, dim=-1)
    half = log_size.exp() / 2
    return middle - half, middle + half


def class_loss(
    loss: Loss, logits: Tensor, answers: Tensor, labels: Tensor, judged: Tensor, boxes: Tensor
) -> Tensor:
    """The loss of the class logits, divided by how many anchors have a digit."""
    positive = labels >= 0
    classes = labels[..., None] == torch.arange(CLASSES)
    settings = {"alpha": loss.alpha, "gamma": loss.gamma}
    if loss.kind == "focal":
        if loss.negatives is not None:
            inside = judged[..., None]
            elements = sigmoid_focal_loss(logits.detach(), classes, where=inside, **settings)
            judged = judged & hardest(elements.sum(-1), positive, loss.negatives)
        settings |= {"where": judged[..., None], "reduction": "mean_positive"}
        return sigmoid_focal_loss(logits, classes, **settings)
    targets = classes * overlaps(answers.detach(), boxes)[..., None]
    settings |= {"where": judged[..., None], "reduction": "sum"}
    if loss.kind == "varifocal":
        total = varifocal_loss(logits, targets, **settings)
    else:
        total = sigmoid_focal_loss(logits, targets, soft_targets="quality", **settings)
    return total / positive.sum().clamp(min=1)


def hardest(losses: Tensor, positive: Tensor, negatives: int) -> Tensor:
    """Which anchors (N, anchors) have a digit, or are among the background of the largest loss of
    their scene, so many for each of the former."""
    background = losses.masked_fill(positive, 0)
    rank = background.argsort(dim=1, descending=True).argsort(dim=1)
    return positive | (rank < negatives * positive.sum(1, keepdim=True))


def start(
    weights: Arrays, loss: Loss, dtype: torch.dtype, recipe: Recipe
) -> tuple[Detector, torch.optim.Optimizer]:
    """A detector with these weights, whose first scores are those of the prior, and its
    optimiser."""
    model = Detector(recipe, dtype)
    weights = with_prior(weights, float(prior_bias(loss.prior)))
    model.load_state_dict({torch_name(name): tensor(x) for name, x in weights.items()})
    settings = {"betas": recipe.betas, "eps": recipe.eps, "weight_decay": recipe.weight_decay}
    # Channels last, as in JAX, is a little faster on a CPU.
    convert_conv2d_weight_memory_format(model, torch.channels_last)
    return model, torch.optim.AdamW(model.parameters(), **settings)


def torch_name(name: str) -> str:
    return name.replace("kernel", "weight").replace("scale", "weight")


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
) -> Tensor:
    """Update the model in place; return its loss before the update."""
    images, labels, judged, boxes = batch
    positive = labels >= 0

    logits, answers = model(images)
    of_classes = class_loss(loss, logits, answers, labels, judged, boxes)
    distances = smooth_l1(answers - boxes, recipe.beta)
    apart = distances[positive]
    of_boxes = recipe.box_weight * apart.sum() / positive.sum().clamp(min=1)
    value = of_classes + of_boxes

    optimizer.zero_grad()
    value.backward()
    clip(model, recipe.clip)
    optimizer.step()
    return value


def clip(model: nn.Module, limit: float) -> None:
    """As optax does it: that of PyTorch adds 1e-6 to the norm."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    factor = (limit / norm).clamp(max=1)
    for gradient in gradients:
        gradient *= factor


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
    labels, judged, boxes = map(torch.tensor, data.targets)
    images, answers = torch.tensor(data.images, dtype=real), (labels, judged, boxes.to(real))
    test_images = torch.tensor(test.images, dtype=real)
    curve, found = [], {}
    negated, rates = torch.tensor(signs(recipe, seed), dtype=real), learning_rates(recipe).tolist()
    steps = enumerate(tqdm(batches(recipe, seed), str(loss), disable=None))
    for done, chosen in steps:
        batch = images[chosen] * negated[done], *(x[chosen] for x in answers)
        optimizer.param_groups[0]["lr"] = rates[done]
        curve.append(step(model, optimizer, loss, recipe, batch).item())
        if done + 1 in recipe.looks:
            found[done + 1] = answers_of(model, test_images, recipe)
    return Run(np.array(curve), found)


@torch.no_grad()
def answers_of(model: Detector, images: Tensor, recipe: Recipe) -> Answers:
    parts = [model(part) for part in images.split(recipe.batch_size)]
    logits, boxes = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Answers(logits, boxes)


if __name__ == "__main__":
    main("torch", __doc__, train)
