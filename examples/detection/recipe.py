"""What both frameworks have in common: the losses, the data and the steps."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from parity_tests.contract.exact import Draws

from .anchors import Targets, targets
from .scenes import Scenes, scenes


class Loss(NamedTuple):
    """The loss of the class logits, and the score that training starts with.

    The kind is "focal", γ = 0 being the cross entropy, or "quality" or "varifocal", whose targets
    are overlaps. With `negatives` only so many background anchors count for each with a digit, the
    hardest of their scene (OHEM).
    """

    alpha: float | None
    gamma: float
    prior: float = 0.01
    kind: str = "focal"
    negatives: int | None = None


# α = None weights nothing. The α of each γ are that, ½, which halves this loss beside that of the
# boxes, and ¼, which the paper found best for γ ≥ 1.
LOSSES = {
    "CE, no prior": Loss(None, 0.0, 0.5),
    "CE": Loss(None, 0.0),
    "CE, α = 0.75": Loss(0.75, 0.0),
    "OHEM, 1:3": Loss(None, 0.0, negatives=3),
    "focal, γ = 0.5": Loss(None, 0.5),
    "focal, γ = 0.5, α = 0.5": Loss(0.5, 0.5),
    "focal, γ = 1": Loss(None, 1.0),
    "focal, γ = 1, α = 0.5": Loss(0.5, 1.0),
    "focal, γ = 1, α = 0.25": Loss(0.25, 1.0),
    "focal, γ = 2": Loss(None, 2.0),
    "focal, γ = 2, α = 0.5": Loss(0.5, 2.0),
    "focal, γ = 2, α = 0.25": Loss(0.25, 2.0),
    "focal, γ = 5": Loss(None, 5.0),
    "focal, γ = 5, α = 0.5": Loss(0.5, 5.0),
    "focal, γ = 5, α = 0.25": Loss(0.25, 5.0),
    "quality, γ = 2": Loss(None, 2.0, kind="quality"),
    "varifocal": Loss(0.75, 2.0, kind="varifocal"),
}
BEFORE, AFTER = "CE", "focal, γ = 2"
# What `make detection` trains.
FEW = ("CE, no prior", BEFORE, AFTER)


@dataclass(frozen=True)
class Recipe:
    """All losses have the same scenes, batches, weights and steps."""

    train: int = 4096
    test: int = 512
    steps: int = 2000
    # After how many steps the test scenes are looked at.
    looks: tuple[int, ...] = (250, 500, 1000, 1500, 2000)
    batch_size: int = 16
    # The channels of the first convolution, of the three stages, and of the pyramid.
    stem: int = 16
    stages: tuple[int, int, int] = (32, 64, 96)
    pyramid: int = 64
    learning_rate: float = 3e-3
    warm_up: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip: float = 10.0
    # From where smooth L1 is linear, and its part in the whole.
    beta: float = 0.1
    box_weight: float = 0.5


# Beside the seed, so that signs have other bits than what else is drawn with it.
STREAM = 4

RECIPE = Recipe()
# What `make detection` has the time for.
SHORT = replace(RECIPE, steps=1000, looks=(125, 250, 500, 750, 1000))
QUICK = replace(RECIPE, train=128, test=32, steps=40, looks=(20, 40))


class Data(NamedTuple):
    """Images of shape (scenes, SIDE, SIDE), of mean 0 and deviation 1 or nearly, and the targets of
    their anchors."""

    images: np.ndarray
    targets: Targets
    scenes: Scenes


class Answers(NamedTuple):
    """Of a detector for the test scenes: class logits (scenes, anchors, CLASSES) and what the box
    head says (scenes, anchors, 4)."""

    logits: np.ndarray
    boxes: np.ndarray


class Run(NamedTuple):
    """The loss of every step, and the answers after each number of steps at which it was looked."""

    losses: np.ndarray
    answers: dict[int, Answers]


def dataset(part: str, recipe: Recipe, seed: int) -> Data:
    made = scenes(part, getattr(recipe, part), seed)
    return Data((made.images - 0.45) / 0.25, targets(made), made)


def signs(recipe: Recipe, seed: int) -> np.ndarray:
    """1, or −1 where a scene is to be its negative, of the shape of the batches: what is black on
    white in one epoch may be white on black in the next."""
    return Draws((seed, STREAM)).choice((-1.0, 1.0), (recipe.steps, recipe.batch_size, 1, 1))
