"""Layer 9, memory: what a backward pass keeps, counted in arrays of the size of the logits."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax._src.ad_checkpoint import saved_residuals

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws

N, C = 64, 50
DRAWS = Draws(0)


def unit(shape: int | tuple[int, int]) -> np.ndarray:
    """Float32 numbers between 0 and 1."""
    return DRAWS.uniform(shape=shape).astype(np.float32)


ELEMENTS = {"weight": unit((N, C)), "where": unit((N, C)) > 0.3}
ROWS = {"weight": unit(N), "where": unit(N) > 0.3}
CLASSES = {"alpha": unit(C), "gamma": unit(C)}
CALLS: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
    "sigmoid bool": ("sigmoid_focal_loss", unit((N, C)) > 0.5, {}),
    "sigmoid int": ("sigmoid_focal_loss", DRAWS.integers(0, 2, (N, C)), ELEMENTS | CLASSES),
    "sigmoid float": ("sigmoid_focal_loss", unit((N, C)), ELEMENTS | CLASSES),
    "sigmoid mixture": ("sigmoid_focal_loss", unit((N, C)), {"soft_targets": "mixture"} | ELEMENTS),
    "softmax ids": ("softmax_focal_loss", DRAWS.integers(0, C, N), {"axis": 1} | ROWS | CLASSES),
    "softmax smooth": (
        "softmax_focal_loss",
        DRAWS.integers(0, C, N),
        {"axis": 1, "label_smoothing": 0.1} | ROWS,
    ),
    "softmax soft": (
        "softmax_focal_loss",
        DRAWS.simplex(N, C).astype(np.float32),
        {"axis": 1} | CLASSES,
    ),
}
LOGITS = DRAWS.bell((N, C))
each_call = pytest.mark.parametrize("name", CALLS)
each_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])


def kept_by_jax(loss: Callable[[jax.Array], jax.Array], logits: jax.Array) -> int:
    """How many arrays with at least as many elements as the logits reverse mode saves, arguments
    aside."""
    return sum(
        getattr(aval, "size", 0) >= logits.size
        and "argument" not in source
        and "constant" not in source
        for aval, source in saved_residuals(loss, logits)
    )


def kept_by_torch(
    loss: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor, given: list[Any]
) -> int:
    """How many storages with at least as many bytes as half-precision logits autograd saves, those
    given aside."""
    own = {x.untyped_storage().data_ptr() for x in (logits, *given) if isinstance(x, torch.Tensor)}
    seen: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss(logits)
    return sum(size >= logits.numel() for pointer, size in seen.items() if pointer not in own)


@each_call
@each_reduction
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_jax_keeps_one_array(name: str, reduction: str, dtype: str) -> None:
    function, targets, settings = CALLS[name]
    arrays = {k: jnp.asarray(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = getattr(focal_jax, function)
    logits = jnp.asarray(LOGITS, dtype)
    y = jnp.asarray(targets)
    assert kept_by_jax(lambda z: loss(z, y, reduction=reduction, **arrays), logits) <= 1


@each_call
@each_reduction
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_keeps_at_most_one_tensor(name: str, reduction: str, dtype: torch.dtype) -> None:
    function, targets, settings = CALLS[name]
    tensors = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    loss = getattr(focal_torch, function)
    logits, y = torch.tensor(LOGITS, dtype=dtype, requires_grad=True), torch.tensor(targets)
    kept = kept_by_torch(
        lambda z: loss(z, y, reduction=reduction, **tensors), logits, [y, *tensors.values()]
    )
    # Label smoothing keeps the probabilities it makes, integer targets their booleans; all else
    # keeps nothing.
    assert kept <= (name in ("softmax smooth", "sigmoid int"))


def test_the_counters_count() -> None:
    """The textbook formula keeps several arrays in both frameworks."""

    def textbook(z: Any, sigmoid: Any, log: Any) -> Any:
        p = sigmoid(z)
        return -((1 - p) ** 2.0) * log(p)

    logits = torch.zeros(N, C, requires_grad=True)
    assert kept_by_torch(lambda z: textbook(z, torch.sigmoid, torch.log), logits, []) >= 2
    assert kept_by_jax(lambda z: textbook(z, jax.nn.sigmoid, jnp.log), jnp.zeros((N, C))) >= 2
