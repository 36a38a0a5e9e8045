"""The memory that the loss of a linear layer takes, in both packages."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws


def temporaries(function: Callable[..., Any], rows: int) -> int:
    features = jax.ShapeDtypeStruct((rows, 64), jnp.float32)
    kernel = jax.ShapeDtypeStruct((64, 4096), jnp.float32)
    ids = jax.ShapeDtypeStruct((rows,), jnp.int32)
    step = jax.jit(jax.value_and_grad(function, (0, 1)))
    memory = step.lower(features, kernel, ids).compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_the_memory_of_jax_grows_with_the_chunk() -> None:
    def chunked(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids)

    def whole(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(features @ kernel, ids, reduction="mean")

    few = temporaries(chunked, 2048)
    many = temporaries(chunked, 8192)
    assert few <= temporaries(whole, 2048) / 8
    # Besides the chunk there are three copies of the features, no logits.
    assert many - few <= 4 * (8192 - 2048) * 64 * 4


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        returned = result if isinstance(result, tuple | list) else [result]
        sizes = [x.numel() for x in returned if isinstance(x, torch.Tensor)]
        self.size = max([self.size, *sizes])
        return result


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_pytorch_makes_no_tensor_larger_than_a_chunk(reduction: str) -> None:
    draws = Draws(0)
    features = torch.tensor(draws.bell((256, 16)), requires_grad=True)
    kernel = torch.tensor(draws.bell((500, 16)), requires_grad=True)
    ids = torch.tensor(draws.integers(0, 500, 256))
    settings = {"reduction": reduction, "chunk_size": 32}
    with Largest() as largest:
        fused = focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)
        fused.sum().backward()
    assert largest.size == 32 * 500
    with Largest() as largest:
        logits = features @ kernel.mT
        focal_torch.softmax_focal_loss(logits, ids, reduction=reduction).sum().backward()
    assert largest.size == 256 * 500
