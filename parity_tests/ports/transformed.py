"""A port's derivatives by the transformations that its framework has for functions: compiled,
mapped over the rows of a batch, and in forward mode."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from .contain import contained
from .frameworks.framework import Array, Framework
from .frameworks.of_jax import Jax
from .frameworks.of_torch import Torch
from .python import Arguments, PythonPort
from .subject import PortError, RefusedError

# The losses, of logits and targets.
LossOfBoth = Callable[[Array, Array], Array]
# Of a batch with its cotangent and the direction of forward mode.
Transformed = Callable[[Mapping[str, Array]], Array]
FORWARD = "forward mode"


class Batch(NamedTuple):
    logits: np.ndarray
    targets: np.ndarray
    cotangent: np.ndarray
    along: np.ndarray


Answer = np.ndarray | RefusedError


def transformed(port: PythonPort, batch: Batch, settings: Arguments) -> dict[str, Answer]:
    """By the name of each transformation the gradients, or in forward mode the derivatives along a
    direction; an error is that the port does not offer it."""
    framework = port.framework

    def losses(logits: Array, targets: Array) -> Array:
        return port.traced(logits, targets, settings)

    functions = _functions(framework, losses)
    compiled: list[np.ndarray | None] = [None] * len(functions)
    if isinstance(framework, Jax):
        compiled = _compiled(framework, list(functions.values()), batch)
    answers: dict[str, Answer] = {}
    for (name, function), answer in zip(functions.items(), compiled, strict=True):
        answers[name] = _alone(framework, function, batch) if answer is None else answer
    return answers


def _functions(framework: Framework, losses: LossOfBoth) -> dict[str, Transformed]:
    if isinstance(framework, Jax):
        jax = framework.jax
        compiled = jax.jit(partial(_gradient, jax.grad, losses))
        mapped = partial(_mapped, jax.grad, jax.vmap, losses)
        return {
            "jax.jit": compiled,
            "jax.vmap": mapped,
            FORWARD: partial(_forward, jax.jvp, losses),
        }
    if isinstance(framework, Torch):
        func = framework.torch.func
        mapped = partial(_mapped, func.grad, func.vmap, losses)
        return {
            "torch.func.grad": partial(_gradient, func.grad, losses),
            "torch.func.vmap": mapped,
            FORWARD: partial(_forward, func.jvp, losses),
        }
    return {}


def _compiled(
    framework: Jax, functions: list[Transformed], batch: Batch
) -> list[np.ndarray | None]:
    """Of a program in which nothing but the settings is known, as in training."""
    try:
        with framework.bits(batch.logits), contained():
            (answers,) = framework.together(functions, [batch._asdict()])
    except PortError:
        return [None] * len(functions)
    return answers


def _alone(framework: Framework, function: Transformed, batch: Batch) -> Answer:
    try:
        with contained():
            return _asked(framework, function, batch)
    except RefusedError as error:
        return error
    except PortError as error:
        return RefusedError(str(error))


def _asked(framework: Framework, function: Transformed, batch: Batch) -> np.ndarray:
    def of_logits(logits: Array) -> Array:
        others = {name: framework.array(x) for name, x in batch._asdict().items()}
        return function({**others, "logits": logits})

    return framework.value(of_logits, batch.logits)


def _gradient(
    grad: Callable[..., Transformed], losses: LossOfBoth, batch: Mapping[str, Array]
) -> Array:
    def total(logits: Array) -> Array:
        return (losses(logits, batch["targets"]) * batch["cotangent"]).sum()

    return grad(total)(batch["logits"])


def _mapped(
    grad: Callable[..., Callable[..., Array]],
    vmap: Callable[..., Callable[..., Array]],
    losses: LossOfBoth,
    batch: Mapping[str, Array],
) -> Array:
    """The gradient of each row, which is a batch of its own."""

    def total(logits: Array, targets: Array, cotangent: Array) -> Array:
        return (losses(logits, targets) * cotangent).sum()

    rows = [batch[name][:, None] for name in ("logits", "targets", "cotangent")]
    return vmap(grad(total))(*rows)[:, 0]


def _forward(jvp: Callable[..., Array], losses: LossOfBoth, batch: Mapping[str, Array]) -> Array:
    def of_logits(logits: Array) -> Array:
        return losses(logits, batch["targets"])

    derivative: Array = jvp(of_logits, (batch["logits"],), (batch["along"],))[1]
    return derivative
