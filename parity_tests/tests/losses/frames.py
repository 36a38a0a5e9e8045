"""How many Python frames of a package are between a public call and its arithmetic.

python -m parity_tests.tests.losses.frames    a table of all losses, with the names of the frames
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import torch

import focal_jax
import focal_torch

Z = np.array([[0.5, -1.0, 2.0]], np.float32)
HARD = np.array([[1, 0, 1]])
SOFT = np.array([[0.5, 0.25, 0.25]], np.float32)
IDS = np.array([2])
# What a loss begins its arithmetic with.
JAX_ARITHMETIC = ((jax.lax, "logistic"), (jnp, "exp"))
TORCH_ARITHMETIC = ((torch, "sigmoid"), (torch, "exp"), (torch.Tensor, "exp_"))


class Call(NamedTuple):
    """A public function, and the most frames that its call may take."""

    label: str
    function: str
    targets: np.ndarray
    most: int


CALLS = (
    Call("sigmoid, hard targets", "sigmoid_focal_loss", HARD, 6),
    Call("sigmoid, soft targets", "sigmoid_focal_loss", SOFT, 6),
    Call("softmax, class ids", "softmax_focal_loss", IDS, 8),
    Call("softmax, class probabilities", "softmax_focal_loss", SOFT, 8),
)


class ArithmeticReached(Exception):  # noqa: N818 (it is no error, but where the count ends)
    """The first arithmetic, with the frames of the package that led to it."""

    def __init__(self, frames: list[str]) -> None:
        self.frames = frames


def frames_of(package: ModuleType) -> list[str]:
    """The functions of the package that are running, the public one first."""
    folder = str(Path(package.__file__ or "").parent)
    names: list[str] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(folder):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names[::-1]


@contextmanager
def stopped_at_arithmetic(package: ModuleType) -> Iterator[None]:
    def reached(*args: Any, **kwargs: Any) -> Any:
        raise ArithmeticReached(frames_of(package))

    arithmetic = JAX_ARITHMETIC if package is focal_jax else TORCH_ARITHMETIC
    with ExitStack() as patches:
        for owner, name in arithmetic:
            patches.enter_context(patch.object(owner, name, reached))
        yield


def frames(package: ModuleType, call: Call, gradient: bool) -> list[str]:
    """The frames from the public function to the one that does its first arithmetic."""
    loss = getattr(package, call.function)
    run = _run_jax if package is focal_jax else _run_torch
    try:
        with stopped_at_arithmetic(package):
            run(loss, call.targets, gradient)
    except ArithmeticReached as reached:
        return reached.frames
    raise AssertionError(f"{call.label} does no arithmetic")


def _run_jax(loss: Callable[..., jax.Array], targets: np.ndarray, gradient: bool) -> None:
    def total(z: jax.Array) -> jax.Array:
        return loss(z, jnp.asarray(targets), reduction="sum")

    (jax.grad(total) if gradient else total)(jnp.asarray(Z))


def _run_torch(loss: Callable[..., torch.Tensor], targets: np.ndarray, gradient: bool) -> None:
    z = torch.tensor(Z, requires_grad=gradient)
    loss(z, torch.tensor(targets), reduction="sum")


def main() -> None:
    print("| call | of | focal_jax | focal_torch |\n| --- | --- | --- | --- |")
    for call in CALLS:
        for gradient in (False, True):
            cells: list[str] = []
            for package in (focal_jax, focal_torch):
                names = frames(package, call, gradient)
                cells.append(f"{len(names)}: {' '.join(names)}")
            print(f"| {call.label} | {'gradient' if gradient else 'value'} |", *cells, "|")


if __name__ == "__main__":
    main()
