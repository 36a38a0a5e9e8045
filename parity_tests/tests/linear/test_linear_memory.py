"""The memory that the loss of a linear layer takes, in both packages."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import focal_jax
import focal_torch
from focal_torch._base.versions import HAS_WIDE_PRODUCTS
from focal_torch._core import linear_chunk, linear_scan
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


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """The products of half precision that PyTorch has for CUDA, on the CPU; and of each that was
    added to a sum, whether it was in place."""
    was_in_place: list[bool] = []

    def mm(a: Tensor, b: Tensor, out_dtype: torch.dtype) -> Tensor:
        return a.to(out_dtype) @ b.to(out_dtype)

    def addmm(sums: Tensor, a: Tensor, b: Tensor, out_dtype: torch.dtype, *, out: Tensor) -> Tensor:
        was_in_place.append(out.data_ptr() == sums.data_ptr())
        return out.copy_(sums + mm(a, b, out_dtype))

    def has_wide_products(x: Tensor) -> bool:
        return x.dtype.itemsize < 4 and not torch.is_grad_enabled()

    library = torch.library.Library("aten", "IMPL")
    library.impl("mm.dtype", mm, "CPU")
    library.impl("addmm.dtype_out", addmm, "CPU")
    for module in (linear_chunk, linear_scan):
        monkeypatch.setattr(module, "has_wide_products", has_wide_products)
    yield was_in_place
    library._destroy()


# The CPU gets a kernel for an operator, which PyTorch before 2.8 does not know: nor does it have
# the branch that is tested.
@pytest.mark.skipif(not HAS_WIDE_PRODUCTS, reason="PyTorch before 2.8 has no such products")
@pytest.mark.parametrize("adds", [True, False])
def test_products_of_half_precision_are_added_in_place(
    adds: bool, in_place: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or apart, where PyTorch has products and cannot add them."""
    monkeypatch.setattr(linear_chunk, "ADDS_WIDE_PRODUCTS", adds)
    draws = Draws(0)
    shapes = ((40, 8), (30, 8))
    features, kernel = (torch.tensor(draws.bell(shape)).bfloat16() for shape in shapes)
    leaves = features.requires_grad_(), kernel.requires_grad_()
    ids = torch.tensor(draws.integers(0, 30, 40))

    def slopes() -> list[Tensor]:
        loss = focal_torch.linear_softmax_focal_loss(
            features, kernel, ids, reduction="sum", chunk_size=16
        )
        return [x.double() for x in torch.autograd.grad(loss, leaves)]

    rounded = slopes()
    assert in_place == ([True] * 3 if adds else [])
    monkeypatch.undo()
    # Slopes are rounded to bfloat16 before they are multiplied, and so are the sums at the end.
    for x, exact in zip(rounded, slopes(), strict=True):
        assert (x - exact).abs().max() <= 2 * 2**-8 * exact.abs().max()
        assert (x != 0).any()
