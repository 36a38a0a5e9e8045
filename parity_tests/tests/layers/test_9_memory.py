"""Layer 9, memory: what a backward pass keeps, counted in arrays of the size of the logits."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax._src.ad_checkpoint import saved_residuals

from parity_tests.contract.exact import Draws
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.arguments import arguments

from .calls import SIGMOID, SOFTMAX, Call, call, loss_of

N, C = 64, 50
DRAWS = Draws(0)


def unit(shape: int | tuple[int, int]) -> np.ndarray:
    """Float32 numbers between 0 and 1."""
    return DRAWS.uniform(shape=shape).astype(np.float32)


ELEMENTS = {"weight": unit((N, C)), "where": unit((N, C)) > 0.3}
ROWS = {"weight": unit(N), "where": unit(N) > 0.3}
CLASSES = {"alpha": unit(C), "gamma": unit(C)}
SOFT = unit((N, C))
IDS = DRAWS.integers(0, C, N)
BITS = DRAWS.integers(0, 2, (N, C))
PROBABILITIES = DRAWS.simplex(N, C).astype(np.float32)
LOGITS = DRAWS.bell((N, C))

CALLS: dict[str, Call] = {}
CALLS["sigmoid bool"] = call(SIGMOID, SOFT > 0.5)
CALLS["sigmoid int"] = call(SIGMOID, BITS, **ELEMENTS, **CLASSES)
CALLS["sigmoid float"] = call(SIGMOID, SOFT, **ELEMENTS, **CLASSES)
CALLS["sigmoid mixture"] = call(SIGMOID, SOFT, soft_targets="mixture", **ELEMENTS)
CALLS["sigmoid quality"] = call(SIGMOID, SOFT, soft_targets="quality", **ELEMENTS, **CLASSES)
CALLS["varifocal"] = call("varifocal_loss", SOFT, **ELEMENTS, **CLASSES)
CALLS["varifocal constant"] = call("varifocal_loss", SOFT, constant_modulator=True)
CALLS["heatmap"] = call("heatmap_focal_loss", SOFT, peak=0.9, **ELEMENTS, beta=unit(C))
CALLS["asymmetric"] = call("asymmetric_loss", SOFT, **ELEMENTS)
CALLS["asymmetric constant"] = call("asymmetric_loss", SOFT, constant_modulator=True)
CALLS["softmax ids"] = call(SOFTMAX, IDS, axis=1, **ROWS, **CLASSES)
CALLS["softmax smooth"] = call(SOFTMAX, IDS, axis=1, label_smoothing=0.1, **ROWS)
CALLS["softmax soft"] = call(SOFTMAX, PROBABILITIES, axis=1, **CLASSES)
each_call = pytest.mark.parametrize("name", CALLS)
each_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


def kept_by_jax(loss: Callable[[jax.Array], jax.Array], logits: jax.Array) -> int:
    """How many arrays with at least as many elements as the logits reverse mode saves, arguments
    aside."""
    kept = 0
    for aval, source in saved_residuals(loss, logits):
        was_made = "argument" not in source and "constant" not in source
        kept += was_made and getattr(aval, "size", 0) >= logits.size
    return kept


def kept_by_torch(
    loss: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor, inputs: list[Any]
) -> int:
    """How many storages with at least as many bytes as half-precision logits autograd saves, those
    of the inputs aside."""
    tensors = [x for x in (logits, *inputs) if isinstance(x, torch.Tensor)]
    of_inputs = {x.untyped_storage().data_ptr() for x in tensors}
    sizes: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss(logits)
    saved = [size for pointer, size in sizes.items() if pointer not in of_inputs]
    return sum(size >= logits.numel() for size in saved)


@each_call
@each_reduction
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_jax_keeps_one_array(name: str, reduction: str, dtype: str) -> None:
    function, targets, settings = CALLS[name]
    loss = loss_of(JAX, function, targets, settings | {"reduction": reduction})
    logits = jnp.asarray(LOGITS, dtype)
    assert kept_by_jax(loss, logits) <= 1


@each_call
@each_reduction
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_keeps_at_most_one_tensor(name: str, reduction: str, dtype: torch.dtype) -> None:
    function, targets, settings = CALLS[name]
    tensors = arguments(TORCH, settings)
    loss = getattr(TORCH.module, function)
    y = TORCH.array(targets)
    logits = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
    inputs = [y, *tensors.values()]
    reduced = partial(loss, targets=y, reduction=reduction, **tensors)
    kept = kept_by_torch(reduced, logits, inputs)
    # Label smoothing keeps the probabilities it makes, integer targets their booleans; all else
    # keeps nothing.
    allowed = 1 if name in ("softmax smooth", "sigmoid int") else 0
    assert kept <= allowed


def test_the_counters_count() -> None:
    """The textbook formula keeps several arrays in both frameworks."""

    def textbook(z: Any, sigmoid: Any, log: Any) -> Any:
        p = sigmoid(z)
        return -((1 - p) ** 2.0) * log(p)

    of_jax = partial(textbook, sigmoid=jax.nn.sigmoid, log=jnp.log)
    assert kept_by_jax(of_jax, jnp.zeros((N, C))) >= 2
    of_torch = partial(textbook, sigmoid=torch.sigmoid, log=torch.log)
    logits = torch.zeros(N, C, requires_grad=True)
    assert kept_by_torch(of_torch, logits, []) >= 2
