"""The loss of a linear layer with very many classes: from a chunk of logits at a time, and from all
of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import torch

import focal_jax
import focal_torch
from benchmarks import machine
from benchmarks.process import peak
from benchmarks.timing import paired
from benchmarks.work import Work

FUSED, UNFUSED = "fused", "unfused"
HALF, ALL = "half of the rows", "all rows"
PEER = "linear_cross_entropy"
Loss = Callable[..., Any]
Losses = Mapping[str, Loss]


class Shape(NamedTuple):
    tokens: int
    size: int
    classes: int

    @property
    def gradients(self) -> int:
        """Bytes of what every loss returns: the gradients in features and kernel."""
        return 4 * self.size * (self.tokens + self.classes)


# The vocabulary of Llama 3, and what a test has the time for.
FULL, QUICK = Shape(4096, 512, 128_256), Shape(1024, 64, 16_384)


def fused_jax(features: Any, kernel: Any, ids: Any, chunk_size: int | None = None) -> Any:
    return focal_jax.linear_softmax_focal_loss(
        features, kernel, ids, gamma=2.0, reduction="mean", chunk_size=chunk_size
    )


def unfused_jax(features: Any, kernel: Any, ids: Any) -> Any:
    return focal_jax.softmax_focal_loss(features @ kernel, ids, gamma=2.0, reduction="mean")


def fused_torch(features: Any, kernel: Any, ids: Any) -> Any:
    return focal_torch.linear_softmax_focal_loss(features, kernel, ids, gamma=2.0, reduction="mean")


def unfused_torch(features: Any, kernel: Any, ids: Any) -> Any:
    return focal_torch.softmax_focal_loss(features @ kernel.mT, ids, gamma=2.0, reduction="mean")


def half_jax(features: Any, kernel: Any, ids: Any) -> Any:
    where = jnp.arange(ids.size) % 2 == 0
    return focal_jax.linear_softmax_focal_loss(
        features, kernel, ids, gamma=2.0, where=where, reduction="mean"
    )


def half_torch(features: Any, kernel: Any, ids: Any) -> Any:
    where = torch.arange(len(ids)) % 2 == 0
    return focal_torch.linear_softmax_focal_loss(
        features, kernel, ids, gamma=2.0, where=where, reduction="mean"
    )


def entropy_torch(features: Any, kernel: Any, ids: Any) -> Any:
    """The cross entropy of PyTorch 2.13 and newer, whose chunks are its own choice."""
    peer = getattr(torch.nn.functional, PEER)
    return peer(features, kernel, ids)


def compiled(loss: Loss, shape: Shape) -> jax.stages.Compiled:
    """Value and gradient. Shapes are enough for that, however large they are."""
    features = jax.ShapeDtypeStruct((shape.tokens, shape.size), jnp.float32)
    kernel = jax.ShapeDtypeStruct((shape.size, shape.classes), jnp.float32)
    ids = jax.ShapeDtypeStruct((shape.tokens,), jnp.int32)
    function = jax.value_and_grad(loss, argnums=(0, 1))
    return jax.jit(function).lower(features, kernel, ids).compile()


def temporaries(loss: Loss, shape: Shape) -> int:
    """The bytes that XLA sets aside beside those of arguments and results."""
    memory = compiled(loss, shape).memory_analysis()
    assert memory is not None, "every backend of jaxlib knows its memory"
    return memory.temp_size_in_bytes


def arrays(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, kernel and class ids; the logits are normal."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((shape.tokens, shape.size), np.float32)
    kernel = rng.standard_normal((shape.size, shape.classes), np.float32)
    kernel /= np.float32(shape.size**0.5)
    ids = rng.integers(0, shape.classes, shape.tokens, np.int32)
    return features, kernel, ids


def in_jax(loss: Loss, shape: Shape) -> Callable[[], Any]:
    program = compiled(loss, shape)
    host = arrays(shape)
    device = [jnp.asarray(x) for x in host]
    # JAX would let go of `host` in some later call, which would then seem to take less memory.
    return lambda kept=host: jax.block_until_ready(program(*device))


def in_torch(loss: Loss, shape: Shape) -> Callable[[], Any]:
    features, kernel, ids = (torch.from_numpy(x) for x in arrays(shape))
    # Class ids are int64 in PyTorch, and a kernel is (C, D) there.
    leaves = features.requires_grad_(), kernel.T.contiguous().requires_grad_()
    targets = ids.long()

    def with_gradient() -> Any:
        value = loss(*leaves, targets)
        return value, *torch.autograd.grad(value, leaves)

    return with_gradient


@dataclass(frozen=True)
class Pair:
    """Two losses, the first again with half of the rows masked, and what makes a call of value and
    gradient from one. All of it goes to other processes."""

    name: str
    fused: Loss
    unfused: Loss
    half: Loss
    prepare: Callable[[Loss, Shape], Callable[[], Any]]


JAX = Pair("focal_jax, jit", fused_jax, unfused_jax, half_jax, in_jax)
TORCH = Pair("focal_torch, eager", fused_torch, unfused_torch, half_torch, in_torch)


def memory(loss: Loss, pair: Pair, shape: Shape) -> int:
    """The bytes of this process beyond those before the call. The arguments exist by then;
    gradients count."""
    machine.use_all_cores()
    call = pair.prepare(loss, shape)
    call()
    # JAX frees in the background what it returned.
    time.sleep(2)
    return peak(call)[0]


def times(pair: Pair, losses: Losses, shape: Shape, budget: float, least: int) -> pd.DataFrame:
    """The seconds of both, which take turns: one row per round."""
    machine.use_all_cores()
    works = [Work(name, pair.prepare(loss, shape)) for name, loss in losses.items()]
    return paired(works, budget, least)
