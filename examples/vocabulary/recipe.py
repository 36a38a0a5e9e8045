"""What is trained and within which limits, and what became of it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.process import MIB


@dataclass(frozen=True)
class Recipe:
    """What is trained, and the bytes that it may take beyond model, optimiser and data."""

    words: int = 8_000_000
    classes: int = 100_000
    limit: int = 320 * MIB
    batch: int = 2048
    steps: int = 25
    judged: int = 2048
    context: int = 4
    width: int = 64
    chunk: int = 32
    learning_rate: float = 1e-2
    seconds: float = 300.0
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.steps, self.batch


FULL = Recipe()
QUICK = Recipe(
    words=300_000,
    classes=16_384,
    limit=96 * MIB,
    batch=6144,
    steps=20,
    judged=512,
    width=16,
    seconds=90.0,
)


class Attempt(NamedTuple):
    """What became of training with one loss. `temporaries` are those of the compiler, `held` is
    what was measured."""

    temporaries: int
    refused: str
    held: int
    curve: np.ndarray
    # Held out: how often the word was the right one, of the model at its start and at its end.
    before: float
    after: float
